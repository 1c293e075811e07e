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
from sklearn.metrics import accuracy_score, roc_auc_score

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.check_performance import CheckPerformanceOperator
from airflow_mlops_provider.operators.performance_record import REPORT, RESULT

LATE = {"label_delay_days": 30}


def asset_events(run_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run_id)).all()
        return [(event.source_task_id, event.asset.uri, event.extra) for event in found]


@pytest.fixture(scope="module")
def customers(telco: Path) -> pd.DataFrame:
    """Real customers with their truth, by number; the first half is scored in January, the rest in February."""
    frame = pd.read_csv(telco).sample(1_600, random_state=7).reset_index(drop=True)
    frame.insert(0, "customer", np.arange(len(frame)))
    return frame


@pytest.fixture(scope="module")
def scored(
    run_dag: Callable[..., Any],
    watched: str,
    customers: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    """What two scorings of the champion returned."""
    folder = tmp_path_factory.mktemp("scored")
    with DAG("performance_scores", schedule=None) as dag:
        tasks = []
        for month, rows in (("2026-01", customers.head(800)), ("2026-02", customers.tail(800))):
            rows.drop(columns="churn").to_parquet(folder / f"in-{month}.parquet", index=False)
            tasks.append(
                BatchScoreOperator(
                    task_id=f"score_{month[-2:]}",
                    model_name=watched,
                    data=str(folder / f"in-{month}.parquet"),
                    output_path=str(folder / "out" / f"{month}.parquet"),
                    key_columns=["customer", "contract"],
                    scored_at=f"{month}-01",
                )
            )
        tasks[0] >> tasks[1]
    outcome = run_dag(dag)
    assert outcome.errors == {}
    return [outcome.xcoms["score_01"], outcome.xcoms["score_02"]]


@pytest.fixture(scope="module")
def tables(customers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Labels as they are, and in the ways in which they are not."""
    folder = tmp_path_factory.mktemp("labels")
    truth = customers[["customer", "churn"]].sample(frac=1, random_state=0)
    january, february = truth[truth["customer"] < 800], truth[truth["customer"] >= 800]
    flipped = january.assign(churn=january["churn"].sample(frac=1, random_state=1).to_numpy())
    leavers = february[february["churn"] == "Yes"]
    monthly = customers["contract"].eq("Month-to-month")[january["customer"]].to_numpy()
    made = {
        "all": truth,
        "wrong": flipped,
        # Of February, those who left at once are known, and nobody else.
        "early": pd.concat([january, leavers]),
        "half": january.head(400),
        "one_class": january[january["churn"] == "No"],
        "empty": january.assign(churn=None),
        "header": january.head(0),
        "unknown": january.assign(customer=january["customer"] + 100_000),
        "messy": pd.concat(
            [january, january.head(50), january.tail(9).assign(customer=lambda f: f["customer"] + 9_999)]
        ),
        "contradicting": pd.concat([january, january.head(3).replace({"Yes": "No", "No": "Yes"})]),
        "other_words": january.replace({"Yes": "gone"}),
        "monthly_wrong": january.assign(
            churn=np.where(monthly, january.loc[:, "churn"].sample(frac=1, random_state=2), january["churn"])
        ),
        "stamped": pd.concat(
            [
                january.assign(known_at="2026-01-20T00:00:00+00:00"),
                # A clock that is ahead, and a correction that came after the window.
                january.head(400).replace({"Yes": "No", "No": "Yes"}).assign(known_at="2026-02-03T00:00:00+00:00"),
            ]
        ),
    }
    for name, frame in made.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return {name: str(folder / f"{name}.csv") for name in made} | {"absent": str(folder / "absent.csv")}


@pytest.fixture(scope="module")
def check(run_dag: Callable[..., Any]) -> Callable[..., Any]:
    """Run checks as the tasks of one real DAG run; task to its settings."""

    def run(tasks: dict[str, dict[str, Any]]) -> Any:
        with DAG(dag_id=f"performance_{uuid4().hex[:8]}", schedule=None) as dag:
            made = [CheckPerformanceOperator(task_id=task_id, **settings) for task_id, settings in tasks.items()]
            for one, other in pairwise(made):
                one >> other
                other.trigger_rule = "all_done"
        return run_dag(dag)

    return run


@pytest.fixture(scope="module")
def checked(
    check: Callable[..., Any], watched: str, scored: list[dict[str, Any]], tables: dict[str, str]
) -> tuple[Any, list[Any]]:
    """One DAG run of checks of every kind, and what alerts heard."""
    heard: list[Any] = []

    def judge(labels: str, **settings: Any) -> dict[str, Any]:
        return {
            "model_name": watched,
            "predictions": scored[0],
            "labels": tables[labels],
            "key_columns": ["customer"],
            "window_end": "2026-02-02",
            "policy": LATE,
            **settings,
        }

    alerts = [lambda context: heard.append(context["verdict"])]
    outcome = check(
        {
            "good": judge("all", segment_columns=["contract"], alerts=alerts),
            "wrong": judge("wrong", alerts=alerts),
            "fail": judge("wrong", on_drop="fail", retries=2),
            "early": judge("early", predictions=scored),
            "early_judged": judge(
                "early", predictions=scored, policy={"min_labelled_share": 0.5, "metric": "accuracy"}
            ),
            "young": judge("all", predictions=scored[1]),
            "half": judge("half"),
            "strict": judge("half", allow_insufficient_data=False, on_drop="fail"),
            "one_class": judge("one_class", policy=LATE | {"min_labelled_share": 0.5}),
            "empty": judge("empty"),
            "header": judge("header"),
            "absent": judge("absent"),
            "messy": judge("messy"),
            "unknown": judge("unknown"),
            "contradicting": judge("contradicting"),
            "other_words": judge("other_words"),
            "stamped": judge("stamped", label_time_column="known_at"),
            "monthly_wrong": judge(
                "monthly_wrong", segment_columns=["contract", ["contract", "customer"]], policy=LATE
            ),
            "no_segment": judge("all", segment_columns=["colour"]),
            "accuracy": judge("all", policy=LATE | {"metric": "accuracy"}),
            "price": judge("all", policy=LATE | {"metric": "rmse"}),
            "missing": judge("all", predictions="/no/such/scores.parquet"),
        }
    )
    return outcome, heard


def test_realised_performance_is_that_of_scikit_learn_on_the_rows_old_enough(
    checked: tuple[Any, list[Any]], scored: list[dict[str, Any]], customers: pd.DataFrame, watched: str
) -> None:
    result = checked[0].xcoms["good"]
    rows = pd.read_parquet(scored[0]["output"].removeprefix("file://")).merge(customers, on="customer")
    assert result["value"] == pytest.approx(roc_auc_score(rows["churn"] == "Yes", rows["probability"]))
    assert (result["passed"], result["verdict"], result["labelled_rows"]) == (True, "no_drop", 800)
    assert result["labelled_share"] == 1.0
    assert result["findings"] == ["800 labels are of keys that nobody scored"]
    accuracy = checked[0].xcoms["accuracy"]
    assert accuracy["value"] == pytest.approx(accuracy_score(rows["churn"], rows["prediction"]))


def test_a_check_is_recorded_by_the_shared_contract(
    checked: tuple[Any, list[Any]], watched: str, tmp_path: Path
) -> None:
    result = checked[0].xcoms["good"]
    with MlflowHook().open() as registry:
        run = registry.client.get_run(result["run_id"])
        version = registry.client.get_model_version(watched, result["version"])
        files = [registry.client.download_artifacts(result["run_id"], name, str(tmp_path)) for name in (RESULT, REPORT)]
        trend = [
            one
            for one in registry.client.search_runs([run.info.experiment_id])
            if one.data.tags.get("mlops.trend") == version.run_id
        ]
        experiment = registry.client.get_experiment(run.info.experiment_id)
        held_out = registry.client.get_run(version.run_id).data.metrics
    tags, metrics = run.data.tags, run.data.metrics
    assert experiment.name == f"{watched} monitoring"
    assert tags["mlops.check"] == "performance"
    # The rows end when labels are late, so that drift checks of these rows are of the same window.
    assert (tags["mlops.verdict"], tags["mlops.window_end"]) == ("no_drop", "2026-01-03T00:00:00+00:00")
    assert (result["window_end"], result["as_of"]) == ("2026-01-03T00:00:00+00:00", "2026-02-02T00:00:00+00:00")
    assert tags["mlops.reference"] == version.run_id
    assert metrics["performance.roc_auc"] == pytest.approx(result["value"])
    assert metrics["performance.roc_auc.reference"] == pytest.approx(held_out["holdout_roc_auc"])
    assert metrics["performance.roc_auc.difference"] == pytest.approx(result["value"] - held_out["holdout_roc_auc"])
    assert metrics["performance.roc_auc.difference_lower"] < 0 < metrics["performance.roc_auc.difference_upper"]
    assert metrics["performance.roc_auc.lower"] < metrics["performance.roc_auc"] < metrics["performance.roc_auc.upper"]
    assert "rows" not in metrics
    assert (metrics["labelled_rows"], metrics["labelled_share"]) == (800, 1)
    assert len(trend) == 1
    assert "performance.roc_auc.difference" in trend[0].data.metrics
    saved = json.loads(Path(files[0]).read_text())
    assert saved["policy"] == PerformancePolicy.from_dict(LATE).to_dict()
    assert saved["changes"][0]["metric"] == "roc_auc"
    assert "No drop" in Path(files[1]).read_text()


def test_a_drop_passes_on_to_assets_and_alerts_and_fails_only_where_asked(
    checked: tuple[Any, list[Any]], watched: str
) -> None:
    outcome, heard = checked
    result = outcome.xcoms["wrong"]
    assert (outcome.states["wrong"], result["passed"], result["verdict"]) == ("success", False, "drop")
    assert result["difference_upper"] < 0
    assert [one["verdict"] for one in heard] == ["drop"]
    assert isinstance(outcome.errors["fail"], RejectedError)
    told = {task: (uri, extra) for task, uri, extra in asset_events(outcome.run_id)}
    assert set(told) == {
        task for task, one in outcome.xcoms.items() if one["verdict"] == "drop" and outcome.states[task] == "success"
    }
    uri, extra = told["wrong"]
    assert uri == "mlflow://models/churn%20watched/performance"
    assert (extra["event"], extra["window_end"]) == ("performance_drop", "2026-01-03T00:00:00+00:00")


def test_labels_that_come_early_are_not_judged_because_they_are_not_like_the_others(
    checked: tuple[Any, list[Any]],
) -> None:
    early = checked[0].xcoms["early"]
    assert (early["verdict"], early["labelled_rows"], early["value"]) == (
        "no_drop",
        800,
        pytest.approx(checked[0].xcoms["good"]["value"]),
    )
    assert any("too young" in one for one in early["findings"])
    assert any("not of this window" in one for one in early["findings"])
    # Without the rule the leavers of February would be judged with all of January, and they are harder to tell.
    judged = checked[0].xcoms["early_judged"]
    assert judged["labelled_rows"] > 900
    assert judged["value"] < checked[0].xcoms["accuracy"]["value"] - 0.02


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("young", "none of the 800 rows of version"),
        ("half", "labels of 400 of 800 rows are known (50.0%), 80.0% required"),
        ("one_class", "labelled rows by class are 'No'"),
        ("empty", "labels of 0 of 800 rows are known"),
        ("header", "there are no labels: "),
        ("absent", "does not exist"),
    ],
)
def test_too_few_labels_are_neither_a_drop_nor_none(checked: tuple[Any, list[Any]], task: str, reason: str) -> None:
    outcome, _ = checked
    result = outcome.xcoms[task]
    assert (outcome.states[task], result["verdict"], result["passed"]) == ("success", "insufficient_data", True)
    assert reason in "; ".join(result["reasons"])
    assert result["value"] is None


def test_too_few_labels_are_a_bad_verdict_where_asked(checked: tuple[Any, list[Any]]) -> None:
    assert isinstance(checked[0].errors["strict"], RejectedError)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("unknown", "No label belongs to any of the scored rows"),
        ("contradicting", "3 keys in ['customer'] have two different labels"),
        ("other_words", "holds classes the model was not trained on: ['gone']"),
        ("no_segment", "Neither the predictions nor the labels have the segment column 'colour'"),
        ("price", "'rmse'"),
        ("missing", "does not exist"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_not_tried_again(
    checked: tuple[Any, list[Any]], task: str, message: str
) -> None:
    assert isinstance(checked[0].errors[task], InvalidInputError)
    assert message in str(checked[0].errors[task])


def test_copies_and_unknown_keys_change_nothing_and_are_reported(checked: tuple[Any, list[Any]]) -> None:
    messy, good = checked[0].xcoms["messy"], checked[0].xcoms["good"]
    assert messy["value"] == good["value"]
    assert messy["findings"] == ["9 labels are of keys that nobody scored", "50 labels are copies of another one"]


def test_labels_from_the_future_are_not_known_yet(checked: tuple[Any, list[Any]]) -> None:
    stamped, good = checked[0].xcoms["stamped"], checked[0].xcoms["good"]
    assert stamped["value"] == good["value"]
    assert stamped["findings"] == ["400 labels are from after the end of the window and were not known then"]


def test_a_segment_that_went_wrong_is_found_first(checked: tuple[Any, list[Any]], tmp_path: Path) -> None:
    result = checked[0].xcoms["monthly_wrong"]
    assert result["worst_segments"][0]["segment"] == {"contract": "Month-to-month"}
    with MlflowHook().open() as registry:
        path = registry.client.download_artifacts(result["run_id"], RESULT, str(tmp_path))
        metrics = registry.client.get_run(result["run_id"]).data.metrics
    saved = json.loads(Path(path).read_text())
    assert saved["segments"][0]["segment"] == {"contract": "Month-to-month"}
    assert saved["segments"][0]["own_reference"]
    # Single customers are too few rows each, and too many to list.
    assert {one["verdict"] for one in saved["segments"] if "customer" in one["segment"]} == {"insufficient_data"}
    assert saved["segments_left_out"] == 750
    assert any(name.startswith("segment.roc_auc.") for name in metrics)


def test_segments_are_as_hard_as_they_always_were(checked: tuple[Any, list[Any]], tmp_path: Path) -> None:
    result = checked[0].xcoms["good"]
    with MlflowHook().open() as registry:
        path = registry.client.download_artifacts(result["run_id"], RESULT, str(tmp_path))
    segments = json.loads(Path(path).read_text())["segments"]
    judged = [one for one in segments if one["change"]]
    assert {one["segment"]["contract"] for one in judged} >= {"Month-to-month", "One year"}
    # Within a contract the others' contracts do not help to rank, so each is below the value of all rows.
    assert all(one["change"]["value"]["value"] < result["reference"] - 0.02 for one in judged)
    assert [one["own_reference"] for one in judged] == [True] * len(judged)
    assert result["worst_segments"] == []


def test_arguments_that_cannot_work_show_when_the_dag_is_parsed() -> None:
    given: dict[str, Any] = {"task_id": "check", "model_name": "churn", "predictions": "a", "labels": "b"}
    with pytest.raises(InputError, match="key_columns"):
        CheckPerformanceOperator(**given, key_columns="customer")
    with pytest.raises(InputError, match="segment_columns must be a list"):
        CheckPerformanceOperator(**given, key_columns=["customer"], segment_columns="contract")
    with pytest.raises(InputError, match="say the same thing twice"):
        CheckPerformanceOperator(**given, key_columns=["customer"], policy={"max_drop": 0.1, "max_relative_drop": 0.1})


@pytest.mark.parametrize(("target", "metric"), [("contract", "roc_auc"), ("monthly_charges", "rmse")])
def test_several_classes_and_numbers_are_judged_from_training_to_verdict(
    run_dag: Callable[..., Any],
    customers: pd.DataFrame,
    model_name: str,
    tmp_path: Path,
    target: str,
    metric: str,
) -> None:
    from airflow_mlops_provider.operators.train_model import TrainModelOperator

    given = customers.drop(columns=["total_charges"])
    given.head(900).drop(columns="customer").to_parquet(tmp_path / "train.parquet", index=False)
    given.tail(700).drop(columns=target).to_parquet(tmp_path / "new.parquet", index=False)
    truth = given.tail(700)[["customer", target]]
    truth.to_parquet(tmp_path / "good.parquet", index=False)
    truth.assign(**{target: truth[target].sample(frac=1, random_state=0).to_numpy()}).to_parquet(
        tmp_path / "wrong.parquet", index=False
    )
    with DAG(f"performance_{target}", schedule=None) as dag:
        train = TrainModelOperator(
            task_id="train",
            model_name=model_name,
            data=str(tmp_path / "train.parquet"),
            target=target,
            estimator={
                "estimator": "sklearn.linear_model.Ridge"
                if target == "monthly_charges"
                else "sklearn.linear_model.LogisticRegression"
            },
            folds=0,
        )
        score = BatchScoreOperator(
            task_id="score",
            model_name=model_name,
            data=str(tmp_path / "new.parquet"),
            output_path=str(tmp_path / "scores.parquet"),
            alias="challenger",
            key_columns=["customer"],
            skew=False,
            predictions=False,
            scored_at="2026-01-01",
        )
        checks = [
            CheckPerformanceOperator(
                task_id=name,
                model_name=model_name,
                predictions=score.output,
                labels=str(tmp_path / f"{name}.parquet"),
                key_columns=["customer"],
                alias="challenger",
                window_end="2026-02-02",
            )
            for name in ("good", "wrong")
        ]
        train >> score >> checks[0] >> checks[1]
    outcome = run_dag(dag)
    assert outcome.errors == {}
    good, wrong = outcome.xcoms["good"], outcome.xcoms["wrong"]
    assert (good["metric"], good["verdict"], wrong["verdict"]) == (metric, "no_drop", "drop")
    assert good["labelled_rows"] == 700
    assert wrong["difference"] < 0
    if metric == "rmse":
        rows = pd.read_parquet(tmp_path / "scores.parquet").merge(truth, on="customer")
        assert good["value"] == pytest.approx(((rows["prediction"] - rows[target]) ** 2).mean() ** 0.5)
