from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from airflow.sdk import DAG
from sklearn.datasets import load_diabetes, load_wine

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.data.writer import ParquetWriter
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError, RetryableError
from airflow_mlops_provider.hooks.mlflow import embedded_server
from airflow_mlops_provider.operators.batch_score import BatchScoreOperator
from airflow_mlops_provider.operators.train_model import TrainModelOperator
from airflow_mlops_provider.registry.models import load_version
from airflow_mlops_provider.registry.session import open_registry
from airflow_mlops_provider.registry.versions import by_number
from airflow_mlops_provider.training.columns import to_frame
from tests.conftest import Bucket

MODEL = "batch score churn"


@pytest.fixture
def score(run_dag: Callable[..., Any], versions: list[dict[str, Any]]) -> Callable[..., Any]:
    def run(name: str = "batch_score", **arguments: Any) -> Any:
        with DAG(name, schedule=None) as dag:
            BatchScoreOperator(task_id="score", model_name=MODEL, **arguments)
        return run_dag(dag)

    return run


def expected(customers: Path, version: str) -> np.ndarray:
    """What the model itself says, called as scikit-learn is."""
    with open_registry(embedded_server()) as registry:
        model = load_version(registry, by_number(registry, MODEL, version)).model
    table = pq.read_table(customers)
    numbers = pd.read_parquet(customers).dtypes
    names = list(model.feature_names_in_)
    kinds = {name: "numeric" if numbers[name].kind in "if" else "categorical" for name in names}
    frame = to_frame(table, kinds=kinds)
    return np.column_stack([model.predict(frame), model.predict_proba(frame)[:, 1]])


def test_the_output_holds_what_the_champion_says_of_every_row(
    score: Callable[..., Any], customers: Path, versions: list[dict[str, Any]], tmp_path: Path
) -> None:
    output = tmp_path / "scores.parquet"
    outcome = score(data=str(customers), output_path=str(output), key_columns=["customer"])
    assert outcome.errors == {}
    written = pd.read_parquet(output)
    assert list(written) == ["customer", "prediction", "probability", "model_version", "scored_at"]
    truth = expected(customers, versions[0]["version"])
    assert written["customer"].tolist() == list(range(1_000))
    assert written["prediction"].tolist() == truth[:, 0].tolist()
    np.testing.assert_allclose(written["probability"], truth[:, 1].astype(float), rtol=1e-12)
    assert set(written["model_version"]) == {versions[0]["version"]}
    assert written["scored_at"].nunique() == 1
    assert str(written["scored_at"].dtype) == "datetime64[us, UTC]"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_the_result_says_what_was_scored_and_where_everything_is(
    score: Callable[..., Any], customers: Path, versions: list[dict[str, Any]], tmp_path: Path
) -> None:
    output = tmp_path / "scores.parquet"
    result = score(data=str(customers), output_path=str(output)).xcoms["score"]
    assert result["passed"] is True
    assert result["rows"] == 1_000
    assert result["version"] == versions[0]["version"]
    assert result["skew"]["verdict"] == "no_skew"
    assert result["predictions"]["verdict"] == "sound"
    assert result["output"] == output.as_uri()
    assert result["output_fingerprint"]["sha256"] == open_files(output).fingerprint().sha256
    assert result["fingerprint"]["sha256"] == open_files(customers).fingerprint().sha256


