from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.training.columns import to_frame
from airflow_mlops_provider.training.example import check_example, make_example
from airflow_mlops_provider.training.scoring import BatchScorer

RNG = np.random.default_rng(0)
ROWS = pa.table(
    {
        "age": RNG.normal(40, 9, 900),
        "plan": RNG.choice(["basic", "plus", "pro"], 900, p=[0.6, 0.3, 0.1]),
        "code": RNG.integers(0, 3, 900),
        "paid": RNG.random(900) < 0.5,
    }
)
KINDS = {"age": "numeric", "plan": "categorical", "code": "categorical", "paid": "numeric"}
PROFILE = profile_table(ROWS)


def scorer(seed: int) -> BatchScorer:
    frame = to_frame(ROWS, kinds=KINDS)
    values = np.random.default_rng(seed).choice(["no", "yes"], 900)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["plan", "code"]), remainder="passthrough"
    )
    model = make_pipeline(encoder, LogisticRegression(max_iter=2_000)).fit(frame, values)
    return BatchScorer(model, task="binary", classes=["no", "yes"], kinds=KINDS)


MODEL = scorer(0)
EXAMPLE = json.loads(json.dumps(make_example(PROFILE, kinds=KINDS, scorer=MODEL)))


def test_the_same_model_says_the_same_of_the_stored_rows() -> None:
    assert check_example(EXAMPLE, kinds=KINDS, scorer=MODEL, label="version 1") == pytest.approx(0, abs=1e-12)


def test_a_model_of_the_same_features_and_classes_is_told_apart() -> None:
    with pytest.raises(InputError, match="version 1"):
        check_example(EXAMPLE, kinds=KINDS, scorer=scorer(1), label="version 1")


def test_the_rows_are_typical_and_nobodys() -> None:
    assert EXAMPLE["rows"]["plan"][:3] == ["basic", "plus", "pro"]
    assert EXAMPLE["rows"]["age"][0] == pytest.approx(np.median(ROWS.column("age")), abs=0.3)
    assert set(EXAMPLE["rows"]["code"]) <= {"0", "1", "2"}
    assert set(EXAMPLE["rows"]["paid"]) <= {0.0, 1.0}
    real = set(zip(*(ROWS.column(name).to_pylist() for name in ("age", "plan")), strict=True))
    assert not real & set(zip(EXAMPLE["rows"]["age"], EXAMPLE["rows"]["plan"], strict=True))


@pytest.mark.parametrize("damage", [{"rows": {}}, {"output": {}}, {"output": {"prediction": ["no"]}}])
def test_a_damaged_example_is_refused(damage: dict) -> None:
    with pytest.raises(InputError):
        check_example(EXAMPLE | damage, kinds=KINDS, scorer=MODEL, label="version 1")
