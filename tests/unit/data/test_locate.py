"""Paths, URIs, patterns and lists mean the files a user expects, or are refused with a way out."""

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.locate import locate


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n1\n")
    return folder


def names_of(data: Any) -> list[str]:
    return [entry.name for entry in locate(data)[1]]


def test_relative_and_home_paths_and_file_uris_mean_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a b/ü%20.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a b" / "ü%20.csv"
    forms = [
        "a b/ü%20.csv",
        "~/a b/ü%20.csv",
        path,
        str(path),
        path.as_uri(),
        path.as_uri().replace("file://", "FILE://localhost"),
    ]
    assert {locate(form)[0] for form in forms} == {path.as_uri()}


def test_a_recursive_pattern_finds_files_in_all_folders(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "a/b/2.csv", "a/b/.hidden/3.csv", "a/_tmp/4.csv", "5.parquet")
    assert names_of(f"{tmp_path}/**/*.csv") == ["a/1.csv", "a/b/2.csv"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    make(tmp_path, "a[1].csv", "a1.csv")
    assert names_of(tmp_path / "a[1].csv") == ["a[1].csv"]


def test_a_hidden_file_named_outright_is_read(tmp_path: Path) -> None:
    make(tmp_path, "_x.csv")
    assert names_of(tmp_path / "_x.csv") == ["_x.csv"]


def test_folders_of_partitions_are_read_only_below_what_was_named(tmp_path: Path) -> None:
    make(tmp_path, "k=1/day=2024-05-06/_city=New%20York/a.csv")
    [entry] = locate(tmp_path / "k=1")[1]
    assert entry.partition == {"day": "2024-05-06", "_city": "New York"}
    [entry] = locate(tmp_path / "k=1" / "day=2024-05-06" / "_city=New%20York" / "a.csv")[1]
    assert entry.partition == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "empty list"),
        ("", "must be a path"),
        (None, "must be a path"),
        (7, "must be a path"),
        (["a.csv", ["b.csv"]], "must be a path"),
        ("a\0.csv", "must be a path"),
        ("missing.csv", r"missing\.csv does not exist.*start at "),
        ("missing-*.csv", "holds no data file"),
        ("file://server/x.csv", "file://server/x.csv names a host"),
        ("file:///data/%2e%2e/x.csv", r"has a part '\.\.'"),
        ("file://ann:secret@server/x.csv", "file://server/x.csv names a host"),
        (Path("s3://lake/x.csv"), r"s3:/lake/x\.csv has one slash after s3:.* Hint: pass s3://… as text"),
        (Path("s3://ann:sec/ret@lake/x.csv"), r"data s3:/lake/x\.csv has one slash"),
        ("s3:/lake/x.csv", "one slash after s3:"),
        ("file:/data/x.csv", "one slash after file:"),
        ("s3://ann:sec/ret@lake/x.csv", r"s3://lake/x\.csv must not hold credentials"),
        ("postgresql://ann:sec/ret@db/x", "data postgresql://db/x: of URIs, only"),
        ("s3://ann:sec/ret@lake/\0", "must be a path"),
        ("https://user:sec/ret@pass@example.com/x.csv", r"data https://example\.com/x\.csv: of URIs"),
        ("https://user:secret@example.com/x.csv", r"https://example\.com/x\.csv: of URIs, only file:// and s3://"),
    ],
)
def test_what_cannot_be_found_is_refused_with_a_way_out(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        locate(data)
    for secret in ("secret", "sec/ret", "ret@", "ann"):
        assert secret not in str(raised.value)


def test_a_folder_whose_name_ends_in_a_colon_is_found(tmp_path: Path) -> None:
    make(tmp_path, "s3:/a.csv")
    assert names_of(tmp_path / "s3:" / "a.csv") == ["a.csv"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "_SUCCESS", ".x.csv")
    with pytest.raises(InputError, match="holds no data file"):
        locate(tmp_path)


def test_mixed_formats_are_refused_with_an_example_of_each(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.parquet")
    with pytest.raises(InputError, match=r"mixes formats: CSV \(a\.csv\) and Parquet \(b\.parquet\)"):
        locate(tmp_path)


def test_plain_and_compressed_files_of_one_format_go_together(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.csv.gz")
    assert names_of(tmp_path) == ["a.csv", "b.csv.gz"]


def test_a_file_meant_twice_is_refused_also_through_a_link(tmp_path: Path) -> None:
    make(tmp_path, "a.csv")
    os.symlink(tmp_path / "a.csv", tmp_path / "link.csv")
    for data in ([tmp_path / "a.csv", tmp_path], tmp_path):
        with pytest.raises(InputError, match="in the data twice"):
            locate(data)
