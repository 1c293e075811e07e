"""Two or more profiles together: adding them up, and aligning a current one with its reference.

Must refuse profiles that were counted in different cells, whose counts mean nothing to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import AsinhGrid, CategoryGrid, Grid, NoGrid
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile, bounds_within
from airflow_mlops_provider.core.sketch import merge_registers

OTHER_LABEL = "(other)"
MAX_EXAMPLES = 10


def merge(profiles: Sequence[DatasetProfile]) -> DatasetProfile:
    """Add up profiles of disjoint parts of a data set.

    Parameters
    ----------
    profiles : sequence of DatasetProfile
        At least one, counted in the same grids, in any order.

    Returns
    -------
    DatasetProfile
        Equal to the profile of all rows at once.

    Raises
    ------
    InputError
        Nothing is given, or a column was counted in different cells.
    """
    if not profiles:
        raise InputError("merge needs at least one profile; got none.")
    merged: dict[str, ColumnProfile] = {}
    for profile in profiles:
        for column in profile.columns:
            known = merged.get(column.name)
            merged[column.name] = column if known is None else _merge_columns(known, column)
    columns = tuple(merged[name] for name in sorted(merged))
    return DatasetProfile(rows=sum(profile.rows for profile in profiles), columns=columns)


def _merge_columns(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    _check_same_grid(a, b)
    counts = dict(zip(a.cells, a.counts, strict=True))
    for cell, count in zip(b.cells, b.counts, strict=True):
        counts[cell] = counts.get(cell, 0) + count
    cells = tuple(sorted(counts))
    lows = [low for low in (a.minimum, b.minimum) if low is not None]
    highs = [high for high in (a.maximum, b.maximum) if high is not None]
    registers = a.registers
    if a.registers is not None and b.registers is not None:
        registers = merge_registers(a.registers, b.registers)
    return replace(
        a,
        types=tuple(sorted({*a.types, *b.types})),
        kinds=tuple(sorted({*a.kinds, *b.kinds})),
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        nans=a.nans + b.nans,
        positive_infinities=a.positive_infinities + b.positive_infinities,
        negative_infinities=a.negative_infinities + b.negative_infinities,
        mistyped=a.mistyped + b.mistyped,
        cells=cells,
        counts=tuple(counts[cell] for cell in cells),
        other=a.other + b.other,
        other_examples=tuple(sorted({*a.other_examples, *b.other_examples})[:MAX_EXAMPLES]),
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        registers=registers,
    )


def cells_of(reference: ColumnProfile, current: ColumnProfile) -> CellCounts | None:
    """Align the counts of two samples of a column, leaving out cells that are empty in both.

    Parameters
    ----------
    reference, current : ColumnProfile
        Counted in the same grid.

    Returns
    -------
    CellCounts or None
        None when a side has no value to compare. Bounds are narrowed to what the two samples span, so they are finite.
        Texts beyond the grid's categories: where the reference has some, they are one last cell, labelled
        ``"(other)"``; where it has none, they are new and left out (`unseen_of` counts them).

    Raises
    ------
    InputError
        They were counted in different grids.
    """
    import numpy as np

    _check_same_grid(reference, current)
    numbers = sorted({*reference.cells, *current.cells})
    counts = [_counts_in(column, numbers) for column in (reference, current)]
    labels: tuple[str, ...] = ()
    if isinstance(reference.grid, CategoryGrid):
        labels = tuple(reference.grid.categories[i] for i in numbers)
        if not _others_are_new(reference) and reference.other + current.other:
            labels = (*labels, OTHER_LABEL)
            counts = [[*of, column.other] for of, column in zip(counts, (reference, current), strict=True)]
    sides = [np.asarray(of, dtype=np.int64) for of in counts]
    if not sides[0].sum() or not sides[1].sum():
        return None
    if labels:
        return CellCounts(reference=sides[0], current=sides[1], labels=labels)
    lows = [low for low in (reference.minimum, current.minimum) if low is not None]
    highs = [high for high in (reference.maximum, current.maximum) if high is not None]
    lower, upper = bounds_within(reference.grid, np.asarray(numbers, dtype=np.int64), min(lows), max(highs))
    found = reference.moments()
    std = found.std if found is not None and found.std > 0 and not reference.is_constant else None
    return CellCounts(
        reference=sides[0],
        current=sides[1],
        lower=lower,
        upper=upper,
        reference_std=std,
        reference_std_error=0.0 if found is None or std is None else found.std_error,
    )


def unseen_of(reference: ColumnProfile, current: ColumnProfile) -> int | None:
    """Return the number of rows of `current` with a text that is new, or None where that is not known.

    It is known when all texts of the reference have cells of their own.
    """
    _check_same_grid(reference, current)
    return current.other if _others_are_new(reference) else None


def _others_are_new(reference: ColumnProfile) -> bool:
    return isinstance(reference.grid, CategoryGrid) and reference.grid.complete and not reference.other


def _counts_in(column: ColumnProfile, numbers: Sequence[int]) -> list[int]:
    found: Mapping[int, int] = dict(zip(column.cells, column.counts, strict=True))
    return [found.get(number, 0) for number in numbers]


def _check_same_grid(a: ColumnProfile, b: ColumnProfile) -> None:
    if a.name == b.name and a.grid == b.grid:
        return
    what = f"columns {a.name!r} and {b.name!r}" if a.name != b.name else f"column {a.name!r}"
    raise InputError(
        f"Two profiles of {what} were counted in different cells ({_in_short(a.grid)}; {_in_short(b.grid)}), so their "
        "counts cannot be compared or added. Hint: make the second one with the first one's grids."
    )


def _in_short(grid: Grid) -> str:
    if isinstance(grid, AsinhGrid):
        return f"asinh, centre {grid.centre:g}, scale {grid.scale:g}, {len(grid.splits)} splits"
    if isinstance(grid, NoGrid):
        return "none"
    return f"{grid.n_cells} cells for {'categories' if isinstance(grid, CategoryGrid) else 'values'}"
