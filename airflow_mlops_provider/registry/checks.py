"""Reading what was found about a champion: its latest checks, as plain records for a decision.

It reads MLflow in a bounded number of calls and judges nothing. The latest finished run of a kind and window counts;
of which champion a check was is told by the training run it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain_state import EARLIEST, Check, CheckKind
from airflow_mlops_provider.registry.monitoring import (
    CHECK,
    REFERENCE,
    ROWS_END,
    ROWS_START,
    UNBOUNDED,
    VERDICT,
    WINDOW_END,
    Window,
    monitoring_experiment,
)
from airflow_mlops_provider.registry.session import tags_filter

if TYPE_CHECKING:
    from mlflow.entities import Run

    from airflow_mlops_provider.registry.session import Registry

# A year of three checks a day; older ones say nothing about today. One page of MLflow's search.
MAX_CHECKS = 1000
LABELLED_ROWS = "labelled_rows"
SUSPECTED = "performance.suspected"


def read_checks(
    registry: Registry, model_name: str, *, reference: str, run_ids: Sequence[str] = ()
) -> tuple[Check, ...]:
    """Return the checks of one champion.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Whose monitoring experiment is searched.
    reference : str
        The champion's training run.
    run_ids : sequence of str
        MLflow runs of checks that count too, wherever they were recorded; those of another champion are left out.

    Returns
    -------
    tuple of Check
        Of the latest :data:`MAX_CHECKS` runs, by window and kind.

    Raises
    ------
    InputError
        A named run does not exist or is no check, or a check's tags were changed.
    """
    named = [_named(registry, run_id) for run_id in dict.fromkeys(run_ids)]
    runs = [one for one in named if one.data.tags[REFERENCE] == reference] + _search(registry, model_name, reference)
    found: dict[tuple[str, str], Check] = {}
    for run in sorted(runs, key=lambda one: one.info.start_time, reverse=True):
        check = _check(run)
        found.setdefault((check.kind, check.window_end.isoformat()), check)
    return tuple(sorted(found.values(), key=lambda one: (one.window_end, one.kind)))


def _search(registry: Registry, model_name: str, reference: str) -> list[Run]:
    experiment = registry.client.get_experiment_by_name(monitoring_experiment(model_name))
    if experiment is None or experiment.lifecycle_stage != "active":
        return []
    found = registry.client.search_runs(
        [experiment.experiment_id],
        filter_string=f"{tags_filter({REFERENCE: reference})} and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=MAX_CHECKS,
    )
    return [one for one in found if CHECK in one.data.tags]


def _named(registry: Registry, run_id: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        run = registry.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(f"There is no MLflow run {run_id!r} at {registry.server.uri}, named as a check.") from error
    missing = [name for name in (CHECK, REFERENCE, WINDOW_END, VERDICT) if name not in run.data.tags]
    if missing:
        raise InputError(
            f"MLflow run {run_id} is no check of a model: it lacks the tag {missing[0]!r}. "
            "Hint: give the XComs of drift, performance or estimate tasks."
        )
    return run


def _check(run: Run) -> Check:
    tags, rows = run.data.tags, run.data.metrics.get(LABELLED_ROWS)
    start = tags.get(ROWS_START)
    try:
        return Check(
            kind=cast("CheckKind", tags[CHECK]),  # which the record checks
            window_end=Window.parse(tags.get(ROWS_END, tags[WINDOW_END])).end,
            window_start=None if start is None else EARLIEST if start == UNBOUNDED else Window.parse(start).end,
            verdict=tags[VERDICT],
            labelled_rows=None if rows is None else int(rows),
            suspected=bool(run.data.metrics.get(SUSPECTED)),
            run_id=run.info.run_id,
        )
    except (InputError, KeyError) as error:
        raise InputError(f"MLflow run {run.info.run_id} has tags that no check has: {error}.") from error
