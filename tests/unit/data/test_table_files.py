"""Every file format gives the same real table, and whatever is not whole is refused by name."""

import errno
import gzip
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather
from pyarrow import parquet as pq

from airflow_mlops_provider.core.errors import DataChangedError, InputError, OutageError
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.data.file_object import LocalFile
from airflow_mlops_provider.data.locate import locate
from airflow_mlops_provider.data.table_files import TableFiles, open_files

TELCO = Path(__file__).parents[3] / "dags" / "data" / "telco_churn.csv"
N_ROWS = 7043


@pytest.fixture(scope="module")
def telco() -> pd.DataFrame:
    """The real table as pandas reads it: the independent reading."""
    return pd.read_csv(TELCO, keep_default_na=True)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "t.csv": lambda frame, path: frame.to_csv(path, index=False),
    "t.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "t.parquet": lambda frame, path: frame.to_parquet(path),
    "t.feather": lambda frame, path: frame.to_feather(path),
    "t.arrow": lambda frame, path: feather.write_feather(pa.Table.from_pandas(frame), path, compression="zstd"),
    "t.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "t.ndjson.gz": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_table_that_pandas_wrote(name: str, tmp_path: Path, telco: pd.DataFrame) -> None:
    WRITERS[name](telco, tmp_path / name)
    with open_files(tmp_path / name) as source:
        pd.testing.assert_frame_equal(source.to_pandas(), telco)
        assert source.count_rows() == N_ROWS
        assert source.schema().names == list(telco.columns)


@pytest.mark.parametrize("name", WRITERS)
def test_batches_hold_the_columns_asked_in_the_order_asked_and_no_more_rows_than_allowed(
    name: str, tmp_path: Path, telco: pd.DataFrame
) -> None:
    WRITERS[name](telco, tmp_path / name)
    source = open_files(str(tmp_path / name))
    batches = list(source.batches(["tenure", "churn"], batch_rows=1000))
    assert {tuple(batch.schema.names) for batch in batches} == {("tenure", "churn")}
    assert all(0 < batch.num_rows <= 1000 for batch in batches)
    pd.testing.assert_frame_equal(source.to_pandas(["tenure", "churn"]), telco[["tenure", "churn"]])
    table = pa.Table.from_batches(batches)
    assert table.column("tenure").to_pylist() == telco["tenure"].tolist()


def test_row_hashes_are_the_same_in_every_format(tmp_path: Path, telco: pd.DataFrame) -> None:
    hashes = set()
    for name, writer in WRITERS.items():
        writer(telco, tmp_path / name)
        table = open_files(tmp_path / name).to_table()
        hashes.add(hash_rows(table, columns=list(telco.columns)).tobytes())
    assert len(hashes) == 1


def test_a_folder_a_pattern_and_a_list_read_files_sorted_and_skip_hidden_ones(
    tmp_path: Path, telco: pd.DataFrame
) -> None:
    for i, start in enumerate(range(0, N_ROWS, 3000)):
        telco[start : start + 3000].to_parquet(tmp_path / f"part-{i}.parquet")
    write(tmp_path / "_SUCCESS", "")
    write(tmp_path / ".part-0.parquet.crc", "x")
    write(tmp_path / "_temporary" / "part-9.parquet", "half written")
    parts = sorted(tmp_path.glob("part-*.parquet"))
    for data in (tmp_path, f"file://{tmp_path}", tmp_path / "*.parquet", f"{tmp_path}/part-?.parquet", parts[::-1]):
        source = open_files(data)
        pd.testing.assert_frame_equal(source.to_pandas(), telco)
    assert len({open_files(data).fingerprint().sha256 for data in (tmp_path, parts, parts[::-1])}) == 1


def test_hive_folders_become_columns(tmp_path: Path, telco: pd.DataFrame) -> None:
    for (contract, female), part in telco.groupby(["contract", "female"]):
        path = tmp_path / f"contract={contract.replace(' ', '%20')}" / f"female={female}" / "part.parquet"
        path.parent.mkdir(parents=True)
        part.drop(columns=["contract", "female"]).to_parquet(path, index=False)
    source = open_files(tmp_path)
    assert source.schema().field("female").type == pa.int64()
    expected = telco.groupby(["contract", "female"])["tenure"].sum()
    pd.testing.assert_series_equal(source.to_pandas().groupby(["contract", "female"])["tenure"].sum(), expected)
    only_folders = source.to_pandas(["female"])
    assert only_folders["female"].value_counts().to_dict() == telco["female"].value_counts().to_dict()
    assert open_files(tmp_path / "contract=One*").count_rows() == (telco["contract"] == "One year").sum()


