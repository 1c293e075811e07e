"""JSON lines keep their types over the whole file and say where they do not."""

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.table_files import open_files

# Longer than the block in which the file is read.
N_EARLY = 500_000


def write(folder: Path, text: str) -> Path:
    path = folder / "x.jsonl"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("early", "late", "kind", "value"),
    [
        ("1", "2.5", pa.float64(), 2.5),
        ("null", "true", pa.bool_(), True),
        ('"2024-05-06"', '"soon"', pa.string(), "soon"),
        ('"x"', '"2024-05-06"', pa.string(), "2024-05-06"),
        ('{"a": 1}', '{"a": 0.5}', pa.struct([("a", pa.float64())]), {"a": 0.5}),
    ],
)
def test_a_late_value_decides_the_type_of_the_whole_column(
    early: str, late: str, kind: pa.DataType, value: object, tmp_path: Path
) -> None:
    path = write(tmp_path, f'{{"x": {early}}}\n' * N_EARLY + f'{{"x": {late}}}')
    source = open_files(path)
    assert source.schema().field("x").type == kind
    assert source.count_rows() == N_EARLY + 1
    assert list(source.batches())[-1].column("x")[-1].as_py() == value


def test_types_that_differ_from_one_block_to_the_next_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '{"x": 1}\n' * N_EARLY + '{"x": "a"}\n' * N_EARLY)
    with pytest.raises(InputError, match=r"x\.jsonl: .*'x'"):
        open_files(path).schema()


def test_keys_that_some_lines_lack_are_null_there(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\n' * N_EARLY + '\n{"b": "x", "a": 2}\n{"b": null}\n')
    tail = list(open_files(path).batches())[-1].to_pylist()[-2:]
    assert tail == [{"a": 2, "b": "x"}, {"a": None, "b": None}]


@pytest.mark.parametrize(
    ("late", "words"),
    [
        ('{"x": "text"}', "holds both number and string in column 'x'"),
        ('{"x": 1', "one object per line"),
        ('{"x": 1, "x": 2}', "one object per line.*twice"),
    ],
)
def test_a_late_fault_is_refused_with_file_and_line(late: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, '{"x": 1}\n' * (1 << 19) + late + "\n")
    with pytest.raises(InputError, match=rf"x\.jsonl: .*{words}") as raised:
        open_files(path).schema()
    assert "line 4" in str(raised.value)
