"""Cramer's V."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

from airflow_mlops_provider.core.binned_method import BinnedMethod
from airflow_mlops_provider.core.cell_bins import Bins, divergence
from airflow_mlops_provider.core.drift_method import Effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CramersV(BinnedMethod):
    """Cramer's V between the values and which sample they come from.

    ``V = sqrt(chi2 / (n + m))``, where chi2 is Pearson's statistic of the table of two samples by bins [1]_; samples
    of n and m values. Range [0, 1]. At given shares it is largest for samples of equal size. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] H. Cramer, Mathematical Methods of Statistics, Princeton 1946, section 21.9.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(CramersV().exact(reference, current), 4)
    0.2
    """

    key: ClassVar[str] = "cramers_v"
    threshold: ClassVar[float] = 0.2
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "association"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        n, m = bins.n_reference, bins.n_current

        def term(p: Floats, q: Floats) -> Floats:
            pooled = n * p + m * q
            return n * m * (p - q) ** 2 / np.where(pooled > 0, pooled, 1.0) / (n + m)

        return divergence(bins, term, then=lambda total: min(sqrt(total), 1.0))


METHOD = CramersV
