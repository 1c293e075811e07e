from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.artifacts import fetch
from airflow_mlops_provider.registry.runs import logged_run
from airflow_mlops_provider.registry.session import TrackingServer, open_registry


def test_files_and_folders_come_and_what_is_not_there_is_no_outage(tmp_path: Path) -> None:
    server = TrackingServer(uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=f"{tmp_path}/artifacts")
    into = tmp_path / "into"
    into.mkdir()
    with open_registry(server) as registry:
        with logged_run(registry, experiment_name="artifacts", run_name="r", tags={}) as run:
            run.log_text("deep", "a/b/c.txt")
            run.log_text("top", "d.txt")

        def get(path: str, run_id: str = run.run_id) -> Path:
            return fetch(registry, run_id=run_id, path=path, into=str(into))

        assert get("a/b/c.txt").read_text() == "deep"
        assert get("d.txt").read_text() == "top"
        assert (get("a") / "b" / "c.txt").read_text() == "deep"
        for path in ("e.txt", "a/c.txt", "x/y/z.txt"):
            with pytest.raises(InputError, match=f"{run.run_id} has no artifact '{path}'"):
                get(path)
    with pytest.raises(InputError, match="nowhere"), open_registry(server) as registry:
        get("d.txt", run_id="nowhere")
