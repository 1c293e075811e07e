"""The row hash is a contract: its values are checked against a plain-Python writing of the same specification."""

import json
import math
import struct
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_hash import hash_rows

GOLDEN = Path(__file__).parents[2] / "golden" / "row_hash.json"
TELCO = Path(__file__).parents[3] / "dags" / "data" / "telco_churn.csv"
WORD = 2**64


def mix(value: int) -> int:
    """SplitMix64's finaliser, as in the paper's figure 17 (Java's SplittableRandom.mix64 after one gamma)."""
    value = (value + 0x9E3779B97F4A7C15) % WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % WORD
    return value ^ (value >> 31)


def digest(data: bytes, person: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8, person=person).digest(), "little")


def tagged(bits: int, kind: str) -> int:
    return mix(bits ^ digest(kind.encode(), b"row_hash"))


def value_hash(value: object) -> int:
    if isinstance(value, Decimal):
        value = float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return digest(b"null", b"row_hash")
    if isinstance(value, (bool, int, float)):
        if math.isfinite(value) and value == int(value) and -(2**63) <= value < 2**63:
            return tagged(int(value) % WORD, "integer")
        if isinstance(value, int) and int(float(value)) != value:
            return tagged(value, "big_integer")
        return tagged(struct.unpack("<Q", struct.pack("<d", float(value)))[0], "float")
    if isinstance(value, (str, bytes)):
        raw, kind = (value.encode(), "text") if isinstance(value, str) else (value, "binary")
        return tagged(digest(raw, b"value"), kind)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return time_hash(moment - datetime(1970, 1, 1, tzinfo=UTC), "instant")
    if isinstance(value, date):
        return time_hash(value - date(1970, 1, 1), "instant")
    if isinstance(value, time):
        return time_hash(datetime.combine(date.min, value) - datetime.min, "time")
    assert isinstance(value, timedelta)
    return time_hash(value, "duration")


def time_hash(delta: timedelta, kind: str) -> int:
    seconds = delta.days * 86_400 + delta.seconds
    return mix((tagged(seconds % WORD, kind) + delta.microseconds * 1000) % WORD)


def row_hash(row: dict[str, object]) -> int:
    return mix(sum(mix((value_hash(v) + digest(k.encode(), b"column")) % WORD) for k, v in row.items()) % WORD)


ROWS: list[dict[str, object]] = [
    {"id": 1, "charge": 29.85, "plan": "DSL", "churn": True},
    {"id": 2**53 + 1, "charge": -0.0, "plan": "", "churn": None},
    {"id": -(2**63), "charge": float("inf"), "plan": "Zürich 🙂", "churn": False},
    {"id": None, "charge": None, "plan": None, "churn": None},
    {"id": 0, "charge": 5e-324, "plan": "29.85", "churn": True},
    {"id": 2**63 - 1, "charge": 1e308, "plan": " ", "churn": False},
]

cell = st.one_of(
    st.none(),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=1).map(lambda v: v[0]),
    st.floats(),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)),
)


def hashes_of(values: pa.Array | list[object], kind: pa.DataType | None = None) -> list[int]:
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, kind)
    return list(hash_rows(pa.table({"x": array}), columns=["x"]).tolist())


@given(cell, st.text(min_size=1).filter(lambda name: name.encode("utf-8", "ignore").decode() == name))
def test_any_value_hashes_as_the_plain_python_specification_says(value: object, name: str) -> None:
    table = pa.table({name: pa.array([value])})
    assert hash_rows(table, columns=[name]).tolist() == [row_hash({name: value})]


def test_rows_of_several_columns_hash_to_the_pinned_values() -> None:
    pinned = json.loads(GOLDEN.read_text())["hashes"]
    hashes = hash_rows(pa.Table.from_pylist(ROWS), columns=["id", "charge", "plan", "churn"]).tolist()
    assert [f"{h:016x}" for h in hashes] == pinned
    assert [row_hash(row) for row in ROWS] == hashes


