from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import Search, Split
from airflow_mlops_provider.exceptions import InvalidInputError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.evidence import read_evidence
from airflow_mlops_provider.registry.models import load_version
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import CHALLENGER, by_alias

LINEAR = "sklearn.linear_model.LogisticRegression"
SECRET = "person-{}@example.com"


def plain(value: Any) -> bool:
    """Whether a value consists of Python's own types only, as JSON has them."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(plain(one) for one in value)
    return type(value) in {str, int, float, bool, type(None)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tables")
    written = {}
    for name, load in (("breast_cancer", load_breast_cancer), ("wine", load_wine), ("diabetes", load_diabetes)):
        written[name] = folder / f"{name}.csv"
        load(as_frame=True).frame.to_csv(written[name], index=False)
    people = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 2, -1]]
    people.insert(0, "email", [SECRET.format(number) for number in range(len(people))])
    written["people"] = folder / "people.csv"
    people.to_csv(written["people"], index=False)
    return written


def dag_of(name: str, tasks: dict[str, dict[str, Any]], *, defaults: dict[str, Any] | None = None, **arguments) -> DAG:
    with DAG(name, schedule=None, default_args=defaults or {}, **arguments) as dag:
        for task_id, settings in tasks.items():
            TrainModelOperator(task_id=task_id, **{"estimator": LINEAR, "folds": 0} | settings)
    return dag


@pytest.fixture(scope="module")
def trainings(run_dag: Callable[..., Any], tables: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """One DAG run that trains all the models of this module; task to its XCom."""
    tasks = {
        "breast_cancer": {
            "data": str(tables["breast_cancer"]),
            "target": "target",
            "folds": 3,
            "seed": 7,
            "class_weight": "balanced",
            "estimator": [
                {"estimator": LINEAR, "params": {"C": 0.5}, "name": "linear (C=0.5)"},
                {
                    "estimator": "sklearn.tree.DecisionTreeClassifier",
                    "search": {"space": {"max_depth": [1, 3]}, "method": "grid"},
                },
            ],
        },
        "wine": {"data": tables["wine"], "target": "target", "split": {"method": "stratified", "holdout_share": 0.3}},
        "diabetes": {"data": [str(tables["diabetes"])], "target": "target", "estimator": "sklearn.linear_model.Ridge"},
        "people": {"data": str(tables["people"]), "target": "target", "drop_columns": ["mean radius"]},
        "object": {
            "data": str(tables["breast_cancer"]),
            "target": "target",
            "estimator": make_pipeline(StandardScaler(), LogisticRegression(C=2.0)),
        },
        "halving": {
            "data": str(tables["breast_cancer"]),
            "target": "target",
            "folds": 2,
            "estimator": {
                "estimator": LINEAR,
                "search": Search(space={"C": [0.01, 0.1, 1.0, 10.0]}, method="halving", n_iter=4),
            },
        },
        "no_probabilities": {
            "data": str(tables["breast_cancer"]),
            "target": "target",
            "estimator": "sklearn.svm.LinearSVC",
            "positive_class": 0,
        },
        "again": {
            "data": str(tables["wine"]),
            "target": "target",
            "split": Split(method="stratified", holdout_share=0.3),
        },
    }
    for task_id, settings in tasks.items():
        settings["model_name"] = f"train {task_id}"
    outcome = run_dag(dag_of("train_model_operator", tasks))
    assert outcome.errors == {}
    assert outcome.state == "success"
    return outcome.xcoms


@pytest.fixture
def registry():
    with open_registry(embedded_server()) as registry:
        yield registry


@pytest.mark.parametrize(
    ("task", "metric", "least"),
    [("breast_cancer", "roc_auc", 0.95), ("wine", "roc_auc", 0.95), ("diabetes", "r2", 0.3)],
)
def test_each_table_of_scikit_learn_is_learned_by_changing_arguments_only(
    trainings: dict[str, Any], task: str, metric: str, least: float
) -> None:
    result = trainings[task]
    assert result["metrics"][metric]["value"] > least
    assert result["metric"] == ("rmse" if task == "diabetes" else "roc_auc")
    assert set(result["baseline"]) == set(result["metrics"])


def test_the_result_is_small_plain_json_that_leads_to_the_version(trainings: dict[str, Any]) -> None:
    for task, result in trainings.items():
        assert plain(result), task
        assert len(json.dumps(result)) < 6_000
    result = trainings["breast_cancer"]
    assert result["version"] == "1"
    assert result["model_uri"] == "models:/train breast_cancer/1"
    assert result["candidate"] == "linear (C=0.5)"
    assert [one["name"] for one in result["candidates"]] == ["linear (C=0.5)", "DecisionTreeClassifier"]
    assert result["rows"]["training"] + result["rows"]["holdout"] == 569
    assert result["run_url"] is result["report_url"] is result["model_version_url"] is None  # an embedded store


def test_the_version_is_the_challenger_and_carries_its_evidence(trainings: dict[str, Any], registry: Any) -> None:
    result = trainings["breast_cancer"]
    version = by_alias(registry, "train breast_cancer", CHALLENGER)
    assert (version.version, version.run_id) == (result["version"], result["run_id"])
    evidence, rows = read_evidence(registry, run_id=version.run_id, version="1", model_name=version.model_name)
    assert evidence.digest == result["digest"]
    assert rows.n_rows == evidence.rows == result["rows"]["training"]
    assert evidence.classes == [0, 1]
    assert evidence.seed == 7
    assert evidence.fingerprint == result["fingerprint"]
    assert next(iter(evidence.kinds)) == "mean radius"
    assert len(evidence.candidates[1]["fold_scores"]) == 3
    assert any(line.startswith("scikit-learn==") for line in evidence.requirements)
    # The project's own commit, because the DAG's file is in its checkout.
    assert len((evidence.git_commit or "").removesuffix("-dirty")) in {0, 40}
    loaded = load_version(registry, version)
    assert loaded.manifest.size_bytes == evidence.model_size_bytes
    assert loaded.model.get_params()["model__C"] == 0.5


def test_mlflow_shows_parameters_metrics_folds_data_seed_and_pictures(trainings: dict[str, Any], registry: Any) -> None:
    result = trainings["breast_cancer"]
    run = registry.client.get_run(result["run_id"])
    params, metrics = run.data.params, run.data.metrics
    assert run.info.status == "FINISHED"
    assert (params["seed"], params["folds"], params["class_weight"]) == ("7", "3", "balanced")
    assert (params["model.C"], params["candidate"], params["positive_class"]) == ("0.5", "linear (C=0.5)", "1")
    value = result["metrics"]["roc_auc"]
    assert metrics["holdout_roc_auc"] == value["value"]
    assert metrics["holdout_roc_auc_lower"] == value["lower"] < value["value"] <= metrics["holdout_roc_auc_upper"]
    assert metrics["baseline_roc_auc"] == 0.5
    # A name that MLflow refuses as a key does not lose the metric.
    assert metrics["cv.linear _C_0.5_.roc_auc"] > 0.95
    assert metrics["cv.DecisionTreeClassifier.roc_auc"] > 0.8
    assert [one.step for one in registry.client.get_metric_history(result["run_id"], "fold_roc_auc")] == [0, 1, 2]
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.digest == result["fingerprint"]["sha256"][:32]
    assert entry.dataset.name == "breast_cancer.csv"
    assert run.data.tags["airflow.task_id"] == "breast_cancer"
    assert run.data.tags["airflow.operator"] == "TrainModelOperator"
    assert run.data.tags["mlops.digest"] == result["digest"]
    names = {one.path for one in registry.client.list_artifacts(result["run_id"], "figures")}
    assert names == {
        f"figures/{name}.svg" for name in ("roc", "precision_recall", "calibration", "confusion", "importances")
    }


def test_a_regression_has_its_own_pictures(trainings: dict[str, Any], registry: Any) -> None:
    names = {one.path for one in registry.client.list_artifacts(trainings["diabetes"]["run_id"], "figures")}
    assert names == {"figures/residuals.svg", "figures/importances.svg"}


def test_the_same_inputs_give_the_same_model(trainings: dict[str, Any]) -> None:
    assert trainings["again"]["digest"] == trainings["wine"]["digest"]
    assert trainings["again"]["metrics"] == trainings["wine"]["metrics"]
    assert len({one["digest"] for one in trainings.values()}) == len(trainings) - 1


def test_a_model_without_probabilities_is_trained_and_drawn_without_what_needs_them(
    trainings: dict[str, Any], registry: Any
) -> None:
    result = trainings["no_probabilities"]
    assert result["metrics"]["roc_auc"]["value"] > 0.95
    assert "log_loss" not in result["metrics"]
    names = {one.path for one in registry.client.list_artifacts(result["run_id"], "figures")}
    assert "figures/calibration.svg" not in names
    evidence, _ = read_evidence(registry, run_id=result["run_id"], version="1", model_name="m")
    assert evidence.classes == [1, 0]


def test_an_estimator_object_and_a_search_are_recorded_by_what_was_chosen(
    trainings: dict[str, Any], registry: Any
) -> None:
    assert trainings["object"]["candidate"] == "Pipeline"
    run = registry.client.get_run(trainings["halving"]["run_id"])
    assert float(run.data.params["model.C"]) in {0.01, 0.1, 1.0, 10.0}


def test_no_value_of_the_data_leaves_the_worker(trainings: dict[str, Any], registry: Any, tmp_path: Path) -> None:
    """The texts of a column that names rows must be in no file, parameter or tag, the model's included."""
    result = trainings["people"]
    version = by_alias(registry, "train people", CHALLENGER)
    evidence, _ = read_evidence(registry, run_id=version.run_id, version="1", model_name="train people")
    assert "row identifier" in evidence.dropped["email"]
    assert evidence.dropped["mean radius"] == "not wanted"
    run = registry.client.get_run(result["run_id"])
    files = [Path(registry.client.download_artifacts(result["run_id"], "", str(tmp_path)))]
    location = registry.client.get_logged_model(version.model_id).artifact_location
    files.append(Path(location.removeprefix("file://")))
    read = [path.read_bytes() for root in files for path in root.rglob("*") if path.is_file()]
    assert len(read) > 8
    read += [json.dumps([run.data.params, run.data.tags, result]).encode()]
    for raw in read:
        assert b"@example.com" not in raw


