"""What counts as a drop of performance: the settings of a decision, checked when a DAG file constructs them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from airflow_mlops_provider.core.drift_method import check_count, check_number
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.policy import Policy

# Of metrics from 0 to 1, and of r2: two points. Of errors and losses, which have a unit: a share of the value.
DEFAULT_DROP = 0.02
DEFAULT_RELATIVE_DROP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformancePolicy(Policy):
    """When a model has become worse than it was on the rows held out of its training.

    Parameters
    ----------
    metric : str, optional
        What decides; default the metric that decided in training.
    max_drop : float, optional
        A drop matters from here on, in units of the metric, at least 0. Default: 0.02 for metrics from 0 to 1 and for
        r2, 5 % of the held-out value for rmse, mae and log loss.
    max_relative_drop : float, optional
        The same as a share of the held-out value, at least 0; instead of `max_drop`.
    confidence : float, default 0.95
        Of the two-sided intervals, from 0.5 to below 1. Where nothing changed, at most about half of the rest, 2.5 %,
        are false alarms.
    label_delay_days : float, default 0
        When the label of any row is known, counted from its scoring. Younger rows are not judged, labelled or not:
        labels that come early are of other rows than those that come late.
    window_days : float, optional
        How long the window is, above 0; it ends `label_delay_days` before the end of the check's window. Default: all
        rows that are old enough.
    min_labelled_share : float, default 0.8
        Of the rows that are old enough, from 0 to 1; with fewer labels the verdict is ``insufficient_data``.
    min_labelled_rows : int, default 100
        At least 2.
    min_labelled_rows_per_class : int, default 10
        Rows of each class that the model knows; 0 leaves it to the metric.
    min_segment_rows : int, default 100
        Labelled rows without which a segment is not judged, at least 2.
    seed : int, default 0
        Of the bootstrap, 0 <= seed < 2**32.

    Examples
    --------
    >>> PerformancePolicy(metric="roc_auc").floor("roc_auc", 0.84), PerformancePolicy().floor("rmse", 40.0)
    (0.02, 2.0)
    """

    metric: str | None = None
    max_drop: float | None = None
    max_relative_drop: float | None = None
    confidence: float = 0.95
    label_delay_days: float = 0.0
    window_days: float | None = None
    min_labelled_share: float = 0.8
    min_labelled_rows: int = 100
    min_labelled_rows_per_class: int = 10
    min_segment_rows: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        owner = "PerformancePolicy"
        for name in ("max_drop", "max_relative_drop", "window_days"):
            if getattr(self, name) is not None:
                check_number(name, owner, getattr(self, name), low=0.0)
        check_number("confidence", owner, self.confidence, low=0.5, high=1.0)
        check_number("label_delay_days", owner, self.label_delay_days, low=0.0)
        check_number("min_labelled_share", owner, self.min_labelled_share, low=0.0, high=1.0)
        check_count("min_labelled_rows", owner, self.min_labelled_rows, low=2)
        check_count("min_labelled_rows_per_class", owner, self.min_labelled_rows_per_class, low=0)
        check_count("min_segment_rows", owner, self.min_segment_rows, low=2)
        check_count("seed", owner, self.seed, low=0, high=2**32 - 1)
        self._check_together()

    def _check_together(self) -> None:
        if self.confidence == 1:
            raise InputError("confidence of PerformancePolicy must be below 1; got 1. Hint: 0.95 for 95 %.")
        if self.window_days == 0:
            raise InputError("window_days of PerformancePolicy must be above 0; got 0. Hint: None takes all rows.")
        if self.max_drop is not None and self.max_relative_drop is not None:
            raise InputError(
                "max_drop and max_relative_drop of PerformancePolicy say the same thing twice; give one of them."
            )
        if self.min_labelled_rows_per_class > self.min_labelled_rows:
            raise InputError(
                f"min_labelled_rows_per_class of PerformancePolicy, {self.min_labelled_rows_per_class}, asks for more "
                f"rows of one class than min_labelled_rows, {self.min_labelled_rows}, does of all."
            )
        if self.metric is not None:
            self._check_drop(self.metric)

    def _check_drop(self, metric: str) -> None:
        found = find(metric)
        if self.max_drop is not None and isfinite(found.low) and isfinite(found.high):
            check_number(f"max_drop for {metric}", "PerformancePolicy", self.max_drop, high=found.high - found.low)

    def floor(self, metric: str, reference: float) -> float:
        """Return the least drop of a metric that matters.

        Parameters
        ----------
        metric : str
            Its name.
        reference : float
            Its value on the held-out rows.

        Raises
        ------
        InputError
            There is no such metric, or it cannot fall by as much as `max_drop`.
        """
        self._check_drop(metric)
        if self.max_drop is not None:
            return self.max_drop
        if self.max_relative_drop is not None:
            return self.max_relative_drop * abs(reference)
        has_unit = not isfinite(find(metric).high)
        return DEFAULT_RELATIVE_DROP * abs(reference) if has_unit else DEFAULT_DROP

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values, from which :meth:`from_dict` makes an equal one."""
        return asdict(self)
