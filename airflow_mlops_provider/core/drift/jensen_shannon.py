"""Jensen-Shannon distance."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, ClassVar

from airflow_mlops_provider.core.binned_method import BinnedMethod
from airflow_mlops_provider.core.cell_bins import Bins, divergence
from airflow_mlops_provider.core.drift_method import Effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class JensenShannon(BinnedMethod):
    """Jensen-Shannon distance between reference and current.

    ``JS = sqrt(sum_b (p_b log2(p_b / m_b) + q_b log2(q_b / m_b)) / 2)`` with ``m = (p + q) / 2`` over bins b with
    shares p of the reference and q of the current sample: the square root of the divergence of [1]_, which is a metric
    [2]_. Range [0, 1]; 1 where the samples share no bin. Empty bins need no care. To base 2 as in NannyML; Evidently
    and SciPy's default take nats, whose values are sqrt(ln 2) = 0.8326 times these. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991) 145-151, section
       4.
    .. [2] D. M. Endres, J. E. Schindelin, A new metric for probability distributions, IEEE Trans. Inf. Theory 49 (2003)
       1858-1860.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(JensenShannon().exact(reference, current), 4)
    0.1704
    """

    key: ClassVar[str] = "jensen_shannon"
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "distance"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np
        from scipy.special import rel_entr

        def term(p: Floats, q: Floats) -> Floats:
            middle = (p + q) / 2
            nats: Floats = (rel_entr(p, middle) + rel_entr(q, middle)) / 2
            return np.maximum(nats, 0.0) / log(2.0)

        return divergence(bins, term, then=lambda total: min(sqrt(total), 1.0))


METHOD = JensenShannon
