from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.validate_predictions import ValidatePredictionsOperator

MODEL = "batch score churn"


@pytest.fixture(scope="module")
def scores(
    run_dag: Callable[..., Any],
    customers: Path,
    versions: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> pd.DataFrame:
    """What the challenger says of today's customers."""
    output = tmp_path_factory.mktemp("scores") / "scores.parquet"
    with DAG("validate_predictions_scores", schedule=None) as dag:
        BatchScoreOperator(
            task_id="score", model_name=MODEL, data=str(customers), output_path=str(output), alias="challenger"
        )
    assert run_dag(dag).errors == {}
    return pd.read_parquet(output)


@pytest.fixture
def validate(run_dag: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def run(scores: pd.DataFrame, **arguments: Any) -> Any:
        path = tmp_path / "scores.parquet"
        scores.to_parquet(path)
        with DAG("validate_predictions", schedule=None) as dag:
            ValidatePredictionsOperator(task_id="validate", model_name=MODEL, data=str(path), **arguments)
        return run_dag(dag)

    return run


def test_predictions_are_judged_by_the_version_that_made_them(
    validate: Callable[..., Any], scores: pd.DataFrame, versions: list[dict[str, Any]]
) -> None:
    result = validate(scores).xcoms["validate"]
    assert result["verdict"] == "sound"
    assert result["version"] == versions[1]["version"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda rows: rows.assign(probability=0.27), "constant"),
        (lambda rows: rows.assign(probability=rows["probability"].where(rows.index != 5)), "missing"),
        (lambda rows: rows.assign(probability=rows["probability"] * 100), "out_of_range"),
        (lambda rows: rows.assign(probability=1 - rows["probability"]), "shift"),
        (lambda rows: rows.assign(prediction=np.where(rows["prediction"] == "Yes", "No", "Yes")), "shift"),
        (lambda rows: rows.assign(prediction=rows["prediction"].str.lower()), "unknown_class"),
    ],
)
def test_failures_that_raise_no_error_are_found(
    validate: Callable[..., Any], scores: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], check: str
) -> None:
    outcome = validate(change(scores))
    assert isinstance(outcome.errors["validate"], RejectedError)
    assert check in {one["check"] for one in outcome.xcoms["validate"]["findings"]}


def test_predictions_of_two_versions_are_not_mixed(validate: Callable[..., Any], scores: pd.DataFrame) -> None:
    outcome = validate(scores.assign(model_version=["1", "2"] * 500))
    assert isinstance(outcome.errors["validate"], InvalidInputError)
    assert "several versions" in str(outcome.errors["validate"])


@pytest.mark.parametrize("given", [int, float])
def test_a_version_may_be_written_as_a_number(
    validate: Callable[..., Any], scores: pd.DataFrame, versions: list[dict[str, Any]], given: Callable[[str], Any]
) -> None:
    result = validate(scores.assign(model_version=given(versions[1]["version"]))).xcoms["validate"]
    assert result["version"] == versions[1]["version"]


@pytest.mark.parametrize(("change", "nulls"), [([None, None], 1_000), (["2", None], 500), ([2.0, np.nan], 500)])
def test_rows_that_do_not_say_which_version_made_them_are_refused(
    validate: Callable[..., Any], scores: pd.DataFrame, change: list[Any], nulls: int
) -> None:
    outcome = validate(scores.assign(model_version=change * 500))
    assert isinstance(outcome.errors["validate"], InvalidInputError)
    assert f"'model_version' of the predictions is null in {nulls} of 1000 rows" in str(outcome.errors["validate"])


def test_columns_of_other_names_can_be_given(validate: Callable[..., Any], scores: pd.DataFrame) -> None:
    renamed = scores.rename(columns={"prediction": "leaves", "probability": "risk"})
    result = validate(renamed, prediction_column="leaves", probability_column="risk").xcoms["validate"]
    assert result["verdict"] == "sound"
