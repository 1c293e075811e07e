"""Which version an operator works with: the named one or the one under an alias, the champion as the ledger has it.

The alias ``champion`` is a picture of the ledger, and between an entry and the move of the alias it is an old one. Who
reads looks through it here, and finishes a move that it finds half done; what a person did in MLflow counts here, and
is entered by the next task that decides, with :func:`~airflow_mlops_provider.registry.ledger.settle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.names import check_alias
from airflow_mlops_provider.registry.ledger import is_under_way, look, noticed_by, read_history, settle
from airflow_mlops_provider.registry.presence import taken_away, what_is_gone
from airflow_mlops_provider.registry.versions import CHAMPION, Version, by_alias, by_number

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry


def champion_of(registry: Registry, model_name: str) -> Version | None:
    """Return the champion; None when there never was one.

    A move of the alias that is under way, or whose task was killed, counts as made. An alias that somebody set by hand
    counts as set; the next task that decides enters it in the ledger.

    Raises
    ------
    InputError
        The champion or its alias was deleted, or the ledger was.
    """
    alias, claims = look(registry, model_name)
    if alias is not None and not claims:
        return by_number(registry, model_name, alias)
    history = read_history(registry, model_name)
    head = history.champion
    if head is not None:
        gone = what_is_gone(registry, model_name, head)
        if gone is not None:
            raise InputError(gone)
        if is_under_way(history, alias, claims):
            if alias != head.version:
                settled_history(registry, model_name, by={"by": "a reader"})
            return by_number(registry, model_name, head.version)
        if alias is None:
            raise InputError(taken_away(registry, model_name, head))
    return None if alias is None else by_number(registry, model_name, alias)


def settled_history(registry: Registry, model_name: str, *, by: Mapping[str, str]) -> History:
    """Return the ledger after the alias and it were made equal, or as it is where the account may only read."""
    from mlflow.exceptions import MlflowException

    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        return settle(registry, model_name, by=by, now=now, dangling=True).history
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        return read_history(registry, model_name)


def find(registry: Registry, model_name: str, alias: str) -> Version | None:
    """Return the version under an alias; None when there is none."""
    return champion_of(registry, model_name) if alias == CHAMPION else by_alias(registry, model_name, alias)


def resolve(registry: Registry, model_name: str, version: str | int | None, *, alias: str) -> Version:
    """Return the named version, or the one under `alias` when none is named.

    Raises
    ------
    InputError
        There is none, or none can have the alias.
    """
    if version not in (None, ""):
        return by_number(registry, model_name, str(version))
    check_alias(alias)
    found = find(registry, model_name, alias)
    if found is None:
        raise InputError(
            f"Model {model_name!r} has no version with alias {alias!r} at {registry.server.uri}. "
            "Hint: train one with TrainModelOperator, or name a version."
        )
    return found


def known_manifest(registry: Registry, version: Version) -> str | None:
    """Return the hash of the files' list that the ledger keeps of a version, or None where it keeps none."""
    return read_history(registry, version.model_name).manifest_of(version.reference())


def set_by_hand(registry: Registry, model_name: str, *, by: Mapping[str, str]) -> list[str]:
    """Return the champions set outside of this package that a task noticed, in this try or an earlier one."""
    who = noticed_by(by)
    entries = read_history(registry, model_name).entries
    return [one.subject.version for one in entries if one.kind == "adopt" and one.subject and one.by == who]
