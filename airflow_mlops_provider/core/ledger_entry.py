"""One line of a model's ledger: what it holds, and the one line of JSON that stands for it.

Pure: nothing here reads or writes a store, or knows the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
