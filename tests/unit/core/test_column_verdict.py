"""The verdict on one column at the borders: thresholds reached exactly, parts that disagree, rules that do not test."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from airflow_mlops_provider.core.cell_tests import CellTestResult
from airflow_mlops_provider.core.column_drift import Measured, Share, measure
from airflow_mlops_provider.core.column_verdict import judge_column
from airflow_mlops_provider.core.drift_method import Effect
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.drift_report import ColumnDrift
from airflow_mlops_provider.core.profiler import profile_table

POLICY = DriftPolicy()
THRESHOLD = POLICY.choice("x", "numeric").threshold
CERTAIN = {"shape": 1e-9, "missing": 1e-9, "unseen": 1e-9}
TEST = CellTestResult(p_value=1e-9, test="chi2")


def column(**changes: object) -> Measured:
    """Return a numeric column of 1,000 rows on each side whose effect is certain and large."""
    profile = profile_table(pa.table({"x": [float(one) for one in range(1000)]})).column("x")
    found = measure(profile, profile, policy=POLICY, values=None)
    return replace(found, **{"effect": effect(2 * THRESHOLD), "test": TEST, **changes})  # type: ignore[arg-type]


def effect(value: float, *, lower: float | None = None, upper: float | None = None) -> Effect:
    return Effect(value=value, lower=value if lower is None else lower, upper=value if upper is None else upper)


def share(reference: int, current: int, *, test: CellTestResult | None = TEST) -> Share:
    return Share(reference=(reference, 1000), current=(current, 1000), test=test)


def judged(one: Measured, adjusted: dict[str, float] | None = None, policy: DriftPolicy = POLICY) -> ColumnDrift:
    return judge_column(one, CERTAIN if adjusted is None else adjusted, policy, None)


@pytest.mark.parametrize(("value", "verdict"), [(THRESHOLD, "drift"), (THRESHOLD * 0.999, "no_drift")])
def test_an_effect_at_its_threshold_is_drift(value: float, verdict: str) -> None:
    assert judged(column(effect=effect(value))).verdict == verdict


@pytest.mark.parametrize(("p", "verdict"), [(POLICY.fdr, "drift"), (POLICY.fdr * 1.001, "no_drift")])
def test_a_p_value_at_the_allowed_rate_is_significant(p: float, verdict: str) -> None:
    assert judged(column(), {"shape": p}).verdict == verdict


def test_only_a_significant_effect_can_be_undecided() -> None:
    unsure = column(effect=effect(THRESHOLD, lower=0.5 * THRESHOLD, upper=2 * THRESHOLD))
    assert judged(unsure).undecided
    assert not judged(unsure, {"shape": 0.9}).undecided


def test_the_rule_of_thresholds_asks_no_test() -> None:
    policy = replace(POLICY, rule="threshold", missing_share_change=0.05)
    assert judged(column(test=None), {}, policy).verdict == "drift"
    calm = column(effect=effect(0.0), missing=share(0, 100))
    assert judged(calm, {}, policy).missing.verdict == "drift"
    assert judged(calm, {}, replace(policy, rule="calibrated")).missing.verdict == "no_drift"


def test_a_share_that_did_not_change_is_no_drift_even_without_a_threshold_to_reach() -> None:
    policy = replace(POLICY, missing_share_change=0.0)
    assert judged(column(effect=effect(0.0), missing=share(7, 7)), None, policy).missing.verdict == "no_drift"
    assert judged(column(effect=effect(0.0), missing=share(7, 8)), None, policy).missing.verdict == "drift"


def test_where_the_shape_cannot_be_told_missing_rows_that_did_not_change_do_not_acquit() -> None:
    few = column(n_current=3, missing=share(0, 0))
    assert judged(few).verdict == "insufficient_data"
    assert judged(replace(few, missing=share(0, 900))).verdict == "drift"


def test_a_column_without_shape_tells_its_missing_rows() -> None:
    bare = column(choice=None, effect=None, cells=None, test=None, missing=share(10, 20))
    assert judged(bare, {}).reason == "missing rows 1.00% -> 2.00%."
    assert judged(column(missing=share(10, 20)), {"shape": 0.01}).reason.count("missing") == 0


def test_a_column_that_the_model_gives_no_importance_has_none() -> None:
    assert judge_column(column(), CERTAIN, POLICY, {"other": 1.0}).importance == 0.0
    assert judge_column(column(), CERTAIN, POLICY, {"x": 0.25}).importance == 0.25
    assert judged(column()).importance is None
