"""What a drift method is, what it answers, and how a user's choice of one is resolved.

It must never import a method by name: methods are found by the catalog. It loads nothing heavy until values are given,
because DAG files construct policies, which resolve their methods, at each parse.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from airflow_mlops_provider.core import catalog
from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts

ColumnKind = Literal["numeric", "categorical"]
CellTest = Literal["homogeneity", "ordered"]
MethodSpec = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Size of a difference between two samples, with what it can be at most and at least given their cells.

    Parameters
    ----------
    value : float
        Best estimate; finite.
    lower, upper : float
        The value computed from every single row lies in between. Equal to `value` where the cells hold single values.
        `upper` may be infinite where a cell is too coarse to say.
    """

    value: float
    lower: float
    upper: float

    def straddles(self, threshold: float) -> bool:
        """Whether the cells cannot say on which side of the threshold the exact value lies."""
        return self.lower < threshold <= self.upper

    def to_dict(self) -> dict[str, float | None]:
        """Return the record as plain JSON values; an infinite bound becomes None."""
        return {name: x if isfinite(x := getattr(self, name)) else None for name in ("value", "lower", "upper")}


@runtime_checkable
class DriftMethod(Protocol):
    """A frozen dataclass whose fields are its parameters. Its key is its file name in ``core/drift``.

    ``threshold`` is the default effect floor, ``maximum`` the end of the range, ``unit`` what the value is measured in,
    ``test`` the significance test on cells that goes with it, ``symmetric`` whether reference and current may change
    places (bins of numbers are the reference's all the same).
    """

    key: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]]
    threshold: ClassVar[float]
    maximum: ClassVar[float]
    unit: ClassVar[str]
    test: ClassVar[CellTest]
    symmetric: ClassVar[bool]

    def from_cells(self, cells: CellCounts) -> Effect:
        """Estimate the effect from counts in common cells."""
        ...

    def exact(self, reference_values: NDArray[Any], current_values: NDArray[Any]) -> float:
        """Compute the effect from the values themselves, none of them missing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """A method with the effect floor chosen for it.

    Parameters
    ----------
    method : DriftMethod
        With its parameters.
    threshold : float
        Smallest effect that counts as drift; 0 leaves the decision to significance alone.
    """

    method: DriftMethod
    threshold: float


def resolve_method(spec: MethodSpec, *, kind: ColumnKind | None = None) -> MethodChoice:
    """Turn what users write into a method and its threshold.

    Parameters
    ----------
    spec : str or mapping
        A key (``"psi"``), or a key with a threshold and parameters (``{"method": "psi", "threshold": 0.25,
        "n_bins": 20}``).
    kind : {"numeric", "categorical"}, optional
        When known, methods that cannot compare such columns are refused.

    Returns
    -------
    MethodChoice

    Raises
    ------
    InputError
        Unknown method or parameter, a value out of range, or a method of the other kind.

    Examples
    --------
    >>> choice = resolve_method({"method": "psi", "threshold": 0.25})
    >>> choice.method, choice.threshold
    (Psi(n_bins=10), 0.25)
    """
    parameters = {"method": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, Mapping) else {}
    key = parameters.pop("method", None)
    if not isinstance(key, str):
        raise InputError(
            f"A drift method must be a key or a mapping with the key 'method'; got {spec!r}. "
            f"Known methods: {', '.join(catalog.names('drift'))}."
        )
    method = catalog.load("drift", key)
    threshold = parameters.pop("threshold", method.threshold)
    check_number("threshold", f"drift method {key!r}", threshold, low=0.0, high=method.maximum)
    known = inspect.signature(method).parameters
    for name in parameters:
        if name not in known:
            raise catalog.unknown(f"parameter of drift method {key!r}:", name, [*known, "threshold"])
    if kind is not None and kind not in method.kinds:
        able = [name for name in catalog.names("drift") if kind in catalog.load("drift", name).kinds]
        raise InputError(f"Drift method {key!r} does not compare {kind} columns. Hint: use one of {', '.join(able)}.")
    return MethodChoice(method=method(**parameters), threshold=float(threshold))


def check_number(name: str, owner: str, value: Any, *, low: float = -inf, high: float = inf) -> None:
    """Raise :class:`InputError` unless the setting is a finite number in [low, high]."""
    # True is an int to Python, and never meant as a number here.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InputError(f"{name} of {owner} must be a finite number; got {value!r}.")
    if not low <= value <= high:
        wanted = f"at least {low:g}" if high == inf else f"from {low:g} to {high:g}"
        raise InputError(f"{name} of {owner} must be {wanted}; got {value!r}.")


def check_count(name: str, owner: str, value: Any, *, low: int, high: int | None = None) -> None:
    """Raise :class:`InputError` unless the setting is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} of {owner} must be a whole number; got {value!r}.")
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} of {owner} must be {wanted}; got {value!r}.")


def numeric_values(key: str, *samples: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return the samples as float64, refusing empty ones and values that are not finite numbers."""
    import numpy as np

    found = []
    for name, sample in zip(("reference", "current"), samples, strict=True):
        _check_sample(key, name, sample)
        try:
            values = np.asarray(sample, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"Drift method {key!r} needs numbers in the {name} sample: {error}.") from error
        if not np.isfinite(values).all():
            raise InputError(
                f"Drift method {key!r} got {int((~np.isfinite(values)).sum())} values in the {name} sample that are "
                "not finite. Hint: leave missing and infinite values out; they are counted apart."
            )
        found.append(values)
    return found


def is_numeric(values: NDArray[Any]) -> bool:
    """Whether an array holds numbers, not categories."""
    return getattr(values, "dtype", None) is not None and values.dtype.kind in "fiub"


def _check_sample(key: str, name: str, sample: Any) -> None:
    if getattr(sample, "ndim", None) != 1:
        raise InputError(f"Drift method {key!r} needs one-dimensional arrays; got {type(sample).__name__} as {name}.")
    if len(sample) == 0:
        raise InputError(f"Drift method {key!r} got an empty {name} sample. Hint: compare at least one value.")