def events(run_id: str) -> list[tuple[str, dict[str, Any]]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.execute(
            select(AssetModel.uri, AssetEvent.extra)
            .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
            .where(AssetEvent.extra.is_not(None))
        ).all()
    return [(uri, extra) for uri, extra in found if extra.get("run_id") == run_id]


def test_an_asset_event_tells_of_the_new_version_with_its_metrics_and_run(trainings: dict[str, Any]) -> None:
    result = trainings["breast_cancer"]
    ((uri, extra),) = events(result["run_id"])
    assert uri == "mlflow://models/train%20breast_cancer"
    assert extra["event"] == "version_created"
    assert extra["version"] == "1"
    assert extra["metrics"]["roc_auc"] == result["metrics"]["roc_auc"]
    assert extra["digest"] == result["digest"]


def test_templates_are_rendered_and_the_data_may_come_from_another_task(
    run_dag: Callable[..., Any], tables: dict[str, Path], model_name: str
) -> None:
    from airflow.sdk import task

    with DAG("train_templated", schedule=None, params={"name": model_name, "columns": "target"}) as dag:

        @task
        def where() -> str:
            return str(tables["wine"])

        TrainModelOperator(
            task_id="train",
            model_name="{{ params.name }}",
            data=where(),
            target="{{ params.columns }}",
            estimator=[{"estimator": "sklearn.linear_model.{{ 'LogisticRegression' }}"}],
            folds=0,
        )
    outcome = run_dag(dag)
    assert outcome.states == {"where": "success", "train": "success"}
    assert outcome.xcoms["train"]["model_name"] == model_name
    ((uri, _),) = events(outcome.xcoms["train"]["run_id"])
    assert uri == f"mlflow://models/{model_name}"


class Own(ClassifierMixin, BaseEstimator):
    """An estimator that nobody vouches for."""

    def fit(self, X: Any, y: Any) -> Own:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[0], len(X))


