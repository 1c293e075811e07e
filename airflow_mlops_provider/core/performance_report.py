"""The decision about a window's performance as a record: verdict, reasons, and all the numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_mlops_provider.core.label_join import LabelCounts
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.core.scored_window import WindowCounts

PerformanceVerdict = Literal["drop", "no_drop", "insufficient_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A metric on other rows than before.

    Parameters
    ----------
    value, reference : MetricValue
        On the window's rows and before.
    difference : float
        Negative where the model has become worse, also for error metrics.
    lower, upper : float
        Bounds of its two-sided interval.
    floor : float
        The least drop that matters.
    suspected : bool
        Whether it is worse by enough to matter, and probably beyond chance: the upper bound of the one-sided interval
        of :data:`airflow_mlops_provider.core.metric_change.SUSPICION` is below 0. Too little for a verdict of its own.
    """

    value: MetricValue
    reference: MetricValue
    difference: float
    lower: float
    upper: float
    floor: float
    suspected: bool = False

    @property
    def is_drop(self) -> bool:
        """Whether it is worse, beyond chance, and by enough to matter."""
        return self.upper < 0 and self.difference <= -self.floor

    def describe(self) -> str:
        """Say it in half a sentence for people."""
        return (
            f"{self.value.name} {self.value.value:.4g} on {self.value.n_rows} rows, held out "
            f"{self.reference.value:.4g} on {self.reference.n_rows}: {self.difference:+.4f} "
            f"[{self.lower:+.4f}, {self.upper:+.4f}]; a drop matters from {self.floor:.4g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "metric": self.value.name,
            "value": self.value.to_dict(),
            "reference": self.reference.to_dict(),
            "difference": self.difference,
            "lower": self.lower,
            "upper": self.upper,
            "floor": self.floor,
            "is_drop": self.is_drop,
            "suspected": self.suspected,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """One part of the window's rows.

    Parameters
    ----------
    segment : mapping of str to str
        Column to value; several columns where they are crossed.
    rows : int
        Labelled rows in it.
    verdict : {"drop", "no_drop", "insufficient_data"}
        A finding, which does not decide.
    change : MetricChange or None
        None where it is too small, or the metric is not defined on it.
    own_reference : bool
        Whether `change` is against the held-out rows of this very segment, and not against all of them.
    reason : str
        Why it is not judged.
    """

    segment: Mapping[str, str]
    rows: int
    verdict: PerformanceVerdict
    change: MetricChange | None = None
    own_reference: bool = False
    reason: str = ""

    @property
    def label(self) -> str:
        """How people name it."""
        return ", ".join(f"{column} = {value}" for column, value in self.segment.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "segment": dict(self.segment),
            "rows": self.rows,
            "verdict": self.verdict,
            "change": None if self.change is None else self.change.to_dict(),
            "own_reference": self.own_reference,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of the window is known.

    Parameters
    ----------
    version : str
        Which is judged.
    window : WindowCounts
        Of the rows it scored.
    labels : LabelCounts
        Of the labels.
    other_versions : mapping of str to int
        Rows that other versions scored.
    note : str
        Why there are no labels at all.
    """

    version: str
    window: WindowCounts
    labels: LabelCounts = field(default_factory=LabelCounts)
    other_versions: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def share(self) -> float:
        """Share of the window's rows with labels; 0 of no rows."""
        return self.labels.joined / self.window.kept if self.window.kept else 0.0

    def findings(self) -> list[str]:
        """Say what was found beside rows and their labels, the worst first; an empty list is a clean join."""
        window, labels, others = self.window, self.labels, sum(self.other_versions.values())
        said = {
            "labels are of keys that nobody scored": labels.unknown,
            "labels are from after the end of the window and were not known then": labels.future,
            "labels have no value yet": labels.empty,
            "labels have no key": labels.without_key,
            "labels do not say when they became known, and were left out": labels.without_time,
            "labels are copies of another one": labels.repeated,
            "labels were replaced by a later one": labels.corrected,
            "labels belong to scored rows that are not of this window": labels.beside,
            "times of labels have no zone and were read as UTC": labels.naive_times,
            f"rows were scored by other versions ({', '.join(sorted(self.other_versions))})": others,
            "scored rows have no time, and were left out": window.without_time,
            "rows were scored after the end of the window, and were left out": window.later,
            "rows are too young for their labels to be expected, and were left out": window.immature,
            "rows are of windows before this one": window.earlier,
            "scored rows are copies of another one": window.repeated,
            "rows were scored again within the window, and only the latest score counts": window.rescored,
            "scored rows have no key, so that no label can belong to them": window.without_key,
            "times of scoring have no zone and were read as UTC": window.naive_times,
        }
        return [f"{count} {text}" for text, count in said.items() if count]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "version": self.version,
            "labelled_rows": self.labels.joined,
            "labelled_share": self.share,
            "window": self.window.to_dict(),
            "labels": self.labels.to_dict(),
            "other_versions": dict(self.other_versions),
            "findings": self.findings(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    """What a window says about a model.

    Parameters
    ----------
    verdict : {"drop", "no_drop", "insufficient_data"}
        About the deciding metric.
    reasons : tuple of str
        Why.
    metric : str
        What decides.
    coverage : Coverage
        Of rows and labels.
    class_counts : mapping of str to int
        Labelled rows of each class; empty for a regression.
    changes : tuple of MetricChange
        The deciding metric first; () with ``insufficient_data``.
    undefined : mapping of str to str
        Metrics that these rows do not define, and why.
    segments : tuple of SegmentResult
        The worst first.
    segments_left_out : int
        Smallest segments beyond the most that are listed.
    """

    verdict: PerformanceVerdict
    reasons: tuple[str, ...]
    metric: str
    coverage: Coverage
    class_counts: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[MetricChange, ...] = ()
    undefined: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[SegmentResult, ...] = ()
    segments_left_out: int = 0

    @property
    def worst_segments(self) -> tuple[SegmentResult, ...]:
        """Segments in which the metric dropped."""
        return tuple(one for one in self.segments if one.verdict == "drop")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "metric": self.metric,
            "coverage": self.coverage.to_dict(),
            "class_counts": dict(self.class_counts),
            "changes": [one.to_dict() for one in self.changes],
            "undefined": dict(self.undefined),
            "segments": [one.to_dict() for one in self.segments],
            "segments_left_out": self.segments_left_out,
        }
