"""What a version was worth on parts of its held-out rows, kept with it so that a part is later compared with itself.

It names the values of columns, as the profile of the training rows does, and holds no row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.registry.artifacts import read

if TYPE_CHECKING:
    from airflow_mlops_provider.core.performance_segments import SegmentKey
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

SEGMENTS = "evidence/segments.json"


def write_segments(run: LoggedRun, values: Mapping[SegmentKey, MetricValue]) -> None:
    """Store the values behind a version."""
    listed = [{"segment": dict(key), "value": value.to_dict()} for key, value in values.items()]
    run.log_dict({"segments": listed}, SEGMENTS)


def read_segments(registry: Registry, version: Version, *, metric: str) -> dict[SegmentKey, MetricValue]:
    """Read the values of one metric; a version that keeps none, or of another metric, gives an empty dict.

    Raises
    ------
    InputError
        The file is damaged, or not the one that was written in training.
    """
    if not version.run_id:
        return {}
    content = read(registry, run_id=version.run_id, path=SEGMENTS)
    if content is None:
        return {}
    try:
        found = [(one["segment"], MetricValue(**one["value"])) for one in json.loads(content)["segments"]]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"The segments of {version.label} cannot be read: {error!r}.") from error
    return {tuple(segment.items()): value for segment, value in found if value.name == metric}
