"""Profiles of files are those of the same rows in memory, for any format, number of threads and files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather
from pyarrow import parquet as pq

from airflow_mlops_provider.core.errors import DataChangedError, InputError
from airflow_mlops_provider.core.histogram import NoGrid
from airflow_mlops_provider.core.profile_pairs import cells_of, merge
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.reference_grids import reference_grids
from airflow_mlops_provider.data import profiling
from airflow_mlops_provider.data.profiling import profile_source
from airflow_mlops_provider.data.table_files import open_files

WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "t.csv": csv.write_csv,
    "t.parquet": lambda table, path: pq.write_table(table, path, row_group_size=1_000),
    "t.feather": feather.write_feather,
}


@pytest.fixture(scope="module")
def table(telco: Path) -> pa.Table:
    return open_files(telco).to_table()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_format_gives_the_profile_of_the_rows_in_memory(
    name: str, threads: int, tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[name](table, tmp_path / name)
    monkeypatch.setattr(profiling, "_MIN_BATCH_ROWS", 512)
    monkeypatch.setattr(profiling, "_MAX_BATCH_ROWS", 512)
    with open_files(tmp_path / name) as source:
        assert profile_source(source, threads=threads) == profile_table(table)


def test_text_is_counted_alike_with_and_without_a_dictionary(tmp_path: Path) -> None:
    texts = pa.array([None if i % 11 == 0 else f"user {i % 700}" for i in range(20_000)])
    long = pa.array([f"{i % 5}" * 200 for i in range(20_000)], pa.large_string())
    wide = pa.table({"a.b": texts, "long": long, "coded": texts.dictionary_encode()})
    for folder, use_dictionary in (("with", True), ("without", False)):
        pq.write_table(wide, tmp_path / f"{folder}.parquet", use_dictionary=use_dictionary, row_group_size=6_000)
    whole = profile_table(wide)
    for path in tmp_path.iterdir():
        found = profile_source(open_files(path))
        assert [column.counts for column in found.columns] == [column.counts for column in whole.columns]
        assert found.column("a.b").counts == found.column("coded").counts
        assert found.column("long").distinct == 5


@pytest.mark.parametrize("name", WRITERS)
def test_text_comes_in_dictionaries_that_hold_the_same(name: str, tmp_path: Path, table: pa.Table) -> None:
    texts = table.append_column("large", table["contract"].cast(pa.large_string()))
    WRITERS[name](texts, tmp_path / name)
    source = open_files(tmp_path / name)
    coded = pa.Table.from_batches(source.batches(dictionaries=True))
    assert {str(field.type.index_type) for field in coded.schema if pa.types.is_dictionary(field.type)} == {"int32"}
    for field in source.schema():
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            assert coded.schema.field(field.name).type == pa.dictionary(pa.int32(), field.type)
            assert coded[field.name].to_pylist() == texts[field.name].to_pylist()
        else:
            assert coded[field.name] == source.to_table([field.name])[field.name]


def test_partitions_profiled_apart_add_up_to_the_whole(tmp_path: Path, table: pa.Table) -> None:
    for i in range(3):
        pq.write_table(table.slice(i * 2_500, 2_500), tmp_path / f"{i}.parquet")
    grids = reference_grids(table)
    parts = [profile_source(open_files(path), grids=grids) for path in sorted(tmp_path.iterdir())]
    assert merge(parts) == profile_source(open_files(tmp_path), grids=grids) == profile_table(table, grids=grids)


def test_a_sampled_reference_is_counted_whole(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "t.parquet")
    source = open_files(tmp_path / "t.parquet")
    found = profile_source(source, sample_rows=500, seed=5)
    assert found.rows == table.num_rows
    assert {column.n_counted + column.missing for column in found.columns} == {table.num_rows}
    assert found == profile_table(table, grids=reference_grids(table, sample_rows=500, seed=5))
    assert found != profile_source(source, sample_rows=500, seed=6)


def test_the_current_data_are_counted_in_the_grids_of_the_reference(tmp_path: Path, table: pa.Table) -> None:
    reference = profile_table(table)
    changed = table.slice(0, 2_000).drop_columns(["tenure"]).append_column("new", pa.array(["x"] * 2_000))
    pq.write_table(changed, tmp_path / "t.parquet")
    current = profile_source(open_files(tmp_path / "t.parquet"), grids=reference.grids)
    assert (current.column("tenure").rows, current.column("new").grid) == (0, NoGrid())
    cells = cells_of(reference.column("contract"), current.column("contract"))
    assert cells is not None
    expected = table.slice(0, 2_000)["contract"].value_counts().to_pylist()
    found = dict(zip(cells.labels, cells.current.tolist(), strict=True))
    assert found == {row["values"]: row["counts"] for row in expected}


def test_only_the_columns_asked_are_profiled(tmp_path: Path, table: pa.Table) -> None:
    reference = profile_table(table)
    pq.write_table(table.drop_columns(["tenure"]), tmp_path / "t.parquet")
    source = open_files(tmp_path / "t.parquet")
    assert profile_source(source, columns=["contract"]).names == ("contract",)
    found = profile_source(source, grids=reference.grids, columns=["contract", "tenure"])
    assert [(column.name, column.rows) for column in found.columns] == [("contract", 7043), ("tenure", 0)]
    assert profile_source(source, grids=reference.grids, columns=["tenure"]).rows == 7043
    for columns in (["contracts"], "contract", []):
        with pytest.raises(InputError, match=r"contract|columns must"):
            profile_source(source, grids=reference.grids, columns=columns)


def test_a_text_that_is_no_utf8_names_its_column(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"]).buffers())
    pq.write_table(pa.table({"note": broken}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"'note'.*UTF-8"):
        profile_source(open_files(tmp_path / "t.parquet"))


def test_data_that_change_between_the_passes_are_refused(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "t.parquet")
    source = open_files(tmp_path / "t.parquet")
    source.count_rows()
    pq.write_table(table.slice(1), tmp_path / "t.parquet")
    with pytest.raises(DataChangedError, match="changed"):
        profile_source(source)


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(threads: int, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="threads must be at least 1"):
        profile_source(open_files(tmp_path / "t.parquet"), threads=threads)


def test_more_columns_than_parts_are_read_in_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = pa.table({f"x{i:03d}": rng.normal(size=50) for i in range(150)})
    pq.write_table(wide, tmp_path / "t.parquet")
    assert profile_source(open_files(tmp_path / "t.parquet"), threads=2) == profile_table(wide)


def test_a_failure_stops_the_other_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({f"x{i}": np.arange(20_000.0) for i in range(4)}), tmp_path / "t.parquet")
    counted = []

    class Failing(profiling.ColumnProfiler):
        def update(self, column: pa.Array) -> None:
            counted.append(len(column))
            if self._name == "x0":
                raise RuntimeError("x0")
            super().update(column)

    monkeypatch.setattr(profiling, "ColumnProfiler", Failing)
    monkeypatch.setattr(profiling, "_MIN_BATCH_ROWS", 1)
    monkeypatch.setattr(profiling, "_MAX_BATCH_ROWS", 1)
    grids = reference_grids(pa.table({"x0": [1.0]}))
    with pytest.raises(RuntimeError, match="x0"):
        profile_source(open_files(tmp_path / "t.parquet"), grids=grids, threads=2)
    # All would be 60,001.
    assert len(counted) < 50_000


def test_profiling_loads_no_pandas(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "t.parquet")
    script = """
import sys
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.data.profiling import profile_source
from airflow_mlops_provider.data.table_files import open_files
reference = profile_source(open_files(sys.argv[1]), sample_rows=100)
profile_source(open_files(sys.argv[1]), grids=DatasetProfile.from_json(reference.to_json()).grids)
print([name for name in ("pandas", "scipy", "sklearn") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "t.parquet")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
