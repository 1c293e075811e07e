"""The report of a performance check: verdict first, then each metric against its held-out value, segments and labels.

It shows counts, values and intervals, never rows or keys. Intervals are drawn by the template as bars on one axis; the
places along it, in per cent, are computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.reports.render import render

if TYPE_CHECKING:
    from airflow_mlops_provider.core.performance import MetricValue
    from airflow_mlops_provider.core.performance_report import MetricChange, PerformanceReport

# Room beside the outermost bounds, as a share of the axis.
MARGIN = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An interval with its value, in per cent of an axis."""

    left: float
    width: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Two intervals over one axis.

    Parameters
    ----------
    reference, current : Bar
        Before and now.
    low, high : float
        Ends of the axis.
    """

    reference: Bar
    current: Bar
    low: float
    high: float


def performance_report(report: PerformanceReport, *, about: Mapping[str, Any]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report : PerformanceReport
        The decision.
    about : mapping
        ``title`` and ``window_end``, and texts that say where it comes from.
    """
    judged = [one.change for one in report.segments if one.change is not None]
    return render(
        "performance.html.j2",
        report=report,
        pictures={one.value.name: pictures([one])[0] for one in report.changes},
        segment_pictures=dict(zip([one.label for one in report.segments if one.change], pictures(judged), strict=True)),
        about={name: text for name, text in about.items() if name not in ("title", "window_end")},
        title=about["title"],
        window_end=about["window_end"],
    )


def pictures(changes: Sequence[MetricChange]) -> list[Picture]:
    """Return the pictures of several changes of one metric, all over the same axis."""
    values = [one for change in changes for one in (change.value, change.reference)]
    if not values:
        return []
    low = min(min(one.lower, one.value) for one in values)
    high = max(max(one.upper, one.value) for one in values)
    room = MARGIN * (high - low) or max(abs(low) * 1e-6, 1e-9)
    low, high = low - room, high + room

    def bar(one: MetricValue) -> Bar:
        left, right, value = (100 * (x - low) / (high - low) for x in (one.lower, one.upper, one.value))
        return Bar(left=round(left, 2), width=round(right - left, 2), value=round(value, 2))

    return [
        Picture(reference=bar(change.reference), current=bar(change.value), low=low, high=high) for change in changes
    ]
