from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from airflow_mlops_provider.training.environment import git_commit, requirements_of


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_requirements_pin_what_the_model_imports_at_the_installed_version() -> None:
    found = requirements_of(make_pipeline(FunctionTransformer(), LogisticRegression()))
    assert f"scikit-learn=={version('scikit-learn')}" in found
    assert f"skops=={version('skops')}" in found
    assert found == sorted(found)


def test_the_commit_is_that_of_the_folder_and_changes_are_not_hidden(tmp_path: Path) -> None:
    assert git_commit(tmp_path / "nowhere") is None
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) is None
    (tmp_path / "dag.py").write_text("1")
    git(tmp_path, "add", "dag.py")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "dag.py").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"
