"""A small text is written whole or not at all, and a retry of its writer is no surprise."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.output import write_new
from tests.limits import full_disk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_written_once_and_again_when_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    for _ in range(2):
        assert write_new(path, "ü{}") == path.as_uri()
        assert path.read_text(encoding="utf-8") == "ü{}"
    with pytest.raises(InputError, match=r"suite\.json exists and is not overwritten; it holds something else"):
        write_new(path, "[]")
    assert path.read_text(encoding="utf-8") == "ü{}"
    assert names(tmp_path) == ["suite.json"]


def test_a_full_disk_is_an_outage_that_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    with full_disk(largest_file_bytes=100), pytest.raises(OutageError, match=r"could not be written: File too large"):
        write_new(path, "x" * 5000)
    assert names(tmp_path) == []
    write_new(path, "x" * 5000)
    assert path.read_text() == "x" * 5000


KILLED = """
import os, signal, sys
from airflow_mlops_provider.data import local_output
from airflow_mlops_provider.data.output import write_new
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
setattr(local_output, sys.argv[2], kill)
write_new(sys.argv[1], "{}")
"""


@pytest.mark.parametrize("at", ["_rename_new", "_sync_folder"])
def test_the_retry_of_a_killed_try_succeeds_and_cleans_up(tmp_path: Path, at: str) -> None:
    path = tmp_path / "suite.json"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), at], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.exists() is (at == "_sync_folder")
    write_new(path, "{}")
    assert path.read_text() == "{}"
    assert names(tmp_path) == ["suite.json"]


def test_a_file_system_without_links_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "suite.json"
    write_new(path, "{}")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        write_new(path, "[]")
    assert path.read_text() == "{}"
    assert names(tmp_path) == ["suite.json"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent/suite.json", "No such file or directory. Hint: make its folder first"),
        ("file/suite.json", "cannot be written"),
        ("folder", "exists and is not overwritten"),
        ("dangling", "exists and is not overwritten"),
        ("x" * 256, "File name too long"),
    ],
)
def test_a_place_that_takes_no_file_is_bad_input(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=words):
        write_new(tmp_path / name, "{}")
    assert names(tmp_path) == ["dangling", "file", "folder"]
