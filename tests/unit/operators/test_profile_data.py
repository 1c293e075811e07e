from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.detect_drift import DetectDriftOperator
from airflow_mlops_provider.operators.profile_data import MergeProfilesOperator, ProfileDataOperator
from airflow_mlops_provider.registry.champion import resolve
from airflow_mlops_provider.registry.profiles import read_profile, training_profile


@pytest.fixture(scope="module")
def parts(telco: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three partitions of a shifted window."""
    folder = tmp_path_factory.mktemp("parts")
    customers = pd.read_csv(telco).drop(columns="churn")
    weights = (customers["contract"] == "Month-to-month").map({True: 9.0, False: 1.0})
    drawn = customers.sample(1000, random_state=7, weights=weights)
    paths = []
    for number, (start, stop) in enumerate([(0, 500), (500, 990), (990, 1000)]):
        paths.append(str(folder / f"part-{number}.parquet"))
        drawn[start:stop].to_parquet(paths[-1], index=False)
    return paths


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], watched: str, parts: list[str]) -> Any:
    end = "2025-05-01"
    with DAG("profile_in_parts", schedule=None) as dag:
        counted = ProfileDataOperator.partial(task_id="count", model_name=watched).expand(data=parts)
        merged = MergeProfilesOperator(task_id="merge", profiles=counted.output)
        DetectDriftOperator(task_id="of_profile", model_name=watched, profile=merged.output, window_end=end)
        DetectDriftOperator(task_id="of_rows", model_name=watched, data=parts, window_end=end)
        chosen = ["monthly_charges", "contract"]
        own = ProfileDataOperator(task_id="own", data=parts, columns=chosen)
        like = ProfileDataOperator(task_id="like", data=parts[0], like=own.output, columns=chosen)
        DetectDriftOperator(
            task_id="profiles_only", profile=like.output, reference="{{ ti.xcom_pull('own')['profile_uri'] }}"
        ).set_upstream(own)
        DetectDriftOperator(task_id="other_cells", model_name=watched, profile=own.output, retries=2)
        MergeProfilesOperator(task_id="other_cells_merged", profiles=[own.output, merged.output], retries=2)
        MergeProfilesOperator(task_id="merged_again", profiles=[merged.output])
        MergeProfilesOperator(
            task_id="by_address", profiles=["{{ ti.xcom_pull('merge')['profile_uri'] }}"]
        ).set_upstream(merged)
        MergeProfilesOperator(task_id="twice", profiles=[own.output, own.output])
        MergeProfilesOperator(task_id="one_only", profiles="{{ ti.xcom_pull('own')['profile_uri'] }}").set_upstream(own)
        ProfileDataOperator(task_id="no_column", data=parts, columns=["tenor"])
        DetectDriftOperator(task_id="no_profile", model_name=watched, profile="runs:/" + "0" * 32 + "/profile.json")
    return run_dag(dag)


def test_a_task_per_partition_and_one_pass_over_all_give_the_same_verdict(outcome: Any) -> None:
    in_parts, at_once = outcome.xcoms["of_profile"], outcome.xcoms["of_rows"]
    same = ("verdict", "reasons", "drifted", "n_judged", "drift_share", "importance_drifted", "schema", "rows")
    assert {key: in_parts[key] for key in same} == {key: at_once[key] for key in same}
    assert in_parts["verdict"] == "drift"
    with MlflowHook().open() as registry:
        assert read_profile(registry, in_parts["profile_uri"]) == read_profile(registry, at_once["profile_uri"])


def test_a_merged_profile_is_stored_where_its_address_says(outcome: Any) -> None:
    merged = outcome.xcoms["merge"]
    assert (merged["rows"], merged["columns"]) == (1000, 20)  # the target is known, and absent
    with MlflowHook().open() as registry:
        run = registry.client.get_run(merged["run_id"])
        assert read_profile(registry, merged["profile_uri"]).rows == 1000
    assert run.data.metrics == {"rows": 1000, "columns": 20}
    assert run.data.tags["airflow.operator"] == "MergeProfilesOperator"


def test_a_merged_profile_says_of_which_data_it_is_where_its_parts_do(outcome: Any, parts: list[str]) -> None:
    merged = outcome.xcoms["merge"]
    assert [one["uri"] for one in merged["data"]] == [f"file://{path}" for path in parts]
    assert [one["rows"] for one in merged["data"]] == [500, 490, 10]
    with MlflowHook().open() as registry:
        inputs = registry.client.get_run(merged["run_id"]).inputs.dataset_inputs
    assert {one.dataset.digest for one in inputs} == {one["sha256"][:32] for one in merged["data"]}
    assert outcome.xcoms["merged_again"]["data"] == merged["data"]
    # Of one part the data are not known, so those of the others would not be the whole.
    assert (outcome.xcoms["by_address"]["rows"], outcome.xcoms["by_address"]["data"]) == (1000, [])


def test_the_cells_are_those_of_the_model_or_of_the_profile_named(outcome: Any, watched: str) -> None:
    with MlflowHook().open() as registry:
        champion = training_profile(registry, resolve(registry, watched, None, alias="champion"))
        merged = read_profile(registry, outcome.xcoms["merge"]["profile_uri"])
        own = read_profile(registry, outcome.xcoms["own"]["profile_uri"])
        like = read_profile(registry, outcome.xcoms["like"]["profile_uri"])
    assert merged.grids == champion.grids
    assert like.grids == own.grids != champion.grids
    assert (like.names, like.rows) == (("contract", "monthly_charges"), 500)


def test_two_profiles_alone_are_enough_for_a_verdict(outcome: Any) -> None:
    result = outcome.xcoms["profiles_only"]
    assert (result["verdict"], result["n_judged"], result["model_name"]) == ("no_drift", 2, None)
    assert result["reference"] == f"profile {outcome.xcoms['own']['profile_uri']}"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("other_cells", "was not counted in the cells of .*Hint: profile the data again"),
        ("other_cells_merged", "counted in different cells"),
        ("twice", "given twice"),
        ("one_only", "must be a list"),
        ("no_column", "tenor"),
        ("no_profile", "0000 not found"),
    ],
)
def test_what_cannot_be_counted_or_merged_fails_without_retry(outcome: Any, task: str, message: str) -> None:
    assert outcome.states[task] == "failed"
    assert type(outcome.errors[task]).__name__ == "InvalidInputError"
    with pytest.raises(Exception, match=message):
        raise outcome.errors[task]


def test_cells_come_from_one_place() -> None:
    with pytest.raises(InputError, match="not of both"):
        ProfileDataOperator(task_id="count", data="a.csv", model_name="m", like="runs:/x")
