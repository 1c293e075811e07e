from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.data.local_output import LocalPlace
from airflow_mlops_provider.data.output import output_place
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.data.writer import ParquetWriter

SCHEMA = pa.schema([("key", pa.int64()), ("city", pa.string()), ("score", pa.float64())])
OURS, THEIRS = "a" * 64, "b" * 64


def rows(start: int = 0, size: int = 10) -> pa.Table:
    keys = range(start, start + size)
    return pa.table(
        {"key": list(keys), "city": [f"city {key % 3}" for key in keys], "score": [key / 7 for key in keys]},
        schema=SCHEMA,
    )


def writer(path: Path, owner: str = OURS, **arguments: object) -> ParquetWriter:
    return ParquetWriter(
        LocalPlace(path), schema=SCHEMA, owner=owner, about={"written_by": "dag.task in run r"}, **arguments
    )


def write(path: Path, table: pa.Table, owner: str = OURS, **arguments: object) -> None:
    with writer(path, owner, **arguments) as out:
        for batch in table.to_batches(max_chunksize=4):
            out.write(pa.table(batch))
        out.publish()


def write_and_publish(out: ParquetWriter, table: pa.Table) -> None:
    out.write(table)
    out.publish()


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_nothing_is_seen_before_everything_is_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with writer(path) as out:
        out.write(rows())
        assert not path.exists()
        out.publish()
    with open_files(path) as source:
        assert source.to_table().equals(rows())
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_what_is_not_published_leaves_nothing(tmp_path: Path, name: str) -> None:
    with writer(tmp_path / name) as out:
        out.write(rows())
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_the_next_try_removes_what_a_killed_one_left_and_replaces_what_it_published(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    killed = writer(path)
    killed.write(rows(size=3))
    write(path, rows(size=5))
    write(path, rows(size=10))
    with open_files(path) as source:
        assert source.to_table().equals(rows())
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_a_frozen_try_that_wakes_up_cannot_replace_what_its_successor_published(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frozen = writer(path)
    frozen.write(rows(size=3))
    write(path, rows())
    with pytest.raises(OutageError):
        frozen.publish()
    frozen.close()
    with open_files(path) as source:
        assert source.to_table().equals(rows())


@pytest.mark.parametrize("name", ["scores.parquet", "scores"])
def test_a_table_of_another_owner_is_left_alone_unless_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, rows(size=3))
    with pytest.raises(InputError, match=r"dag\.task in run r"):
        writer(path, THEIRS)
    write(path, rows(), THEIRS, overwrite=True)
    with open_files(path) as source:
        assert source.count_rows() == 10


def test_a_file_that_is_no_table_of_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(rows(), path)
    with pytest.raises(InputError, match="something else"):
        writer(path)


def test_who_came_between_check_and_publishing_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    with writer(path) as out:
        out.write(rows())
        write(path, rows(size=2), THEIRS)
        with pytest.raises(InputError):
            out.publish()
    assert pq.read_metadata(path).num_rows == 2


def test_a_table_says_who_wrote_it(tmp_path: Path) -> None:
    for name in ("scores.parquet", "scores"):
        write(tmp_path / name, rows())
        assert LocalPlace(tmp_path / name).about() == {"owner": OURS, "written_by": "dag.task in run r"}


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with writer(tmp_path / "scores.parquet") as out, pytest.raises(InputError, match="without rows"):
        out.publish()
    assert list(tmp_path.iterdir()) == []


def test_partitions_are_limited(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="partition"):
        write(tmp_path / "scores", rows(size=501), partition_by=["key"])
    assert list(tmp_path.iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    cities=st.lists(st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=9)
)
def test_any_text_can_be_a_partition_and_reads_back(tmp_path: Path, cities: list[str | None]) -> None:
    path = tmp_path / "any"
    table = pa.table({"key": range(len(cities)), "city": cities, "score": [0.5] * len(cities)}, schema=SCHEMA)
    write(path, table, partition_by=["city"])
    with open_files(path) as source:
        read = source.to_table(["key", "city"]).sort_by("key").to_pydict()
    assert read["key"] == list(range(len(cities)))
    assert [None if one is None else str(one) for one in read["city"]] == _as_read(cities)


def _as_read(cities: list[str | None]) -> list[str | None]:
    """Folders that all look like integers are read as such, as Hive does."""
    given = [one for one in cities if one is not None]
    if given and all(one.lstrip("-").isascii() and one.lstrip("-").isdigit() and len(one) < 19 for one in given):
        return [None if one is None else str(int(one)) for one in cities]
    return cities


def test_partitions_do_not_go_into_one_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name of a file"):
        writer(tmp_path / "scores.parquet", partition_by=["city"])


def test_a_folder_that_must_not_be_written_is_no_outage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        writer(tmp_path / "file" / "scores.parquet")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    with writer(tmp_path / "scores.parquet") as out:
        os.symlink("/dev/full", out._staging.path)
        with pytest.raises(OutageError):
            write_and_publish(out, rows(size=1_000_000))
    assert not (tmp_path / "scores.parquet").exists()


@pytest.mark.parametrize("output", ["s3://bucket", "http://host/x", "file://host/x", "", 3, "a\0b"])
def test_what_is_no_place_is_refused(output: object) -> None:
    with pytest.raises(InputError):
        output_place(output)


def test_a_path_a_uri_and_an_asset_mean_the_same() -> None:
    from airflow.sdk import Asset

    given = [Path("/a b/c.parquet"), "/a b/c.parquet", "file:///a%20b/c.parquet", Asset("file:///a%20b/c.parquet")]
    assert {output_place(one) for one in given} == {LocalPlace(Path("/a b/c.parquet"))}


def test_only_what_repeats_is_written_with_a_dictionary(tmp_path: Path) -> None:
    rows = pa.table({"score": [0.1, 0.2], "key": [7, 8], "version": ["1", "1"]})
    with ParquetWriter(LocalPlace(tmp_path / "t.parquet"), schema=rows.schema, owner="a" * 64, about={}) as writer:
        writer.write(rows)
        writer.publish()
    group = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    assert [group.column(i).has_dictionary_page for i in range(3)] == [False, False, True]