def test_the_hive_null_folder_is_null_and_a_column_of_the_file_wins(tmp_path: Path) -> None:
    write(tmp_path / "day=__HIVE_DEFAULT_PARTITION__" / "x=9" / "a.csv", "x\n1\n")
    write(tmp_path / "day=7" / "x=9" / "a.csv", "x\n2\n")
    assert open_files(tmp_path).to_table().to_pylist() == [{"x": 2, "day": 7}, {"x": 1, "day": None}]


def test_files_whose_types_differ_are_read_as_the_type_that_holds_both(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([1], pa.int32()), "s": ["a"], "n": pa.nulls(1)}), tmp_path / "a.parquet")
    second = pa.table({"n": [True], "s": pa.array(["b"]).dictionary_encode(), "x": [0.5]})
    pq.write_table(second, tmp_path / "b.parquet")
    table = open_files(tmp_path).to_table()
    assert table.schema.types == [pa.float64(), pa.string(), pa.bool_()]
    assert table.to_pylist() == [{"x": 1.0, "s": "a", "n": None}, {"x": 0.5, "s": "b", "n": True}]


def test_a_csv_column_that_is_text_in_one_file_is_text_in_all_with_its_leading_zeros(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "code\n007\n")
    write(tmp_path / "b.csv", "code\nx1\n")
    assert open_files(tmp_path).to_pandas()["code"].tolist() == ["007", "x1"]


def test_an_empty_part_beside_full_ones_is_no_fault(tmp_path: Path, telco: pd.DataFrame) -> None:
    telco.to_parquet(tmp_path / "a.parquet")
    telco[:0].to_parquet(tmp_path / "b.parquet")
    assert open_files(tmp_path).count_rows() == N_ROWS


def test_the_fingerprint_is_that_of_the_bytes() -> None:
    print_ = open_files(TELCO).fingerprint()
    stat = TELCO.stat()
    assert print_.sha256 == sha256(TELCO.read_bytes()).hexdigest()
    assert (print_.size_bytes, print_.rows, print_.uri) == (stat.st_size, N_ROWS, f"file://{TELCO}")
    assert print_.modified_at is not None
    assert pd.Timestamp(print_.modified_at).timestamp() == pytest.approx(stat.st_mtime, abs=1e-3)


def test_the_fingerprint_of_several_files_changes_with_a_byte_or_a_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "x\n1\n")
    second = write(tmp_path / "b.csv", "x\n2\n")
    before = open_files(tmp_path).fingerprint()
    assert (before.size_bytes, before.rows) == (8, 2)
    second.rename(tmp_path / "c.csv")
    renamed = open_files(tmp_path).fingerprint().sha256
    write(first, "x\n3\n")
    assert len({before.sha256, renamed, open_files(tmp_path).fingerprint().sha256}) == 3


def test_the_fingerprint_of_a_list_does_not_depend_on_where_its_files_lie(tmp_path: Path) -> None:
    first = [write(tmp_path / "a" / "x.csv", "x\n1\n"), write(tmp_path / "b" / "x.csv", "x\n2\n")]
    second = [write(tmp_path / "c" / "x.csv", "x\n2\n"), write(tmp_path / "d" / "x.csv", "x\n1\n")]
    assert open_files(first).fingerprint().sha256 == open_files(second).fingerprint().sha256


class Asset:
    uri = f"file://{TELCO}"


def test_anything_with_a_uri_is_read_there() -> None:
    assert open_files(Asset()).count_rows() == N_ROWS


