from __future__ import annotations

import json

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy, EstimateReport


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "accurracy"}, "accuracy"),
        ({"metric": "rmse"}, "without labels"),
        ({"metric": "calibration_error"}, "without labels"),
        ({"max_drop": -0.1}, "max_drop"),
        ({"window_days": 0}, "window_days"),
        ({"min_rows": 1}, "min_rows"),
        ({"min_reference_rows": 2.5}, "min_reference_rows"),
        ({"min_class_rows": 0}, "min_class_rows"),
        ({"max_calibration_error": 1.5}, "max_calibration_error"),
        ({"max_outside_share": float("nan")}, "max_outside_share"),
        ({"confidence": 1.0}, "confidence"),
        ({"n_resamples": 50}, "n_resamples"),
        ({"seed": -1}, "seed"),
        ({"margin": 0.1}, "margin"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EstimatePolicy.from_dict(fields)


def test_a_policy_is_plain_values_and_back() -> None:
    policy = EstimatePolicy(metric="f1", max_drop=0.0)
    assert EstimatePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_a_report_is_plain_values() -> None:
    report = EstimateReport(
        verdict="insufficient_data", reasons=("3 scored rows",), metric="roc_auc", rows=3, reference_rows=5
    )
    assert json.loads(json.dumps(report.to_dict()))["reasons"] == ["3 scored rows"]


def test_what_matters_is_two_points_or_a_share_of_a_loss_unless_it_is_said() -> None:
    policy = EstimatePolicy()
    assert (policy.floor("roc_auc", 0.8), policy.floor("log_loss", 0.4)) == (0.02, pytest.approx(0.02))
    assert EstimatePolicy(max_drop=0.1).floor("log_loss", 0.4) == 0.1
