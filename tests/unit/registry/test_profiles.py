from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.registry.profiles import (
    TRAINING_PROFILE,
    TRAINING_SUITE,
    is_address,
    read_profile,
    training_profile,
    training_suite,
    write_profile,
)
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry
from airflow_mlops_provider.registry.versions import Version

RUN = "0123456789abcdef0123456789abcdef"
PROFILE = profile_table(pa.table({"n": [1.5, None, 3.0], "s": ["a", "b", "a"]}))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    with open_registry(server) as opened:
        yield opened


def version_with(registry: Registry, **texts: str) -> Version:
    """Return a version whose run holds these artifacts."""
    with logged_run(registry, experiment_name="profiles", run_name="r", tags={}) as run:
        for path, text in texts.items():
            run.log_text(text, {"profile": TRAINING_PROFILE, "suite": TRAINING_SUITE}[path])
    return Version(model_name="m", version="3", run_id=run.run_id, model_id=None, tags={})


def test_a_profile_comes_back_from_its_address_as_it_was(registry: Registry) -> None:
    with logged_run(registry, experiment_name="profiles", run_name="r", tags={}) as run:
        address = write_profile(run, PROFILE)
        other = write_profile(run, PROFILE, "deeper/in it/profile.json".replace(" ", "_"))
    assert address == f"runs:/{run.run_id}/profile/profile.json"
    assert read_profile(registry, address) == read_profile(registry, other) == PROFILE


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/profile.json",
        "runs:/short/profile.json",
        f"runs:/{RUN}",
        f"runs:/{RUN}/",
        f"runs:/{RUN}/../other/profile.json",
        f"runs:/{RUN}/a b.json",
        f"runs:/{RUN}/profile.json\n",
        f"runs:/{RUN.upper()}/profile.json",
        None,
        7,
    ],
)
def test_what_is_no_address_is_refused(registry: Registry, text: object) -> None:
    assert not is_address(text)
    with pytest.raises(InputError, match="must look like runs:/<run id>/<path>"):
        read_profile(registry, text)


def test_a_profile_that_is_gone_or_damaged_is_said_to_be(registry: Registry) -> None:
    version = version_with(registry, profile='{"rows": 3')
    with pytest.raises(InputError, match=r"There is no profile at runs:/.*/absent.json.*Hint: was it made by"):
        read_profile(registry, f"runs:/{version.run_id}/evidence/absent.json")
    with pytest.raises(InputError):
        training_profile(registry, version)


def test_a_version_gives_what_it_was_trained_on(registry: Registry) -> None:
    suite = [{"type": "expect_column_to_exist", "kwargs": {"column": "n"}}]
    version = version_with(registry, profile=PROFILE.to_json(), suite=json.dumps({"expectations": suite}))
    assert training_profile(registry, version) == PROFILE
    assert training_suite(registry, version) == suite


@pytest.mark.parametrize("read", [training_profile, training_suite])
def test_a_version_without_a_run_or_without_the_artifact_says_so(registry: Registry, read) -> None:
    bare = Version(model_name="m", version="3", run_id=None, model_id=None, tags={})
    with pytest.raises(InputError, match="version 3 of model 'm' has no MLflow run"):
        read(registry, bare)
    with pytest.raises(InputError, match="earlier version of this package"):
        read(registry, version_with(registry))


@pytest.mark.parametrize("text", ["[]", "{}", '{"expectations":', "null"])
def test_a_damaged_suite_is_refused(registry: Registry, text: str) -> None:
    with pytest.raises(InputError, match=r"is damaged\. Hint: train the model again"):
        training_suite(registry, version_with(registry, suite=text))
