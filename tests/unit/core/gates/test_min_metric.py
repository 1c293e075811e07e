"""The metric reaches a threshold."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.min_metric import MinMetric
from airflow_mlops_provider.core.gating import Evidence


def test_the_value_decides(binary):
    evidence = Evidence(challenger=binary(0.5))
    value = evidence.measure("roc_auc").value
    assert MinMetric(metric="roc_auc", threshold=value).judge(evidence).passed
    result = MinMetric(metric="roc_auc", threshold=value + 1e-6).judge(evidence)
    assert not result.passed
    assert result.observed["value"] == value


def test_with_use_interval_the_lower_bound_decides(binary):
    evidence = Evidence(challenger=binary(0.5))
    found = evidence.measure("roc_auc")
    assert MinMetric(metric="roc_auc", threshold=found.lower, use_interval=True).judge(evidence).passed
    between = (found.lower + found.value) / 2
    assert not MinMetric(metric="roc_auc", threshold=between, use_interval=True).judge(evidence).passed
    assert MinMetric(metric="roc_auc", threshold=between).judge(evidence).passed


def test_an_error_metric_must_be_at_most_the_threshold(regression):
    evidence = Evidence(challenger=regression(0.5))
    found = evidence.measure("rmse")
    assert MinMetric(metric="rmse", threshold=0.6).judge(evidence).passed
    assert "must be at most 0.4" in MinMetric(metric="rmse", threshold=0.4).judge(evidence).message
    between = (found.upper + found.value) / 2
    assert MinMetric(metric="rmse", threshold=between).judge(evidence).passed
    assert not MinMetric(metric="rmse", threshold=between, use_interval=True).judge(evidence).passed


@pytest.mark.parametrize(("metric", "threshold"), [("roc_auc", 83), ("roc_auc", -0.1), ("r2", 1.1), ("rmse", -1)])
def test_a_threshold_that_no_model_or_every_model_reaches_is_refused(metric, threshold):
    with pytest.raises(InputError, match="threshold of gate 'min_metric' must be"):
        MinMetric(metric=metric, threshold=threshold)


def test_a_negative_r2_is_a_possible_threshold(regression):
    assert MinMetric(metric="r2", threshold=-0.5).judge(Evidence(challenger=regression(0.5))).passed


def test_confidence_comes_from_the_evidence(binary):
    wide, narrow = (Evidence(challenger=binary(0.5), confidence=c).measure("roc_auc").lower for c in (0.99, 0.5))
    assert wide < narrow
