"""What a table must be before anyone looks into its values: there, big enough, complete, unique, fresh, of known shape.

Pure: decides from counted facts and a given `now`; how the facts are counted (Arrow, SQL) is the business of
``validation``. Expectation engines call an empty or all-null column fine, so these rules run before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from airflow_mlops_provider.core.errors import InputError

ColumnKind = Literal["integer", "number", "string", "boolean", "datetime", "null", "other"]
RequiredKind = Literal["integer", "number", "string", "boolean", "datetime"]

DEFAULT_MAX_MISSING_SHARE = 0.05
# Key of `max_missing_share` that stands for every column it does not name.
OTHERS = "*"
# Clocks of the machine that wrote the data and of the worker may differ by this much.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column, counted.

    Parameters
    ----------
    name, type_name : str
        In the words of the source.
    kind : {"integer", "number", "string", "boolean", "datetime", "null", "other"}
        What its values are; ``null`` when the format knows no type because all are missing.
    missing : int
        Rows where the value is null or NaN.
    """

    name: str
    kind: ColumnKind
    type_name: str
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table, counted.

    Parameters
    ----------
    rows : int
        Number of rows.
    columns : tuple of ColumnFacts
        In the order of the data.
    duplicate_keys, null_keys : int
        Rows whose key an earlier row has, and rows with a null in the key, which are not among the former.
    newest : datetime or None
        Newest time in the time stamp column, or the modification time of the data; with time zone.
    """

    rows: int
    columns: tuple[ColumnFacts, ...]
    duplicate_keys: int = 0
    null_keys: int = 0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One precondition that does not hold.

    Parameters
    ----------
    check, message : str
        Name of the rule (see :meth:`PreconditionPolicy.requirements`), and what is wrong without values of the data.
    column : str or None
        Where, when it is one column.
    observed, limit : float, str or None
        What was counted, and what was asked for.
    """

    check: str
    message: str
    column: str | None = None
    observed: float | str | None = None
    limit: float | str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreconditionPolicy:
    """What is asked of a table.

    Parameters
    ----------
    min_rows : int, default 1
        At least 1: an empty table never passes.
    max_missing_share : float or mapping of column to float, default 0.05
        Largest share of null or NaN in [0, 1]. In a mapping, ``"*"`` is for the columns not named (default 0.05). A
        column without any value fails whatever is said here.
    max_age : timedelta, optional
        Largest age of the newest time in `timestamp_column`, or of the data's modification when no column is named.
    timestamp_column : str, optional
        A column of times. Times in the future are a finding, also without `max_age`.
    timestamp_timezone : str, optional
        IANA time zone of a column whose times carry none, for example ``Europe/Berlin``.
    unique : tuple of str, default ()
        Columns that together identify a row.
    required_columns : mapping of str to kind or None
        Columns that must be there, and of which kind. ``number`` includes integers.

    Raises
    ------
    InputError
        A value is outside its domain.
    """

    min_rows: int = 1
    max_missing_share: float | Mapping[str, float] = DEFAULT_MAX_MISSING_SHARE
    max_age: timedelta | None = None
    timestamp_column: str | None = None
    timestamp_timezone: str | None = None
    unique: tuple[str, ...] = ()
    required_columns: Mapping[str, RequiredKind | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.min_rows, bool) or not isinstance(self.min_rows, int) or self.min_rows < 1:
            raise InputError(f"min_rows must be an integer of at least 1; got {self.min_rows!r}.")
        shares = self.max_missing_share if isinstance(self.max_missing_share, Mapping) else {"": self.max_missing_share}
        for column, share in shares.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                where = f" for column {column!r}" if column else ""
                raise InputError(f"max_missing_share{where} must be a share in [0, 1]; got {share!r}.")
        if self.max_age is not None and (not isinstance(self.max_age, timedelta) or self.max_age <= timedelta(0)):
            raise InputError(f"max_age must be a positive timedelta; got {self.max_age!r}.")
        if self.timestamp_timezone and not self.timestamp_column:
            raise InputError("timestamp_timezone is given without timestamp_column. Hint: name the column it is for.")
        if len(set(self.unique)) != len(self.unique):
            raise InputError(f"unique must name each column once; got {list(self.unique)}.")
        for column, kind in self.required_columns.items():
            if kind is not None and kind not in get_args(RequiredKind):
                known = ", ".join(get_args(RequiredKind))
                raise InputError(f"required_columns: type of {column!r} must be one of {known}; got {kind!r}.")

    def missing_limit(self, column: str) -> float:
        """Return the largest missing share allowed in `column`."""
        if isinstance(self.max_missing_share, Mapping):
            others = self.max_missing_share.get(OTHERS, DEFAULT_MAX_MISSING_SHARE)
            return self.max_missing_share.get(column, others)
        return self.max_missing_share

    def named_columns(self) -> tuple[str, ...]:
        """Return every column that some rule speaks of, each once; all of them have to be in the data."""
        shares = self.max_missing_share if isinstance(self.max_missing_share, Mapping) else {}
        names = [*self.required_columns, *self.unique, *(name for name in shares if name != OTHERS)]
        return tuple(dict.fromkeys([*names, self.timestamp_column] if self.timestamp_column else names))

    def requirements(self) -> dict[str, str]:
        """Return each rule that is in force, with what it asks for in words.

        Examples
        --------
        >>> PreconditionPolicy(min_rows=100, max_missing_share=0.2).requirements()
        {'min_rows': 'at least 100 rows', 'missing_share': 'at most 20 % missing in a column, no column without values'}
        """
        by_column = isinstance(self.max_missing_share, Mapping)
        share = "the share given for it" if by_column else _percent(self.missing_limit(OTHERS))
        rules = {
            "min_rows": f"at least {self.min_rows} {'row' if self.min_rows == 1 else 'rows'}",
            "missing_share": f"at most {share} missing in a column, no column without values",
        }
        if names := self.named_columns():
            rules["required_columns"] = f"columns {', '.join(names)}"
        if typed := [f"{name} {kind}" for name, kind in self.required_columns.items() if kind]:
            rules["column_types"] = ", ".join(typed)
        if self.unique:
            rules["unique"] = f"one row for each {', '.join(self.unique)}"
        if self.max_age is not None:
            of = f"newest {self.timestamp_column}" if self.timestamp_column else "last modification"
            rules["max_age"] = f"{of} at most {self.max_age} old"
        if self.timestamp_column:
            rules["not_in_future"] = f"no {self.timestamp_column} in the future"
        return rules


