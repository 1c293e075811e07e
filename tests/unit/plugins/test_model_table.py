from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.plugins import model_table
from airflow_mlops_provider.plugins.model_table import DagRunRef, ModelRow, read_model_table

BY = {"dag_id": "churn_training", "run_id": "manual__2026-11-20T10:00:00+00:00", "task_id": "promote"}
TAGS = {
    "mlops.primary_metric": "roc_auc",
    "mlops.primary_value": "0.8511",
    "mlops.primary_lower": "0.8311",
    "mlops.primary_upper": "0.8702",
    "mlops.blessing": json.dumps(
        {"verdict": "blessed", "champion_version": "1", "evaluated_at": "2026-11-20T10:01:12+00:00"}
    ),
    "mlops.promoted_at": "2026-11-20T10:02:00+00:00",
    "mlops.promoted_by": json.dumps(BY),
    "mlops.previous_champion": "1",
}


def make(model_name: str, *, aliases: dict[str, dict[str, str]]) -> None:
    """Register a model with one version, carrying these tags, for each alias."""
    with MlflowHook().open() as registry:
        registry.client.create_registered_model(model_name)
        run = registry.client.create_run(registry.experiment_id("models of the page"))
        for alias, tags in aliases.items():
            version = registry.client.create_model_version(
                model_name, f"runs:/{run.info.run_id}/model", run_id=run.info.run_id, tags=tags
            )
            registry.client.set_registered_model_alias(model_name, alias, version.version)


def row_of(model_name: str) -> ModelRow:
    (row,) = [row for row in read_model_table().models if row.name == model_name]
    return row


@pytest.fixture(autouse=True)
def _airflow(airflow_home: Path) -> None:
    """Every reading looks up a connection."""


def test_champion_and_challenger_are_shown_with_their_evidence(model_name: str) -> None:
    make(model_name, aliases={"champion": TAGS, "challenger": {}})
    champion, challenger = row_of(model_name).versions
    assert (champion.alias, champion.version, challenger.alias, challenger.version) == (
        *("champion", "1"),
        *("challenger", "2"),
    )
    assert champion.metric == "roc_auc 0.8511 [0.8311, 0.8702]"
    assert (champion.verdict, champion.verdict_against) == ("blessed", "1")
    assert champion.promoted_by == DagRunRef(dag_id=BY["dag_id"], run_id=BY["run_id"])
    assert champion.previous_champion == "1"
    assert (challenger.metric, challenger.verdict, challenger.promoted_at, challenger.promoted_by) == ("", "", "", None)


def test_a_model_without_aliases_is_a_row_too(model_name: str) -> None:
    make(model_name, aliases={})
    assert row_of(model_name).versions == ()


@pytest.mark.parametrize(
    "tags",
    [
        {"mlops.blessing": "not json", "mlops.promoted_by": "{", "mlops.primary_value": "many"},
        {"mlops.blessing": "[1]", "mlops.promoted_by": "3", "mlops.primary_value": "inf"},
        {"mlops.blessing": '{"verdict": null}', "mlops.promoted_by": '{"dag_id": 3}', "mlops.primary_value": "nan"},
        {"mlops.blessing": "", "mlops.promoted_by": '{"dag_id": "a"}', "mlops.primary_lower": "0.1"},
    ],
)
def test_broken_tags_leave_their_cells_empty(model_name: str, tags: dict[str, str]) -> None:
    make(model_name, aliases={"champion": tags})
    (champion,) = row_of(model_name).versions
    assert (champion.metric, champion.verdict, champion.promoted_by) == ("", "", None)


def test_a_version_deleted_while_the_page_is_made_is_no_row(model_name: str) -> None:
    make(model_name, aliases={"champion": {}, "challenger": {}})
    with MlflowHook().open() as registry:
        listed = registry.client.get_registered_model(model_name)
        registry.client.delete_model_version(model_name, "1")
        row = model_table._model_row(registry, listed)
    assert [version.alias for version in row.versions] == ["challenger"]


def test_more_models_than_the_page_shows_are_announced(model_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(model_name, aliases={})
    make(f"{model_name}_2", aliases={})
    monkeypatch.setattr(model_table, "MAX_MODELS", 1)
    table = read_model_table()
    assert len(table.models) == 1
    assert not table.complete


def test_reading_ends_when_its_time_is_up(model_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(model_name, aliases={})
    monkeypatch.setattr(model_table, "READ_SECONDS", -1.0)
    table = read_model_table()
    assert (table.models, table.complete) == ((), False)


def test_looking_does_not_create_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.configuration.AIRFLOW_HOME", str(tmp_path))
    assert read_model_table().models == ()
    assert not list(tmp_path.rglob("*.db"))


def test_a_server_that_is_down_is_an_outage_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "mlflow://ann:secret-1@127.0.0.1:9")
    before = dict(os.environ)
    with pytest.raises(OutageError, match=r"127\.0\.0\.1:9"):
        read_model_table()
    assert dict(os.environ) == before


def test_a_connection_without_host_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "mlflow://")
    with pytest.raises(InputError, match="host"):
        read_model_table()
