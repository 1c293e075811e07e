from __future__ import annotations

import pytest

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.performance_policy import PerformancePolicy
from airflow_mlops_provider.core.policy import Policy
from airflow_mlops_provider.core.prediction_policy import PredictionPolicy
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.skew_policy import SkewPolicy

POLICIES = [DriftPolicy, EstimatePolicy, PerformancePolicy, PredictionPolicy, RetrainPolicy, SkewPolicy]


def test_every_policy_is_among_those_tested_here() -> None:
    assert {one.__name__ for one in Policy.__subclasses__()} == {one.__name__ for one in POLICIES}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_is_one_however_it_is_given(kind: type[Policy]) -> None:
    assert kind.of(None) == kind() == kind.of({}) == kind.of(kind())
    assert type(kind.of({})) is kind


def test_a_mapping_sets_fields_by_name() -> None:
    assert DriftPolicy.of({"fdr": 0.1}) == DriftPolicy(fdr=0.1) != DriftPolicy()


@pytest.mark.parametrize("kind", POLICIES)
def test_what_is_no_such_policy_is_refused_with_what_would_be(kind: type[Policy]) -> None:
    with pytest.raises(InputError, match=rf"{kind.__name__} has no field 'fdrr'"):
        kind.of({"fdrr": 0.1})
    other = DriftPolicy() if kind is not DriftPolicy else SkewPolicy()
    for given in ("default", 0.05, True, ["fdr"], other):
        with pytest.raises(InputError, match=f"must be a {kind.__name__} or a mapping"):
            kind.of(given)


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        DriftPolicy().fdr = 0.5
    assert not hasattr(DriftPolicy(), "__dict__")
