"""The ledger of a model: entering decisions exactly once, and keeping the alias ``champion`` what the ledger says.

MLflow moves an alias for whoever comes last; the ledger's entries cannot be overwritten. So a decision counts when it
is entered, and the alias is only a picture of the last entry, which everybody who looks puts right. Nothing here
decides which version deserves to be champion, and nothing here deletes a version.

An alias that differs from the ledger has one of two causes: work that is under way or was killed, or a person in the
MLflow UI. Whoever is about to make them differ first leaves a claim, a tag of the registered model, and takes it away
when both agree again. Without a claim, or when the alias names a version that was never champion, it was a person, and
what they did is entered as ``adopt``. Three things are out of reach: a person who goes back to an earlier champion
while the claim of a killed task is still there (an hour at most after somebody looked) is taken for that task and put
right; a request that MLflow carries out after its sender gave it up is taken for a person; and so is a task that was
frozen for over an hour before it moved the alias, wakes, and is killed in the second before it looks again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import MOVES, Draft, Entry, VersionRef
from airflow_mlops_provider.core.op_key import derived_key
from airflow_mlops_provider.registry.ledger_claims import PREFIX, Claim, explains, sweep
from airflow_mlops_provider.registry.ledger_store import Book, append, patiently, read_book
from airflow_mlops_provider.registry.presence import reference, taken_away, what_is_gone
from airflow_mlops_provider.registry.versions import CHAMPION

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

log = logging.getLogger(__name__)

# Each lost race means that somebody else got on, so this only ends a loop that a defect would make endless.
MAX_RACES = 1000
LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A model's ledger and alias, found or made equal.

    Parameters
    ----------
    history : History
        All entries.
    noticed : tuple of Entry
        Champions that somebody set by hand, entered just now.
    """

    history: History
    noticed: tuple[Entry, ...] = ()

    @property
    def champion(self) -> VersionRef | None:
        """The version that is champion."""
        return self.history.champion


def read_history(registry: Registry, model_name: str) -> History:
    """Return all entries of a model's ledger, without a look at its alias.

    Raises
    ------
    InputError
        The ledger was deleted or changed.
    """
    return read_book(registry, model_name).history


def enter(
    registry: Registry,
    model_name: str,
    *,
    op: str,
    decide: Callable[[History], Draft | None],
    by: Mapping[str, str],
    now: str,
) -> Entry | None:
    """Enter a decision once, however often the same key comes, and let the alias follow.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Whose ledger.
    op : str
        Key of the effect; see :func:`airflow_mlops_provider.core.op_key.op_key`.
    decide : callable of History
        Called with the ledger as it is; again whenever somebody else entered something first. None enters nothing.
    by, now
        For what is noticed on the way; see :func:`settle`.

    Returns
    -------
    Entry or None
        The entry with the key, also when an earlier try had made it; None when it was decided to enter nothing.

    Raises
    ------
    InputError
        The ledger was deleted or changed, or the entry is too long.
    OutageError
        MLflow failed. Whether the entry is there is found by the same call with the same key.
    """
    claim = Claim(registry=registry, model_name=model_name, op=op)
    for race in range(MAX_RACES):
        book = read_book(registry, model_name)
        entry = book.history.find(op)
        if entry is not None:
            if entry.kind in MOVES:
                _settle(registry, model_name, by=by, now=now, claim=claim)
            claim.drop()
            return entry
        draft = decide(book.history)
        if draft is None:
            claim.drop()
            return None
        if draft.kind in MOVES:
            claim.leave()
        if not append(registry, book, draft, op=op):
            _stand_back(op, race)
    raise OutageError(f"The ledger of model {model_name!r} was too busy: {MAX_RACES} races lost.")


def settle(registry: Registry, model_name: str, *, by: Mapping[str, str], now: str, dangling: bool = False) -> Standing:
    """Make the alias ``champion`` and the ledger agree, and return who is champion.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Which model.
    by : mapping of str to str
        Who looks, for the record when something is noticed.
    now : str
        ISO 8601 in UTC, for the same.
    dangling : bool, default False
        Accept a champion whose version or alias is gone, in order to name another one.

    Returns
    -------
    Standing
        Its ``noticed`` is for the task's log.

    Raises
    ------
    InputError
        The champion's version or its alias was deleted, or the ledger was deleted or changed.
    """
    claim = Claim(registry=registry, model_name=model_name)
    standing = _settle(registry, model_name, by=by, now=now, claim=claim, dangling=dangling)
    claim.drop()
    return standing


