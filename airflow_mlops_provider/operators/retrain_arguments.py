"""Arguments of the retraining operators, read after rendering; each is refused with its name and what was wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_mlops_provider.core.backtest import PastWindow
from airflow_mlops_provider.core.errors import InputError


def moment_of(given: Any) -> datetime:
    """Return the time to decide at: given with a zone, or the clock's."""
    if given in (None, ""):
        return datetime.now(UTC)
    try:
        found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError as error:
        raise InputError(f"now of TriggerRetrainOperator must be a time in ISO 8601; got {given!r}.") from error
    if found.utcoffset() is None:
        raise InputError(f"now of TriggerRetrainOperator must have a zone, such as +00:00; got {given!r}.")
    return found


def rows_of(given: Any) -> int | None:
    """Return a number of rows that may have become text by rendering; None for none."""
    if given in (None, "", "None"):
        return None
    if isinstance(given, bool) or not str(given).isdigit():
        raise InputError(f"new_rows of TriggerRetrainOperator must be a whole number from 0; got {given!r}.")
    return int(given)


def conf_of(given: Any) -> dict[str, Any]:
    """Return the configuration for the training run, as plain JSON values."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError as error:
            raise InputError(f"conf of TriggerRetrainOperator must be a mapping, or its JSON text; {error}.") from error
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"conf of TriggerRetrainOperator must be a mapping; got {given!r}.")
    conf = dict(given or {})
    if "retrain" in conf:
        raise InputError("conf of TriggerRetrainOperator must leave the key 'retrain' to the operator.")
    try:
        json.dumps(conf, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"conf of TriggerRetrainOperator must hold plain JSON values: {error}.") from error
    return conf


def run_ids_of(checks: Any) -> list[str]:
    """Return the MLflow runs that results of check tasks name."""
    given = [] if checks is None else [checks] if isinstance(checks, Mapping) else checks
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"checks of TriggerRetrainOperator must be a list of XComs of check tasks; got {checks!r}.")
    found = []
    for one in given:
        if one is None:
            continue
        if not isinstance(one, Mapping) or not isinstance(one.get("run_id"), str):
            raise InputError(f"Each of the checks of TriggerRetrainOperator must name its MLflow run; got {one!r}.")
        found.append(one["run_id"])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PastData:
    """A window of a backtest and where its rows are."""

    window: PastWindow
    data: Any


def past_window(given: Any, *, label_delay: timedelta) -> PastData:
    """Return the window that a mapping of a backtest's `windows` stands for."""
    if not isinstance(given, Mapping) or set(given) - {"labels_known_at"} != {"data", "start", "end"}:
        raise InputError(
            f"Each window of a backtest must have data, start and end, and may have labels_known_at; got {given!r}."
        )
    start, end = (_time(name, given[name]) for name in ("start", "end"))
    known = given.get("labels_known_at")
    at = None if known == "never" else end + label_delay if known is None else _time("labels_known_at", known)
    return PastData(window=PastWindow(start=start, end=end, labels_known_at=at), data=given["data"])


def _time(name: str, given: Any) -> datetime:
    try:
        found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError as error:
        raise InputError(f"{name} of a backtest's window must be a time in ISO 8601; got {given!r}.") from error
    if found.utcoffset() is None:
        raise InputError(f"{name} of a backtest's window must have a zone, such as +00:00; got {given!r}.")
    return found