def truncated(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.csv.gz", "t.ndjson.gz", "t.jsonl"])
def test_a_truncated_file_is_refused_by_name(name: str, tmp_path: Path, telco: pd.DataFrame) -> None:
    path = tmp_path / name
    WRITERS[name](telco, path)
    write(path, truncated(path.read_bytes()))
    with pytest.raises(InputError, match=name):
        open_files(path).count_rows()


def test_a_parquet_file_damaged_inside_is_refused_by_name(tmp_path: Path, telco: pd.DataFrame) -> None:
    path = tmp_path / "t.parquet"
    telco.to_parquet(path)
    data = bytearray(path.read_bytes())
    data[100:5000] = os.urandom(4900)
    write(path, bytes(data))
    with pytest.raises(InputError, match=r"t\.parquet is not a whole Parquet file"):
        open_files(path).to_table()


REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "0 bytes": ("x.csv", "", r"x\.csv is empty \(0 bytes\)"),
    "header only": ("x.csv", "a,b\n", r"x\.csv has columns but no rows"),
    "no rows in JSON": ("x.jsonl", "\n\n", r"x\.jsonl has no columns"),
    "blank lines only": ("x.csv", "\n\n", r"x\.csv: .*empty CSV"),
    "gzip of nothing": ("x.csv.gz", gzip.compress(b""), r"x\.csv\.gz: .*empty CSV"),
    "duplicate columns": ("x.csv", "a,b,a\n1,2,3\n", r"x\.csv has 2 columns 'a'"),
    "unnamed column": ("x.csv", "a,\n1,2\n", r"x\.csv has no name for column 2"),
    "latin-1": ("x.csv", "n\nZürich\n".encode("latin-1"), r"x\.csv: Column 'n' .* not in UTF-8"),
    "UTF-16": ("x.csv", "a,b\n1,2\n".encode("utf-16"), r"x\.csv: .*UTF-16"),
    "ragged": (
        "x.csv",
        "a,b\n1,2\n1,2,3\n",
        r"x\.csv: Row 3 \(the header is row 1\) .* has 3 values, the header has 2",
    ),
    "not gzip": ("x.csv.gz", "a\n1\n", r"x\.csv\.gz is not a whole CSV file"),
    "not Parquet": ("x.parquet", "a,b\n1,2\n", r"x\.parquet is not a whole Parquet file"),
    "unknown suffix": ("x.xlsx", "PK", r"x\.xlsx is of no known format.*\.csv.*\.parquet"),
    "text in JSON numbers": ("x.jsonl", '{"a": 1}\n{"a": "b"}\n', r"x\.jsonl: .*number and string in column 'a'"),
    "JSON array": ("x.jsonl", "[1, 2]\n", r"x\.jsonl: .*one object per line"),
    "JSON in latin-1": ("x.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', r"x\.jsonl: Line 2 .*UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_whole_table_is_refused_by_name(case: str, tmp_path: Path) -> None:
    name, content, words = REFUSED[case]
    write(tmp_path / name, content)
    with pytest.raises(InputError, match=words):
        open_files(tmp_path / name).count_rows()


def test_values_of_a_malformed_row_stay_out_of_the_message(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a,b\n1,2\nsecret@example.com,2,3\n")
    with pytest.raises(InputError) as raised:
        open_files(path).count_rows()
    assert "secret" not in str(raised.value)


def test_a_table_of_zero_rows_and_one_without_columns_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "rows.parquet")
    pq.write_table(pa.table({}), tmp_path / "columns.parquet")
    for name, words in (("rows", "no rows"), ("columns", "no columns")):
        with pytest.raises(InputError, match=words):
            open_files(tmp_path / f"{name}.parquet").schema()


def test_a_column_missing_from_one_file_is_named_with_that_file(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x,y\n1,2\n")
    write(tmp_path / "b.csv", "x\n1\n")
    with pytest.raises(InputError, match=r"'y' is in .*a\.csv but not in .*b\.csv"):
        open_files(tmp_path).schema()


def test_types_that_do_not_go_together_are_named_with_the_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"'x' is string in .*b\.parquet but int64"):
        open_files(tmp_path).schema()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["tenur"], "did you mean 'tenure'"),
        ([], "at least one"),
        ("tenure", "sequence"),
        (["churn", "churn"], "different"),
    ],
)
def test_columns_that_cannot_be_read_are_refused(columns: list[str], words: str) -> None:
    for read in (open_files(TELCO).to_pandas, lambda c: list(open_files(TELCO).batches(c))):
        with pytest.raises(InputError, match=words):
            read(columns)