def test_another_process_with_another_hash_seed_gives_the_same_values() -> None:
    code = (
        "import pyarrow as pa\nfrom airflow_mlops_provider.core.row_hash import hash_rows\n"
        "print(hash_rows(pa.table({'x': ['a', 'b', None]}), columns=['x']).tolist())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == hashes_of(["a", "b", None])


SAME_VALUES: dict[str, list[pa.Array]] = {
    "numbers": [
        pa.array([0, 1, None], kind) for kind in (pa.int8(), pa.uint64(), pa.int64(), pa.float32(), pa.float64())
    ]
    + [
        pa.array([Decimal(0), Decimal(1), None], pa.decimal128(9, 4)),
        pa.array([-0.0, 1.0, math.nan]),
        pa.array([False, True, None]),
    ],
    "prices": [pa.array([29.85, 0.1]), pa.array([Decimal("29.85"), Decimal("0.1")], pa.decimal128(20, 5))],
    "texts": [
        pa.array(["a", "", None, "a"], kind)
        for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
    ],
    "moments": [pa.array([datetime(2024, 2, 29), None], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")]
    + [
        pa.array([date(2024, 2, 29), None], pa.date32()),
        pa.array([date(2024, 2, 29), None], pa.date64()),
        pa.array(
            [datetime(2024, 2, 29, 2, tzinfo=timezone(timedelta(hours=2))), None], pa.timestamp("us", "Europe/Rome")
        ),
    ],
    "times": [pa.array([time(1, 2, 3)], kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"))],
    "durations": [pa.array([timedelta(hours=-5)], pa.duration(unit)) for unit in ("s", "ns")],
    "nulls": [pa.array([None, math.nan], pa.float64())]
    + [pa.nulls(2, kind) for kind in (pa.null(), pa.int32(), pa.string(), pa.dictionary(pa.int32(), pa.string()))],
    "numeric dictionaries": [pa.array([5, None, 5]), pa.array([5, None, 5]).dictionary_encode()],
    "bytes": [pa.array([b"ab", None], kind) for kind in (pa.binary(), pa.large_binary(), pa.binary(2))],
}


@pytest.mark.parametrize("family", SAME_VALUES)
def test_the_same_values_hash_alike_in_every_storage_type(family: str) -> None:
    first, *others = (hashes_of(array) for array in SAME_VALUES[family])
    assert others == [first] * len(others)


@given(st.lists(st.decimals(-(10**12), 10**12, places=4), min_size=1))
def test_decimals_hash_like_the_nearest_double(values: list[Decimal]) -> None:
    assert hashes_of(values, pa.decimal128(20, 4)) == hashes_of([float(v) for v in values])


def test_different_kinds_of_the_same_look_differ() -> None:
    looks = [[1], ["1"], [b"1"], [timedelta(seconds=1)], [datetime(1970, 1, 1, 0, 0, 1)], [time(0, 0, 1)], [None], [""]]
    assert len({hashes_of(look)[0] for look in looks}) == len(looks)


@given(st.integers(2**53, 2**63 - 2))
def test_neighbouring_integers_beyond_2_to_the_53_differ(value: int) -> None:
    low, high = hashes_of([value, value + 1])
    assert low != high


@pytest.mark.parametrize("value", [2**63, 2**63 + 1, 2**64 - 1, 2**64 - 2048])
def test_unsigned_integers_beyond_int64_follow_the_specification(value: int) -> None:
    assert hashes_of([value, 7], pa.uint64())[0] == row_hash({"x": value})


def test_batches_slices_and_column_order_do_not_matter() -> None:
    table = csv.read_csv(TELCO)
    names = table.schema.names
    whole = hash_rows(table, columns=names)
    assert (hash_rows(table.select(names[::-1]), columns=sorted(names)) == whole).all()
    parts = [hash_rows(batch, columns=names) for batch in table.to_batches(max_chunksize=999)]
    assert (np.concatenate(parts) == whole).all()
    assert (hash_rows(table.slice(1001, 77), columns=names) == whole[1001:1078]).all()
    frame = pa.Table.from_pandas(table.to_pandas(), preserve_index=False)
    assert (hash_rows(frame, columns=names) == whole).all()


def test_values_swapped_between_columns_change_the_hash() -> None:
    table = pa.table({"a": [1, 2], "b": [2, 1]})
    first, second = hash_rows(table, columns=["a", "b"])
    assert first != second
    assert first != hash_rows(table, columns=["a"])[0]


def test_one_flipped_bit_flips_about_half_of_the_hash() -> None:
    values = np.random.default_rng(1).integers(0, 2**63, 2000)
    base = np.array(hashes_of(pa.array(values)), dtype=np.uint64)
    for bit in (0, 17, 40, 62):
        flipped = np.array(hashes_of(pa.array(values ^ (1 << bit))), dtype=np.uint64)
        share = np.bitwise_count(base ^ flipped).mean() / 64
        # 128,000 fair coins: the standard error is 0.0014, and 0.007 is five of them.
        assert abs(share - 0.5) < 0.007


def test_consecutive_integers_spread_evenly_over_the_hash_range() -> None:
    from scipy.stats import chisquare

    hashes = np.array(hashes_of(pa.array(np.arange(100_000))), dtype=np.uint64)
    for bits in (hashes >> np.uint64(56), hashes & np.uint64(255)):
        assert chisquare(np.bincount(bits.astype(int), minlength=256)).pvalue > 0.001


def test_an_empty_table_gives_an_empty_array() -> None:
    assert hashes_of(pa.array([], pa.int64())) == []
    assert len(hash_rows(pa.RecordBatch.from_pylist([], schema=pa.schema([("x", pa.string())])), columns=["x"])) == 0


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([], "at least one"),
        ("ab", "sequence"),
        (["x", "x"], "repeat"),
        (["y"], "'y' to hash is missing from the table, which has x, tags"),
        (["tags"], "'tags' is of type list"),
    ],
)
def test_columns_that_cannot_be_hashed_are_refused(columns: list[str], words: str) -> None:
    table = pa.table({"x": [1], "tags": [["a"]]})
    with pytest.raises(InputError, match=words):
        hash_rows(table, columns=columns)


def test_ambiguous_columns_are_refused() -> None:
    with pytest.raises(InputError, match="more than once"):
        hash_rows(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), columns=["x"])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_decimals_hash_like_integers(values: list[int]) -> None:
    decimals = [Decimal(value) for value in values]
    assert hashes_of(decimals, pa.decimal128(38, 0)) == hashes_of(values, pa.int64())
    assert hashes_of(decimals, pa.decimal256(60, 2)) == hashes_of(values, pa.int64())


@given(st.lists(st.integers(2**53, 2**64 - 1), min_size=1))
def test_whole_decimals_hash_like_unsigned_integers(values: list[int]) -> None:
    assert hashes_of([Decimal(value) for value in values], pa.decimal128(38, 0)) == hashes_of(values, pa.uint64())


def test_long_numbers_that_no_float_holds_never_fall_together() -> None:
    customers = [Decimal(10**25 + number) for number in range(1000)]
    assert len(set(hashes_of(customers, pa.decimal128(38, 0)))) == 1000
    assert hashes_of([Decimal(10**22)], pa.decimal128(38, 0)) == hashes_of([1e22])
    halves = [Decimal(2**60) + Decimal(number) / 4 for number in range(8)]
    assert len(set(hashes_of(halves, pa.decimal128(38, 4)))) == 8
