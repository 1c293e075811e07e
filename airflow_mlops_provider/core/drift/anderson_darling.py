"""Anderson-Darling statistic."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops_provider.core.cell_steps import steps_of
from airflow_mlops_provider.core.drift_method import CellTest, ColumnKind, Effect, numeric_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class AndersonDarling:
    """Two-sample Anderson-Darling statistic of reference and current.

    The difference of the empirical distribution functions squared, weighted by ``1 / (H (1 - H))`` with that of both
    samples together, H, so that tails count as much as the middle; ties enter at the middle of their step (``A2_akN``
    of [1]_, equation 7, before it is standardised). Range [0, inf); about 1 without drift at any size, and growing
    with the samples under drift, so its default threshold is 0: significance alone decides. From cells, all values of
    a cell count as tied; where they are not, the interval is [0, inf).

    References
    ----------
    .. [1] F. W. Scholz, M. A. Stephens, K-sample Anderson-Darling tests, JASA 82 (1987) 918-924.

    Examples
    --------
    >>> import numpy as np
    >>> round(AndersonDarling().exact(np.arange(8.0), np.arange(8.0) + 4), 4)
    3.7019
    """

    key: ClassVar[str] = "anderson_darling"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    threshold: ClassVar[float] = 0.0
    maximum: ClassVar[float] = inf
    unit: ClassVar[str] = "statistic"
    test: ClassVar[CellTest] = "ordered"
    symmetric: ClassVar[bool] = True

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        value = _statistic(cells.reference, cells.current)
        exact = bool(steps_of(self.key, cells).single.all())
        return Effect(value=value, lower=value if exact else 0.0, upper=value if exact else inf)

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves."""
        import numpy as np

        reference, current = numeric_values(self.key, reference_values, current_values)
        values, code = np.unique(np.concatenate([reference, current]), return_inverse=True)
        first, second = code[: len(reference)], code[len(reference) :]
        return _statistic(*(np.bincount(one, minlength=len(values)) for one in (first, second)))


def _statistic(reference: NDArray[Any], current: NDArray[Any]) -> float:
    import numpy as np

    r, c = reference.astype(np.float64), current.astype(np.float64)
    n, m = r.sum(), c.sum()
    total = n + m
    tied = r + c
    used = tied > 0
    below = np.cumsum(tied) - tied / 2
    difference = (np.cumsum(r) - r / 2) / n - (np.cumsum(c) - c / 2) / m
    # Equation 7 for two samples; n m (F - G)^2 is what both of its sums have in common.
    weight = below * (total - below) - total * tied / 4
    inner = np.where(used & (weight > 0), tied * difference**2 / np.where(weight > 0, weight, 1.0), 0.0)
    return float((total - 1) / total * n * m * inner.sum())


METHOD = AndersonDarling
