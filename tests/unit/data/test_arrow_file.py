"""Feather files are read batch by batch, whatever the order of the columns asked."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.table_files import open_files


def test_columns_come_in_the_order_asked_from_each_batch(tmp_path: Path) -> None:
    table = pa.table({"a": range(100), "b": [str(i) for i in range(100)], "c": [i / 2 for i in range(100)]})
    feather.write_feather(table, tmp_path / "x.feather", chunksize=30)
    source = open_files(tmp_path / "x.feather")
    assert source.count_rows() == 100
    assert source.to_table(["c", "a"]) == table.select(["c", "a"])
    assert [batch.num_rows for batch in source.batches(["b"], batch_rows=20)] == [20, 10, 20, 10, 20, 10, 10]


def test_the_stream_format_is_refused_by_name(tmp_path: Path) -> None:
    with pa.ipc.new_stream(str(tmp_path / "x.arrow"), pa.schema([("a", pa.int64())])) as writer:
        writer.write(pa.record_batch({"a": [1]}))
    with pytest.raises(InputError, match=r"x\.arrow is not a whole Feather file"):
        open_files(tmp_path / "x.arrow").schema()