def check(facts: TableFacts, policy: PreconditionPolicy, *, now: datetime) -> tuple[Finding, ...]:
    """Return what does not hold, in the order of :meth:`PreconditionPolicy.requirements`; empty when all does.

    Parameters
    ----------
    facts, policy
        What was counted, and what is asked for.
    now : datetime
        With time zone.

    Raises
    ------
    InputError
        `now` or the newest time has no time zone.

    Examples
    --------
    >>> from datetime import UTC
    >>> empty = TableFacts(rows=0, columns=())
    >>> [finding.message for finding in check(empty, PreconditionPolicy(), now=datetime(2026, 1, 1, tzinfo=UTC))]
    ['the table has 0 rows; at least 1 required']
    """
    for what, moment in (("now", now), ("the newest time", facts.newest)):
        if moment is not None and moment.tzinfo is None:
            raise InputError(f"{what} must carry a time zone; got {moment.isoformat()}. Hint: set timestamp_timezone.")
    return (
        *_check_rows(facts, policy),
        *_check_missing(facts, policy),
        *_check_columns(facts, policy),
        *_check_keys(facts, policy),
        *_check_age(facts, policy, now),
    )


def _check_rows(facts: TableFacts, policy: PreconditionPolicy) -> Iterator[Finding]:
    if facts.rows < policy.min_rows:
        text = f"the table has {facts.rows} rows; at least {policy.min_rows} required"
        yield Finding(check="min_rows", message=text, observed=facts.rows, limit=policy.min_rows)


def _check_missing(facts: TableFacts, policy: PreconditionPolicy) -> Iterator[Finding]:
    if facts.rows == 0:
        return
    for column in facts.columns:
        share, limit = column.missing / facts.rows, policy.missing_limit(column.name)
        if column.missing == facts.rows:
            text = f"column {column.name!r} has no value at all"
        elif share > limit:
            counted = f"{column.missing} of {facts.rows} values ({_percent(share)})"
            text = f"column {column.name!r} misses {counted}; at most {_percent(limit)} is allowed"
        else:
            continue
        yield Finding(check="missing_share", message=text, column=column.name, observed=share, limit=limit)


def _check_columns(facts: TableFacts, policy: PreconditionPolicy) -> Iterator[Finding]:
    kinds = {column.name: column for column in facts.columns}
    for name in policy.named_columns():
        if name not in kinds:
            yield Finding(check="required_columns", message=f"column {name!r} is missing", column=name)
    if facts.rows == 0:
        return
    for name, kind in policy.required_columns.items():
        column = kinds.get(name)
        # A column without values has no type to judge, and is a finding already.
        if kind is None or column is None or column.missing == facts.rows or column.kind == kind:
            continue
        if kind == "number" and column.kind == "integer":
            continue
        text = f"column {name!r} must be of type {kind}; it is {column.kind} ({column.type_name})"
        yield Finding(check="column_types", message=text, column=name, observed=column.kind, limit=kind)


def _check_keys(facts: TableFacts, policy: PreconditionPolicy) -> Iterator[Finding]:
    if not policy.unique:
        return
    key = ", ".join(policy.unique)
    for count, text in (
        (facts.null_keys, f"null in the key {key}: {facts.null_keys} rows"),
        (facts.duplicate_keys, f"duplicate key {key}: {facts.duplicate_keys} rows repeat the key of an earlier row"),
    ):
        if count:
            yield Finding(check="unique", message=text, column=key, observed=count, limit=0)


def _check_age(facts: TableFacts, policy: PreconditionPolicy, now: datetime) -> Iterator[Finding]:
    column = policy.timestamp_column
    if policy.max_age is None and column is None:
        return
    of = f"the newest {column!r}" if column else "the last modification of the data"
    if facts.newest is None:
        if policy.max_age is not None:
            yield Finding(check="max_age", message=f"{of} is unknown: there is no time to judge", column=column)
        return
    age = now - facts.newest
    if policy.max_age is not None and age > policy.max_age:
        yield Finding(
            check="max_age",
            message=f"{of} is {_whole_seconds(age)} old; at most {policy.max_age} is allowed",
            column=column,
            observed=age.total_seconds(),
            limit=policy.max_age.total_seconds(),
        )
    if age < -CLOCK_TOLERANCE:
        text = f"{of} is {_whole_seconds(-age)} in the future"
        yield Finding(check="not_in_future", message=text, column=column, observed=age.total_seconds(), limit=0)


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _whole_seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=int(duration.total_seconds()))
