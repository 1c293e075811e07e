"""The ledger of one model as values: when a chain of entries is whole, and who is champion by it.

Pure: it neither reads nor writes a store, and knows no time but what entries hold. Order is by number, never by time,
because the clocks of two workers may differ by a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import MAX_REASON_CHARACTERS, MOVES, Draft, Entry, VersionRef


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

    def manifest_of(self, subject: VersionRef) -> str | None:
        """Return the hash of a version's list of files as it was last proven; None when it never was."""
        known = (one.subject for one in reversed(self.entries) if one.subject is not None)
        return next((one.manifest_sha256 for one in known if one.is_same_as(subject) and one.manifest_sha256), None)

    def left(self, subject: VersionRef, *, after: int) -> Entry | None:
        """Return the entry after number `after` by which a person left a version for another, None without one."""
        for one in self.entries[after:]:
            if one.kind in {"rollback", "adopt"} and one.previous is not None and one.previous.is_same_as(subject):
                return one
        return None

    def reigns(self) -> tuple[Reign, ...]:
        """Return which version was champion from when to when, oldest first."""
        moves = [one for one in self.entries if one.kind in MOVES]
        ends: list[str | None] = [*(one.at for one in moves[1:]), None]
        return tuple(
            Reign(subject=one.subject, since=one.at, until=end, entry=one)
            for one, end in zip(moves, ends, strict=False)
            if one.subject is not None
        )

    def rollback_targets(self) -> tuple[VersionRef, ...]:
        """Return the earlier champions that one may go back to, latest first.

        Left out are the present champion and those that somebody already went back from and nobody chose since.
        """
        condemned: set[tuple[str, int]] = set()
        served: dict[tuple[str, int], VersionRef] = {}
        for one in self.entries:
            if one.kind not in MOVES or one.subject is None:
                continue
            key = (one.subject.version, one.subject.created_ms)
            if one.kind == "rollback" and one.previous is not None:
                condemned.add((one.previous.version, one.previous.created_ms))
            condemned.discard(key)
            served.pop(key, None)  # the order is that of the last time each was made champion
            served[key] = one.subject
        champion = self.champion
        return tuple(
            subject
            for key, subject in reversed(served.items())
            if key not in condemned and not (champion and champion.is_same_as(subject))
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


def as_tables(history: History) -> dict[str, Any]:
    """Return a history as plain JSON values.

    Returns
    -------
    dict
        ``champion`` (version or None), ``reigns`` (rows of ``version, since, until, kind, reason, by``) and ``entries``
        (rows of ``number, kind, version, previous_champion, at, reason, by``), oldest first.
    """
    champion = history.champion
    return {
        "champion": None if champion is None else champion.version,
        "reigns": [
            {
                "version": one.subject.version,
                "since": one.since,
                "until": one.until,
                "kind": one.entry.kind,
                "reason": one.entry.reason,
                "by": dict(one.entry.by),
            }
            for one in history.reigns()
        ],
        "entries": [
            {
                "number": one.number,
                "kind": one.kind,
                "version": None if one.subject is None else one.subject.version,
                "previous_champion": None if one.previous is None else one.previous.version,
                "at": one.at,
                "reason": one.reason,
                "by": dict(one.by),
            }
            for one in history.entries
            if one.kind != "next"
        ],
    }


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
