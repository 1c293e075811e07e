"""Superiority over a model that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.beats_baseline import BeatsBaseline
from airflow_mlops_provider.core.gating import Evidence
from airflow_mlops_provider.core.predictions import Predictions


@pytest.fixture
def baseline(binary):
    y = binary(1).y_true
    return Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y,
        predicted=np.zeros_like(y),
        probabilities=np.tile([0.55, 0.45], (len(y), 1)),
    )


def test_a_model_that_learned_something_passes(binary, baseline):
    assert BeatsBaseline().judge(Evidence(challenger=binary(1), baseline=baseline)).passed


def test_pure_noise_does_not(binary, baseline):
    result = BeatsBaseline().judge(Evidence(challenger=binary(1000), baseline=baseline))
    assert not result.passed
    assert "against the baseline's 0.5000" in result.message


def test_the_margin_is_what_it_must_be_better_by(binary, baseline):
    evidence = Evidence(challenger=binary(1), baseline=baseline)
    assert BeatsBaseline(margin=0.2).judge(evidence).passed
    assert not BeatsBaseline(margin=0.45).judge(evidence).passed


def test_it_holds_for_a_first_model_too():
    assert BeatsBaseline.kind == "value"


def test_without_a_baseline_there_is_no_answer(binary):
    with pytest.raises(InputError, match="no predictions of the baseline"):
        BeatsBaseline().judge(Evidence(challenger=binary(1)))