def _settle(
    registry: Registry, model_name: str, *, by: Mapping[str, str], now: str, claim: Claim, dangling: bool = False
) -> Standing:
    noticed: list[Entry] = []
    suspicion: tuple[str | None, str] | None = None
    for race in range(MAX_RACES):
        # The ledger first: whoever changed it before left a claim that the look at the alias finds.
        book = read_book(registry, model_name)
        head = book.history.champion
        alias, claims = look(registry, model_name)
        gone = None if head is None else what_is_gone(registry, model_name, head)
        if gone is not None and not dangling:
            raise InputError(gone)
        if gone is not None or alias == (None if head is None else head.version):
            sweep(registry, model_name, claims, book.history)
            return Standing(history=book.history, noticed=tuple(noticed))
        # Somebody with a fast clock may have taken this task's own claim for a dead one.
        mine = {claim.key: ""} if claim.lies else {}
        if head is not None and is_under_way(book.history, alias, {**claims, **mine}):
            claim.lies = claim.key in claims
            claim.leave()
            _set_alias(registry, model_name, head.version)
            _stand_back(book.history.tip, min(race, 3))
            continue
        if (alias, book.history.tip) != suspicion:
            # Between reading the alias and the claims a task may have finished; it will not do so twice.
            suspicion = (alias, book.history.tip)
            time.sleep(LOOK_AGAIN_SECONDS)
            continue
        if alias is None:
            if dangling:
                return Standing(history=book.history, noticed=tuple(noticed))
            raise InputError(taken_away(registry, model_name, head))
        entry = _adopt(registry, book, alias, by=by, now=now)
        if entry is not None:
            noticed.append(entry)
    raise OutageError(f"The alias {CHAMPION!r} of model {model_name!r} does not come to rest: {MAX_RACES} tries.")


def _adopt(registry: Registry, book: Book, alias: str, *, by: Mapping[str, str], now: str) -> Entry | None:
    """Enter a champion that somebody set by hand; None when the ledger went on meanwhile."""
    subject = reference(registry, book.model_name, alias)
    if subject is None:
        return None
    history = book.history
    before = history.champion
    draft = Draft(
        kind="adopt",
        by=noticed_by(by),
        at=now,
        reason="was champion when the ledger began" if not history.entries else "alias set outside of this package",
        subject=replace(subject, manifest_sha256=history.manifest_of(subject)),
    )
    op = derived_key("adopt", book.model_name, history.tip, alias)
    if not append(registry, book, draft, op=op):
        return None
    log.warning(
        "Model %r: version %s was made champion outside of this package, instead of %s; entered in its ledger.",
        book.model_name,
        alias,
        "none" if before is None else f"version {before.version}",
    )
    return history.next_entry(draft, op=op)


def noticed_by(by: Mapping[str, str]) -> dict[str, str]:
    """Return what an entry says of who noticed a person's work: not who did it, which MLflow does not tell."""
    return {"noticed_by": "/".join(by.values())}


def is_under_way(history: History, alias: str | None, claims: Mapping[str, str]) -> bool:
    """Tell whether an alias is not where the ledger says because a task is moving it, or died before it could."""
    return explains(claims.values(), history) and (alias is None or history.was_champion(alias))


def look(registry: Registry, model_name: str) -> tuple[str | None, dict[str, str]]:
    """Return where the alias points, and the claims that lie there."""
    from mlflow.exceptions import MlflowException

    try:
        model = patiently(registry, lambda: registry.client.get_registered_model(model_name))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None, {}
        raise
    number = (model.aliases or {}).get(CHAMPION)
    claims = {key: str(value) for key, value in (model.tags or {}).items() if key.startswith(PREFIX)}
    return None if number is None else str(number), claims


def _set_alias(registry: Registry, model_name: str, version: str) -> None:
    patiently(registry, lambda: registry.client.set_registered_model_alias(model_name, CHAMPION, version))


def _stand_back(op: str, race: int) -> None:
    """Wait a little, each key differently, so that those who collided do not collide again."""
    time.sleep((sum(op.encode()) % 97 + 3) / 1000 * min(race + 1, 5))
