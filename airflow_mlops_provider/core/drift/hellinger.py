"""Hellinger distance."""

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
class Hellinger(BinnedMethod):
    """Hellinger distance between reference and current.

    ``H = sqrt(sum_b (sqrt(p_b) - sqrt(q_b))^2 / 2)`` over bins b with shares p of the reference and q of the current
    sample [1]_. Range [0, 1]; 1 where the samples share no bin. Empty bins need no care. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] A. B. Tsybakov, Introduction to Nonparametric Estimation, Springer 2009, section 2.4 (there without the 1/2,
       which gives the range).

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(Hellinger().exact(reference, current), 4)
    0.1421
    """

    key: ClassVar[str] = "hellinger"
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = 1.0
    unit: ClassVar[str] = "distance"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        def term(p: Floats, q: Floats) -> Floats:
            return (np.sqrt(p) - np.sqrt(q)) ** 2 / 2

        return divergence(bins, term, then=lambda total: min(sqrt(total), 1.0))


METHOD = Hellinger
