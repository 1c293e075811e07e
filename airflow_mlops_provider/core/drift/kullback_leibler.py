"""Kullback-Leibler divergence."""

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
class KullbackLeibler(BinnedMethod):
    """Kullback-Leibler divergence of the reference from the current sample.

    ``KL = sum_b p_b ln(p_b / q_b)`` over bins b with shares p of the reference and q of the current sample, in nats
    [1]_. Range [0, inf); not symmetric: what the reference has and the current sample lacks weighs most.

    A bin that is empty in one sample counts as half a value there [2]_; so that the sum stays at least 0, each bin
    adds ``p ln(p / q) - p + q``, which is the same sum where no bin is empty. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] S. Kullback, R. A. Leibler, On information and sufficiency, Ann. Math. Statist. 22 (1951) 79-86, equation
       2.4.
    .. [2] F. J. Anscombe, On estimating binomial response relations, Biometrika 43 (1956) 461-464.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(KullbackLeibler().exact(reference, current), 4)
    0.0811
    """

    key: ClassVar[str] = "kullback_leibler"
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "nats"
    symmetric: ClassVar[bool] = False

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        def term(p: Floats, q: Floats) -> Floats:
            return np.maximum(p * np.log(p / q) - p + q, 0.0)

        return divergence(bins, term, half_counts=True)


METHOD = KullbackLeibler
