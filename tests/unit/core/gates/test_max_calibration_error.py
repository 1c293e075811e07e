"""Probabilities agree with frequencies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.max_calibration_error import MaxCalibrationError
from airflow_mlops_provider.core.gating import Evidence
from airflow_mlops_provider.core.predictions import Predictions


def overconfident(model: Predictions) -> Predictions:
    p = np.where(model.probabilities[:, 1] > 0.5, 0.99, 0.01)
    return replace(model, probabilities=np.column_stack([1 - p, p]))


def test_calibrated_probabilities_pass_and_overconfident_ones_do_not(binary):
    assert MaxCalibrationError().judge(Evidence(challenger=binary(0))).passed
    result = MaxCalibrationError().judge(Evidence(challenger=overconfident(binary(0))))
    assert not result.passed
    assert "interval holds the threshold" not in result.message


def test_a_failure_that_more_rows_might_overturn_says_so(binary):
    evidence = Evidence(challenger=binary(0))
    value = evidence.measure("calibration_error").value
    result = MaxCalibrationError(threshold=value - 0.001).judge(evidence)
    assert not result.passed
    assert "interval holds the threshold" in result.message


def test_a_model_without_probabilities_is_no_answer(binary):
    bare = replace(binary(0), probabilities=None)
    with pytest.raises(InputError, match="no class probabilities"):
        MaxCalibrationError().judge(Evidence(challenger=bare))


def test_the_threshold_is_a_share():
    with pytest.raises(InputError, match="must be from 0 to 1; got 5"):
        MaxCalibrationError(threshold=5)