MANY = "a,b,target\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(200))


def test_a_mapped_task_trains_one_version_for_each_estimator_and_announces_each(
    run_dag: Callable[..., Any], tables: dict[str, Path], model_name: str, registry: Any
) -> None:
    with DAG("train_mapped", schedule=None) as dag:
        TrainModelOperator.partial(
            task_id="train", model_name=model_name, data=str(tables["wine"]), target="target", folds=0
        ).expand(estimator=[LINEAR, "sklearn.tree.DecisionTreeClassifier"])
    assert run_dag(dag).state == "success"
    versions = registry.client.search_model_versions(f"name = '{model_name}'")
    assert {one.tags["mlops.candidate"] for one in versions} == {"LogisticRegression", "DecisionTreeClassifier"}
    assert [len(events(one.run_id)) for one in versions] == [1, 1]


def parquet(text: str, keep: int) -> bytes:
    import io

    import pyarrow.csv
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(io.BytesIO(text.encode())), out)
    return out.getvalue()[:keep]


BAD: dict[str, tuple[bytes | None, dict[str, Any], str]] = {
    "missing_file": (None, {}, r"missing_file\.csv"),
    "empty_file": (b"", {}, r"empty_file\.csv"),
    "header_only": (b"a,b,target\n", {}, r"header_only\.csv"),
    "target_missing": (MANY.encode(), {"target": "label"}, "Target 'label' is not in the data"),
    "target_constant": (MANY.replace(",1\n", ",0\n").encode(), {}, r"'target' has one value only \(0\)"),
    "target_null": (MANY.replace("\n3,3,1\n", "\n3,3,\n").encode(), {}, "'target' is null in 1 of 200 rows"),
    "one_class_in_test": (
        ("a,day,target\n" + "".join(f"{i},{i},{int(i < 50 and i % 2)}\n" for i in range(100))).encode(),
        {"split": Split(method="time", columns=("day",))},
        r"held-out rows lack classes of target 'target': \{'0': 20, '1': 0\}",
    ),
    "duplicate_columns": (MANY.replace("a,b,", "a,a,").encode(), {}, r"duplicate_columns\.csv.*'a'"),
    "wrong_import_path": (MANY.encode(), {"estimator": "sklearn.svm.Svm"}, "'sklearn.svm.Svm' cannot be imported"),
    "not_an_estimator": (MANY.encode(), {"estimator": "os.system"}, "'os.system' is not a scikit-learn estimator"),
    "wrong_parameter": (MANY.encode(), {"estimator": {"estimator": LINEAR, "params": {"D": 1}}}, "'D'"),
    "unknown_field": (MANY.encode(), {"estimator": {"path": LINEAR}}, "Candidate has no field 'path'"),
    "no_folds_to_choose_by": (MANY.encode(), {"estimator": [LINEAR, LINEAR]}, "folds must be at least 2"),
    "name_of_a_path": (MANY.encode(), {"model_name": "{{ 'a/b' }}"}, "model_name must hold no"),
    "untrusted_type": (
        MANY.encode(),
        {"estimator": Own(), "metric": "accuracy"},
        r"not trusted: .*\.Own",
    ),
    "unknown_feature": (MANY.encode(), {"features": ["z"]}, "Column 'z' is not in the data"),
    "truncated_parquet": (parquet(MANY, -100), {}, r"truncated_parquet\.parquet"),
    "infinite_feature": (MANY.replace("\n5,5,", "\ninf,5,").encode(), {}, "'a' holds 1 infinite values"),
}


