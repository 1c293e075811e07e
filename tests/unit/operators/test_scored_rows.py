from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import Asset

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.scored_rows import predictions_of, read_scored, scored_data

BINARY: Any = SimpleNamespace(task="binary", classes=["No", "Yes"], target="churn")
SEVERAL: Any = SimpleNamespace(task="multiclass", classes=[0, 1, 2], target="kind")
NUMBER: Any = SimpleNamespace(task="regression", classes=[], target="price")


def scores(folder: Path, **changes: Any) -> str:
    path = folder / "scores.parquet"
    frame = pd.DataFrame(
        {
            "customer": [1, 2, 3],
            "prediction": ["No", "Yes", "No"],
            "probability": [0.1, 0.9, 0.4],
            "model_version": ["3", "3", "2"],
            "scored_at": pd.to_datetime(["2026-01-01"] * 3, utc=True),
        }
    )
    frame.assign(**changes).to_parquet(path, index=False)
    return str(path)


def test_rows_of_other_versions_are_counted_and_not_taken(tmp_path: Path) -> None:
    found = read_scored(scores(tmp_path), evidence=BINARY, version="3", keys=["customer"], others=["region"])
    assert found.rows.tolist() == [0, 1]
    assert found.versions == {"3": 2, "2": 1}
    assert found.table.column_names == ["customer", "prediction", "probability", "model_version", "scored_at"]
    numbers = read_scored(scores(tmp_path, model_version=[3, 3, 2]), evidence=BINARY, version="3")
    assert numbers.rows.tolist() == [0, 1]


def test_what_a_version_said_comes_back_in_the_terms_of_its_training(tmp_path: Path) -> None:
    table = read_scored(scores(tmp_path), evidence=BINARY, version="3").table
    found = predictions_of(table, np.array(["Yes", "Yes", "No"], dtype=object), BINARY)
    assert (found.y_true.tolist(), found.predicted.tolist()) == ([1, 1, 0], [0, 1, 0])
    assert found.class_scores()[:, 1].tolist() == [0.1, 0.9, 0.4]
    several = scores(
        tmp_path, prediction=[2, 1, 0], probability=[0.5, 0.6, 0.7], probability_0=[0.3, 0.2, 0.7],
        probability_1=[0.2, 0.6, 0.2], probability_2=[0.5, 0.2, 0.1],
    )  # fmt: skip
    table = read_scored(several, evidence=SEVERAL, version="3").table
    assert predictions_of(table, np.array([2, 1, 1]), SEVERAL).class_scores()[0].tolist() == [0.3, 0.2, 0.5]
    table = read_scored(scores(tmp_path, prediction=[2.5, 1.0, 0.0]), evidence=NUMBER, version="3").table
    assert predictions_of(table, np.array([2.0, 1.0, 1.0]), NUMBER).predicted.tolist() == [2.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "evidence", "message"),
    [
        ({"probability": [1.2, -0.1, 0.5]}, BINARY, "2 of 2 scored rows of this version hold a probability that is"),
        ({"probability": [np.nan, 0.1, 0.5]}, BINARY, "1 of 2 .* a probability that is none, row 0"),
        ({"prediction": ["No", None, "No"]}, BINARY, "1 of 2 .* no prediction, row 1"),
        ({"prediction": [np.inf, 1.0, 2.0]}, NUMBER, "1 of 2 .* no prediction, row 0"),
        ({"probability": ["high", "low", "low"]}, BINARY, "'probability' .* must hold numbers"),
    ],
)
def test_outputs_that_are_no_predictions_are_refused_and_counted(
    tmp_path: Path, changes: dict[str, Any], evidence: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_scored(scores(tmp_path, **changes), evidence=evidence, version="3")


def test_scores_of_another_version_s_classes_are_refused(tmp_path: Path) -> None:
    table = read_scored(scores(tmp_path, prediction=[0, 1, 1]), evidence=SEVERAL, version="3").table
    with pytest.raises(InputError, match="a probability, but lack"):
        predictions_of(table, np.array([0, 1, 1]), SEVERAL)


def test_broken_rows_of_another_version_are_not_this_version_s_fault(tmp_path: Path) -> None:
    broken = scores(tmp_path, probability=[0.1, 0.9, np.nan])
    assert len(read_scored(broken, evidence=BINARY, version="3").rows) == 2


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column 'costumer'.*did you mean 'customer'"):
        read_scored(scores(tmp_path), evidence=BINARY, version="3", keys=["costumer"])


def test_predictions_are_given_as_paths_or_as_what_scoring_tasks_return() -> None:
    xcom = {"output": "file:///day.parquet", "published": True}
    asset = Asset("file:///day.parquet")
    assert scored_data(xcom) == "file:///day.parquet"
    assert scored_data([xcom, "other.parquet"]) == ["file:///day.parquet", "other.parquet"]
    assert scored_data(asset) is asset
    assert scored_data(Path("a.parquet")) == Path("a.parquet")
    with pytest.raises(InputError, match="'churn' published no output"):
        scored_data({"output": "file:///day.parquet", "published": False, "model_name": "churn"})
