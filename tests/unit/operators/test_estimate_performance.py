from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import DAG
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.estimate_performance import EstimatePerformanceOperator
from airflow_mlops_provider.operators.estimate_record import REPORT, RESULT
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.heldout import HELDOUT

POLICY = {"n_resamples": 100, "metric": "accuracy"}


@pytest.fixture(scope="module")
def customers(telco: Path) -> dict[str, pd.DataFrame]:
    """Real customers with their truth: as they are, and mostly those with a short tenure, who are harder to tell."""
    frame = pd.read_csv(telco)
    frame.insert(0, "customer", np.arange(len(frame)))
    weights = np.exp(-6.0 * frame["tenure"] / 72)
    return {
        "plain": frame.sample(1_200, random_state=5),
        "short": frame.sample(1_200, random_state=5, weights=weights),
    }


@pytest.fixture(scope="module")
def scored(
    run_dag: Callable[..., Any],
    watched: str,
    customers: dict[str, pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, Any]]:
    """What scorings of the champion returned."""
    folder = tmp_path_factory.mktemp("scored")
    with DAG("estimate_scores", schedule=None) as dag:
        tasks = []
        for name, rows in customers.items():
            rows.drop(columns="churn").to_parquet(folder / f"in-{name}.parquet", index=False)
            tasks.append(
                BatchScoreOperator(
                    task_id=name,
                    model_name=watched,
                    data=str(folder / f"in-{name}.parquet"),
                    output_path=str(folder / "out" / f"{name}.parquet"),
                    key_columns=["customer"],
                    scored_at="2026-02-01",
                    skew=False,
                    predictions=False,
                )
            )
        tasks[0] >> tasks[1]
    outcome = run_dag(dag)
    assert outcome.errors == {}
    return {name: outcome.xcoms[name] for name in customers}


