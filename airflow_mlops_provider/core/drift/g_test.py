"""Likelihood ratio statistic of homogeneity."""

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
class GTest(BinnedMethod):
    """Likelihood ratio (G) statistic of homogeneity of reference and current.

    ``G = 2 sum_b (n p_b ln(p_b / h_b) + m q_b ln(q_b / h_b))`` with ``h = (n p + m q) / (n + m)`` over bins b with
    shares p of the reference (n values) and q of the current sample (m values) [1]_. Range [0, inf). It grows with the
    samples, so its default threshold is 0: significance alone decides, by the chi-square test of the same table, which
    agrees with it in large samples and is the more accurate of the two in small ones. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] A. Agresti, Categorical Data Analysis, 3rd ed., Wiley 2013, section 3.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(GTest().exact(reference, current), 4)
    8.0542
    """

    key: ClassVar[str] = "g_test"
    threshold: ClassVar[float] = 0.0
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "statistic"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np
        from scipy.special import rel_entr

        n, m = bins.n_reference, bins.n_current

        def term(p: Floats, q: Floats) -> Floats:
            pooled = (n * p + m * q) / (n + m)
            total: Floats = 2 * (n * rel_entr(p, pooled) + m * rel_entr(q, pooled))
            return np.maximum(total, 0.0)

        return divergence(bins, term)


METHOD = GTest