def test_batches_of_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="batch_rows must be at least 1; got 0"):
        list(open_files(TELCO).batches(batch_rows=0))


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_replaced_during_a_pass_is_noticed_at_its_end(name: str, tmp_path: Path, telco: pd.DataFrame) -> None:
    path = tmp_path / name
    WRITERS[name](telco, path)
    source = open_files(path)
    batches = source.batches(batch_rows=500)
    next(batches)
    WRITERS[name](telco[:5000], tmp_path / f"new-{name}")
    (tmp_path / f"new-{name}").replace(path)
    with pytest.raises(DataChangedError, match=name):
        list(batches)


def test_a_file_that_grows_or_goes_between_two_passes_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a\n1\n")
    source = open_files(path)
    assert source.count_rows() == 1
    write(path, "a\n1\n2\n")
    for look in (source.to_table, source.fingerprint):
        with pytest.raises(DataChangedError, match=r"x\.csv changed while it was in use: 4 bytes"):
            look()
    path.unlink()
    with pytest.raises(DataChangedError, match="disappeared"):
        source.to_table()


def test_a_file_that_goes_between_listing_and_look_is_a_change_and_no_mistake(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", "a\n1\n")
    write(tmp_path / "y.csv", "a\n1\n")
    uri, entries = locate(tmp_path)
    (tmp_path / "y.csv").unlink()
    with pytest.raises(DataChangedError, match=r"y\.csv disappeared after it was listed"):
        TableFiles(uri=uri, entries=entries)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.EIO, OutageError, "Input/output error"),
        (errno.ESTALE, OutageError, "Stale file handle"),
        (errno.EACCES, InputError, "check its permissions"),
    ],
)
def test_a_disk_that_fails_is_an_outage(
    code: int, kind: type[Exception], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.csv", "a\n1\n")
    opened = open_files(path)

    def identity(_: LocalFile) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(LocalFile, "identity", identity)
    with pytest.raises(kind, match=words):
        open_files(path)
    with pytest.raises(kind, match=words):
        opened.to_table()


def test_a_rewrite_of_the_same_size_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a\n1\n")
    source = open_files(path)
    write(path, "a\n2\n")
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataChangedError):
        source.fingerprint()


def test_damage_by_a_writer_at_work_is_reported_as_a_change(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a,b\n1,2\n")
    source = open_files(path)
    source.schema()
    write(path, "a,b\n1,2,3\n")
    with pytest.raises(DataChangedError):
        source.to_table()


def test_a_file_cut_during_a_pass_is_reported_as_a_change(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": range(100_000)}), path, row_group_size=1000)
    batches = open_files(path).batches(batch_rows=1000)
    next(batches)
    os.truncate(path, 5000)
    with pytest.raises(DataChangedError, match=r"x\.parquet changed"):
        list(batches)


def test_no_row_of_a_changed_file_is_given_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a\n1\n")
    source = open_files(path)
    source.schema()
    write(path, "a\n2\n3\n")
    with pytest.raises(DataChangedError):
        next(source.batches())


def test_a_reader_that_stops_early_is_not_told_of_later_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a\n" + "1\n" * 10)
    batches = open_files(path).batches(batch_rows=2)
    next(batches)
    path.unlink()
    batches.close()


def test_a_wide_table_of_ten_thousand_columns_is_read(tmp_path: Path) -> None:
    table = pa.table({f"c{i}": [i] for i in range(10_000)})
    csv.write_csv(table, tmp_path / "x.csv")
    assert open_files(tmp_path / "x.csv").to_table() == table


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_text_views_are_read_as_plain_text(tmp_path: Path, suffix: str) -> None:
    texts = ["a", None, "b" * 20]
    table = pa.table({"text": pa.array(texts).cast(pa.string_view())})
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    with open_files(path) as source:
        assert source.schema() == pa.schema([("text", pa.large_string())])
        assert source.to_table().to_pydict() == {"text": texts}
        (batch,) = source.batches(dictionaries=True)
        assert pa.types.is_dictionary(batch.column(0).type)
        assert batch.column(0).to_pylist() == texts
