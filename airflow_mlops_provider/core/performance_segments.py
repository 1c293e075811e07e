"""Performance in parts of the rows: where a model is worse, found beside the verdict and corrected for looking often.

Parts are looked at together, so each interval is wider the more of them there are. A part too small to judge is said to
be so; it is neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metric_change import metric_change, value_of
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.performance_report import PerformanceVerdict, SegmentResult
from airflow_mlops_provider.core.row_keys import value_codes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.predictions import Predictions

# Of one column, or of crossed ones. More are too many to look at, and each makes the interval of all others wider.
MAX_SEGMENTS = 50
# Of the held-out rows of a version, kept as what its later segments are compared with.
MAX_HELDOUT_VALUES = 20
MIN_HELDOUT_ROWS = 30
MIN_HELDOUT_PER_CLASS = 5
MISSING = "(missing)"

SegmentKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Some of the window's labelled rows.

    Parameters
    ----------
    values : mapping of str to str
        Column to value.
    rows : int array
        Their positions.
    """

    values: Mapping[str, str]
    rows: NDArray[np.int64]

    @property
    def key(self) -> SegmentKey:
        """What the segment is, in a form that can be looked up."""
        return tuple(self.values.items())


def segments_of(columns: Mapping[str, pa.ChunkedArray], by: Sequence[Sequence[str]]) -> tuple[list[Segment], int]:
    """Divide rows by what columns hold.

    Parameters
    ----------
    columns : mapping of str to pyarrow.ChunkedArray
        Of one length.
    by : sequence of sequence of str
        Columns of each division; several are crossed.

    Returns
    -------
    segments : list of Segment
        Of each division at most `MAX_SEGMENTS`, the largest.
    left_out : int
        How many more there are.

    Examples
    --------
    >>> import pyarrow as pa
    >>> found, left_out = segments_of({"plan": pa.chunked_array([["a", "b", None, "a"]])}, by=[["plan"]])
    >>> [(one.values["plan"], one.rows.tolist()) for one in found], left_out
    ([('a', [0, 3]), ('(missing)', [2]), ('b', [1])], 0)
    """
    import numpy as np

    found, left_out = [], 0
    for names in by:
        codes = value_codes([columns[name] for name in names])
        sizes = np.bincount(codes)
        largest = np.argsort(-sizes, kind="stable")[:MAX_SEGMENTS]
        left_out += int((sizes > 0).sum()) - len(largest)
        for code in largest:
            rows = np.flatnonzero(codes == code)
            values = {name: _text(columns[name][int(rows[0])].as_py()) for name in names}
            found.append(Segment(values=values, rows=rows))
    return found, left_out


def _text(value: Any) -> str:
    if value is None or value != value:
        return MISSING
    # Whole numbers become fractional ones where some are missing; both sides must still call them the same.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def heldout_segments(
    predictions: Predictions, columns: Mapping[str, pa.ChunkedArray], *, metric: str
) -> dict[SegmentKey, MetricValue]:
    """Evaluate the parts of held-out rows that columns of few values make, each column by itself.

    Parameters
    ----------
    predictions : Predictions
        On the held-out rows.
    columns : mapping of str to pyarrow.ChunkedArray
        Features of these rows.
    metric : str
        The deciding one.

    Returns
    -------
    dict
        Of segments with `MIN_HELDOUT_ROWS` rows and the metric defined on them.
    """
    policy = PerformancePolicy(min_segment_rows=MIN_HELDOUT_ROWS, min_labelled_rows_per_class=MIN_HELDOUT_PER_CLASS)
    found = {}
    for name, column in columns.items():
        segments, left_out = segments_of({name: column}, [[name]])
        if left_out or not 2 <= len(segments) <= MAX_HELDOUT_VALUES:
            continue
        for one in segments:
            value = _segment_value(predictions.take(one.rows), metric, policy)
            if isinstance(value, MetricValue):
                found[one.key] = value
    return found


def judge_segments(
    predictions: Predictions,
    segments: Sequence[Segment],
    *,
    reference: MetricValue,
    own: Mapping[SegmentKey, MetricValue],
    policy: PerformancePolicy,
) -> tuple[SegmentResult, ...]:
    """Judge parts of a window, at once.

    Parameters
    ----------
    predictions : Predictions
        Of the window's labelled rows.
    segments : sequence of Segment
        Parts of them.
    reference : MetricValue
        Of the deciding metric on all held-out rows.
    own : mapping of segment to MetricValue
        Where it is known, the value on the held-out rows of that very segment, which is the better reference.
    policy : PerformancePolicy
        What matters.

    Returns
    -------
    tuple of SegmentResult
        Drops first, then by difference; those that are not judged last, the largest of them first.
    """
    metric = reference.name
    values: list[MetricValue | str] = [_segment_value(predictions.take(one.rows), metric, policy) for one in segments]
    judged = sum(isinstance(value, MetricValue) for value in values)
    results = []
    for one, value in zip(segments, values, strict=True):
        about: dict[str, Any] = {"segment": one.values, "rows": len(one.rows)}
        if isinstance(value, str):
            results.append(SegmentResult(verdict="insufficient_data", reason=value, **about))
            continue
        before = own.get(one.key)
        against = before or reference
        change = metric_change(
            value,
            against,
            floor=policy.floor(metric, against.value),
            confidence=policy.confidence,
            comparisons=judged,
        )
        verdict: PerformanceVerdict = "drop" if change.is_drop else "no_drop"
        results.append(SegmentResult(verdict=verdict, change=change, own_reference=before is not None, **about))
    order = {"drop": 0, "no_drop": 1, "insufficient_data": 2}
    return tuple(
        sorted(results, key=lambda one: (order[one.verdict], one.change.difference if one.change else -one.rows))
    )


def _segment_value(predictions: Predictions, metric: str, policy: PerformancePolicy) -> MetricValue | str:
    """Return the metric on a segment, or why it has none."""
    if predictions.n_rows < policy.min_segment_rows:
        return f"{predictions.n_rows} labelled rows, {policy.min_segment_rows} required"
    counts = predictions.class_counts()
    rare = min(counts.values(), default=policy.min_labelled_rows_per_class)
    if rare < policy.min_labelled_rows_per_class:
        rows = ", ".join(f"{name!r}: {count}" for name, count in counts.items())
        return f"labelled rows by class are {rows}; {policy.min_labelled_rows_per_class} of each required"
    try:
        return value_of(predictions, metric, policy)
    except InputError as error:
        return str(error)
