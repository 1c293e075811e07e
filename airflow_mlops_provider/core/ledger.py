"""The ledger of one model as values: what an entry holds, when a chain of entries is whole, and who is champion by it.

Pure: it neither reads nor writes a store, and knows no time but what entries hold. Order is by number, never by time,
because the clocks of two workers may differ by a day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from airflow_mlops_provider.core.errors import InputError

SCHEMA = 1
# MLflow cuts a parameter off at 6,000 characters without an error.
MAX_ENTRY_CHARACTERS = 6000
MAX_REASON_CHARACTERS = 1000

Kind = Literal[
    "promote", "reject", "rollback", "retrain_requested", "retrain_suppressed", "approve", "adopt", "next"
]  # fmt: skip
# Kinds after which the version of the entry is champion.
MOVES = frozenset({"promote", "rollback", "adopt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRef:
    """A model version as the ledger knows it.

    Parameters
    ----------
    version : str
        Its number, which starts at 1 again when a model is deleted and made anew.
    created_ms : int
        When it was made, in milliseconds since 1970 by the MLflow server's clock; with the number it is unique.
    run_id, model_id : str or None
        The MLflow run behind it, and MLflow's id of its files.
    manifest_sha256 : str or None
        Of the list of its files and their hashes; None when nobody checked them.
    """

    version: str
    created_ms: int
    run_id: str | None = None
    model_id: str | None = None
    manifest_sha256: str | None = None

    def is_same_as(self, other: VersionRef) -> bool:
        """Return whether both name the same version, whatever else is known of it."""
        return (self.version, self.created_ms) == (other.version, other.created_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants to enter.

    Parameters
    ----------
    kind : str
        One of :data:`Kind`.
    by : mapping of str to str
        Who: DAG, run and task, or what noticed it.
    at : str
        When, ISO 8601 in UTC; for people, nothing is ordered by it.
    reason : str
        Why, in a sentence; over 1,000 characters its end is left out.
    subject : VersionRef or None
        The version it is about; for a move of the champion, the new one.
    details : mapping
        Plain JSON values.
    """

    kind: Kind
    by: Mapping[str, str]
    at: str
    reason: str = ""
    subject: VersionRef | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"kind of a ledger entry must be one of {', '.join(get_args(Kind))}; got {self.kind!r}.")
        if self.kind in MOVES and self.subject is None:
            raise InputError(f"A ledger entry of kind {self.kind!r} must name the version that is champion after it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger.

    Parameters
    ----------
    number : int
        From 1, without gaps.
    op : str
        Key of the effect; no two entries share one.
    parent : str
        SHA-256 of the text of the entry before, "" for the first.
    previous : VersionRef or None
        Champion before the entry.
    kind, by, at, reason, subject, details
        See :class:`Draft`.
    """

    number: int
    op: str
    parent: str
    previous: VersionRef | None
    kind: Kind
    by: Mapping[str, str]
    at: str
    reason: str
    subject: VersionRef | None
    details: Mapping[str, Any]

    def to_text(self) -> str:
        """Return the entry as one line of JSON.

        Raises
        ------
        InputError
            It is too long to be stored whole, or holds what JSON does not.
        """
        try:
            values = {"schema": SCHEMA, **asdict(self)}
            text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"A ledger entry of kind {self.kind!r} must hold plain JSON values: {error}.") from error
        # A lone surrogate is no character of any database.
        text = text.encode("utf-8", "backslashreplace").decode()
        if len(text) > MAX_ENTRY_CHARACTERS:
            raise InputError(
                f"A ledger entry must have at most {MAX_ENTRY_CHARACTERS} characters; one of kind {self.kind!r} has "
                f"{len(text)}. Hint: put less into its reason and details; the report may hold the rest."
            )
        return text

    @classmethod
    def from_text(cls, text: str) -> Entry:
        """Return the entry that a text stands for.

        Raises
        ------
        InputError
            It stands for none, or for one of a later version of this package.
        """
        hint = "Hint: was it changed by hand, or written by a newer version of this package?"
        try:
            values = json.loads(text)
            schema, kind = values.pop("schema"), values["kind"]
            for name in ("subject", "previous"):
                values[name] = None if values[name] is None else VersionRef(**values[name])
            entry = cls(**values)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(f"A ledger entry cannot be read: {error!r} in {text[:200]!r}. {hint}") from error
        if schema != SCHEMA or kind not in get_args(Kind):
            raise InputError(
                f"A ledger entry has form {schema!r} and kind {kind!r}; this package knows {SCHEMA}. {hint}"
            )
        return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """A time in which one version was champion.

    Parameters
    ----------
    subject : VersionRef
        Which version.
    since, until : str
        ISO 8601 in UTC; `until` is None for the present champion.
    entry : Entry
        What made it champion: kind, who and why.
    """

    subject: VersionRef
    since: str
    until: str | None
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All entries of a model's ledger, in order, and the champion by them.

    Parameters
    ----------
    entries : tuple of Entry
    tip : str
        SHA-256 of the text of the last entry, "" without entries.
    """

    entries: tuple[Entry, ...] = ()
    tip: str = ""

    @property
    def head(self) -> Entry | None:
        """The entry that made the present champion; None when there is no champion."""
        return next((one for one in reversed(self.entries) if one.kind in MOVES), None)

    @property
    def champion(self) -> VersionRef | None:
        """The present champion by the ledger."""
        head = self.head
        return None if head is None else head.subject

    def find(self, op: str) -> Entry | None:
        """Return the entry with the key `op`, or None."""
        return next((one for one in self.entries if one.op == op), None)

    def was_champion(self, version: str) -> bool:
        """Return whether a version of this number has ever been champion by the ledger."""
        return any(one.kind in MOVES and one.subject and one.subject.version == version for one in self.entries)

    def reigns(self) -> tuple[Reign, ...]:
        """Return which version was champion from when to when, oldest first."""
        moves = [one for one in self.entries if one.kind in MOVES]
        ends: list[str | None] = [*(one.at for one in moves[1:]), None]
        return tuple(
            Reign(subject=one.subject, since=one.at, until=end, entry=one)
            for one, end in zip(moves, ends, strict=False)
            if one.subject is not None
        )

    def next_entry(self, draft: Draft, *, op: str) -> Entry:
        """Return the entry that a draft becomes after the present last one."""
        reason = draft.reason
        if len(reason) > MAX_REASON_CHARACTERS:
            reason = reason[: MAX_REASON_CHARACTERS - 1] + "…"
        return Entry(
            number=len(self.entries) + 1,
            op=op,
            parent=self.tip,
            previous=self.champion,
            kind=draft.kind,
            by=dict(draft.by),
            at=draft.at,
            reason=reason,
            subject=draft.subject,
            details=dict(draft.details),
        )


def replay(texts: Sequence[str]) -> History:
    """Return the history that the texts of all entries, in order, make.

    Parameters
    ----------
    texts : sequence of str
        As stored.

    Raises
    ------
    InputError
        The chain is broken: an entry is missing, changed, doubled or out of place.
    """
    entries: list[Entry] = []
    champion: VersionRef | None = None
    seen: dict[str, int] = {}
    tip = ""
    for number, text in enumerate(texts, start=1):
        entry = Entry.from_text(text)
        faults = {
            "its number": entry.number != number,
            "the hash of the entry before it": entry.parent != tip,
            "the champion before it": entry.previous != champion,
            f"its key, which entry {seen.get(entry.op)} has too": entry.op in seen,
        }
        wrong = [name for name, fault in faults.items() if fault]
        if wrong:
            raise InputError(f"Entry {number} of the ledger does not fit: {', '.join(wrong)}.")
        entries.append(entry)
        seen[entry.op] = number
        champion = entry.subject if entry.kind in MOVES else champion
        tip = hashlib.sha256(text.encode()).hexdigest()
    return History(entries=tuple(entries), tip=tip)
