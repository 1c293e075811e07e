"""Moving the ``champion`` alias: the only function that does, so that how it is made safe is decided in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.registry.blessings import read_blessing
from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, Version, by_alias

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
        Version that was champion before; for a version that is champion already, the one it once replaced.
    verdict : str or None
        Of its blessing; None when it was never evaluated.
    changed : bool
        False when it was champion already.
    """

    promoted: bool
    reasons: tuple[str, ...]
    previous: str | None
    verdict: str | None
    changed: bool


def promote(registry: Registry, version: Version, *, promoted_by: Mapping[str, str], now: str) -> Promotion:
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

    Returns
    -------
    Promotion
        ``promoted`` is False when there is no blessing, it is negative, or it was made against a champion that is not
        the present one.

    Raises
    ------
    InputError
        The blessing is damaged.
    """
    champion = by_alias(registry, version.model_name, CHAMPION)
    blessing = read_blessing(registry, version)
    verdict = None if blessing is None else str(blessing["verdict"])
    if champion is not None and champion.version == version.version:
        previous = version.tags.get("mlops.previous_champion") or None
        return Promotion(promoted=True, reasons=(), previous=previous, verdict=verdict, changed=False)
    reasons = _objections(blessing, champion, version)
    previous = None if champion is None else champion.version
    if reasons:
        return Promotion(promoted=False, reasons=reasons, previous=previous, verdict=verdict, changed=False)
    tags: dict[str, Any] = {
        "mlops.promoted_at": now,
        "mlops.promoted_by": json.dumps(dict(promoted_by)),
        "mlops.previous_champion": previous or "",
    }
    client = registry.client
    # Written before the alias moves: a champion without a record of whom it replaced could not be rolled back.
    for key, value in tags.items():
        client.set_model_version_tag(version.model_name, version.version, key, value)
    client.set_registered_model_alias(version.model_name, CHAMPION, version.version)
    challenger = by_alias(registry, version.model_name, CHALLENGER)
    if challenger is not None and challenger.version == version.version:
        client.delete_registered_model_alias(version.model_name, CHALLENGER)
    return Promotion(promoted=True, reasons=(), previous=previous, verdict=verdict, changed=True)


def _objections(blessing: Mapping[str, Any] | None, champion: Version | None, version: Version) -> tuple[str, ...]:
    if blessing is None:
        return (f"{version.label} was never evaluated: run EvaluateModelOperator first",)
    if not blessing["passed"]:
        return (f"{version.label} is not blessed: {'; '.join(blessing['reasons'])}",)
    present = None if champion is None else champion.version
    if blessing["champion_version"] != present:
        return (
            f"{version.label} was evaluated against champion {blessing['champion_version'] or 'none'}, "
            f"but the champion is {present or 'none'} now: evaluate it again",
        )
    return ()
