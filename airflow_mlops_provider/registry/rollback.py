"""Going back to an earlier champion whose files are proven whole; the version one goes back from stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import MOVES, Draft, Entry, VersionRef
from airflow_mlops_provider.registry.ledger import enter, read_history, settle
from airflow_mlops_provider.registry.model_files import fetched, verified_manifest
from airflow_mlops_provider.registry.presence import begin_anew, reference, require_there
from airflow_mlops_provider.registry.trial import Loading, try_model
from airflow_mlops_provider.registry.versions import by_number

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

log = logging.getLogger(__name__)

MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What came of an attempt to go back.

    Parameters
    ----------
    version : str
        Champion now.
    previous : str or None
        Champion before; None when the named version was champion already.
    changed : bool
        False when there was nothing left to do: the named version was champion already, or the one to leave was not
        champion any more.
    passed_over : tuple of str
        Why later champions were not taken, one sentence each.
    """

    version: str
    previous: str | None
    changed: bool
    passed_over: tuple[str, ...]


def roll_back(
    registry: Registry,
    model_name: str,
    *,
    to_version: str | None,
    reason: str,
    by: Mapping[str, str],
    now: str,
    op: str,
    loading: Loading,
    from_version: str | None = None,
) -> Rollback:
    """Make an earlier version champion again, after its files were checked and loaded.

    Of several that leave the same champion at once, one makes an entry and the others find it left: nobody goes back
    from a version that was chosen meanwhile, by a rollback or by a promotion.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Which model.
    to_version : str or None
        Which version; None takes the latest earlier champion that nobody went back from and whose files are whole.
    reason : str
        Why; stays in the ledger.
    by : mapping of str to str
        DAG, run and task.
    now : str
        ISO 8601 in UTC.
    op : str
        Key of the effect.
    loading : Loading
        How files may be tried.
    from_version : str or None
        The champion to leave; None means the one there is now. When another one is champion, nothing is changed.

    Returns
    -------
    Rollback

    Raises
    ------
    InputError
        There is no such version, or none whose files are whole and load, or it was only ever rejected.
    """
    if not reason.strip():
        raise InputError("A rollback must have a reason. Hint: say what is wrong with the champion.")
    done = read_history(registry, model_name).find(op)
    if done is not None:
        enter(registry, model_name, op=op, decide=lambda _: None, by=by, now=now)
        return _of_entry(done)
    for _ in range(MAX_ROUNDS):
        # A champion that was deleted is what one may want to get away from.
        history = settle(registry, model_name, by=by, now=now, dangling=True).history
        champion = history.champion
        if to_version is not None and champion is not None and _is_there(registry, model_name, champion, to_version):
            return Rollback(version=champion.version, previous=None, changed=False, passed_over=())
        if champion is not None:
            from_version = from_version or champion.version if to_version is None else from_version
            if from_version not in (None, champion.version):
                log.info(
                    "Version %s of %r is not champion any more, %s is.", from_version, model_name, champion.version
                )
                return Rollback(version=champion.version, previous=from_version, changed=False, passed_over=())
        target, passed_over = _choose(registry, model_name, history, to_version=to_version, loading=loading)

        def decide(
            seen: History, target: VersionRef = target, passed_over: Sequence[str] = passed_over
        ) -> Draft | None:
            if seen.champion != champion:  # noqa: B023 - called before the next round, if there is one
                return None
            require_there(registry, model_name, target)
            details = {"passed_over": [one[:300] for one in passed_over[:5]]}
            return Draft(kind="rollback", by=by, at=now, reason=reason, subject=target, details=details)

        entry = enter(registry, model_name, op=op, decide=decide, by=by, now=now)
        if entry is not None:
            return _of_entry(entry)
        log.info("Another champion of %r was chosen meanwhile; looking again.", model_name)
    raise OutageError(f"The champion of model {model_name!r} changed {MAX_ROUNDS} times while one was being chosen.")


def _is_there(registry: Registry, model_name: str, champion: VersionRef, to_version: str) -> bool:
    if champion.version != to_version:
        return False
    there = reference(registry, model_name, to_version)
    # With its alias taken away, the champion by the ledger must be set again.
    alias = (registry.client.get_registered_model(model_name).aliases or {}).get("champion")
    return there is not None and there.is_same_as(champion) and str(alias) == to_version


def _choose(
    registry: Registry, model_name: str, history: History, *, to_version: str | None, loading: Loading
) -> tuple[VersionRef, list[str]]:
    if to_version is not None:
        known = _known(history, to_version)
        if known is not None and _was_only_rejected(history, known):
            raise InputError(
                f"Version {to_version} of model {model_name!r} was never champion, and its evaluation rejected it. "
                "Hint: a rollback passes no gates; name an earlier champion, or have this one evaluated and promoted."
            )
        return _proven(registry, model_name, to_version, known, history, loading), []
    passed_over: list[str] = []
    for one in history.rollback_targets():
        try:
            return _proven(registry, model_name, one.version, one, history, loading), passed_over
        except InputError as error:
            log.warning("Passed over: %s", error)
            passed_over.append(str(error))
    raise InputError(
        f"Model {model_name!r} has no earlier champion to go back to. "
        + (" ".join(passed_over) or "Hint: name a version with to_version, or see ModelHistoryOperator.")
    )


def _known(history: History, version: str) -> VersionRef | None:
    """Return what the ledger said last of a version of this number."""
    subjects = [one.subject for one in history.entries if one.subject is not None and one.subject.version == version]
    return subjects[-1] if subjects else None


def _was_only_rejected(history: History, subject: VersionRef) -> bool:
    kinds = [one.kind for one in history.entries if one.subject is not None and one.subject.is_same_as(subject)]
    return "reject" in kinds and not MOVES.intersection(kinds)


def _proven(
    registry: Registry, model_name: str, number: str, known: VersionRef | None, history: History, loading: Loading
) -> VersionRef:
    version = by_number(registry, model_name, number)
    if known is not None and not version.reference().is_same_as(known):
        raise InputError(
            f"{version.title} is another one than the ledger knows: the model was deleted and made anew. "
            f"Hint: {begin_anew(model_name)}."
        )
    with fetched(registry, version) as directory:
        expected = history.manifest_of(version.reference())
        manifest = verified_manifest(registry, version, directory, expected_sha256=expected)
        try_model(directory, where=version.title, loading=loading)
    return version.reference(manifest.sha256)


def _of_entry(entry: Entry) -> Rollback:
    return Rollback(
        version="" if entry.subject is None else entry.subject.version,
        previous=None if entry.previous is None else entry.previous.version,
        changed=True,
        passed_over=tuple(entry.details.get("passed_over", ())),
    )
