from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import loguniform, uniform
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

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


def test_a_function_that_encloses_nothing_yet_has_a_hash() -> None:
    one, other = (FunctionType(powers(2).__code__, globals(), closure=(CellType(),)) for _ in range(2))
    assert input_sha256({"f": one}) == input_sha256({"f": other})


def forest_of(value: Any) -> Any:
    """Return an estimator whose representation scikit-learn shortens before it comes to `value`."""
    members = [
        (
            f"member {number}",
            make_pipeline(
                TfidfVectorizer(stop_words=["aaaa", "bbbb", "cccc", "dddd"], max_df=0.5, min_df=3),
                FunctionTransformer(value if number == 5 else None),
                LogisticRegression(C=2.0, max_iter=500),
            ),
        )
        for number in range(12)
    ]
    return VotingClassifier(members)


def powers(exponent: int) -> Any:
    return lambda rows: rows**exponent


def with_default(rows: Any, factor: float = 2.0) -> Any:
    return rows * factor


def with_another_default(rows: Any, factor: float = 3.0) -> Any:
    return rows * factor


with_another_default.__qualname__ = with_default.__qualname__
LONG = np.arange(5000.0)
CHANGED = np.where(LONG == 2500, -1, LONG)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.5, 7.5),
        (LogisticRegression(C=0.5), LogisticRegression(C=7.5)),
        (LogisticRegression(C=0.5), {"C": 0.5}),
        (LogisticRegression(), LogisticRegressionCV()),
        (LogisticRegression, LogisticRegressionCV),
        (LONG, CHANGED),
        (LONG, LONG.astype("float32")),
        (LONG, LONG.reshape(50, 100)),
        (LONG.astype(object), CHANGED.astype(object)),
        (pd.Series(LONG), pd.Series(CHANGED)),
        (pd.Series(LONG), pd.Series(LONG, index=CHANGED)),
        (powers(2), powers(3)),
        (lambda rows: rows + 1, lambda rows: rows + 2),
        (lambda rows: [one + 1 for one in rows], lambda rows: [one + 2 for one in rows]),
        (with_default, with_another_default),
        (partial(np.power, 2), partial(np.power, 3)),
        (uniform(0, 1), uniform(0, 10)),
        (uniform(0, 1), loguniform(1e-9, 1)),
        (frozenset({"a"}), frozenset({"b"})),
        (Setting([LogisticRegression(C=0.5)]), Setting([LogisticRegression(C=7.5)])),  # type: ignore[arg-type]
    ],
)
def test_objects_differ_by_what_they_hold_however_deep_in_an_estimator(one: Any, other: Any) -> None:
    for wrap in (lambda value: value, forest_of):
        assert input_sha256({"given": wrap(one)}) != input_sha256({"given": wrap(other)})
        assert input_sha256({"given": wrap(one)}) == input_sha256({"given": wrap(deepcopy(one))})


def test_an_estimator_has_one_hash_in_every_process_and_wherever_its_file_lies(tmp_path: Path) -> None:
    code = """
from airflow_mlops_provider.core.input_hash import input_sha256
import numpy as np
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
class Own(BaseEstimator):
    def __init__(self, inner=None):
        self.inner = inner
def again(rows, depth=3):
    return again(rows, depth - 1) if depth in {1, 2, 3} else rows
def enclosed():
    def loop(rows):
        return loop(rows)
    return loop
words = frozenset({"the", "a", "of", "and", "or", "to"})
print(input_sha256({
    "estimator": Own(make_pipeline(TfidfVectorizer(stop_words=words), FunctionTransformer(again))),
    "search": {"C": loguniform(1e-3, 10), "f": enclosed(), "a": np.arange(3)},
}))
"""
    seen = set()
    for number, seed in enumerate(("1", "2")):
        name = f"unusual_prefix_{str(number) * 40}_training"
        (tmp_path / f"{name}.py").write_text(code)
        seen.add(
            subprocess.run(
                [sys.executable, "-c", f"import {name}"],
                env={
                    **os.environ,
                    "PYTHONHASHSEED": seed,
                    "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
                },
                capture_output=True,
                check=True,
            ).stdout
        )
    assert len(seen) == 1
