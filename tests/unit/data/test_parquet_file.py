"""Parquet is read by column, without what pandas adds for itself."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet as pq

from airflow_mlops_provider.data.table_files import open_files


def test_the_unnamed_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(10)})
    frame[frame["x"].isin([0, 1, 5])].to_parquet(tmp_path / "x.parquet")
    assert pq.read_schema(tmp_path / "x.parquet").names == ["x", "__index_level_0__"]
    assert open_files(tmp_path / "x.parquet").schema().names == ["x"]


def test_a_named_index_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1.5]}, index=pd.Index([7], name="customer_id")).to_parquet(tmp_path / "x.parquet")
    assert open_files(tmp_path / "x.parquet").to_pandas().to_dict("list") == {"x": [1.5], "customer_id": [7]}


def test_column_names_with_dots_and_nested_columns_are_told_apart(tmp_path: Path) -> None:
    table = pa.table({"a.b": [1], "a": [{"b": "x", "c": 2}], "ünï 🙂": [[1, 2]]})
    pq.write_table(table, tmp_path / "x.parquet")
    source = open_files(tmp_path / "x.parquet")
    assert source.to_table(["a"]) == table.select(["a"])
    assert source.to_table(["ünï 🙂", "a.b"]) == table.select(["ünï 🙂", "a.b"])


def test_row_groups_do_not_limit_the_batches(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(1000)}), tmp_path / "x.parquet", row_group_size=10)
    batches = list(open_files(tmp_path / "x.parquet").batches(batch_rows=400))
    assert [batch.num_rows for batch in batches] == [400, 400, 200]


def test_dictionary_columns_stay_dictionaries_until_pandas(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array(["a", "b", "a"]).dictionary_encode()}), tmp_path / "x.parquet")
    source = open_files(tmp_path / "x.parquet")
    assert pa.types.is_dictionary(source.schema().field("x").type)
    assert {batch.schema for batch in source.batches()} == {source.schema()}
    assert source.to_pandas()["x"].tolist() == ["a", "b", "a"]
