"""Total variation distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_mlops_provider.core.binned_method import BinnedMethod
from airflow_mlops_provider.core.cell_bins import Bins, divergence
from airflow_mlops_provider.core.drift_method import Effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalVariation(BinnedMethod):
    """Total variation distance between reference and current.

    ``TV = sum_b |p_b - q_b| / 2`` over bins b with shares p of the reference and q of the current sample: the share of
    rows that would have to change their bin [1]_. Range [0, 1]. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] D. A. Levin, Y. Peres, Markov Chains and Mixing Times, 2nd ed., AMS 2017, proposition 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(TotalVariation().exact(reference, current), 4)
    0.2
    """

    key: ClassVar[str] = "total_variation"
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "share of rows"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        def term(p: Floats, q: Floats) -> Floats:
            return np.abs(p - q) / 2

        return divergence(bins, term, then=lambda total: min(total, 1.0))


METHOD = TotalVariation
