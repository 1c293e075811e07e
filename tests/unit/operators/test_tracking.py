from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from airflow_mlops_provider.operators.tracking import _texts, primary_metric


def test_parameters_are_recorded_as_plain_values() -> None:
    found = _texts(
        {
            "float": np.float64(0.5),
            "integer": np.int64(3),
            "flag": np.bool_(True),
            "array": np.array([1, 2]),
            "single": np.array([1]),
            "nan": float("nan"),
            "infinite": np.inf,
            "nothing": None,
            "text": "l2",
            "weights": {0: 1, 1: 5},
        }
    )
    assert found == {
        "float": 0.5,
        "integer": 3,
        "flag": True,
        "array": "array([1, 2])",
        "single": "array([1])",
        "nan": "nan",
        "infinite": "inf",
        "nothing": None,
        "text": "l2",
        "weights": "{0: 1, 1: 5}",
    }
    assert {type(one) for one in found.values()} == {float, int, bool, str, type(None)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, {"metric": None, "metrics": {}}),
        (
            {
                "mlops.primary_metric": "rmse",
                "mlops.primary_value": "2.5",
                "mlops.primary_lower": "2",
                "mlops.primary_upper": "3",
            },
            {"metric": "rmse", "metrics": {"rmse": {"value": 2.5, "lower": 2.0, "upper": 3.0}}},
        ),
    ],
)
def test_the_deciding_metric_is_read_back_from_the_versions_tags_as_numbers(
    tags: dict[str, str], expected: dict[str, Any]
) -> None:
    assert primary_metric(tags) == expected
