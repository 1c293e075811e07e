from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.manifest import Manifest, manifest_of

# FIPS 180-2, appendix B.1: SHA-256 of "abc".
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_bytes(b"abc")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.skops").write_bytes(bytes(range(256)) * 8192)
    return tmp_path


def test_a_manifest_names_every_file_with_its_hash_and_size(directory: Path) -> None:
    manifest = manifest_of(directory)
    assert manifest.files["MLmodel"] == (ABC, 3)
    digest = hashlib.sha256((directory / "data" / "model.skops").read_bytes()).hexdigest()
    assert manifest.files["data/model.skops"] == (digest, 2 * 1024 * 1024)
    assert manifest.size_bytes == 2 * 1024 * 1024 + 3


def test_what_mlflow_adds_to_a_local_copy_is_left_out(directory: Path) -> None:
    before = manifest_of(directory)
    (directory / "registered_model_meta").write_text("model_name: churn")
    assert manifest_of(directory) == before


def test_a_manifest_survives_its_text(directory: Path) -> None:
    manifest = manifest_of(directory)
    again = Manifest.from_text(manifest.to_text())
    assert again == manifest
    assert again.sha256 == manifest.sha256
    assert again.differences(manifest) == []


def test_the_order_of_files_does_not_change_the_hash() -> None:
    one = Manifest(files={"a": (ABC, 3), "b": (ABC, 3)})
    assert one.sha256 == Manifest(files={"b": (ABC, 3), "a": (ABC, 3)}).sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "MLmodel").write_bytes(b"abd"), "MLmodel has another content"),
        (lambda folder: (folder / "MLmodel").write_bytes(b"ab"), "MLmodel has 2 bytes instead of 3"),
        (lambda folder: (folder / "MLmodel").unlink(), "MLmodel is missing"),
        (lambda folder: (folder / "model.pkl").write_bytes(b""), "model.pkl was added"),
        (lambda folder: (folder / "data" / "registered_model_meta").touch(), "registered_model_meta was added"),
    ],
)
def test_every_change_of_the_files_is_told_by_name(directory: Path, change, said: str) -> None:
    before = manifest_of(directory)
    change(directory)
    after = manifest_of(directory)
    assert [said in one for one in before.differences(after)] == [True]
    assert before.sha256 != after.sha256


@pytest.mark.parametrize("target", ["/etc/passwd", "MLmodel", "nowhere"])
def test_a_link_among_the_files_is_refused(directory: Path, target: str) -> None:
    (directory / "link").symlink_to(target)
    with pytest.raises(InputError, match="plain files only; 'link'"):
        manifest_of(directory)


def test_a_pipe_among_the_files_is_refused_and_not_waited_for(directory: Path) -> None:
    os.mkfifo(directory / "pipe")
    with pytest.raises(InputError, match="plain files only"):
        manifest_of(directory)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"a": 3}', '{"a": ["x"]}', '{"a": ["x", "y"]}', "null"])
def test_texts_that_are_no_manifest_are_refused(text: str) -> None:
    if text == "[]":
        text = '["a"]'
    with pytest.raises(InputError, match="cannot be read"):
        Manifest.from_text(text)
