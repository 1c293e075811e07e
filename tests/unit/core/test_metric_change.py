from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.intervals import wilson
from airflow_mlops_provider.core.metric_change import Standard, metric_change, value_of
from airflow_mlops_provider.core.performance import MetricValue
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.predictions import Predictions


def share(hits: int, rows: int, *, confidence: float = 0.95, **changes: Any) -> MetricValue:
    lower, upper = wilson(hits, rows, confidence=confidence)
    fields: dict[str, Any] = {
        "name": "accuracy", "value": hits / rows, "lower": lower, "upper": upper, "confidence": confidence,
        "n_rows": rows, "method": "wilson", "greater_is_better": True,
    }  # fmt: skip
    return MetricValue(**fields | changes)


def test_of_two_proportions_it_is_newcombe_s_interval() -> None:
    # R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17
    # (1998) 873-890, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    found = metric_change(share(56, 70), share(48, 80), floor=0, confidence=0.95)
    assert (found.lower, found.upper) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    found = metric_change(share(9, 10), share(3, 10), floor=0, confidence=0.95)
    assert (found.lower, found.upper) == (pytest.approx(0.1705, abs=5e-5), pytest.approx(0.8090, abs=5e-5))


def test_an_error_that_grows_is_a_loss_with_the_same_interval_turned_round() -> None:
    error = {"name": "mae", "greater_is_better": False}
    found = metric_change(share(56, 70, **error), share(48, 80, **error), floor=0.1, confidence=0.95)
    assert found.difference == pytest.approx(-0.2)
    assert (found.lower, found.upper) == (pytest.approx(-0.3339, abs=5e-5), pytest.approx(-0.0524, abs=5e-5))
    assert found.is_drop


def test_a_drop_is_beyond_chance_and_large_enough() -> None:
    worse, before = share(700, 1_000), share(800, 1_000)
    assert metric_change(worse, before, floor=0.1, confidence=0.95).is_drop
    assert not metric_change(worse, before, floor=0.11, confidence=0.95).is_drop
    few, before_few = share(7, 10), share(8, 10)
    assert not metric_change(few, before_few, floor=0.02, confidence=0.95).is_drop


def test_a_drop_is_suspected_when_it_is_large_enough_and_beyond_chance_at_nine_to_one() -> None:
    # The upper bound of the one-sided 90 % interval is that of the two-sided one of 80 %, made from Wilson's own.
    def wide(hits: int, rows: int) -> MetricValue:
        return share(hits, rows, confidence=0.8)

    for now, suspected in ((775, False), (765, True), (740, True)):
        bound = metric_change(wide(now, 1_000), wide(400, 500), floor=0, confidence=0.8).upper
        found = metric_change(share(now, 1_000), share(400, 500), floor=0.02, confidence=0.95)
        assert (found.suspected, bound < 0) == (suspected, suspected), now
        assert found.to_dict()["suspected"] is suspected
    assert not metric_change(share(740, 1_000), share(400, 500), floor=0.07, confidence=0.95).suspected


def test_more_comparisons_widen_the_interval_and_the_confidence_of_a_stored_value_is_adapted() -> None:
    once = metric_change(share(560, 700), share(480, 800), floor=0, confidence=0.95)
    often = metric_change(share(560, 700), share(480, 800), floor=0, confidence=0.95, comparisons=10)
    stored = metric_change(share(560, 700), share(480, 800, confidence=0.8), floor=0, confidence=0.95)
    assert often.upper - often.lower > 1.3 * (once.upper - once.lower)
    # Wilson's bounds are not exactly linear in the quantile.
    assert (stored.lower, stored.upper) == (pytest.approx(once.lower, rel=0.02), pytest.approx(once.upper, rel=0.02))


@given(
    hits=st.integers(0, 60), before=st.integers(0, 60), confidence=st.floats(0.5, 0.999), looks=st.integers(1, 1_000)
)
def test_the_interval_holds_the_difference_whatever_was_seen(
    hits: int, before: int, confidence: float, looks: int
) -> None:
    found = metric_change(share(hits, 60), share(before, 60), floor=0.0, confidence=confidence, comparisons=looks)
    assert found.lower <= found.difference <= found.upper
    assert not (found.is_drop and hits >= before)


def test_a_bootstrap_interval_beside_its_value_does_not_turn_the_sign() -> None:
    beside = share(50, 100, lower=0.51, upper=0.6)
    found = metric_change(beside, share(50, 100), floor=0.0, confidence=0.95)
    assert found.lower < 0 < found.upper


def test_a_version_without_the_value_says_what_it_has() -> None:
    standard = Standard(task="binary", metric="accuracy", values={"accuracy": share(5, 10)})
    assert standard.of("accuracy").value == 0.5
    with pytest.raises(InputError, match=r"no value of 'f1' .* it has accuracy"):
        standard.of("f1")


def test_a_value_has_the_confidence_of_the_policy() -> None:
    made = Predictions(task="binary", labels=("n", "y"), y_true=[0] * 50 + [1] * 50, predicted=[0] * 60 + [1] * 40)
    found = value_of(made, "accuracy", PerformancePolicy(confidence=0.9))
    assert (found.lower, found.upper) == wilson(90, 100, confidence=0.9)
