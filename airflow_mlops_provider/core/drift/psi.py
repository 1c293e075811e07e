"""Population stability index."""

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
class Psi(BinnedMethod):
    """Population stability index between reference and current.

    ``PSI = sum_b (p_b - q_b) ln(p_b / q_b)`` over bins b with shares p of the reference and q of the current sample:
    the symmetrised Kullback-Leibler divergence, in nats. Range [0, inf); 0.1 to 0.25 is read as a moderate shift, more
    as a major one [1]_. Without drift it is about ``(B - 1) (1 / n + 1 / m)`` on B bins and samples of n and m: 0.1
    for ten bins and 100 rows, which is why a significance test stands beside it.

    A bin that is empty in one sample counts as half a value there [2]_, since the logarithm of 0 has no value and a
    fixed tiny share would make PSI depend on how tiny. Bins are
    :func:`~airflow_mlops_provider.core.cell_bins.bins_of_cells`'s, so values differ from tools that cut numbers at
    equal widths.

    Parameters
    ----------
    n_bins : int, default 10
        Bins at the reference's quantiles for numeric columns, from 2 to 1000; of no meaning for categories.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
    .. [2] F. J. Anscombe, On estimating binomial response relations, Biometrika 43 (1956) 461-464.

    Examples
    --------
    >>> import numpy as np
    >>> reference, current = np.repeat(["a", "b"], [60, 40]), np.repeat(["a", "b"], [40, 60])
    >>> round(Psi().exact(reference, current), 4)
    0.1622
    """

    key: ClassVar[str] = "psi"
    threshold: ClassVar[float] = 0.1
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "nats"

    def effect(self, bins: Bins) -> Effect:
        """Return the effect of shares in bins."""
        import numpy as np

        def term(p: Floats, q: Floats) -> Floats:
            return (p - q) * np.log(p / q)

        return divergence(bins, term, half_counts=True)


METHOD = Psi
