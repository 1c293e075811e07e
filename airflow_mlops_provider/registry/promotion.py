"""Making a version champion: the only way to promote, so that how it is made safe is decided in one place.

Whether a version deserves it was decided by its evaluation; here it is checked that the verdict still holds, of these
very files and against this very champion, when the decision is entered into the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Draft, Entry, VersionRef
from airflow_mlops_provider.registry.adoption import OP_TAG, point_challenger
from airflow_mlops_provider.registry.blessings import read_blessing
from airflow_mlops_provider.registry.champion import resolve
from airflow_mlops_provider.registry.ledger import enter, read_history, settle
from airflow_mlops_provider.registry.model_files import fetched, verified_manifest
from airflow_mlops_provider.registry.presence import require_there
from airflow_mlops_provider.registry.versions import CHALLENGER, Version, by_number, newest

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What came of an attempt to promote.

    Parameters
    ----------
    promoted : bool
        Whether the version is champion now.
    reasons : tuple of str
        Why not; () when promoted.
    previous : str or None
        Version that was champion before; for a version that is champion already, the one it replaced.
    verdict : str or None
        Of its blessing; None when it was never evaluated.
    changed : bool
        False when it was champion already, before any try of this task, or is no longer.
    superseded_by : str or None
        Version that replaced it since this task, in this try or an earlier one, had promoted it.
    """

    promoted: bool
    reasons: tuple[str, ...]
    previous: str | None
    verdict: str | None
    changed: bool
    superseded_by: str | None = None


def promote(registry: Registry, version: Version, *, promoted_by: Mapping[str, str], now: str, op: str) -> Promotion:
    """Make a version champion when its blessing allows it.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which.
    promoted_by : mapping of str to str
        DAG, run and task, for the record.
    now : str
        Time of the promotion, ISO 8601 in UTC.
    op : str
        Key of the effect; see :func:`airflow_mlops_provider.core.op_key.op_key`.

    Returns
    -------
    Promotion
        ``promoted`` is False when there is no blessing, it is negative, it was made against a champion that is not the
        present one, or somebody went back from the version since it was made.

    Raises
    ------
    InputError
        The blessing or the version's files are damaged, or the champion was deleted.
    """
    history = settle(registry, version.model_name, by=promoted_by, now=now).history
    blessing = read_blessing(registry, version)
    verdict = None if blessing is None else str(blessing["verdict"])
    done = history.find(op)
    champion = history.champion
    if done is not None and done.kind == "promote":
        return _promoted(registry, version, done, champion, verdict)
    if champion is not None and champion.is_same_as(version.reference()):
        return _already(history, verdict)
    reasons = _objections(blessing, history, version)
    if blessing is None or reasons:
        return Promotion(promoted=False, reasons=reasons, previous=_number(champion), verdict=verdict, changed=False)
    subject = version.reference(_proven(registry, version, blessing))
    seen: list[tuple[str, ...]] = []

    def decide(now_seen: History) -> Draft | None:
        # Whoever was faster may have made another one champion: then the verdict is about a contest of yesterday.
        seen.append(_objections(blessing, now_seen, version))
        require_there(registry, version.model_name, subject)
        reason = f"{verdict}, against champion {blessing['champion_version'] or 'none'}"
        return None if seen[-1] else Draft(kind="promote", by=promoted_by, at=now, reason=reason, subject=subject)

    entry = enter(registry, version.model_name, op=op, decide=decide, by=promoted_by, now=now)
    history = settle(registry, version.model_name, by=promoted_by, now=now).history
    champion = history.champion
    if entry is None:
        if champion is not None and champion.is_same_as(version.reference()):
            # Another DAG run promoted the same version at the same time.
            return _already(history, verdict)
        reasons = tuple(f"superseded: {one}" for one in seen[-1])
        return Promotion(promoted=False, reasons=reasons, previous=_number(champion), verdict=verdict, changed=False)
    return _promoted(registry, version, entry, champion, verdict)


def version_to_promote(registry: Registry, model_name: str, wanted: str | int | None, *, op: str) -> Version:
    """Return the version that an earlier try of the same task promoted, or else the wanted one, or the challenger.

    Raises
    ------
    InputError
        There is none.
    """
    done = read_history(registry, model_name).find(op)
    if done is not None and done.subject is not None:
        # The challenger of now may be another one than that of the try before.
        return by_number(registry, model_name, done.subject.version)
    return resolve(registry, model_name, wanted, alias=CHALLENGER)


def _promoted(
    registry: Registry, version: Version, entry: Entry, champion: VersionRef | None, verdict: str | None
) -> Promotion:
    outcome = Promotion(promoted=True, reasons=(), previous=_number(entry.previous), verdict=verdict, changed=True)
    if champion is not None and not champion.is_same_as(version.reference()):
        # It is history by now: to announce it would tell of a champion that is none.
        return replace(outcome, changed=False, superseded_by=champion.version)
    _finish(registry, version, entry)
    return outcome


def _already(history: History, verdict: str | None) -> Promotion:
    head = history.head
    before = None if head is None else _number(head.previous)
    return Promotion(promoted=True, reasons=(), previous=before, verdict=verdict, changed=False)


def _number(champion: VersionRef | None) -> str | None:
    return None if champion is None else champion.version


def _proven(registry: Registry, version: Version, blessing: Mapping[str, Any]) -> str:
    """Return the hash of the files' list after comparing the files with those that were evaluated."""
    with fetched(registry, version) as directory:
        return verified_manifest(registry, version, directory, expected_sha256=blessing["manifest_sha256"]).sha256


def _finish(registry: Registry, version: Version, entry: Entry) -> None:
    """Write what people look for in the MLflow UI; the ledger holds it, so nothing depends on that it succeeds."""
    from mlflow.exceptions import MlflowException

    client = registry.client
    tags = {
        "mlops.promoted_at": entry.at,
        "mlops.promoted_by": json.dumps(dict(entry.by)),
        "mlops.previous_champion": _number(entry.previous) or "",
    }
    with suppress(MlflowException):
        for key, value in tags.items():
            client.set_model_version_tag(version.model_name, version.version, key, value)
        aliases = client.get_registered_model(version.model_name).aliases or {}
        if str(aliases.get(CHALLENGER)) == version.version:
            client.delete_registered_model_alias(version.model_name, CHALLENGER)
            # A training may have named its version between the look and the deletion.
            latest = newest(registry, version.model_name)
            if latest is not None and int(latest.version) > int(version.version) and OP_TAG in latest.tags:
                point_challenger(registry, latest)


def _objections(blessing: Mapping[str, Any] | None, history: History, version: Version) -> tuple[str, ...]:
    if blessing is None:
        return (f"{version.label} was never evaluated: run EvaluateModelOperator first",)
    if not blessing["passed"]:
        return (f"{version.label} is not blessed: {'; '.join(blessing['reasons'])}",)
    present = _number(history.champion)
    if blessing["champion_version"] != present:
        return (
            f"{version.label} was evaluated against champion {blessing['champion_version'] or 'none'}, "
            f"but the champion is {present or 'none'} now: evaluate it again",
        )
    # A verdict older than the rollback would let a late promotion undo what a person did in an emergency.
    left = history.left(version.reference(), after=int(blessing.get("ledger_entries", 0)))
    if left is not None:
        return (
            f"{version.label} was champion, and was left for another since it was evaluated ({left.kind}: "
            f"{left.reason!r}): evaluate it again",
        )
    if not blessing.get("manifest_sha256"):
        return (f"{version.label} was evaluated without a check of its files: evaluate it again",)
    return ()
