"""Superiority over the champion."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.better_than_champion import BetterThanChampion
from airflow_mlops_provider.core.gating import Evidence


def test_a_clearly_better_challenger_passes(binary):
    result = BetterThanChampion().judge(Evidence(challenger=binary(0.2), champion=binary(2.0)))
    assert result.passed
    assert result.observed["lower"] > 0
    assert result.observed["metric"] == "roc_auc"


def test_an_equal_or_worse_challenger_does_not(binary):
    for challenger, champion in [
        (binary(1), binary(1)),
        (binary(1, seed=1), binary(1, seed=2)),
        (binary(2), binary(0.2)),
    ]:
        assert not BetterThanChampion().judge(Evidence(challenger=challenger, champion=champion)).passed


def test_the_lower_bound_must_be_above_the_margin_not_at_it(binary):
    evidence = Evidence(challenger=binary(0.2), champion=binary(2.0))
    lower = BetterThanChampion().judge(evidence).observed["lower"]
    assert not BetterThanChampion(margin=lower).judge(evidence).passed
    assert BetterThanChampion(margin=lower - 1e-9).judge(evidence).passed


def test_for_an_error_metric_smaller_is_better(regression):
    good, bad = regression(0.3), regression(0.6)
    assert BetterThanChampion().judge(Evidence(challenger=good, champion=bad)).passed
    assert not BetterThanChampion().judge(Evidence(challenger=bad, champion=good)).passed


def test_the_metric_may_be_chosen(binary):
    evidence = Evidence(challenger=binary(0.2), champion=binary(2.0))
    result = BetterThanChampion(metric="log_loss").judge(evidence)
    assert (result.observed["metric"], result.required["metric"]) == ("log_loss", "log_loss")


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"metric": "auc"}])
def test_bad_parameters_are_refused(options):
    with pytest.raises(InputError, match=r"margin|metric"):
        BetterThanChampion(**options)


def test_without_predictions_of_the_champion_there_is_no_answer(binary):
    with pytest.raises(InputError, match="no predictions of the champion"):
        BetterThanChampion().judge(Evidence(challenger=binary(1)))
