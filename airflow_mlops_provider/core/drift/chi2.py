"""Pearson's chi-square statistic."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, ClassVar

from airflow_mlops_provider.core.binned_method import BinnedMethod
from airflow_mlops_provider.core.cell_bins import Bins, divergence
from airflow_mlops_provider.core.drift_method import Effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chi2(BinnedMethod):
    """Pearson's chi-square statistic of homogeneity of reference and current.

    ``chi2 = sum_b n m (p_b - q_b)^2 / (n p_b + m q_b)`` over bins b with shares p of the reference (n values) and q of
    the current sample (m values), which is ``sum (observed - expected)^2 / expected`` over both rows of the table
    [1]_. Range [0, inf). It grows with the samples, so its default threshold is 0: significance alone decides, which
    on large samples finds shifts too small to matter. Set a threshold, or take ``cramers_v``, to avoid that. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] K. Pearson, On the probability that two distributions of frequency are really samples from the same
       population, Biometrika 8 (1911) 250-254.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(Chi2().exact(reference, current), 4)
    8.0
    """

    key: ClassVar[str] = "chi2"
    threshold: ClassVar[float] = 0.0
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "statistic"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        n, m = bins.n_reference, bins.n_current

        def term(p: Floats, q: Floats) -> Floats:
            pooled = n * p + m * q
            return n * m * (p - q) ** 2 / np.where(pooled > 0, pooled, 1.0)

        return divergence(bins, term)


METHOD = Chi2
