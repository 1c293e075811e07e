"""The world of a backtest on real rows: what it trains on, and that it asks nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from airflow_mlops_provider.core.backtest import PastWindow
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.specs import TrainSettings, candidates_of
from airflow_mlops_provider.training.backtest import RealWorld, check_rows


@pytest.fixture(scope="module")
def tables(telco: Path) -> list[pa.Table]:
    """A first table, an even month, a month of customers with fibre only, and one in which labels are turned round."""
    frame = pd.read_csv(telco)[["tenure", "monthly_charges", "internet_service", "churn"]].sample(
        frac=1, random_state=0
    )
    first, even, rest = frame[:1500], frame[1500:2000], frame[2000:]
    fibre = rest[rest["internet_service"] == "Fiber optic"][:500]
    turned = rest[500:1000].assign(churn=lambda rows: np.where(rows["churn"] == "Yes", "No", "Yes"))
    return [pa.Table.from_pandas(one, preserve_index=False) for one in (first, even, fibre, turned)]


def world(tables: list[pa.Table], **changed: Any) -> RealWorld:
    ends = [datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4)]
    given: dict[str, Any] = {
        "windows": [PastWindow(start=start, end=end, labels_known_at=end) for start, end in pairwise(ends)],
        "tables": tables[1:],
        "initial": tables[0],
        "target": "churn",
        "candidates": candidates_of("sklearn.linear_model.LogisticRegression"),
        "settings": TrainSettings(folds=0),
        "training_windows": None,
        "performance": PerformancePolicy(),
        "estimate": EstimatePolicy(),
        "drift": DriftPolicy(),
        "log": lambda _: None,
    }
    return RealWorld(**{**given, **changed})


def test_checks_say_of_each_month_what_is_true_of_it(tables: list[pa.Table]) -> None:
    found = world(tables)
    first = found.train(())
    verdicts = [[one.verdict for one in found.watch(first, month)] for month in (0, 1, 2)]
    # Drift is seen in the features alone, which a change of labels leaves as they are, and so does the estimate.
    assert [one[0] for one in verdicts] == ["no_drift", "drift", "no_drift"]
    assert (verdicts[0][1], verdicts[2][1]) == ("no_drop", "no_drop")
    assert [found.judge(first, month).verdict for month in (0, 2)] == ["no_drop", "drop"]
    assert found.judge(first, 2).labelled_rows == 500
    assert found.score(first, 2).degraded
    assert not found.score(first, 0).degraded


def test_a_score_is_the_metric_of_the_served_predictions(tables: list[pa.Table]) -> None:
    from airflow_mlops_provider.training.columns import to_frame

    found = world(tables)
    model = found._trained[found.train(())].trained
    rows = to_frame(tables[1], kinds=model.prepared.features.kinds)
    truth = np.array(tables[1].column("churn").to_pylist()) == "Yes"
    expected = roc_auc_score(truth, model.model.predict_proba(rows)[:, 1])  # scikit-learn
    assert found.score(0, 0).value == pytest.approx(expected, abs=1e-12)


def test_a_model_learns_from_the_latest_windows_or_from_all_and_is_made_once(tables: list[pa.Table]) -> None:
    everything, latest = world(tables), world(tables, training_windows=1)
    assert [everything.train(known) for known in ((), (0,), (0, 1), (0,))] == [0, 1, 2, 1]
    assert everything.trainings == 3
    rows = [len(one.trained.prepared.rows) + len(one.trained.prepared.holdout_rows) for one in everything._trained]
    assert rows == [1500, 2000, 2500]
    assert [latest.train(known) for known in ((), (0,), (0, 1), (1,))] == [0, 1, 2, 2]
    rows = [len(one.trained.prepared.rows) + len(one.trained.prepared.holdout_rows) for one in latest._trained]
    assert rows == [1500, 500, 500]


def test_rows_that_nothing_can_be_judged_by_are_refused(tables: list[pa.Table]) -> None:
    with pytest.raises(InputError, match="window May has no column 'churn'"):
        check_rows({"May": tables[0].drop_columns("churn")}, target="churn")
    with pytest.raises(InputError, match="it has 0 rows"):
        check_rows({"May": tables[0].slice(0, 0)}, target="churn")
    unlabelled = tables[0].set_column(3, "churn", pa.nulls(1500, pa.string()))
    with pytest.raises(InputError, match="1500 of them without"):
        check_rows({"May": unlabelled}, target="churn")
    with pytest.raises(InputError, match="rows for each window"):
        world(tables[:-1])