@pytest.fixture(scope="module")
def failures(run_dag: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One DAG run in which every task is given something else that is wrong."""
    folder = tmp_path_factory.mktemp("bad")
    tasks = {}
    for name, (raw, settings, _) in BAD.items():
        path = folder / f"{name}.{'parquet' if 'parquet' in name else 'csv'}"
        if raw is not None:
            path.write_bytes(raw)
        tasks[name] = {"model_name": f"bad {name}", "data": str(path), "target": "target"} | settings
    defaults = {"retries": 2, "retry_delay": timedelta(minutes=5)}
    return run_dag(dag_of("train_model_bad_input", tasks, defaults=defaults))


@pytest.mark.parametrize("name", BAD)
def test_bad_input_fails_at_once_says_what_is_wrong_and_leaves_no_version(
    failures: Any, registry: Any, name: str
) -> None:
    assert failures.states[name] == "failed"  # and not up_for_retry, although two retries are left
    error = failures.errors[name]
    assert type(error) is InvalidInputError
    assert re.search(BAD[name][2], str(error)), str(error)
    assert by_alias(registry, f"bad {name}", CHALLENGER) is None
    assert name not in failures.xcoms


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "auc"}, "Unknown metric 'auc'.*Hint: did you mean 'roc_auc'"),
        ({"metric": "rmse", "task": "binary"}, "Unknown binary metric 'rmse'"),
        ({"task": "clustering"}, "task of TrainSettings must be one of"),
        ({"folds": 1}, "folds of TrainSettings must be 0 or at least 2; got 1"),
        ({"seed": -1}, "seed of TrainSettings"),
        ({"split": {"method": "magic"}}, "method of Split must be one of"),
        ({"split": {"share": 0.2}}, "Split has no field 'share'"),
        ({"split": Split(), "features": "tenure"}, "must be lists of column names"),
        ({"on_reject": "panic"}, "on_reject of TrainModelOperator must be one of fail, skip, continue"),
    ],
)
def test_wrong_settings_are_found_when_the_dag_is_parsed(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainModelOperator(
            **{"task_id": "train", "model_name": "m", "data": "x.csv", "target": "y", "estimator": LINEAR} | settings
        )
