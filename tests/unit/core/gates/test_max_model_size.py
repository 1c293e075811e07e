"""The model is small enough."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.max_model_size import MaxModelSize
from airflow_mlops_provider.core.gating import Evidence


def test_a_megabyte_is_a_million_bytes(binary):
    evidence = Evidence(challenger=binary(1), model_size_bytes=2_500_000)
    assert MaxModelSize(megabytes=2.5).judge(evidence).passed
    result = MaxModelSize(megabytes=2.49).judge(evidence)
    assert not result.passed
    assert result.message == "The model takes 2.5 MB, 2.49 MB allowed."


def test_a_size_that_was_not_measured_is_no_answer(binary):
    with pytest.raises(InputError, match="was not measured"):
        MaxModelSize(megabytes=100).judge(Evidence(challenger=binary(1)))
