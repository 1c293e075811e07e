"""Non-inferiority to the champion."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.no_worse_than_champion import NoWorseThanChampion
from airflow_mlops_provider.core.gating import Evidence


def test_the_same_model_again_passes(binary):
    result = NoWorseThanChampion().judge(Evidence(challenger=binary(1), champion=binary(1)))
    assert result.passed
    assert result.required == {"metric": "roc_auc", "margin": 0.01}


def test_a_clearly_worse_one_does_not(binary):
    assert not NoWorseThanChampion().judge(Evidence(challenger=binary(2), champion=binary(0.2))).passed


def test_not_being_shown_worse_is_not_enough(binary):
    """The interval holds 0, but also differences beyond the margin."""
    evidence = Evidence(challenger=binary(1, seed=1), champion=binary(1, seed=2))
    result = NoWorseThanChampion(margin=0.001).judge(evidence)
    assert result.observed["lower"] < -0.001 < 0 < result.observed["upper"]
    assert not result.passed


def test_the_lower_bound_may_be_at_the_margin(binary):
    evidence = Evidence(challenger=binary(1, seed=1), champion=binary(1, seed=2))
    lower = NoWorseThanChampion().judge(evidence).observed["lower"]
    assert NoWorseThanChampion(margin=-lower).judge(evidence).passed
    assert not NoWorseThanChampion(margin=-lower - 1e-9).judge(evidence).passed


def test_a_negative_margin_is_refused():
    with pytest.raises(InputError, match=r"margin of gate 'no_worse_than_champion' must be at least 0; got -0\.01"):
        NoWorseThanChampion(margin=-0.01)
