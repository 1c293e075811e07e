"""CSV types hold for the whole file, also where the first megabytes say otherwise."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.table_files import open_files

# Longer than the block that the reader takes its first guess from.
N_EARLY = 1_500_000


@pytest.mark.parametrize(
    ("early", "late", "kind"),
    [
        ("1", "2", pa.int64()),
        ("1", "1.5", pa.float64()),
        ("1", "inf", pa.float64()),
        ("1", "x", pa.string()),
        ("1", "2024-05-06", pa.string()),
        ("", "7", pa.int64()),
        ("", "", pa.null()),
        ("", "a,b\n'\"c", pa.string()),
        ("2024-05-06", "2024-05-06 07:08:09", pa.timestamp("s")),
        ("2024-05-06", "2024-05-06 07:08:09.123", pa.timestamp("ns")),
        ("2024-05-06 00:00:00", "soon", pa.string()),
        ("true", "2", pa.string()),
        ("1", "99999999999999999999", pa.float64()),
    ],
)
def test_a_late_value_decides_the_type_of_the_whole_column(
    early: str, late: str, kind: pa.DataType, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    quoted = '"' + late.replace('"', '""') + '"'
    path.write_text("k,x\n" + f"5,{early}\n" * N_EARLY + f"6,{quoted}\n")
    source = open_files(path)
    assert source.schema() == pa.schema([("k", pa.int64()), ("x", kind)])
    assert source.count_rows() == N_EARLY + 1
    last = None
    for batch in source.batches(["x"]):
        assert batch.schema.types == [kind]
        last = batch.column(0)[-1]
    assert last == (pa.scalar(late, pa.string()).cast(kind) if late else pa.scalar(None, kind))


def test_two_columns_that_widen_late_keep_their_early_values_as_written(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "007,1\n" * N_EARLY + "x,2.5\n")
    frame = open_files(path).to_pandas()
    assert (frame["a"].iloc[0], frame["a"].iloc[-1], frame["b"].iloc[-1]) == ("007", "x", 2.5)


def test_latin_1_far_into_a_file_is_refused_with_the_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"k,city\n" + b"1,Bern\n" * N_EARLY + b"1,Z\xfcrich\n")
    with pytest.raises(InputError, match=r"x\.csv: Column 'city' .*UTF-8"):
        open_files(path).schema()


def test_a_ragged_row_far_into_a_file_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,2\n" * N_EARLY + "3\n")
    with pytest.raises(InputError, match=f"Row {N_EARLY + 2} .* has 1 values, the header has 2"):
        open_files(path).schema()


def test_an_unclosed_quote_in_a_long_file_is_suspected_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"2\n' + "1,2\n" * (2 * N_EARLY))
    with pytest.raises(InputError, match=r"x\.csv: .*unclosed quote"):
        open_files(path).schema()


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("\ufeffa,b\r\n1,é\r\n".encode())
    assert open_files(path).to_table().to_pylist() == [{"a": 1, "b": "é"}]


def test_missing_text_is_null_as_in_pandas(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('plan,n\na,1\n,2\n"",3\nNA,4\nNone,5\n')
    expected = ["a", None, None, None, "None"]
    assert open_files(path).to_table().column("plan").to_pylist() == expected


def test_commas_quotes_and_newlines_inside_quotes_belong_to_the_value(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": ['a,"b"\nc', "d\r\ne"], "n": [1, 2]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    pd.testing.assert_frame_equal(open_files(tmp_path / "x.csv").to_pandas(), frame)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), words.map("w".__add__)), min_size=1
    )
)
def test_numbers_and_text_come_back_exactly(rows: list[tuple[int, float, str]], tmp_path: Path) -> None:
    frame = pd.DataFrame(rows, columns=["whole", "real", "word"])
    frame.to_csv(tmp_path / "x.csv", index=False)
    pd.testing.assert_frame_equal(
        open_files(tmp_path / "x.csv").to_pandas(), frame, check_dtype=False, check_exact=True
    )
