from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import DAG
from sklearn.metrics import roc_auc_score

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.compare_shadow import CompareShadowOperator
from airflow_mlops_provider.operators.evaluate_model import EvaluateModelOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator

MODEL = "batch score churn"


@pytest.fixture(scope="module")
def labels(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth about today's customers, known for the first 900 of them."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    frame = pd.read_csv(telco)[["churn"]].sample(1_000, random_state=3)
    frame.insert(0, "customer", range(len(frame)))
    frame.head(900).sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def scored(
    run_dag: Callable[..., Any],
    customers: Path,
    versions: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("shadow") / "scores.parquet"
    with DAG("compare_shadow_scores", schedule=None) as dag:
        BatchScoreOperator(
            task_id="score",
            model_name=MODEL,
            data=str(customers),
            output_path=str(output),
            key_columns=["customer"],
            shadow=["challenger"],
        )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    return outcome.xcoms["score"]


@pytest.fixture
def compare(run_dag: Callable[..., Any], scored: dict[str, Any]) -> Callable[..., Any]:
    def run(**arguments: Any) -> Any:
        with DAG("compare_shadow", schedule=None) as dag:
            CompareShadowOperator(task_id="compare", model_name=MODEL, **{"scored": scored} | arguments)
        return run_dag(dag)

    return run


def frames(scored: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tuple(
        pd.read_parquet(uri.removeprefix("file://")) for uri in (scored["output"], scored["shadows"][0]["output"])
    )


def test_agreement_needs_no_labels(compare: Callable[..., Any], scored: dict[str, Any]) -> None:
    result = compare().xcoms["compare"]
    champion, shadow = frames(scored)
    (found,) = result["comparisons"]
    assert found["agreement"]["agreement"] == pytest.approx((champion["prediction"] == shadow["prediction"]).mean())
    expected = champion["probability"].corr(shadow["probability"], method="spearman")
    assert found["agreement"]["rank_correlation"] == pytest.approx(expected)
    assert found["labelled_rows"] == 0


def test_too_little_agreement_is_a_bad_verdict_where_asked(compare: Callable[..., Any]) -> None:
    assert isinstance(compare(min_agreement=0.999).errors["compare"], RejectedError)


def test_labelled_windows_add_up_to_evidence_that_a_gate_asks_for(
    run_dag: Callable[..., Any],
    compare: Callable[..., Any],
    scored: dict[str, Any],
    labels: Path,
    telco: Path,
    versions: list[dict[str, Any]],
) -> None:
    given = {"labels": str(labels), "key_columns": ["customer"]}
    first = compare(window_end="2026-01-01", **given).xcoms["compare"]["comparisons"][0]
    champion, shadow = (one.merge(pd.read_csv(labels), on="customer") for one in frames(scored))
    expected = [roc_auc_score(one["churn"] == "Yes", one["probability"]) for one in (champion, shadow)]
    assert first["labelled_rows"] == 900
    assert first["record"]["windows"] == 1
    assert first["record"]["difference"]["difference"] == pytest.approx(expected[1] - expected[0])
    again = compare(window_end="2026-01-01", **given).xcoms["compare"]["comparisons"][0]
    assert again["record"]["windows"] == 1
    second = compare(window_end="2026-01-02", **given).xcoms["compare"]["comparisons"][0]
    assert (second["record"]["windows"], second["record"]["rows"]) == (2, 1_800)

    with DAG("compare_shadow_gate", schedule=None) as dag:
        for windows in (2, 3):
            EvaluateModelOperator(
                task_id=f"evaluate_{windows}",
                model_name=MODEL,
                version=versions[1]["version"],
                data=str(telco),
                gates=[{"gate": "shadow_windows_min", "windows": windows, "margin": 0.5}],
                on_reject="continue",
            )
    outcome = run_dag(dag)
    assert {name: one["passed"] for name, one in outcome.xcoms.items()} == {"evaluate_2": True, "evaluate_3": False}


def test_a_shadow_of_other_classes_gets_a_record_without_a_metric_and_a_reason(
    run_dag: Callable[..., Any], model_name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    three = pd.DataFrame({"id": range(900), "x": rng.normal(size=900), "z": rng.normal(size=900)})
    three["y"] = np.array(["a", "b", "c"])[np.digitize(three["x"], [-0.5, 0.5])]
    three.to_parquet(tmp_path / "three.parquet")
    three[three["y"] != "c"].to_parquet(tmp_path / "two.parquet")
    with DAG("compare_shadow_classes", schedule=None) as dag:
        train = [
            TrainModelOperator(
                task_id=name,
                model_name=model_name,
                data=str(tmp_path / f"{name}.parquet"),
                target="y",
                estimator="sklearn.linear_model.LogisticRegression",
                folds=0,
                drop_columns=["id"],
            )
            for name in ("two", "three")
        ]
        score = BatchScoreOperator(
            task_id="score",
            model_name=model_name,
            version="1",
            shadow=["challenger"],
            data=str(tmp_path / "three.parquet"),
            output_path=str(tmp_path / "scores.parquet"),
            key_columns=["id"],
            skew=False,
            predictions=False,
        )
        compare = CompareShadowOperator(
            task_id="compare",
            model_name=model_name,
            scored=score.output,
            labels=str(tmp_path / "two.parquet"),
            key_columns=["id"],
        )
        train[0] >> train[1] >> score >> compare
    outcome = run_dag(dag)
    assert outcome.errors == {}
    (found,) = outcome.xcoms["compare"]["comparisons"]
    assert 0.5 < found["agreement"]["agreement"] < 0.9
    assert found["agreement"]["mean_shift"] is None
    assert found["labelled_rows"] == 0
    assert found["record"]["difference"] is None
    assert found["record"]["reason"] == "the champion knows the classes ['a', 'b'], the shadow ['a', 'b', 'c']"


def test_outputs_of_other_rows_are_not_compared(
    compare: Callable[..., Any], scored: dict[str, Any], tmp_path: Path
) -> None:
    _, shadow = frames(scored)
    path = tmp_path / "turned.parquet"
    shadow.iloc[::-1].to_parquet(path)
    wrong = {**scored, "shadows": [{**scored["shadows"][0], "output": str(path)}]}
    outcome = compare(scored=wrong, key_columns=["customer"])
    assert isinstance(outcome.errors["compare"], InvalidInputError)
    assert "same rows" in str(outcome.errors["compare"])


def test_a_repeated_label_counts_once_and_two_answers_for_one_row_are_refused(
    compare: Callable[..., Any], labels: Path, tmp_path: Path
) -> None:
    twice, both = tmp_path / "twice.csv", tmp_path / "both.csv"
    table = pd.read_csv(labels)
    pd.concat([table, table]).to_csv(twice, index=False)
    found = compare(labels=str(twice), key_columns=["customer"], window_end="2025-01-01").xcoms["compare"]
    assert found["comparisons"][0]["labelled_rows"] == 900
    pd.concat([table, table.head(3).replace({"Yes": "No", "No": "Yes"})]).to_csv(both, index=False)
    outcome = compare(labels=str(both), key_columns=["customer"])
    assert isinstance(outcome.errors["compare"], InvalidInputError)
    assert "3 keys in ['customer'] have two different labels" in str(outcome.errors["compare"])


def test_a_scoring_without_shadows_has_nothing_to_compare(compare: Callable[..., Any], scored: dict[str, Any]) -> None:
    assert compare(scored={**scored, "shadows": []}).xcoms["compare"]["comparisons"] == []


def test_labels_without_keys_show_when_the_dag_is_parsed() -> None:
    with pytest.raises(InputError, match="key_columns"):
        CompareShadowOperator(task_id="compare", model_name=MODEL, scored={}, labels="labels.csv")
