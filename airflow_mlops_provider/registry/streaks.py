"""Since when a check of a model has been bad, read from the monitoring runs; it decides nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.streak import Streak, bad_streak
from airflow_mlops_provider.registry.monitoring import CHECK, REFERENCE, VERDICT, WINDOW_END
from airflow_mlops_provider.registry.session import tags_filter

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

RUNS_PER_PAGE = 200


def streak_of(registry: Registry, run_id: str) -> Streak | None:
    """Return the bad windows in a row that end with the one that a monitoring run checked.

    Parameters
    ----------
    registry : Registry
        An open session.
    run_id : str
        Any MLflow run.

    Returns
    -------
    Streak or None
        None when the run checks no window, or finds it good. A new champion begins a new streak.
    """
    run = registry.client.get_run(run_id)
    tags = run.data.tags
    if not {CHECK, REFERENCE, WINDOW_END, VERDICT} <= set(tags):
        return None
    checks = _latest_first(registry, run.info.experiment_id, check=tags[CHECK], reference=tags[REFERENCE])
    return bad_streak(checks, until=tags[WINDOW_END])


def _latest_first(registry: Registry, experiment_id: str, *, check: str, reference: str) -> Iterator[tuple[str, str]]:
    token = None
    while True:
        page = registry.client.search_runs(
            [experiment_id],
            filter_string=tags_filter({CHECK: check, REFERENCE: reference}) + " and attributes.status = 'FINISHED'",
            order_by=[f"tags.`{WINDOW_END}` DESC", "attributes.start_time DESC"],
            max_results=RUNS_PER_PAGE,
            page_token=token,
        )
        yield from ((one.data.tags[WINDOW_END], one.data.tags.get(VERDICT, "")) for one in page)
        token = page.token
        if not token:
            return
