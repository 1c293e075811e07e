from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.input_hash import input_sha256


class Thing:
    """Its representation names its place in memory."""


@dataclass
class Setting:
    seed: int


PLAIN = st.dictionaries(
    st.text(max_size=4), st.integers() | st.text(max_size=4) | st.none() | st.booleans(), max_size=4
)


@given(one=PLAIN, other=PLAIN)
def test_different_values_have_different_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = {key: (type(value), value) for key, value in one.items()} == {
        key: (type(value), value) for key, value in other.items()
    }
    assert (input_sha256(one) == input_sha256(other)) == same


def test_the_hash_is_that_of_compact_sorted_json() -> None:
    assert input_sha256({"b": 1, "a": "x"}) == hashlib.sha256(b'{"a":"x","b":1}').hexdigest()


def test_two_objects_of_one_kind_are_the_same_wherever_they_lie() -> None:
    assert input_sha256({"thing": Thing()}) == input_sha256({"thing": Thing()})


def test_the_order_of_a_set_in_another_process_does_not_matter() -> None:
    names = [f"column {number}" for number in range(20)]
    code = (
        "from airflow_mlops_provider.core.input_hash import input_sha256\n"
        f"print(input_sha256({{'columns': set({names!r}), 'weights': {{0: 1, '0': 2}}}}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


@pytest.mark.parametrize("other", [Setting(2), {"seed": 1}, "Setting(seed=1)", None])
def test_objects_differ_by_what_they_say(other: Any) -> None:
    assert input_sha256({"setting": Setting(1)}) != input_sha256({"setting": other})