def test_features_of_another_unit_are_scored_for_nobody(
    score: Callable[..., Any], customers: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.parquet"
    frame = pd.read_parquet(customers)
    frame.assign(monthly_charges=frame["monthly_charges"] * 1000).to_parquet(spoilt)
    outcome = score(data=str(spoilt), output_path=str(tmp_path / "out" / "scores.parquet"))
    assert isinstance(outcome.errors["score"], RejectedError)
    result = outcome.xcoms["score"]
    assert result["skew"]["verdict"] == "skew"
    assert result["published"] is False
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_verdict_lets_the_output_out_where_the_user_wants_to_go_on(
    score: Callable[..., Any], customers: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.parquet"
    pd.read_parquet(customers).assign(tenure=12).to_parquet(spoilt)
    outcome = score(data=str(spoilt), output_path=str(tmp_path / "scores.parquet"), on_reject="continue")
    assert outcome.state == "success"
    assert outcome.xcoms["score"]["passed"] is False
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 1_000


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.drop(columns="tenure"),
        lambda frame: frame.assign(tenure=[f"{number} months" for number in frame["tenure"]]),
    ],
    ids=["dropped", "retyped"],
)
def test_rows_without_a_feature_are_refused_before_they_are_read(
    score: Callable[..., Any], customers: Path, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    spoilt = tmp_path / "spoilt.parquet"
    change(pd.read_parquet(customers)).to_parquet(spoilt)
    outcome = score(data=str(spoilt), output_path=str(tmp_path / "scores.parquet"))
    assert isinstance(outcome.errors["score"], RejectedError)
    assert "tenure" in outcome.xcoms["score"]["reasons"][0]
    assert not (tmp_path / "scores.parquet").exists()


def test_partitions_are_folders_that_read_back_as_the_whole(
    score: Callable[..., Any], customers: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores"
    outcome = score(
        data=str(customers), output_path=str(output), key_columns=["customer"], partition_by=["contract", "partner"]
    )
    assert outcome.errors == {}
    assert (output / "_SUCCESS").exists()
    assert (output / "contract=Two year" / "partner=0" / "part-00000.parquet").exists()
    with open_files(output) as source:
        read = source.to_pandas(["customer", "contract", "partner", "probability"]).sort_values("customer")
    given = pd.read_parquet(customers)
    assert read["contract"].tolist() == given["contract"].tolist()
    assert read["partner"].tolist() == given["partner"].tolist()


def test_a_shadow_scores_the_same_rows_where_no_reader_of_the_output_looks(
    score: Callable[..., Any], customers: Path, versions: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "scores"
    outcome = score(
        data=str(customers),
        output_path=str(folder / "day=2026-01-01"),
        key_columns=["customer"],
        shadow=["challenger", "champion", "nobody"],
    )
    shadows = outcome.xcoms["score"]["shadows"]
    assert [one["version"] for one in shadows] == [versions[1]["version"]]
    with open_files(shadows[0]["output"]) as source:
        shadow = source.to_pandas()
    truth = expected(customers, versions[1]["version"])
    np.testing.assert_allclose(shadow["probability"], truth[:, 1].astype(float), rtol=1e-12)
    with open_files(folder) as source:
        read = source.to_pandas()
    assert len(read) == 1_000
    assert set(read["model_version"]) == {versions[0]["version"]}


@pytest.mark.parametrize("full", ["shadow", "output"])
def test_a_shadow_that_cannot_be_written_harms_nobody_and_an_output_that_cannot_is_not_taken_for_a_shadow(
    score: Callable[..., Any], customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    write = ParquetWriter.write

    def fail(self: ParquetWriter, rows: Any) -> None:
        if ("shadow" in self.uri.rpartition("/")[2]) == (full == "shadow"):
            raise OutageError("the disk is full")
        write(self, rows)

    monkeypatch.setattr(ParquetWriter, "write", fail)
    output = tmp_path / "scores.parquet"
    outcome = score(data=str(customers), output_path=str(output), shadow=["challenger"])
    if full == "shadow":
        (shadow,) = outcome.xcoms["score"]["shadows"]
        assert "the disk is full" in shadow["error"]
        assert pq.read_metadata(output).num_rows == 1_000
        assert [one.name for one in tmp_path.iterdir()] == ["scores.parquet"]
    else:
        assert type(outcome.errors["score"]) is RetryableError
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hindered", ["by another run", "when published"])
def test_a_shadow_whose_table_cannot_be_let_out_harms_nobody(
    score: Callable[..., Any], customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hindered: str
) -> None:
    publish, output = ParquetWriter.publish, tmp_path / "scores.parquet"

    def fail(self: ParquetWriter) -> None:
        if "shadow" in self.uri.rpartition("/")[2]:
            raise OutageError("the disk is full")
        publish(self)

    if hindered == "by another run":
        score(data=str(customers), output_path=str(output), shadow=["challenger"])
        output.unlink()
    else:
        monkeypatch.setattr(ParquetWriter, "publish", fail)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    outcome = score(data=str(customers), output_path=str(output), shadow=["challenger"])
    assert outcome.errors == {}
    (shadow,) = outcome.xcoms["score"]["shadows"]
    assert shadow["output"] is None
    assert ("There is a table of" if before else "the disk is full") in shadow["error"]
    assert pq.read_metadata(output).num_rows == 1_000
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir() if one != output} == before


@pytest.mark.parametrize("on_reject", ["skip", "continue"])
def test_rows_that_the_model_refuses_get_a_verdict_where_skew_explains_it(
    score: Callable[..., Any], customers: Path, tmp_path: Path, on_reject: str
) -> None:
    spoilt = tmp_path / "spoilt.parquet"
    rows = pd.read_parquet(customers)
    rows.assign(total_charges=rows["total_charges"].astype(float).where(rows["customer"] >= 3, np.inf)).to_parquet(
        spoilt
    )
    outcome = score(data=str(spoilt), output_path=str(tmp_path / "out" / "scores.parquet"), on_reject=on_reject)
    assert list((tmp_path / "out").iterdir()) == []
    if on_reject == "continue":  # with nothing to go on with
        assert isinstance(outcome.errors["score"], InvalidInputError)
        return
    assert outcome.states == {"score": "skipped"}
    result = outcome.xcoms["score"]
    assert (result["passed"], result["published"], result["rows"]) == (False, False, 0)
    assert result["reasons"][0] == "features: total_charges: 3 infinite values"
    assert "total_charges" in result["reasons"][-1]
    assert result["skew"]["verdict"] == "skew"
    with open_registry(embedded_server()) as registry:
        names = {one.path for one in registry.client.list_artifacts(result["run_id"], "scoring")}
    assert names >= {"scoring/report.html", "scoring/report.json"}


def test_booleans_and_zeros_and_ones_are_the_same_to_every_check_whichever_training_had(
    run_dag: Callable[..., Any],
    score: Callable[..., Any],
    customers: Path,
    telco: Path,
    model_name: str,
    tmp_path: Path,
) -> None:
    from airflow_mlops_provider.operators.check_feature_skew import CheckFeatureSkewOperator

    rows = pd.read_parquet(customers)
    truths, training, twos = (tmp_path / f"{name}.parquet" for name in ("truths", "training", "twos"))
    rows.assign(partner=rows["partner"].astype(bool)).to_parquet(truths)
    outcome = score(data=str(truths), output_path=str(tmp_path / "truths_scored.parquet"), key_columns=["customer"])
    assert outcome.errors == {}
    assert outcome.xcoms["score"]["skew"]["findings"] == []

    table = pd.read_csv(telco)
    table.assign(partner=table["partner"].astype(bool)).to_parquet(training)
    rows.assign(partner=rows["partner"].astype(float).where(rows["customer"] != 7, 2)).to_parquet(twos)
    names = {"numbers": customers, "twos": twos}
    with DAG("batch_score_booleans", schedule=None) as dag:
        train = TrainModelOperator(
            task_id="train",
            model_name=model_name,
            data=str(training),
            target="churn",
            estimator="sklearn.linear_model.LogisticRegression",
            folds=0,
        )
        for name, data in names.items():
            given = {"model_name": model_name, "alias": "challenger", "data": str(data), "on_reject": "continue"}
            train >> CheckFeatureSkewOperator(task_id=f"check_{name}", known_columns=["customer"], **given)
            train >> BatchScoreOperator(
                task_id=f"score_{name}",
                key_columns=["customer"],
                output_path=str(tmp_path / f"{name}_scored.parquet"),
                **given,
            )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    found = {name: outcome.xcoms[f"check_{name}"]["findings"] for name in names}
    assert {name: outcome.xcoms[f"score_{name}"]["skew"]["findings"] for name in names} == found
    assert found["numbers"] == []
    assert [(one["what"], one["check"]) for one in found["twos"]] == [("partner", "type")]


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_a_task_that_times_out_while_rows_are_written_leaves_nothing_behind(
    score: Callable[..., Any], customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    split, ended = ParquetWriter._file, []

    def slow(self: ParquetWriter, folder: str) -> Any:
        # The time-out that Airflow has set, but now: while rows are written and the task waits for that.
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(0.5)
        ended.append(split(self, folder))
        return ended[-1]

    monkeypatch.setattr(ParquetWriter, "_file", slow)
    monkeypatch.setattr("airflow_mlops_provider.data.writer._BUFFERED_ROWS", 900)
    outcome = score(
        data=str(customers),
        output_path=str(tmp_path / "out" / name),
        partition_by=[] if name.endswith(".parquet") else ["contract"],
        execution_timeout=timedelta(hours=1),
    )
    assert type(outcome.errors["score"]) is AirflowTaskTimeout
    assert len(ended) == 1
    assert list((tmp_path / "out").iterdir()) == []
    assert not [one.name for one in threading.enumerate() if one.name.startswith(("write-behind", "read-ahead"))]


def test_progress_is_told_in_the_log(
    score: Callable[..., Any], customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("airflow_mlops_provider.operators.scoring._PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr("airflow_mlops_provider.operators.scoring._BATCH_ROWS", 400)
    log = SimpleNamespace(info=lambda text, *values: said.append(text % values), warning=pytest.fail)
    monkeypatch.setattr(BatchScoreOperator, "log", log)
    assert score(data=str(customers), output_path=str(tmp_path / "scores.parquet")).errors == {}
    told = [one.partition("),")[0] for one in said if "rows/s" in one]
    assert told == ["Scored 400 of 1000 rows (40 %", "Scored 800 of 1000 rows (80 %", "Scored 1000 of 1000 rows (100 %"]


def test_what_another_run_wrote_is_not_replaced(score: Callable[..., Any], customers: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    score(data=str(customers), output_path=str(output))
    before = output.read_bytes()
    again = score(data=str(customers), output_path=str(output))
    assert isinstance(again.errors["score"], InvalidInputError)
    assert "batch_score.score in run" in str(again.errors["score"])
    assert output.read_bytes() == before
    assert score(data=str(customers), output_path=str(output), overwrite=True).errors == {}


def test_rows_and_scores_in_s3_are_as_on_a_disk(
    score: Callable[..., Any],
    customers: Path,
    versions: list[dict[str, Any]],
    s3: Bucket,
    s3_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    s3.put("in/customers.parquet", customers.read_bytes())
    connection = {"conn_type": "aws", "login": "ann", "password": "secret", "extra": {"endpoint_url": s3_url}}
    monkeypatch.setenv("AIRFLOW_CONN_MINIO", json.dumps(connection))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # the connection in the address leads elsewhere
    outcome = score(
        data=f"s3://minio@{s3.name}/in/",
        output_path=f"s3://minio@{s3.name}/scores/day=2026-01-01",
        key_columns=["customer"],
        partition_by=["contract"],
        shadow=["challenger"],
    )
    assert outcome.errors == {}
    result = outcome.xcoms["score"]
    assert result["fingerprint"]["basis"] == result["output_fingerprint"]["basis"] == "etag"
    with open_files(s3.uri("scores"), access=s3.access) as source:
        read = source.to_pandas().sort_values("customer")
    truth = expected(customers, versions[0]["version"])
    np.testing.assert_allclose(read["probability"], truth[:, 1].astype(float), rtol=1e-12)
    assert set(read["day"]) == {"2026-01-01"}
    with open_files(s3.uri("scores/_day-2026-01-01.shadow-2"), access=s3.access) as source:
        assert source.count_rows() == 1_000
    with create_session() as session:
        assert session.scalar(select(AssetModel).where(AssetModel.uri == s3.uri("scores/day=2026-01-01"))) is not None
    assert s3.uploads() == []


def test_the_asset_of_the_output_tells_rows_and_version(
    score: Callable[..., Any], customers: Path, versions: list[dict[str, Any]], tmp_path: Path
) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    output = tmp_path / "scores.parquet"
    score(data=str(customers), output_path=str(output))
    with create_session() as session:
        asset = session.scalar(select(AssetModel).where(AssetModel.uri == output.as_uri()))
        events = session.scalars(select(AssetEvent).where(AssetEvent.asset_id == asset.id)).all()
        extras = [event.extra for event in events]
    assert len(extras) == 1
    assert extras[0]["rows"] == 1_000
    assert extras[0]["version"] == versions[0]["version"]


def test_the_features_profile_serves_a_drift_check_without_reading_the_rows_again(
    run_dag: Callable[..., Any], score: Callable[..., Any], customers: Path, tmp_path: Path
) -> None:
    from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator

    result = score(data=str(customers), output_path=str(tmp_path / "scores.parquet")).xcoms["score"]
    with DAG("batch_score_drift", schedule=None) as dag:
        DetectDriftOperator(task_id="drift", model_name=MODEL, profile=result["profile_uri"])
    drift = run_dag(dag).xcoms["drift"]
    assert drift["verdict"] == "no_drift"
    assert drift["n_judged"] == 19


def test_the_features_profile_of_rows_that_have_the_target_too_serves_a_drift_check(
    run_dag: Callable[..., Any], versions: list[dict[str, Any]], telco: Path, tmp_path: Path
) -> None:
    from airflow_mlops_provider.operators.check_feature_skew import CheckFeatureSkewOperator
    from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator

    data = tmp_path / "rows.parquet"
    pd.read_csv(telco).sample(1_000, random_state=3).to_parquet(data)
    with DAG("batch_score_target", schedule=None) as dag:
        score = BatchScoreOperator(
            task_id="score", model_name=MODEL, data=str(data), output_path=str(tmp_path / "scores.parquet")
        )
        check = CheckFeatureSkewOperator(task_id="check", model_name=MODEL, data=str(data))
        for one in (score, check):
            one >> DetectDriftOperator(task_id=f"drift_of_{one.task_id}", model_name=MODEL, profile=one.output)
    outcome = run_dag(dag)
    assert outcome.errors == {}
    for name in ("score", "check"):
        assert outcome.xcoms[f"drift_of_{name}"]["verdict"] == "no_drift"
        assert outcome.xcoms[f"drift_of_{name}"]["n_judged"] == 19


def test_files_of_another_version_of_the_same_features_are_found_out(
    score: Callable[..., Any], customers: Path, versions: list[dict[str, Any]], tmp_path: Path
) -> None:
    files = []
    with open_registry(embedded_server()) as registry:
        for one in versions:
            source = registry.client.get_model_version(MODEL, one["version"]).source
            location = registry.client.get_logged_model(source.removeprefix("models:/")).artifact_location
            files.append(Path(location.removeprefix("file://")) / "model.skops")
    kept = files[0].read_bytes()
    files[0].write_bytes(files[1].read_bytes())
    try:
        outcome = score(data=str(customers), output_path=str(tmp_path / "scores.parquet"))
    finally:
        files[0].write_bytes(kept)
    assert isinstance(outcome.errors["score"], InvalidInputError)
    assert not (tmp_path / "scores.parquet").exists()


def test_several_classes_and_numbers_are_scored_like_two_classes(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    for name, load in (("wine", load_wine), ("diabetes", load_diabetes)):
        load(as_frame=True).frame.to_csv(tmp_path / f"{name}.csv", index=False)
    with DAG("batch_score_tasks", schedule=None) as dag:
        for name, estimator in (("wine", "LogisticRegression"), ("diabetes", "Ridge")):
            train = TrainModelOperator(
                task_id=f"train_{name}",
                model_name=f"batch score {name}",
                data=str(tmp_path / f"{name}.csv"),
                target="target",
                estimator=f"sklearn.linear_model.{estimator}",
                folds=0,
            )
            train >> BatchScoreOperator(
                task_id=name,
                model_name=f"batch score {name}",
                alias="challenger",
                data=str(tmp_path / f"{name}.csv"),
                output_path=str(tmp_path / f"{name}.parquet"),
            )
    outcome = run_dag(dag)
    assert outcome.errors == {}
    wine, diabetes = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("wine", "diabetes"))
    parts = wine[["probability_0", "probability_1", "probability_2"]]
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    np.testing.assert_array_equal(parts.to_numpy().argmax(axis=1), wine["prediction"])
    np.testing.assert_array_equal(parts.max(axis=1), wine["probability"])
    assert list(diabetes) == ["prediction", "model_version", "scored_at"]
    assert np.corrcoef(diabetes["prediction"], load_diabetes().target)[0, 1] > 0.6
    assert {outcome.xcoms[name]["predictions"]["verdict"] for name in ("wine", "diabetes")} <= {
        "sound",
        "insufficient_data",
    }
