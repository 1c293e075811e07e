"""From a profile to expectations that data like it would meet: a first suite for people to review, not a final one.

Limits come with margins, because the profile is a sample: what it never saw may still be right. Great Expectations'
own expectations of types are left out, since they fail on queries and on pandas' text; a number that becomes text fails
its range, and text that becomes a number its set.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import CategoryGrid, ValueGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile

# Standard normal quantile of 99.9 %, one-sided: a share that is allowed is one the sample could well have come from.
_Z = 3.09


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestSettings:
    """How much room expectations leave.

    Parameters
    ----------
    share_margin : float, default 0.01
        Added to shares of missing and of out-of-range values, 0 to 1.
    range_margin : float, default 0.1
        Part of a column's range by which the range may be exceeded, at least 0.
    mean_margin : float, default 0.5
        Standard deviations by which the mean may move, at least 0.
    max_set_size : int, default 50
        Columns with more categories than this get no set of allowed ones.
    """

    share_margin: float = 0.01
    range_margin: float = 0.1
    mean_margin: float = 0.5
    max_set_size: int = 50

    def __post_init__(self) -> None:
        for name in ("share_margin", "range_margin", "mean_margin"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
                raise InputError(f"{name} of SuggestSettings must be a finite number of at least 0; got {value!r}.")
        if self.share_margin >= 1:
            raise InputError(f"share_margin of SuggestSettings must be below 1; got {self.share_margin!r}.")
        if isinstance(self.max_set_size, bool) or not isinstance(self.max_set_size, int) or self.max_set_size < 1:
            raise InputError(f"max_set_size of SuggestSettings must be at least 1; got {self.max_set_size!r}.")


def suggest(
    profile: DatasetProfile, *, columns: Sequence[str] | None = None, settings: SuggestSettings | None = None
) -> list[dict[str, Any]]:
    """Return expectations in Great Expectations' JSON form.

    Parameters
    ----------
    profile : DatasetProfile
        Of data that are known to be good, at least one row.
    columns : sequence of str, optional
        Only these; default all.
    settings : SuggestSettings, optional
        Margins.

    Returns
    -------
    list of dict
        ``{"type", "kwargs", "severity"}``. Existence, missing shares, signs and sets are ``critical``; ranges, means
        and distinctness are ``warning``.

    Raises
    ------
    InputError
        The profile holds no rows.
    """
    if profile.rows == 0:
        raise InputError("No expectations can be suggested from a profile of 0 rows. Hint: profile good data.")
    chosen = [profile.column(name) for name in (columns or profile.names)]
    margins = settings or SuggestSettings()
    found: list[dict[str, Any]] = []
    for column in chosen:
        found.append(_expect("expect_column_to_exist", column))
        found.append(_nulls(column, margins))
        found += _distinctness(column)
        if isinstance(column.grid, CategoryGrid):
            found += _category_set(column, column.grid, margins)
        elif column.kind == "numeric" and column.minimum is not None:
            found += _numbers(column, margins)
    return found


def upper_share(count: int, rows: int) -> float:
    """Return the greatest share that `count` of `rows` could well come from.

    The upper Wilson bound at 99.9 % one-sided; Wilson (1927), JASA 22, 209-212.

    Examples
    --------
    >>> round(upper_share(0, 1000), 4), upper_share(10, 10)
    (0.0095, 1.0)
    """
    share = count / rows
    centre = share + _Z**2 / (2 * rows)
    spread = _Z * sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    # Not below the share itself by a rounding: the rows at hand must pass.
    return max(share, min(1.0, (centre + spread) / (1 + _Z**2 / rows)))


def _expect(kind: str, column: ColumnProfile, *, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": {"column": column.name, **kwargs}, "severity": severity}


def _nulls(column: ColumnProfile, margins: SuggestSettings) -> dict[str, Any]:
    allowed = min(1.0, upper_share(column.missing, max(column.rows, 1)) + margins.share_margin)
    return _expect("expect_column_values_to_not_be_null", column, mostly=_down(1 - allowed))


def _distinctness(column: ColumnProfile) -> list[dict[str, Any]]:
    distinct, valid = column.distinct, column.rows - column.missing
    # The estimate of a sketch errs by some per cent, so that "all" cannot be told from "nearly all".
    if distinct is None or valid < 100 or distinct < 0.95 * valid:
        return []
    return [
        _expect("expect_column_proportion_of_unique_values_to_be_between", column, severity="warning", min_value=0.9)
    ]


def _category_set(column: ColumnProfile, grid: CategoryGrid, margins: SuggestSettings) -> list[dict[str, Any]]:
    if not grid.complete or column.other or not grid.categories or len(grid.categories) > margins.max_set_size:
        return []
    values: list[Any] = sorted(grid.categories)
    if grid.kind == "boolean":
        values = [False, True]
    return [
        _expect("expect_column_values_to_be_in_set", column, value_set=values, mostly=_down(1 - margins.share_margin))
    ]


def _numbers(column: ColumnProfile, margins: SuggestSettings) -> list[dict[str, Any]]:
    assert column.minimum is not None and column.maximum is not None  # noqa: S101, PT018 - the caller's condition
    low, high = float(column.minimum), float(column.maximum)
    found = []
    flags = _flags(column)
    if flags:
        found.append(
            _expect(
                "expect_column_values_to_be_in_set", column, value_set=flags, mostly=_down(1 - margins.share_margin)
            )
        )
    elif low >= 0:
        found.append(_expect("expect_column_values_to_be_between", column, min_value=0))
    room = margins.range_margin * (high - low)
    if isfinite(room) and high > low and not flags:
        found.append(
            _expect(
                "expect_column_values_to_be_between",
                column,
                severity="warning",
                min_value=max(low - room, 0.0) if low >= 0 else low - room,
                max_value=high + room,
                mostly=_down(1 - margins.share_margin),
            )
        )
    known = column.moments()
    if known is not None and known.std > 0 and isfinite(known.std):
        room = margins.mean_margin * known.std
        found.append(
            _expect(
                "expect_column_mean_to_be_between",
                column,
                severity="warning",
                min_value=known.mean - room,
                max_value=known.mean + room,
            )
        )
    return found


def _flags(column: ColumnProfile) -> list[int]:
    """Return the values of a column of 0 and 1, or another pair of whole numbers."""
    if not isinstance(column.grid, ValueGrid) or len(column.grid.values) > 2:
        return []
    whole = [int(value) for value in column.grid.values if value.is_integer()]
    return whole if len(whole) == len(column.grid.values) == 2 and column.distinct == 2 else []


def _down(share: float) -> float:
    """Round a share down to four digits: what people read, and never stricter than meant."""
    return int(max(share, 0.0) * 10_000) / 10_000
