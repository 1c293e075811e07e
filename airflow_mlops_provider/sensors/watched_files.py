"""From a sensor's ``data=`` to the trigger that watches it; reads no row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import SqlQuery

if TYPE_CHECKING:
    from airflow_mlops_provider.triggers.new_data import NewDataTrigger

_FILES_ONLY = (
    "A deferrable sensor watches files; got {}. Hint: leave deferrable out to look at a query again and again."
)


def check_watchable(data: Any) -> None:
    """Refuse at parse what a triggerer cannot watch."""
    if isinstance(data, SqlQuery):
        raise InputError(_FILES_ONLY.format("SqlQuery"))


def files_trigger(data: Any, *, poll_interval_seconds: float) -> NewDataTrigger:
    """Return what waits in the triggerer until the files are others than they are now."""
    from airflow_mlops_provider.hooks.data import airflow_access
    from airflow_mlops_provider.triggers.new_data import NewDataTrigger, state_of

    paths = absolute_paths(data)
    return NewDataTrigger(
        paths=paths, seen=state_of(paths, airflow_access()), poll_interval_seconds=poll_interval_seconds
    )


def absolute_paths(data: Any) -> list[str]:
    """Return the files to watch, as absolute paths: the triggerer's working directory is another."""
    given = data if isinstance(data, list | tuple) else [data]
    paths: list[str] = []
    for one in given:
        path = getattr(one, "uri", one)
        if not isinstance(path, str | os.PathLike):
            raise InputError(_FILES_ONLY.format(type(one).__name__))
        text = os.fspath(path)
        paths.append(text if "://" in text else os.path.abspath(os.path.expanduser(text)))
    return paths
