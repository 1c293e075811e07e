"""Two loaded versions on one table: the rows that neither has seen, what each predicts on them, and how fast.

It gathers what the gates judge and judges nothing itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gating import Evidence
from airflow_mlops_provider.core.metrics import check_defined, find, supported
from airflow_mlops_provider.core.performance import MetricValue, evaluate
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.training.baseline import Baseline
from airflow_mlops_provider.training.columns import to_frame
from airflow_mlops_provider.training.predict import predict
from airflow_mlops_provider.training.target import true_values

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.row_set import RowSet
    from airflow_mlops_provider.registry.evidence import TrainingEvidence

LATENCY_ROWS = 1_000
LATENCY_REPEATS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A version, loaded.

    Parameters
    ----------
    label : str
        For messages.
    model : fitted estimator
    evidence : TrainingEvidence
        What it carries of its training.
    training_rows : RowSet
        What it was trained on.
    size_bytes : int
        Size of its files.
    """

    label: str
    model: Any
    evidence: TrainingEvidence
    training_rows: RowSet
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the gates judge, and the metrics of all sides on the same rows.

    Parameters
    ----------
    evidence : Evidence
        For the gates.
    metric : str
        The challenger's deciding metric.
    challenger, baseline : dict of str to MetricValue
    champion : dict of str to MetricValue, or None
    """

    evidence: Evidence
    metric: str
    challenger: dict[str, MetricValue]
    champion: dict[str, MetricValue] | None
    baseline: dict[str, MetricValue]

    @property
    def rows(self) -> int:
        """Number of judged rows."""
        return self.evidence.challenger.n_rows

    def sides(self) -> dict[str, dict[str, MetricValue]]:
        """Return the metrics of each side there is."""
        sides = {"challenger": self.challenger, "baseline": self.baseline}
        return sides if self.champion is None else {**sides, "champion": self.champion}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        one = self.evidence
        metrics: dict[str, Any] = {
            side: {name: value.to_dict() for name, value in values.items()} for side, values in self.sides().items()
        }
        return {
            "rows": {"judged": self.rows, "left_out": one.rows_left_out},
            "latency": {
                "row_milliseconds": one.row_latency_milliseconds,
                "batch_milliseconds": one.batch_latency_milliseconds,
                "batch_rows": one.batch_rows,
            },
            "model_size_bytes": one.model_size_bytes,
            "metrics": {"champion": None, **metrics},
        }

    def flat_metrics(self) -> dict[str, float]:
        """Return names and values for MLflow."""
        flat = {
            f"{side}_{name}": value.value for side, values in self.sides().items() for name, value in values.items()
        }
        return {**flat, "rows_judged": self.rows, "rows_left_out": self.evidence.rows_left_out}


def compare_on(
    table: pa.Table, *, challenger: Contender, champion: Contender | None, confidence: float, seed: int
) -> Comparison:
    """Let the contenders predict the rows that none of them was trained on.

    Parameters
    ----------
    table : pyarrow.Table
        Labelled rows.
    challenger : Contender
        Who wants to be champion.
    champion : Contender or None
        Who is.
    confidence : float
        Of the intervals.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        No unseen row is left, columns or labels are missing, or the two predict different things.
    """
    ours = challenger.evidence
    if champion is not None:
        _require_same_question(challenger, champion)
    if ours.target not in table.column_names:
        raise InputError(
            f"The data lack the target {ours.target!r} of {challenger.label}. Hint: evaluation needs labelled rows."
        )
    contenders = [challenger] if champion is None else [challenger, champion]
    unseen = ~_seen(table, contenders)
    rows = int(unseen.sum())
    if rows == 0:
        raise InputError(
            f"All {len(table)} rows were seen in training, so nothing can be judged. "
            "Hint: evaluate on the whole data set, of which a share was held out, or on newer rows."
        )
    kept = table.filter(unseen)
    values = true_values(kept.column(ours.target), name=ours.target, task=ours.task)
    frame = to_frame(kept, kinds=ours.kinds)
    first = _predict(challenger, frame, values)
    second = None if champion is None else _predict(champion, to_frame(kept, kinds=champion.evidence.kinds), values)
    baseline = Baseline(task=ours.task, constants=tuple(ours.baseline)).predict(first.y_true, labels=first.labels)
    row_ms, batch_ms, batch_rows = measure_latency(challenger.model, frame)
    evidence = Evidence(
        challenger=first,
        champion=second,
        baseline=baseline,
        rows_left_out=len(table) - rows,
        row_latency_milliseconds=row_ms,
        batch_latency_milliseconds=batch_ms,
        batch_rows=batch_rows,
        model_size_bytes=challenger.size_bytes,
        challenger_signature=dict(ours.kinds),
        champion_signature=None if champion is None else dict(champion.evidence.kinds),
        confidence=confidence,
        seed=seed,
    )
    return Comparison(
        evidence=evidence,
        metric=ours.metric,
        challenger=_measure(first, confidence=confidence, seed=seed),
        champion=None if second is None else _measure(second, confidence=confidence, seed=seed),
        baseline=_measure(baseline, confidence=confidence, seed=seed),
    )


def _measure(predictions: Predictions, *, confidence: float, seed: int) -> dict[str, MetricValue]:
    """Compute what these rows define: that there are too few of them is for the gates to say."""
    defined = []
    for name in supported(predictions):
        try:
            check_defined(find(name), predictions)
        except InputError:
            continue
        defined.append(name)
    return evaluate(predictions, metrics=defined, confidence=confidence, seed=seed)


def _require_same_question(challenger: Contender, champion: Contender) -> None:
    for name in ("task", "target", "classes"):
        ours, theirs = getattr(challenger.evidence, name), getattr(champion.evidence, name)
        if ours != theirs:
            raise InputError(
                f"{challenger.label} has {name} {ours!r}, the champion {theirs!r}: they cannot be compared. "
                "Hint: register another question as another model."
            )


def _seen(table: pa.Table, contenders: list[Contender]) -> np.ndarray:
    import numpy as np

    seen = np.zeros(len(table), dtype=bool)
    for one in contenders:
        missing = [name for name in one.evidence.identity_columns if name not in table.column_names]
        if missing:
            raise InputError(
                f"The data lack {missing}, which tell whether {one.label} was trained on a row. "
                "Hint: give all columns of its training data, or train with key columns in Split(columns=…)."
            )
        seen |= one.training_rows.contains(hash_rows(table, columns=one.evidence.identity_columns))
    return seen


def _predict(one: Contender, frame: pd.DataFrame, values: np.ndarray) -> Predictions:
    evidence = one.evidence
    return predict(one.model, frame, values, task=evidence.task, classes=evidence.classes, target=evidence.target)


def measure_latency(model: Any, frame: pd.DataFrame) -> tuple[float, float, int]:
    """Return the median milliseconds for one row and for a batch, and the rows of the batch."""
    batch = frame.head(LATENCY_ROWS)
    times: dict[int, list[float]] = {1: [], len(batch): []}
    for rows, taken in times.items():
        part = batch.head(rows)
        model.predict(part)
        for _ in range(LATENCY_REPEATS):
            started = time.perf_counter()
            model.predict(part)
            taken.append((time.perf_counter() - started) * 1000)
    return median(times[1]), median(times[len(batch)]), len(batch)
