"""Profiles survive JSON exactly, stay small, and what is no sound profile is refused."""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.core.profiler import profile_table


@pytest.fixture(scope="module")
def profile(telco: Path) -> DatasetProfile:
    return profile_table(csv.read_csv(telco))


def test_the_profile_of_a_real_table_survives_exactly(profile: DatasetProfile) -> None:
    text = profile.to_json()
    assert DatasetProfile.from_json(text) == profile
    assert DatasetProfile.from_json(text.encode()) == profile
    assert DatasetProfile.from_json(text).to_json() == text


N = 100_000
WIDE: dict[str, Callable[[np.random.Generator], Any]] = {
    "normal": lambda rng: rng.normal(size=N),
    "Cauchy": lambda rng: rng.standard_cauchy(N),
    "256 prices": lambda rng: np.round(rng.integers(0, 256, N) * 0.37, 2),
    "256 values in full digits": lambda rng: rng.normal(size=256)[rng.integers(0, 256, N)],
    "1,000 long categories": lambda rng: pa.array([f"{i:0100d}ü{rng.integers(1 << 60)}" for i in range(1000)] * 10),
    "identifiers": lambda rng: pa.array([str(i) for i in rng.integers(0, 1 << 60, 5_000)]),
    "control characters": lambda rng: pa.array(["\x01" * 40 + str(i) for i in range(1000)] * 5),
}


@pytest.mark.parametrize("content", WIDE)
def test_a_hundred_columns_take_at_most_300_kilobytes(content: str) -> None:
    rng = np.random.default_rng(5)
    column = WIDE[content](rng)
    table = pa.table({f"column_{i:03d}": column for i in range(100)})
    if content not in {"1,000 long categories", "identifiers", "control characters"}:
        # Different columns, or packing all as one would flatter.
        assert len(profile_table(table.select(["column_000"])).to_json()) < 3_000
    else:
        assert len(profile_table(table).to_json().encode()) < 300_000


def test_names_of_categories_can_be_read_in_the_text() -> None:
    text = profile_table(pa.table({"plan": ["Glasfaser ü", "DSL", "DSL"]})).to_json()
    assert '"categories":["DSL","Glasfaser ü"]' in text


def test_no_row_of_identifiers_is_in_the_text() -> None:
    text = profile_table(pa.table({"id": [f"customer-{i}" for i in range(100)]})).to_json()
    assert "customer-" not in text


def pack(values: bytes) -> str:
    return b64encode(zlib.compress(values)).decode()


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda d: d.update(format="something"),
    "a later version": lambda d: d.update(version=2),
    "no columns": lambda d: d.pop("columns"),
    "rows as text": lambda d: d.update(rows="10"),
    "negative rows": lambda d: d.update(rows=-1),
    "fewer rows than counted": lambda d: d.update(rows=5),
    "a name that is no text": lambda d: d["columns"][0].update(name=5),
    "a column twice": lambda d: d["columns"].append(d["columns"][0]),
    "no grid": lambda d: d["columns"][0].pop("grid"),
    "an unknown grid": lambda d: d["columns"][0]["grid"].update(type="hexagons"),
    "a grid with a field too many": lambda d: d["columns"][0]["grid"].update(colour="red"),
    "a scale of zero": lambda d: d["columns"][0]["grid"].update(scale=0.0),
    "too few counts": lambda d: d["columns"][0].update(cells=pack(b"\x01\x01\x01")),
    "an empty cell": lambda d: d["columns"][0].update(cells=pack(b"\x01\x01\x0a\x00")),
    "half a number": lambda d: d["columns"][0].update(cells=pack(b"\x01\x81")),
    "a cell out of the grid": lambda d: d["columns"][0].update(cells=pack(b"\xff\xff\x7f\x0a")),
    "counts that do not add up": lambda d: d["columns"][0].update(cells=pack(b"\x01\x01")),
    "no base64": lambda d: d["columns"][0].update(cells="%%%"),
    "no zlib": lambda d: d["columns"][0].update(cells="AAAA"),
    "cut zlib": lambda d: d["columns"][0].update(cells=d["columns"][0]["cells"][:8]),
    "a zlib bomb": lambda d: d["columns"][0].update(cells=pack(b"\x01" * (1 << 25))),
    "extremes the wrong way round": lambda d: d["columns"][0].update(minimum=9.0, maximum=1.0),
    "one extreme": lambda d: d["columns"][0].pop("minimum"),
    "short registers": lambda d: d["columns"][0].update(registers=pack(b"\x01")),
    "a count too many": lambda d: d["columns"][0].update(nulls=1),
    "a list for a document": lambda d: None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_sound_profile_is_refused(damage: str) -> None:
    document = json.loads(profile_table(pa.table({"x": np.arange(10.0), "y": ["a", "b"] * 5})).to_json())
    DAMAGES[damage](document)
    text = json.dumps([document] if damage == "a list for a document" else document)
    with pytest.raises(InputError, match="profile"):
        DatasetProfile.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", b"\xff", "1" * 5000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(InputError, match="profile"):
        DatasetProfile.from_json(text)


def test_another_version_says_what_to_do(profile: DatasetProfile) -> None:
    with pytest.raises(InputError, match="version 7, this package reads 1"):
        DatasetProfile.from_json(profile.to_json().replace('"version":1', '"version":7'))
