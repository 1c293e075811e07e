from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.op_key import derived_key, op_key

NAMES = st.text(min_size=1, max_size=6, alphabet=st.sampled_from('ab",[]\\ é\ud800😀1-'))
PARTS = st.fixed_dictionaries(
    {
        "namespace": NAMES | st.just(""),
        "dag_id": NAMES,
        "run_id": NAMES,
        "task_id": NAMES,
        "map_index": st.integers(-1, 12),
        "model": NAMES,
    }
)


# Made with coreutils: printf '[1,...]' | sha256sum, the JSON text written by hand.
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            ("", "churn", "r1", "train", -1, "churn"),
            "982024f1f2edb0741761a51360bab2b8208c51e0b780f1233690333868a06275",
        ),
        (
            ("prod é😀", 'a"b', "scheduled__2026-11-20T00:00:00+00:00", "g.train", 7, "kund\\en"),
            "77f73c66b32887f1170eef965d1bd391d08aebde6aa2d08aacd6242adcea09f1",
        ),
    ],
)
def test_keys_are_those_of_the_written_rule(parts: tuple[Any, ...], expected: str) -> None:
    names = ("namespace", "dag_id", "run_id", "task_id", "map_index", "model")
    assert op_key(**dict(zip(names, parts, strict=True))) == expected


@given(one=PARTS, other=PARTS)
def test_two_tasks_share_a_key_only_when_all_parts_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (op_key(**one) == op_key(**other)) == (one == other)


@given(parts=PARTS, cut=st.integers(0, 6))
def test_moving_text_from_one_part_to_the_next_changes_the_key(parts: dict[str, Any], cut: int) -> None:
    joined = parts["dag_id"] + parts["run_id"]
    first, second = joined[:cut], joined[cut:]
    if not first or not second or first == parts["dag_id"]:
        return
    assert op_key(**{**parts, "dag_id": first, "run_id": second}) != op_key(**parts)


def test_a_number_is_not_its_digits() -> None:
    assert derived_key("a", 1) != derived_key("a", "1")


def test_a_key_needs_no_quoting_in_a_search() -> None:
    key = op_key(namespace="x' or '1'='1", dag_id="d", run_id="r", task_id="t", map_index=-1, model="m")
    assert len(key) == len(hashlib.sha256().hexdigest())
    assert set(key) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("name", "value"),
    [("dag_id", ""), ("run_id", None), ("model", 3), ("map_index", -2), ("map_index", True), ("map_index", "0")],
)
def test_parts_that_airflow_never_has_are_refused(name: str, value: Any) -> None:
    parts: dict[str, Any] = {
        "namespace": "",
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "model": "m",
    }
    with pytest.raises(InputError, match=name):
        op_key(**{**parts, name: value})
