from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.operators.smoke_environment import check_environment, interpreter

SEE = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"


def sees(python: str, search_path: str, *names: str) -> str:
    env = {"PYTHONPATH": search_path}
    return subprocess.run([python, "-c", SEE, *names], env=env, capture_output=True, text=True, check=True).stdout


def test_a_clean_environment_has_what_was_recorded_and_this_code_and_nothing_of_the_worker() -> None:
    with interpreter("recorded", requirements=["joblib==1.4.2"], timeout_seconds=300) as found:
        assert (found.environment, found.note) == ("recorded", None)
        said = sees(found.python, found.search_path, "joblib", "pyarrow", "airflow_mlops_provider", "airflow", "mlflow")
        assert said.strip() == "['joblib', 'pyarrow', 'airflow_mlops_provider']"
        kept = Path(found.python)
    assert not kept.exists()


def test_where_packages_cannot_be_had_the_workers_serve_and_the_note_says_why() -> None:
    wanted = ["no-such-package-of-a-model==1.0"]
    with interpreter("recorded", requirements=wanted, timeout_seconds=300) as found:
        assert found.environment == "current"
        assert "no-such-package-of-a-model" in str(found.note)
        assert sees(found.python, found.search_path, "airflow").strip() == "['airflow']"


@pytest.mark.parametrize(
    "planted",
    [
        *("--find-links=http://127.0.0.1:1/", "-e .", "wheel @ file:///tmp/x.whl", "./x.whl", "joblib", "joblib>=1"),
        *("", "joblib==1.4.*", "joblib==1.4.2 --pre", "joblib==1.4.2\n--pre", "joblib==--pre", "jöblib==1", 7, None),
    ],
)
def test_a_requirement_that_is_more_than_a_name_and_a_version_is_refused_and_nothing_is_installed(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was run"))
    wanted = ["joblib==1.4.2", planted]
    with (
        pytest.raises(InputError, match=r"must be like .* nothing was installed"),
        interpreter("recorded", requirements=wanted, timeout_seconds=300),
    ):
        pass


def test_pip_is_told_where_its_options_end(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    with interpreter("recorded", requirements=["joblib==1.4.2"], timeout_seconds=300):
        end = commands[-1].index("--")
        assert commands[-1][end + 1] == "joblib==1.4.2"
        assert not any(one.startswith("-") for one in commands[-1][end + 1 :])


def test_requirements_that_nobody_vouches_for_are_not_installed() -> None:
    with interpreter("recorded", requirements=None, timeout_seconds=300) as found:
        assert found.environment == "current"
        assert "nobody wrote down" in str(found.note)
        assert "train the model again" in str(found.note)


def test_installing_that_does_not_end_is_given_up() -> None:
    with interpreter("recorded", requirements=[], timeout_seconds=0.01) as found:
        assert "not installed within 0.01 s" in str(found.note)


def test_the_workers_environment_is_had_by_asking() -> None:
    with interpreter("current", requirements=["joblib==1.4.2"], timeout_seconds=1) as found:
        assert (found.environment, found.note) == ("current", None)


def test_an_environment_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=r"recorded, current; got 'docker'"):
        check_environment("docker")
