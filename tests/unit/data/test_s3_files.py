"""Addresses of S3 mean what the same paths would mean on a disk."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError, NoDataError, UnfinishedDataError
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.locate import locate
from airflow_mlops_provider.data.s3_files import matches, may_hold
from tests.conftest import Bucket

KEYS = (
    *("lake/a.csv", "lake/b.csv", "lake/_SUCCESS", "lake/.hidden.csv", "lake/_tmp/c.csv"),
    *("lake/day=2026-11-01/city=New%20York/a.csv", "lake/day=2026-11-01/city=__HIVE_DEFAULT_PARTITION__/a.csv"),
    *("lake/day=2026-11-02/_k=1/a.csv", "lake2/a.csv", "lake/sub/deep/a.csv"),
)


@pytest.fixture
def lake(s3: Bucket, tmp_path: Path) -> Bucket:
    """The same files in a bucket and below `tmp_path`."""
    for key in KEYS:
        s3.put(key, b"x\n1\n")
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"x\n1\n")
    s3.put("lake/sub/", b"")  # as the console makes a folder
    return s3


def test_a_key_folder_or_pattern_finds_what_it_would_find_on_a_disk(lake: Bucket, tmp_path: Path) -> None:
    def found(data: str) -> list[tuple[str, Any]]:
        return [(entry.name, entry.partition) for entry in locate(data, access=lake.access)[1]]

    for pattern in (
        *("lake/a.csv", "lake", "lake/", "", "lake/*.csv", "lake/[!a].csv", "lake/?.csv", "lake/day=*", "lake*/a.csv"),
        *("lake/**/*.csv", "**/a.csv", "lake/day=*/*/a.csv", "*/day=2026-11-02/**", "lake/sub/deep", "lake/sub/*"),
        *("lake/day=2026-11-01", "lake/_tmp/c.csv", "lake/**/deep/*.csv"),
    ):
        assert found(lake.uri(pattern)) == found(os.path.join(tmp_path, pattern)), pattern
        assert locate(lake.uri(pattern), access=lake.access)[0] == lake.uri(pattern).rstrip("/")


def test_a_key_that_looks_like_a_pattern_is_that_key(s3: Bucket) -> None:
    s3.put("a[1].csv", b"x\n1\n")
    s3.put("a1.csv", b"x\n1\n")
    assert [entry.name for entry in locate(s3.uri("a[1].csv"), access=s3.access)[1]] == ["a[1].csv"]


def test_a_list_may_mix_buckets_disks_and_assets(lake: Bucket, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    data = [Asset(lake.uri("lake/a.csv")), tmp_path / "lake" / "b.csv", lake.uri("lake2/*.csv")]
    assert [entry.name for entry in locate(data, access=lake.access)[1]] == ["a.csv", "a.csv", "b.csv"]
    with pytest.raises(InputError, match="in the data twice"):
        locate([lake.uri("lake/a.csv"), lake.uri("lake/")], access=lake.access)


def test_more_keys_than_fit_in_one_answer_are_all_found(lake: Bucket) -> None:
    before = locate(lake.uri(), access=lake.access)[1]
    lake.client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=2)
    )
    assert locate(lake.uri(), access=lake.access)[1] == before
    assert len(before) == len(KEYS) - 3


@pytest.mark.parametrize("key", ["nothing.csv", "nothing/", "nothing/*.csv", ""])
def test_what_is_not_there_yet_is_no_data(s3: Bucket, key: str) -> None:
    with pytest.raises(NoDataError, match="holds no data file"):
        locate(s3.uri(key), access=s3.access)


def test_a_bucket_that_is_not_there_is_a_mistake(s3: Bucket) -> None:
    for key in ("a.csv", "a/", "*.csv"):
        with pytest.raises(InputError, match="no such bucket") as caught:
            locate(f"s3://{s3.name}-other/{key}", access=s3.access)
        assert not isinstance(caught.value, NoDataError)


def test_a_table_that_is_still_being_written_is_not_read_yet(lake: Bucket) -> None:
    lake.put("lake/sub/deep/_unfinished.abc", b"{}")
    for pattern in (
        "lake/sub/deep/",
        "lake/",
        "lake/**/*.csv",
        "lake/su*/",
        "lake/*/deep/a.csv",
        "lake/sub/deep/a*.csv",
    ):
        with pytest.raises(UnfinishedDataError, match=r"lake/sub/deep holds a table that is not complete") as caught:
            locate(lake.uri(pattern), access=lake.access)
        # If its writer never comes back, who reads this must know which key to delete.
        assert f"its mark {lake.uri('lake/sub/deep/_unfinished.abc')}" in str(caught.value)
        # The same call may succeed later.
        assert not isinstance(caught.value, InputError)
    lake.put("lake/sub/deep/_SUCCESS", b"{}")
    for pattern in ("lake/sub/deep/", "lake/sub/deep/a*.csv"):
        assert [entry.name for entry in locate(lake.uri(pattern), access=lake.access)[1]] == ["a.csv"]


@pytest.mark.parametrize(
    "pattern",
    [
        *("lake/day=2026-11-0[12]/", "lake/day=2026-11-0[12]/**/*.csv", "lake/day=2026-11-01/", "lake/*-01/", "lake2/"),
        *("lake/*.csv", "lake/[!d]*/deep/", "lake/sub", "l*2/a.csv"),
    ],
)
def test_a_table_being_written_beside_what_is_wanted_does_not_matter(lake: Bucket, pattern: str) -> None:
    before = locate(lake.uri(pattern), access=lake.access)[1]
    for folder in ("lake/day=2026-11-03", "lake/_tmp", "lake/sub/.trash", "other"):
        lake.put(f"{folder}/_unfinished.abc", b"{}")
    assert locate(lake.uri(pattern), access=lake.access)[1] == before


NAMES = ("a", "b", "ab", "c=1")


@given(
    folder=st.lists(st.sampled_from(NAMES), max_size=3),
    pattern=st.lists(st.sampled_from((*NAMES, "*", "?", "a*", "[!a]", "**")), max_size=3),
)
def test_a_folder_may_hold_what_is_wanted_if_some_file_in_it_would_be(folder: list[str], pattern: list[str]) -> None:
    below = [list(names) for length in (1, 2, 3) for names in product(NAMES, repeat=length)]
    assert may_hold(folder, pattern) == any(matches([*folder, *names], pattern) for names in below)


@pytest.mark.parametrize(
    ("pattern", "prefixes"),
    [
        ("lake/day=2026-11-0*/*/a.csv", ["lake/_unfinished.", "lake/day=2026-11-0"]),
        ("lak*/a.csv", ["_unfinished.", "lak"]),
        ("lake/**/a.csv", ["lake/"]),
        ("lake/sub/", ["lake/sub/"]),
    ],
)
def test_of_a_bucket_only_what_can_be_wanted_is_listed(lake: Bucket, pattern: str, prefixes: list[str]) -> None:
    asked: list[str] = []
    lake.client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: asked.append(params["Prefix"])
    )
    assert locate(lake.uri(pattern), access=lake.access)[1]
    assert asked == prefixes


def test_only_places_below_the_allowed_prefixes_are_looked_at(lake: Bucket, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "lake2")
    access = DataAccess(
        s3_client=lambda _: lake.client,
        allowed_prefixes=(lake.uri("lake/"), str(tmp_path / "lake"), f"file://{tmp_path}/other"),
    )
    for allowed in (lake.uri("lake/a.csv"), lake.uri("lake/"), tmp_path / "lake", f"{tmp_path}/lake/*.csv"):
        assert locate(allowed, access=access)[1]
    (tmp_path / "lake" / "out").symlink_to(tmp_path / "lake2")
    for refused in (
        *(lake.uri("lake2/a.csv"), lake.uri(""), lake.uri("lake*/a.csv"), f"s3://{lake.name}x/lake/a.csv"),
        *(tmp_path, tmp_path / "lake2" / "a.csv", tmp_path / "link" / "a.csv", f"{tmp_path}/lake*/a.csv"),
        *(f"{tmp_path}/lake/../lake2/a.csv", f"{tmp_path}/lake/out/a.csv", tmp_path / "lake"),
    ):
        with pytest.raises(InputError, match="outside of what this deployment allows"):
            locate(refused, access=access)
