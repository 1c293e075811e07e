"""Drift that shows in no single column, and none where there is none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.multivariate import domain_classifier, reconstruction_error

BOTH = pytest.mark.parametrize("detect", [domain_classifier, reconstruction_error])


def correlated(n, seed, rho):
    """Three columns that are standard normal whatever the correlation."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 1))
    values = np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=(n, 3))
    return pd.DataFrame(values, columns=list("abc")).assign(plan=rng.choice(["x", "y"], n))


@BOTH
def test_a_broken_correlation_is_seen_though_no_column_changed(detect):
    found = detect(correlated(2000, 0, 0.8), correlated(1500, 1, 0.0))
    assert found.drift
    assert not detect(correlated(2000, 0, 0.8), correlated(1500, 1, 0.8)).drift


def test_the_churn_table_against_itself_and_against_long_contracts(telco):
    frame = pd.read_csv(telco).sample(frac=1.0, random_state=0)
    reference, current = frame[:3500], frame[3500:]
    same = domain_classifier(reference, current)
    assert same.lower < 0.5 < same.upper + 0.02
    assert not same.drift
    assert not reconstruction_error(reference, current).drift
    moved = current[current["contract"] != "Month-to-month"]
    assert domain_classifier(reference, moved).lower > 0.7


def test_false_alarms_of_the_reconstruction_error_are_rare():
    alarms = sum(
        reconstruction_error(correlated(600, seed, 0.5), correlated(300, seed + 1000, 0.5), seed=seed).drift
        for seed in range(60)
    )
    assert alarms <= 3


def test_the_interval_of_the_classifier_holds_one_half_without_drift():
    outside = 0
    for seed in range(8):
        found = domain_classifier(correlated(300, seed, 0.5), correlated(300, seed + 1000, 0.5), seed=seed)
        outside += found.lower > 0.5
    assert outside <= 2


def test_a_normal_shift_has_the_roc_auc_of_its_closed_form():
    # For N(0, 1) against N(d, 1) no model does better than Phi(d / sqrt(2)) = 0.760 at d = 1.
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"x": rng.normal(shift, 1, 4000)}) for shift in (0.0, 1.0)]
    assert domain_classifier(*frames).roc_auc == pytest.approx(0.760, abs=0.02)


@BOTH
def test_missing_values_constants_categories_and_infinities_are_taken(detect):
    frame = correlated(400, 0, 0.5)
    frame["nothing"] = np.nan
    frame["constant"] = 5.0
    frame["flag"] = frame["a"] > 0
    frame["text"] = pd.Series(["p", None, "q", "r"] * 100, dtype="string")
    frame.loc[::7, "b"] = np.nan
    frame.loc[::50, "c"] = np.inf
    frame["day"] = pd.date_range("2026-01-01", periods=400)
    found = detect(frame, frame.assign(day=frame["day"] + pd.Timedelta(days=900)))
    assert not found.drift
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@BOTH
def test_new_missing_values_and_new_categories_do_not_break_it(detect):
    frame = correlated(400, 0, 0.5)
    current = correlated(400, 1, 0.5).assign(a=np.nan, plan="z")
    assert detect(frame, current).n_current == 400


@BOTH
def test_samples_are_capped_and_deterministic_under_a_seed(detect):
    first, second = correlated(3000, 0, 0.5), correlated(2000, 1, 0.5)
    found = detect(first, second, max_rows=500, seed=3)
    assert (found.n_reference, found.n_current) == (500, 500)
    assert detect(first, second, max_rows=500, seed=3) == found
    assert detect(first, second, max_rows=500, seed=4) != found


@BOTH
def test_different_columns_and_few_rows_are_refused(detect):
    frame = correlated(400, 0, 0.5)
    with pytest.raises(InputError, match=r"same columns.*plan"):
        detect(frame, frame.drop(columns="plan"))
    with pytest.raises(InputError, match="at least 50 current rows; got 49"):
        detect(frame, frame[:49])
    with pytest.raises(InputError, match="at least 50 reference rows; got 0"):
        detect(frame[:0], frame)
    with pytest.raises(InputError, match="no column"):
        detect(pd.DataFrame(index=range(60)), pd.DataFrame(index=range(60)))


def test_bad_settings_are_refused():
    frame = correlated(100, 0, 0.5)
    for bad in (0.4, 1.1, float("nan"), True):
        with pytest.raises(InputError, match="threshold"):
            domain_classifier(frame, frame, threshold=bad)
    for bad in (0.0, 1.0, -1.0):
        with pytest.raises(InputError, match="variance_share"):
            reconstruction_error(frame, frame, variance_share=bad)
    with pytest.raises(InputError, match="two columns"):
        reconstruction_error(frame[["a"]], frame[["a"]])