@pytest.fixture(scope="module")
def tables(scored: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Outputs that are not what they should be."""
    folder = tmp_path_factory.mktemp("tables")
    rows = pd.read_parquet(scored["plain"]["output"])
    probability = rows["probability"]
    made = {
        "nan": rows.assign(probability=probability.where(rows.index != 7)),
        "beyond": rows.assign(probability=probability * 100),
        "without": rows.drop(columns="probability"),
        "constant": rows.assign(probability=0.27, prediction="No"),
        "words": rows.assign(prediction=rows["prediction"].replace({"Yes": "gone"})),
        "few": rows.head(40),
        "others": rows.assign(model_version="999"),
        "mixed": pd.concat([rows, rows.assign(model_version="999", probability=0.5)]),
        "twice": pd.concat([rows, rows]),
        "header": rows.head(0),
    }
    for name, frame in made.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return {name: str(folder / f"{name}.parquet") for name in made}


@pytest.fixture(scope="module")
def estimated(
    run_dag: Callable[..., Any], watched: str, scored: dict[str, dict[str, Any]], tables: dict[str, str]
) -> tuple[Any, list[Any]]:
    """One DAG run of estimates of every kind, and what alerts heard."""
    heard: list[Any] = []
    settings: dict[str, dict[str, Any]] = {
        "plain": {"predictions": scored["plain"]},
        "short": {"predictions": scored["short"], "alerts": [heard.append], "on_drop": "fail"},
        "short_goes_on": {"predictions": [scored["short"]["output"]]},
        "before": {"predictions": scored["plain"], "window_end": "2026-01-31"},
        "later": {"predictions": scored["plain"], "window_end": "2026-03-31", "policy": {**POLICY, "window_days": 30}},
        "few": {"predictions": tables["few"], "allow_insufficient_data": False, "alerts": [heard.append]},
        "mixed": {"predictions": tables["mixed"]},
        "twice": {"predictions": tables["twice"], "key_columns": ["customer"]},
        "constant": {"predictions": tables["constant"]},
        "others": {"predictions": tables["others"]},
        **{name: {"predictions": tables[name]} for name in ("nan", "beyond", "without", "words", "header")},
    }
    with DAG(dag_id=f"estimate_{uuid4().hex[:8]}", schedule=None) as dag:
        made = [
            EstimatePerformanceOperator(
                task_id=task_id,
                **{"model_name": watched, "policy": POLICY, "window_end": "2026-02-28", **given},
            )
            for task_id, given in settings.items()
        ]
        for one, other in pairwise(made):
            one >> other
            other.trigger_rule = "all_done"
    return run_dag(dag), heard


def test_customers_like_those_of_training_are_no_drop(estimated: tuple[Any, list[Any]], watched: str) -> None:
    result = estimated[0].xcoms["plain"]
    assert (result["verdict"], result["passed"], result["metric"]) == ("no_drop", True, "accuracy")
    assert result["estimated_rows"] == 1_200
    assert result["lower"] < result["value"] < result["upper"]
    with MlflowHook().open() as registry:
        version = registry.client.get_model_version_by_alias(watched, "champion")
        run = registry.client.get_run(version.run_id)
    # The reference is the value that training stored.
    assert result["reference"] == pytest.approx(run.data.metrics["holdout_accuracy"])
    assert len(json.dumps(result)) < 5_000


def test_estimates_track_what_the_labels_say_when_customers_shift(
    estimated: tuple[Any, list[Any]], customers: dict[str, pd.DataFrame], scored: dict[str, dict[str, Any]]
) -> None:
    for name, task in (("plain", "plain"), ("short", "short_goes_on")):
        rows = pd.read_parquet(scored[name]["output"]).merge(customers[name][["customer", "churn"]], on="customer")
        truth, said = rows["churn"] == "Yes", rows["prediction"] == "Yes"
        realised = {
            "roc_auc": roc_auc_score(truth, rows["probability"]),
            "accuracy": accuracy_score(truth, said),
            "recall": recall_score(truth, said),
        }
        for metric, value in realised.items():
            one = estimated[0].xcoms[task]["estimates"][metric]
            assert one["lower"] <= value <= one["upper"], (name, metric)


def test_customers_who_are_harder_to_tell_are_a_drop_that_alerts_hear(estimated: tuple[Any, list[Any]]) -> None:
    outcome, heard = estimated
    result = outcome.xcoms["short_goes_on"]
    assert (result["verdict"], result["passed"]) == ("drop", False)
    assert result["difference_upper"] < 0
    assert isinstance(outcome.errors["short"], RejectedError)
    assert [one["verdict"]["verdict"] for one in heard] == ["drop", "insufficient_data"]


def test_an_estimate_is_found_again_by_model_window_and_version(estimated: tuple[Any, list[Any]], watched: str) -> None:
    result = estimated[0].xcoms["plain"]
    with MlflowHook().open() as registry:
        client = registry.client
        run = client.get_run(result["run_id"])
        later = client.get_run(estimated[0].xcoms["later"]["run_id"])
        champion = client.get_model_version_by_alias(watched, "champion")
        tags = {key: value for key, value in run.data.tags.items() if key.startswith("mlops.")}
        experiment = client.get_experiment(result["experiment_id"]).name
        files = {one.path for one in client.list_artifacts(run.info.run_id, "estimate")}
        trend = client.search_runs([result["experiment_id"]], f"tags.mlops.trend = '{champion.run_id}'")[0]
        points = client.get_metric_history(trend.info.run_id, "estimate.accuracy")
    assert experiment == f"{watched} monitoring"
    assert tags["mlops.check"] == "estimate"
    assert tags["mlops.verdict"] == "no_drop"
    assert tags["mlops.window_end"] == "2026-02-28T00:00:00+00:00"
    assert tags["mlops.reference"] == champion.run_id
    assert "mlops.rows_start" not in tags
    assert later.data.tags["mlops.rows_start"] == "2026-03-01T00:00:00+00:00"
    assert files == {REPORT, RESULT}
    metrics = run.data.metrics
    assert metrics["estimated_rows"] == 1_200
    assert "rows" not in metrics
    assert metrics["estimate.accuracy.difference"] == pytest.approx(
        metrics["estimate.accuracy"] - metrics["estimate.accuracy.reference"]
    )
    assert {f"estimate.roc_auc.{one}" for one in ("lower", "upper", "difference_lower", "difference_upper")} <= set(
        metrics
    )
    assert metrics["estimate.accuracy"] in {one.value for one in points}


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("before", "0 scored rows, 200 required"),
        ("later", "0 scored rows, 200 required"),
        ("few", "40 scored rows, 200 required"),
        ("constant", "all 1200 scored rows have the same probabilities"),
        ("others", "0 scored rows, 200 required"),
    ],
)
def test_what_tells_nothing_is_insufficient_and_not_fine(
    estimated: tuple[Any, list[Any]], task: str, reason: str
) -> None:
    result = estimated[0].xcoms[task]
    assert result["verdict"] == "insufficient_data"
    assert reason in "; ".join(result["reasons"])
    assert result["value"] is None
    assert result["passed"] is (task != "few")


def test_rows_of_other_versions_and_repeated_rows_do_not_count(estimated: tuple[Any, list[Any]]) -> None:
    plain = estimated[0].xcoms["plain"]
    for task in ("mixed", "twice"):
        assert estimated[0].xcoms[task]["estimated_rows"] == 1_200
        assert estimated[0].xcoms[task]["value"] == pytest.approx(plain["value"])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("nan", "a probability that is none, row 7 first"),
        ("beyond", "a probability that is none"),
        ("without", "lack the column 'probability'"),
        ("words", "prediction"),
        ("header", "rows"),
    ],
)
def test_bad_rows_fail_without_a_retry_and_say_why(estimated: tuple[Any, list[Any]], task: str, message: str) -> None:
    error = estimated[0].errors[task]
    assert isinstance(error, InvalidInputError)
    assert message in str(error)


def test_regressions_and_versions_without_heldout_probabilities_are_refused_with_what_to_do(
    run_dag: Callable[..., Any], telco: Path, scored: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    rows = pd.read_csv(telco).head(600)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with DAG("estimate_others", schedule=None) as dag:
        train = {"data": str(tmp_path / "rows.csv"), "folds": 0}
        regression = TrainModelOperator(
            task_id="regression",
            model_name="estimate charges",
            target="monthly_charges",
            estimator="sklearn.linear_model.Ridge",
            **train,
        )
        margins = TrainModelOperator(
            task_id="margins",
            model_name="estimate margins",
            target="churn",
            estimator="sklearn.svm.LinearSVC",
            **train,
        )
        judged = [
            EstimatePerformanceOperator(
                task_id=f"judge_{one.task_id}",
                model_name=one.model_name,
                version="1",
                predictions=scored["plain"]["output"],
                window_end="2026-02-28",
            )
            for one in (regression, margins)
        ]
        regression >> margins >> judged[0] >> judged[1]
        judged[1].trigger_rule = "all_done"
    outcome = run_dag(dag)
    assert "is a regression" in str(outcome.errors["judge_regression"])
    assert "CheckPerformanceOperator" in str(outcome.errors["judge_regression"])
    assert "carries no probabilities of its held-out rows" in str(outcome.errors["judge_margins"])


def test_several_classes_are_estimated_from_their_scored_probabilities(
    run_dag: Callable[..., Any], telco: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(telco).sample(2_400, random_state=1)
    frame.head(1_600).to_csv(tmp_path / "train.csv", index=False)
    frame.tail(800).drop(columns="contract").to_parquet(tmp_path / "rows.parquet", index=False)
    model = "estimate contract"
    with DAG("estimate_contract", schedule=None) as dag:
        train = TrainModelOperator(
            task_id="train",
            model_name=model,
            data=str(tmp_path / "train.csv"),
            target="contract",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
        score = BatchScoreOperator(
            task_id="score",
            model_name=model,
            alias="challenger",
            data=str(tmp_path / "rows.parquet"),
            output_path=str(tmp_path / "scores.parquet"),
            scored_at="2026-02-01",
        )
        judge = EstimatePerformanceOperator(
            task_id="judge",
            model_name=model,
            alias="challenger",
            predictions=str(tmp_path / "scores.parquet"),
            policy={"n_resamples": 100, "min_class_rows": 10},
            window_end="2026-02-28",
        )
        train >> score >> judge
    outcome = run_dag(dag)
    assert outcome.errors == {}
    result = outcome.xcoms["judge"]
    assert (result["verdict"], result["metric"], result["estimated_rows"]) == ("no_drop", "roc_auc", 800)
    said = pd.read_parquet(tmp_path / "scores.parquet")["prediction"].to_numpy()
    one = result["estimates"]["accuracy"]
    assert one["lower"] <= np.mean(said == frame.tail(800)["contract"].to_numpy()) <= one["upper"]
    assert result["reference"] == pytest.approx(outcome.xcoms["train"]["metrics"]["roc_auc"]["value"])


def test_the_report_says_what_it_rests_on_and_loads_nothing(estimated: tuple[Any, list[Any]]) -> None:
    with MlflowHook().open() as registry:
        import mlflow.artifacts

        pages = {
            task: mlflow.artifacts.load_text(
                f"{registry.client.get_run(estimated[0].xcoms[task]['run_id']).info.artifact_uri}/{REPORT}"
            )
            for task in ("plain", "short_goes_on", "before")
        }
    assert "No drop is estimated" in pages["plain"]
    assert "A drop is estimated" in pages["short_goes_on"]
    assert "Nothing can be estimated" in pages["before"]
    for page in pages.values():
        assert "concept drift" in page
        assert "<script" not in page


def test_contradictions_are_refused_when_the_dag_is_parsed() -> None:
    given = {"task_id": "estimate", "model_name": "churn", "predictions": "a.parquet"}
    with pytest.raises(InputError, match="must be a list"):
        EstimatePerformanceOperator(**given, key_columns="customer")
    with pytest.raises(InputError, match="max_drop"):
        EstimatePerformanceOperator(**given, policy={"max_drop": -1})
    operator = EstimatePerformanceOperator(**given, policy=EstimatePolicy(metric="f1"))
    assert operator.experiment_name == "churn monitoring"
    assert HELDOUT.startswith("evidence/")
