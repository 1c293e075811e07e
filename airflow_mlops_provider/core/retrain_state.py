"""What a decision to retrain looks at: checks of the champion's windows, and what was asked for before.

Values only: where they are read from is the registry's part. Windows are ordered by their ends and requests by their
numbers in the ledger, never by when somebody wrote them, because the clocks of two workers may differ by a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Entry

CheckKind = Literal["drift", "performance", "estimate"]
Outcome = Literal["in_flight", "missing", "failed", "rejected", "promoted", "finished", "unknown"]
# Verdicts by kind of check: bad, good; of each kind "insufficient_data" is the third.
VERDICTS: Mapping[str, tuple[str, str]] = {
    "drift": ("drift", "no_drift"),
    "performance": ("drop", "no_drop"),
    "estimate": ("drop", "no_drop"),
}
UNDECIDED = "insufficient_data"
# As the start of a window: it takes in all rows before its end.
EARLIEST = datetime.min.replace(tzinfo=UTC)
RUNNING_STATES = frozenset({"queued", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one window of the present champion.

    Parameters
    ----------
    kind : {"drift", "performance", "estimate"}
        What was looked at.
    window_end : datetime
        End of the time that the checked rows cover, with a zone. With late labels this is before the time as of which
        performance was judged.
    verdict : str
        ``drift`` or ``no_drift``, for the other kinds ``drop`` or ``no_drop``; for all ``insufficient_data``.
    labelled_rows : int or None
        Rows with labels that a performance check had.
    window_start : datetime or None
        Start of the time that the checked rows cover, :data:`EARLIEST` for all before the end; None where nobody said,
        which is taken for the end of the window before.
    suspected : bool
        Of performance: worse by enough to matter and probably beyond chance, which is too little for a verdict.
    run_id : str
        Of its MLflow run.
    """

    kind: CheckKind
    window_end: datetime
    verdict: str
    labelled_rows: int | None = None
    window_start: datetime | None = None
    suspected: bool = False
    run_id: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(CheckKind):
            raise InputError(f"kind of a check must be one of {', '.join(get_args(CheckKind))}; got {self.kind!r}.")
        known = (*VERDICTS[self.kind], UNDECIDED)
        if self.verdict not in known:
            raise InputError(
                f"verdict of a {self.kind} check must be one of {', '.join(known)}; got {self.verdict!r} "
                f"(window {self.window_end}, MLflow run {self.run_id!r})."
            )
        aware("window_end of a check", self.window_end)
        if self.window_start is not None and aware("window_start of a check", self.window_start) >= self.window_end:
            raise InputError(
                f"A check's window must end after it starts; got {self.window_start} and {self.window_end}."
            )

    @property
    def decided(self) -> bool:
        """Whether there were enough data to tell."""
        return self.verdict != UNDECIDED

    @property
    def bad(self) -> bool:
        """Whether it found what it looked for."""
        return self.verdict == VERDICTS[self.kind][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One retraining that was asked for.

    Parameters
    ----------
    number : int
        Of its ledger entry.
    epoch : int
        Number of the ledger entry that had made the champion of then.
    at : datetime
        When, by the clock of who asked.
    window_end : datetime
        The latest evidence it answers.
    outcome : str
        ``in_flight``; ``missing``: entered, but its training was never started; ``failed``; ``rejected``; ``promoted``;
        ``finished``: trained, and neither rejected nor promoted; ``unknown``.
    causes : tuple of str
        Rules that asked.
    new_rows : int or None
        Labelled rows from the changed time that the training could learn from; None where nobody counted.
    """

    number: int
    epoch: int
    at: datetime
    window_end: datetime
    outcome: Outcome = "unknown"
    causes: tuple[str, ...] = ()
    new_rows: int | None = None

    def __post_init__(self) -> None:
        aware("at of a request", self.at)
        aware("window_end of a request", self.window_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainState:
    """All that is known when it is decided.

    Parameters
    ----------
    epoch : int
        Number of the ledger entry that made the present champion.
    trained_at : datetime
        When the present champion was made.
    checks : tuple of Check
        Of the present champion, in any order, one for each kind and window.
    requests : tuple of Request
        All of them, those for earlier champions too, in the ledger's order.
    new_rows : int or None
        Labelled rows to learn from, counted by the caller; None leaves it to the performance checks.
    target_paused : bool
        Whether the training DAG is paused.
    """

    epoch: int
    trained_at: datetime
    checks: tuple[Check, ...] = ()
    requests: tuple[Request, ...] = ()
    new_rows: int | None = None
    target_paused: bool = False

    def __post_init__(self) -> None:
        aware("trained_at of a champion", self.trained_at)
        seen: set[tuple[str, datetime]] = set()
        for one in self.checks:
            if (one.kind, one.window_end) in seen:
                raise InputError(f"There are two {one.kind} checks of the window that ends at {one.window_end}.")
            seen.add((one.kind, one.window_end))


def aware(name: str, moment: datetime) -> datetime:
    """Return a moment that has a time zone.

    Raises
    ------
    InputError
        It has none, so nobody knows when it is.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InputError(f"{name} must be a time with a zone; got {moment!r}. Hint: datetime(..., tzinfo=UTC).")
    return moment


def requests_of(history: History, run_states: Mapping[str, str]) -> tuple[Request, ...]:
    """Return the requests of a ledger and what became of each.

    Parameters
    ----------
    history : History
        The ledger.
    run_states : mapping of str to str
        State of each training run, by its id; ``missing`` where there is none, left out where nobody knows.

    Raises
    ------
    InputError
        An entry of a request lacks what this package writes into it.
    """
    entries = [one for one in history.entries if one.kind == "retrain_requested"]
    ends: list[float] = [*(one.number for one in entries[1:]), float("inf")]
    found = []
    for entry, end in zip(entries, ends, strict=False):
        after = [one.kind for one in history.entries if entry.number < one.number < end]
        state = run_states.get(str(entry.details.get("run_id")))
        found.append(
            Request(
                number=entry.number,
                epoch=epoch_of(entry),
                at=_moment(entry, entry.at),
                window_end=_moment(entry, entry.details.get("window_end")),
                outcome=_outcome(state, after),
                causes=tuple(str(one.get("cause")) for one in entry.details.get("evidence", ())),
                new_rows=entry.details.get("new_rows"),
            )
        )
    return tuple(found)


def epoch_of(entry: Entry) -> int:
    """Return the champion's epoch that a request or suppression was made in."""
    epoch = entry.details.get("epoch")
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise InputError(f"Ledger entry {entry.number} of kind {entry.kind!r} lacks the champion's epoch.")
    return epoch


def _outcome(state: str | None, after: list[Any]) -> Outcome:
    """Return what became of a request: its run's state, and the kinds of the entries up to the next request."""
    if state in RUNNING_STATES:
        return "in_flight"
    if "promote" in after:
        return "promoted"
    if "reject" in after:
        return "rejected"
    if state == "failed":
        return "failed"
    if state == "missing":
        return "missing"
    return "finished" if state == "success" else "unknown"


def _moment(entry: Entry, text: Any) -> datetime:
    try:
        return aware(f"Time in ledger entry {entry.number}", datetime.fromisoformat(str(text)))
    except ValueError as error:
        raise InputError(
            f"Ledger entry {entry.number} of kind {entry.kind!r} has the time {text!r}: {error}."
        ) from error
