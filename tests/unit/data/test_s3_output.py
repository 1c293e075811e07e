"""A table in S3 is there as a whole or not at all, once, whatever became of earlier tries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError, NoDataError, OutageError, UnfinishedDataError
from airflow_mlops_provider.data.output import output_place, write_new
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.data.writer import ParquetWriter
from tests.conftest import Bucket

SCHEMA = pa.schema([("key", pa.int64()), ("city", pa.string()), ("score", pa.float64())])
OURS, THEIRS = "a" * 64, "b" * 64
NAMES = ["out/scores.parquet", "out/scores"]


class Killed(BaseException):
    """What a kill does: no handler of errors runs."""


@pytest.fixture(autouse=True)
def _disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for what is built on the worker, of which nothing must be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.glob("mlops-output-*")) == []


def rows(size: int = 10, cities: int = 3) -> pa.Table:
    numbers = np.random.default_rng(0)
    keys = np.arange(size)
    return pa.table({"key": keys, "city": [f"c{key % cities}" for key in keys], "score": numbers.random(size)}, SCHEMA)


def writer(s3: Bucket, key: str, owner: str = OURS, **arguments: Any) -> ParquetWriter:
    place = output_place(s3.uri(key), access=s3.access)
    about = {"written_by": f"dag.{owner[0]} in run r"}
    return ParquetWriter(place, schema=SCHEMA, owner=owner, about=about, **arguments)


def write(s3: Bucket, key: str, table: pa.Table, owner: str = OURS, **arguments: Any) -> None:
    with writer(s3, key, owner, **arguments) as out:
        out.write(table)
        out.publish()


def read(s3: Bucket, key: str) -> pa.Table:
    with open_files(s3.uri(key), access=s3.access) as source:
        return source.to_table(["key", "city", "score"]).sort_by("key")


def die_at(s3: Bucket, operation: str, *, call: int = 1) -> None:
    """Let the process end when it makes the n-th request of a kind, before S3 hears of it."""
    left = [call]

    def handler(**_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    s3.client.meta.events.register(f"provide-client-params.s3.{operation}", handler, unique_id=operation)


def revive(s3: Bucket, operation: str) -> None:
    s3.client.meta.events.unregister(f"provide-client-params.s3.{operation}", unique_id=operation)


@pytest.mark.parametrize("key", NAMES)
def test_nothing_is_seen_before_everything_is_there(s3: Bucket, key: str) -> None:
    with writer(s3, key) as out:
        out.write(rows())
        with pytest.raises(NoDataError if key.endswith("parquet") else UnfinishedDataError):
            read(s3, key)
        out.publish()
    assert read(s3, key).equals(rows())
    assert s3.keys() == ([key] if key.endswith("parquet") else [f"{key}/_SUCCESS", f"{key}/part-00000.parquet"])
    assert s3.uploads() == []


@pytest.mark.parametrize("key", NAMES)
def test_what_is_not_published_leaves_nothing(s3: Bucket, key: str) -> None:
    with writer(s3, key) as out:
        out.write(rows())
    assert (s3.keys(), s3.uploads()) == ([], [])


def test_a_large_file_is_uploaded_in_parts_and_reads_back(s3: Bucket) -> None:
    parts: list[int] = []
    s3.client.meta.events.register(
        "provide-client-params.s3.UploadPart", lambda params, **_: parts.append(params["PartNumber"])
    )
    table = rows(1_200_000)
    write(s3, "out/scores.parquet", table)
    assert len(s3.get("out/scores.parquet")) > 8 << 20
    assert sorted(parts) == list(range(1, len(parts) + 1))
    assert len(parts) > 1
    assert read(s3, "out/scores.parquet").equals(table)


def test_partitions_read_back(s3: Bucket) -> None:
    write(s3, "out/scores", rows(1000), partition_by=["city"])
    assert read(s3, "out/scores").equals(rows(1000))
    assert s3.keys() == ["out/scores/_SUCCESS", *(f"out/scores/city=c{i}/part-00000.parquet" for i in range(3))]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        *(("PutObject", 1), ("CreateMultipartUpload", 1), ("CreateMultipartUpload", 3), ("PutObject", 2)),
        *(("UploadPart", 1), ("UploadPart", 2), ("CompleteMultipartUpload", 1), ("CompleteMultipartUpload", 3)),
        *(("PutObject", 3), ("DeleteObject", 2)),
    ],
)
def test_a_try_killed_at_any_request_is_made_good_by_the_next(s3: Bucket, operation: str, call: int) -> None:
    def attempt() -> None:
        out = writer(s3, "out/scores", partition_by=["city"])
        out.write(rows(1000))
        out.publish()

    die_at(s3, operation, call=call)
    with pytest.raises(Killed):
        attempt()
    revive(s3, operation)
    is_done = operation == "DeleteObject"  # of the mark, at the very end
    if is_done:
        assert read(s3, "out/scores").equals(rows(1000))
    else:
        # The first object put is the mark.
        with pytest.raises(NoDataError if (operation, call) == ("PutObject", 1) else UnfinishedDataError):
            read(s3, "out/scores")
    write(s3, "out/scores", rows(1000), partition_by=["city"])
    assert read(s3, "out/scores").equals(rows(1000))
    assert s3.keys() == ["out/scores/_SUCCESS", *(f"out/scores/city=c{i}/part-00000.parquet" for i in range(3))]
    # An upload begun just before the kill has no byte and no mark yet.
    assert len(s3.uploads()) == {("CreateMultipartUpload", 3): 2, ("PutObject", 2): 3}.get((operation, call), 0)


@pytest.mark.parametrize("key", NAMES)
def test_a_retry_replaces_what_its_earlier_try_published_and_drops_its_other_files(s3: Bucket, key: str) -> None:
    partition_by = [] if key.endswith("parquet") else ["city"]
    write(s3, key, rows(9, cities=5), partition_by=partition_by)
    write(s3, key, rows(9, cities=2), partition_by=partition_by)
    assert read(s3, key).equals(rows(9, cities=2))
    assert s3.uploads() == []


@pytest.mark.parametrize("key", NAMES)
def test_a_frozen_try_that_wakes_up_cannot_replace_what_its_successor_published(s3: Bucket, key: str) -> None:
    with writer(s3, key) as frozen:
        frozen.write(rows(3))
        write(s3, key, rows())
        with pytest.raises(OutageError, match=r"another try of the same task|No such file"):
            frozen.publish()
    assert read(s3, key).equals(rows())
    assert s3.uploads() == []


@pytest.mark.parametrize("key", NAMES)
def test_a_table_of_another_owner_is_left_alone_unless_asked(s3: Bucket, key: str) -> None:
    write(s3, key, rows(3))
    with pytest.raises(InputError, match=r"a table of dag\.a in run r"):
        writer(s3, key, THEIRS)
    write(s3, key, rows(), THEIRS, overwrite=True)
    assert read(s3, key).equals(rows())


@pytest.mark.parametrize("key", NAMES)
def test_who_came_between_check_and_publishing_is_not_replaced(s3: Bucket, key: str) -> None:
    def come(**_: Any) -> None:
        s3.client.meta.events.unregister("provide-client-params.s3.CompleteMultipartUpload", unique_id="come")
        write(s3, key, rows(2), THEIRS)

    with writer(s3, key) as out:
        out.write(rows())
        if key.endswith("parquet"):
            # At the last moment: S3 itself compares.
            s3.client.meta.events.register("provide-client-params.s3.CompleteMultipartUpload", come, unique_id="come")
        else:
            write(s3, key, rows(2), THEIRS)
        with pytest.raises(InputError, match=r"a table of dag\.b in run r"):
            out.publish()
    assert read(s3, key).equals(rows(2))
    assert s3.uploads() == []


@pytest.mark.parametrize("key", NAMES)
def test_what_is_no_table_of_ours_is_left_alone(s3: Bucket, key: str) -> None:
    s3.put(key if key.endswith("parquet") else f"{key}/notes.txt", b"dear diary")
    with pytest.raises(InputError, match="something else"):
        writer(s3, key)


def test_neighbours_whose_names_begin_alike_are_not_touched(s3: Bucket) -> None:
    for neighbour in ("out/scores2/a.parquet", "out/scores.parquet.bak", "out/scores-old"):
        s3.put(neighbour, b"x")
    for key in NAMES:
        write(s3, key, rows())
        write(s3, key, rows())
    assert {"out/scores2/a.parquet", "out/scores.parquet.bak", "out/scores-old"} < set(s3.keys())


def test_an_output_must_be_below_an_allowed_prefix(s3: Bucket, tmp_path: Path) -> None:
    from airflow_mlops_provider.data.access import DataAccess

    access = DataAccess(s3_client=lambda _: s3.client, allowed_prefixes=(s3.uri("out"), str(tmp_path / "out")))
    output_place(s3.uri("out/x"), access=access)
    output_place(tmp_path / "out" / "x", access=access)
    for refused in (s3.uri("other/x"), tmp_path / "x"):
        with pytest.raises(InputError, match="outside of what this deployment allows"):
            output_place(refused, access=access)


def test_a_small_text_is_written_only_where_nothing_is(s3: Bucket) -> None:
    for _ in range(2):  # a retry finds its own
        assert write_new(s3.uri("suites/churn.json"), "{}", access=s3.access) == s3.uri("suites/churn.json")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        write_new(s3.uri("suites/churn.json"), "[]", access=s3.access)
    assert s3.get("suites/churn.json") == b"{}"
