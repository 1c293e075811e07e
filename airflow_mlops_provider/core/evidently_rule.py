"""Evidently 0.7's default verdict on one column, from cells; for people who migrate and want the verdicts they know.

It must never be improved: its use is to agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import TYPE_CHECKING

from airflow_mlops_provider.core import catalog
from airflow_mlops_provider.core.drift_method import Effect

if TYPE_CHECKING:
    from airflow_mlops_provider.core.cells import CellCounts

SMALL_REFERENCE = 1000
FEW_VALUES = 5
P_VALUE = 0.05
DISTANCE = 0.1
_SMALLEST_NORM = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidentlyVerdict:
    """What Evidently would say.

    Parameters
    ----------
    method, unit : str
        Our name of its method, and what its effect is measured in.
    effect : Effect
        On our scale.
    threshold : float or None
        On our scale; None where the p-value decides.
    p_value : float or None
        Where that decides.
    drift : bool
        Its verdict.
    """

    method: str
    unit: str
    effect: Effect
    threshold: float | None
    p_value: float | None
    drift: bool


def judge(cells: CellCounts, *, unseen: int) -> EvidentlyVerdict:
    """Judge a column as Evidently's default does.

    Parameters
    ----------
    cells : CellCounts
        Of both samples.
    unseen : int
        Rows of the current sample in categories that are not among the cells; they count as one more category, which
        for its chi-square test and Jensen-Shannon distance is the same as several.

    Returns
    -------
    EvidentlyVerdict
    """
    import numpy as np

    if unseen:
        cells = replace(
            cells,
            reference=np.append(cells.reference, 0),
            current=np.append(cells.current, unseen),
            labels=(*cells.labels, "(unseen)"),
        )
    used = (cells.reference + cells.current) > 0
    few = cells.lower is None or (bool((cells.lower == cells.upper)[used].all()) and int(used.sum()) <= FEW_VALUES)
    if cells.n_reference > SMALL_REFERENCE:
        return _by_distance(cells, few=few)
    return _by_p_value(cells, few=few, n_values=int(used.sum()))


def _by_distance(cells: CellCounts, *, few: bool) -> EvidentlyVerdict:
    if few:
        # It measures in nats, we in bits.
        key, threshold = "jensen_shannon", DISTANCE / sqrt(log(2))
        cells = replace(cells, lower=None, upper=None, labels=())
    else:
        key, threshold = "wasserstein", DISTANCE
        cells = replace(cells, reference_std=max(cells.reference_std or 0.0, _SMALLEST_NORM))
    method = catalog.load("drift", key)()
    effect = method.from_cells(cells)
    return EvidentlyVerdict(
        method=key,
        unit=method.unit,
        effect=effect,
        threshold=threshold,
        p_value=None,
        drift=effect.value >= threshold,
    )


def _by_p_value(cells: CellCounts, *, few: bool, n_values: int) -> EvidentlyVerdict:
    if not few:
        key, p_value = "kolmogorov_smirnov", _kolmogorov_smirnov(cells)
    else:
        key, p_value = "chi2", _z_test(cells) if n_values <= 2 else _goodness_of_fit(cells)
        cells = replace(cells, lower=None, upper=None, labels=())
    method = catalog.load("drift", key)()
    return EvidentlyVerdict(
        method=key,
        unit=method.unit,
        effect=method.from_cells(cells),
        threshold=None,
        p_value=p_value,
        drift=p_value <= P_VALUE if key == "kolmogorov_smirnov" else p_value < P_VALUE,
    )


def _kolmogorov_smirnov(cells: CellCounts) -> float:
    import warnings

    import numpy as np
    from scipy.stats import ks_2samp

    place = np.arange(len(cells.reference))
    with warnings.catch_warnings():
        # Where the exact p-value overflows SciPy takes the asymptotic one, and so does Evidently.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ks_2samp(np.repeat(place, cells.reference), np.repeat(place, cells.current)).pvalue)


def _goodness_of_fit(cells: CellCounts) -> float:
    """Take the reference's shares as known, as Evidently does: it is no test of two samples."""
    import numpy as np
    from scipy.special import chdtrc

    expected = cells.reference * (cells.n_current / cells.n_reference)
    used = (cells.reference + cells.current) > 0
    if (expected[used] == 0).any():
        return 0.0
    statistic = float(((cells.current - expected)[used] ** 2 / expected[used]).sum())
    return float(chdtrc(np.count_nonzero(used) - 1, statistic))


def _z_test(cells: CellCounts) -> float:
    from scipy.special import erfc

    n, m = cells.n_reference, cells.n_current
    used = (cells.reference + cells.current) > 0
    if int(used.sum()) < 2:
        return 1.0
    a, b = int(cells.reference[used][0]), int(cells.current[used][0])
    pooled = (a + b) / (n + m)
    z = (a / n - b / m) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return float(erfc(abs(z) / sqrt(2)))
