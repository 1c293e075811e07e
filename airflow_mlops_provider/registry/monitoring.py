"""The record of watching a model: one MLflow run per checked window, and one run per champion that shows the trend.

Each window's run keeps its profile, so that the next window can be compared with it. A window that is checked again
(a retry, a backfill) gets a further run; the latest one counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.profiles import PROFILE, read_profile
from airflow_mlops_provider.registry.session import tags_filter

if TYPE_CHECKING:
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

WINDOW_END = "mlops.window_end"
REFERENCE = "mlops.reference"
TREND = "mlops.trend"
_PREVIOUS_RUNS = 200


def monitoring_experiment(model_name: str) -> str:
    """Return the name of the experiment that keeps a model's checks."""
    return f"{model_name} monitoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The end of the time that checked data cover.

    Parameters
    ----------
    end : datetime
        With a time zone.
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
        return cls(end=end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC))

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
    registry: Registry, *, experiment_id: str, name: str, metrics: Mapping[str, float], window: Window
) -> None:
    """Add a window's metrics to the run that shows them over time; a point that is there already is not added twice.

    Parameters
    ----------
    registry : Registry
        An open session.
    experiment_id : str
        The model's monitoring experiment.
    name : str
        What the trend belongs to, such as the champion's version.
    metrics : mapping of str to float
        Finite values.
    window : Window
        Its end is the time of the points.
    """
    from mlflow.entities import Metric

    client = registry.client
    found = client.search_runs([experiment_id], filter_string=tags_filter({TREND: name}), max_results=1)
    if found:
        run_id = found[0].info.run_id
    else:
        run_id = client.create_run(experiment_id, tags={TREND: name}, run_name=f"trend of {name}").info.run_id
        client.set_terminated(run_id, status="FINISHED")
    step = window.milliseconds // 1000
    points = [Metric(key, float(value), window.milliseconds, step) for key, value in metrics.items()]
    for start in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])


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
    runs = registry.client.search_runs(
        [experiment_id],
        filter_string=f"{tags_filter({REFERENCE: reference})} and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=_PREVIOUS_RUNS,
    )
    ends = {run.data.tags[WINDOW_END]: run.info.run_id for run in reversed(runs) if WINDOW_END in run.data.tags}
    earlier = [end for end in ends if end < window.tag]
    if not earlier:
        return None
    last = max(earlier)
    return read_profile(registry, f"runs:/{ends[last]}/{PROFILE}"), last


def window_tags(*, window: Window, reference: str, verdict: str) -> dict[str, Any]:
    """Return the tags by which a check is found again."""
    return {WINDOW_END: window.tag, REFERENCE: reference, "mlops.verdict": verdict}


def log_check(run: LoggedRun, metrics: Mapping[str, float], *, trend: str, window: Window) -> None:
    """Log a check's metrics in its own run and in the trend."""
    run.log_metrics(metrics)
    log_trend(run.registry, experiment_id=run.experiment_id, name=trend, metrics=metrics, window=window)
