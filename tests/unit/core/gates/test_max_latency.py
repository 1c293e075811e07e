"""Prediction is fast enough."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.max_latency import MaxLatency
from airflow_mlops_provider.core.gating import Evidence


def test_each_limit_that_was_set_must_hold(binary):
    evidence = Evidence(
        challenger=binary(1), row_latency_milliseconds=2.0, batch_latency_milliseconds=80.0, batch_rows=1000
    )
    assert MaxLatency(row_milliseconds=2.0).judge(evidence).passed
    assert MaxLatency(row_milliseconds=2.0, batch_milliseconds=80.0).judge(evidence).passed
    assert not MaxLatency(row_milliseconds=1.9, batch_milliseconds=80.0).judge(evidence).passed
    result = MaxLatency(row_milliseconds=2.0, batch_milliseconds=79.0).judge(evidence)
    assert not result.passed
    assert "a batch of 1000 rows takes 80 ms, 79 ms allowed" in result.message


def test_what_was_not_measured_does_not_pass(binary):
    result = MaxLatency(row_milliseconds=1000.0).judge(Evidence(challenger=binary(1), batch_latency_milliseconds=1.0))
    assert not result.passed
    assert "a row was not measured" in result.message


def test_a_gate_without_a_limit_is_refused():
    with pytest.raises(InputError, match="needs 'row_milliseconds' or 'batch_milliseconds'; got neither"):
        MaxLatency()
