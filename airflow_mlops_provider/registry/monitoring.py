"""The record of watching a model: one MLflow run per checked window, and one run per champion that shows the trend.

Each window's run keeps its profile, so that the next window can be compared with it. A window that is checked again
(a retry, a backfill) gets a further run; the latest one counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.profiles import PROFILE, read_profile
from airflow_mlops_provider.registry.runs import METRICS_PER_BATCH
from airflow_mlops_provider.registry.session import tags_filter

if TYPE_CHECKING:
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

# What a window was checked for: its features, its predictions against labels, or without any.
Check = Literal["drift", "performance", "estimate"]

WINDOW_END = "mlops.window_end"
REFERENCE = "mlops.reference"
CHECK = "mlops.check"
VERDICT = "mlops.verdict"
# Of a check of rows whose labels come late: the time that the rows cover.
ROWS_START = "mlops.rows_start"
ROWS_END = "mlops.rows_end"
UNBOUNDED = "unbounded"
TREND = "mlops.trend"
# The metric that every check has, so that its history in the trend tells which windows there were.
ROWS = "rows"


def monitoring_experiment(model_name: str) -> str:
    """Return the name of the experiment that keeps a model's checks."""
    return f"{model_name} monitoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The end of the time that checked data cover.

    Parameters
    ----------
    end : datetime
        In UTC, in whole seconds.
    """

    end: datetime

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read the end of a window from ISO 8601 text; a date or a time without a zone is UTC.

        Raises
        ------
        InputError
            It is no time.

        Examples
        --------
        >>> Window.parse("2026-03-01").tag
        '2026-03-01T00:00:00+00:00'
        """
        try:
            end = datetime.fromisoformat(str(text).strip())
        except ValueError as error:
            raise InputError(
                f"window_end must be a time in ISO 8601; got {text!r}. Hint: such as 2026-03-01T00:00:00+00:00."
            ) from error
        utc = end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
        return cls(end=utc.replace(microsecond=0))

    def before(self, *, days: float) -> Window:
        """Return the window that ends some days earlier, in whole seconds."""
        return Window(end=(self.end - timedelta(days=days)).replace(microsecond=0))

    @property
    def tag(self) -> str:
        """The end as text that sorts by time."""
        return self.end.isoformat(timespec="seconds")

    @property
    def milliseconds(self) -> int:
        """The end in milliseconds since 1970."""
        return int(self.end.timestamp() * 1000)


def metric_name(prefix: str, column: str) -> str:
    """Return a name that MLflow accepts for a metric of a column; different columns get different names.

    Examples
    --------
    >>> metric_name("drift", "monthly_charges"), metric_name("drift", "größe")[:12]
    ('drift.monthly_charges', 'drift.gr__e.')
    """
    plain = re.sub(r"[^A-Za-z0-9_. :-]", "_", column)[:200]
    if plain == column:
        return f"{prefix}.{column}"
    return f"{prefix}.{plain}.{hashlib.sha256(column.encode()).hexdigest()[:8]}"


def log_trend(
    registry: Registry,
    *,
    experiment_id: str,
    reference: str,
    name: str,
    metrics: Mapping[str, float],
    window: Window,
) -> None:
    """Add a window's metrics to the run that shows them over time; a point that is there already is not added twice.

    Parameters
    ----------
    registry : Registry
        An open session.
    experiment_id : str
        The model's monitoring experiment.
    reference : str
        Tag of whose cells the windows are counted in: a trend is of one reference.
    name : str
        Of the trend, for people.
    metrics : mapping of str to float
        Finite values.
    window : Window
        Its end is the time of the points.
    """
    from mlflow.entities import Metric

    client = registry.client
    run_id = _trend_run(registry, experiment_id, reference)
    if run_id is None:
        made = client.create_run(experiment_id, tags={TREND: reference}, run_name=f"trend of {name}").info.run_id
        client.set_terminated(made, status="FINISHED")
        run_id = _trend_run(registry, experiment_id, reference) or made
        if run_id != made:
            # Another task made one at the same moment, and was first.
            client.delete_run(made)
    step = window.milliseconds // 1000
    points = [Metric(key, float(value), window.milliseconds, step) for key, value in metrics.items()]
    for start in range(0, len(points), METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=points[start : start + METRICS_PER_BATCH])


def _trend_run(registry: Registry, experiment_id: str, reference: str) -> str | None:
    """Return the first run of a trend, which is the same one for all who ask."""
    found = registry.client.search_runs(
        [experiment_id],
        filter_string=tags_filter({TREND: reference}),
        order_by=["attributes.start_time ASC"],
        max_results=1,
    )
    return found[0].info.run_id if found else None


def previous_profile(
    registry: Registry, *, experiment_id: str, reference: str, window: Window
) -> tuple[DatasetProfile, str] | None:
    """Return the profile and the end of the latest window before this one that was counted in the same cells.

    Parameters
    ----------
    registry : Registry
        An open session.
    experiment_id : str
        The model's monitoring experiment.
    reference : str
        Tag of whose cells the windows were counted in.
    window : Window
        The present one.
    """
    trend = _trend_run(registry, experiment_id, reference)
    if trend is None:
        return None
    ends = {point.timestamp for point in registry.client.get_metric_history(trend, ROWS)}
    for milliseconds in sorted((end for end in ends if end < window.milliseconds), reverse=True):
        earlier = Window(end=datetime.fromtimestamp(milliseconds / 1000, UTC)).tag
        runs = registry.client.search_runs(
            [experiment_id],
            filter_string=tags_filter({CHECK: "drift", REFERENCE: reference, WINDOW_END: earlier})
            + " and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        # None when its check died half-way, or people deleted it.
        if runs:
            return read_profile(registry, f"runs:/{runs[0].info.run_id}/{PROFILE}"), earlier
    return None


def window_tags(*, check: Check, window: Window, reference: str, verdict: str) -> dict[str, Any]:
    """Return the tags by which a check is found again; of a version's checks, `reference` is its training run."""
    return {CHECK: check, WINDOW_END: window.tag, REFERENCE: reference, VERDICT: verdict}


def rows_tags(window: Window, *, delay_days: float, window_days: float | None) -> dict[str, str]:
    """Return the tags that say which time the rows cover that a check judged as of the end of its window.

    Examples
    --------
    >>> rows_tags(Window.parse("2026-03-31"), delay_days=30, window_days=None)
    {'mlops.rows_end': '2026-03-01T00:00:00+00:00', 'mlops.rows_start': 'unbounded'}
    """
    end = window.end - timedelta(days=delay_days)
    start = UNBOUNDED if window_days is None else (end - timedelta(days=window_days)).isoformat(timespec="seconds")
    return {ROWS_END: end.isoformat(timespec="seconds"), ROWS_START: start}


def log_check(run: LoggedRun, metrics: Mapping[str, float], *, reference: str, name: str, window: Window) -> None:
    """Log a check's metrics in its own run and in the trend of that name."""
    run.log_metrics(metrics)
    log_trend(
        run.registry,
        experiment_id=run.experiment_id,
        reference=reference,
        name=name,
        metrics=metrics,
        window=window,
    )
