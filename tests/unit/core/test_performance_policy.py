from __future__ import annotations

from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.performance_policy import PerformancePolicy


def test_what_matters_is_in_points_for_shares_and_relative_for_errors_unless_said() -> None:
    assert PerformancePolicy().floor("roc_auc", 0.9) == 0.02
    assert PerformancePolicy().floor("brier_score", 0.1) == 0.02
    assert PerformancePolicy().floor("r2", 0.5) == 0.02
    assert PerformancePolicy().floor("mae", 200.0) == pytest.approx(10.0)
    assert PerformancePolicy(max_drop=3).floor("mae", 200.0) == 3
    assert PerformancePolicy(max_relative_drop=0.1).floor("roc_auc", 0.9) == pytest.approx(0.09)


def test_a_policy_survives_json() -> None:
    policy = PerformancePolicy(metric="f1", label_delay_days=45, window_days=30, max_drop=0.05)
    assert PerformancePolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_drop": 0.1, "max_relative_drop": 0.1}, "say the same thing twice"),
        ({"max_drop": -0.1}, "max_drop"),
        ({"max_drop": float("nan")}, "max_drop"),
        ({"metric": "roc_auc", "max_drop": 5}, "max_drop for roc_auc .* from .* to 1"),
        ({"metric": "accuracies"}, "accuracy"),
        ({"confidence": 1}, "below 1"),
        ({"confidence": 95}, "confidence"),
        ({"label_delay_days": -1}, "label_delay_days"),
        ({"window_days": 0}, "window_days"),
        ({"min_labelled_share": 80}, "min_labelled_share"),
        ({"min_labelled_rows": 1}, "min_labelled_rows"),
        ({"min_labelled_rows": 50, "min_labelled_rows_per_class": 60}, "more rows of one class"),
        ({"min_segment_rows": True}, "min_segment_rows"),
        ({"seed": 2**32}, "seed"),
        ({"maximal_drop": 0.1}, "no field 'maximal_drop'"),
    ],
)
def test_what_contradicts_itself_or_cannot_be_is_refused_when_it_is_made(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PerformancePolicy.from_dict(fields)


def test_a_drop_that_the_metric_of_training_cannot_have_is_refused_when_it_is_known() -> None:
    with pytest.raises(InputError, match="max_drop for roc_auc"):
        PerformancePolicy(max_drop=2).floor("roc_auc", 0.8)
