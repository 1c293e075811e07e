"""A policy is checked where it is written: in the DAG file."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError

NAN, INF = float("nan"), float("inf")


def test_the_defaults_are_the_documented_ones():
    policy = DriftPolicy()
    assert policy.choice("x", "numeric").method.key == "wasserstein"
    assert policy.choice("x", "numeric").threshold == 0.1
    assert policy.choice("x", "categorical").method.key == "jensen_shannon"
    assert (policy.fdr, policy.min_samples, policy.drift_share, policy.importance_share) == (0.05, 100, 0.5, 0.2)


def test_a_column_can_have_its_own_method_threshold_and_parameters():
    policy = DriftPolicy(per_column={"tenure": {"method": "psi", "threshold": 0.25, "n_bins": 20}, "plan": "chi2"})
    chosen = policy.choice("tenure", "numeric")
    assert (chosen.method.key, chosen.threshold, chosen.method.n_bins) == ("psi", 0.25, 20)
    assert policy.choice("plan", "categorical").threshold == 0.0


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *[("fdr", bad) for bad in (0, 1, -0.1, 1.5, NAN, INF, "0.05", True, None)],
        *[("drift_share", bad) for bad in (0, -0.1, 1.01, NAN, "half", True)],
        *[("importance_share", bad) for bad in (0, -0.1, 1.01, NAN, None)],
        *[("missing_share_change", bad) for bad in (-0.1, 1.01, NAN, "x")],
        *[("unseen_share", bad) for bad in (-0.1, 1.01, INF)],
        *[("min_samples", bad) for bad in (1, 0, -5, 10.5, True, "100")],
        *[("seed", bad) for bad in (-1, 2**32, 0.5)],
        ("rule", "strict"),
        ("schema_change_is_drift", "yes"),
        ("ignore_columns", "id"),
        ("per_column", ["a"]),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(name, bad):
    with pytest.raises(InputError, match=name):
        DriftPolicy(**{name: bad})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("psii", "did you mean 'psi'"),
        ({"method": "psi", "bins": 5}, "bins"),
        ({"method": "psi", "threshold": NAN}, "threshold"),
        ({"method": "psi", "threshold": -1}, "threshold"),
        ({"method": "jensen_shannon", "threshold": 1.5}, "threshold"),
        ({"method": "psi", "n_bins": 1}, "n_bins"),
        ({"threshold": 0.1}, "key 'method'"),
        (0.1, "key 'method'"),
        (None, "key 'method'"),
    ],
)
def test_a_bad_method_is_refused_with_a_hint(spec, said):
    with pytest.raises(InputError, match=said):
        DriftPolicy(numeric=spec)
    with pytest.raises(InputError, match=rf"(?s)column 'tenure'.*{said}"):
        DriftPolicy(per_column={"tenure": spec})


def test_a_method_that_cannot_compare_the_kind_is_refused_with_those_that_can():
    with pytest.raises(InputError, match=r"does not compare categorical columns.*jensen_shannon"):
        DriftPolicy(categorical="wasserstein")
    with pytest.raises(InputError, match="Column 'plan'"):
        DriftPolicy(per_column={"plan": "kolmogorov_smirnov"}).choice("plan", "categorical")


@pytest.mark.parametrize(
    "policy",
    [
        DriftPolicy(),
        DriftPolicy(ignore_columns=["id"], per_column={"a": {"method": "psi", "threshold": 0.25}}, unseen_share=None),
        DriftPolicy.evidently_defaults(),
        DriftPolicy.nannyml_defaults(thresholds={"a": 0.2}),
    ],
)
def test_it_survives_json(policy):
    assert DriftPolicy.from_dict(json.loads(json.dumps(policy.to_dict(), allow_nan=False))) == policy


def test_an_unknown_field_is_refused():
    with pytest.raises(InputError, match="no field 'q'"):
        DriftPolicy.from_dict({"q": 0.05})


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        DriftPolicy().fdr = 0.5


def test_nannyml_thresholds_go_to_their_columns():
    policy = DriftPolicy.nannyml_defaults(thresholds={"age": 0.23}, threshold=0.15)
    assert policy.rule == "threshold"
    assert policy.choice("age", "numeric").threshold == 0.23
    assert policy.choice("plan", "categorical").threshold == 0.15
