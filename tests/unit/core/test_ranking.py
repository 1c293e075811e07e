"""Metrics of ranks against an independent DeLong, scikit-learn and brute force."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from airflow_mlops_provider.core import ranking

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "intervals.json").read_text())["delong"]


@pytest.fixture(scope="module")
def churn(telco):
    with telco.open() as file:
        rows = list(csv.DictReader(file))
    churned = np.array([row["churn"] == "Yes" for row in rows])
    tenure, charges = (np.array([float(row[name]) for row in rows]) for name in ("tenure", "monthly_charges"))
    return churned, -tenure, charges


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["rows"]))
def test_delong_equals_an_independent_implementation_on_real_scores_with_ties(churn, case):
    churned, tenure, charges = (values[: case["rows"]] for values in churn)
    a, b = ranking.roc_auc(churned, tenure), ranking.roc_auc(churned, charges)
    codes = churned.astype(int)
    assert [a.value, b.value] == pytest.approx([case["auc_tenure"], case["auc_charges"]], rel=1e-12)
    found = [ranking.variance(x, codes, 2) for x in (a.influence, b.influence, a.influence - b.influence)]
    expected = [case[f"variance_{name}"] for name in ("tenure", "charges", "difference")]
    assert found == pytest.approx(expected, rel=1e-9)


SCORED = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(bool, n).filter(lambda y: y.any() and not y.all()),
        # Few distinct values, so that ties are the rule.
        hnp.arrays(float, n, elements=st.sampled_from([-1e300, -1.0, 0.0, 0.5, 1.0, 1e300])),
    )
)


@given(SCORED)
def test_values_are_those_of_scikit_learn(scored):
    positive, scores = scored
    assert ranking.roc_auc(positive, scores).value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    expected = average_precision_score(positive, scores)
    assert ranking.average_precision(positive, scores).value == pytest.approx(expected, abs=1e-12)


@given(SCORED)
def test_influences_sum_to_0(scored):
    positive, scores = scored
    for metric in (ranking.roc_auc, ranking.average_precision):
        assert metric(positive, scores).influence.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("metric", [ranking.roc_auc, ranking.average_precision])
def test_an_influence_is_what_one_more_copy_of_the_row_changes(metric, churn):
    """The definition of the influence function, by weighting each of some rows a little more."""
    churned, tenure, _ = (values[:2000] for values in churn)
    score = {ranking.roc_auc: roc_auc_score, ranking.average_precision: average_precision_score}[metric]
    ranked, step = metric(churned, tenure), 1e-5
    for row in (0, 2, 13, 700, 1999):
        weights = np.ones(len(churned))
        weights[row] += step
        change = (score(churned, tenure, sample_weight=weights) - ranked.value) / step
        assert ranked.influence[row] == pytest.approx(change, rel=1e-2, abs=1e-9)


def test_the_macro_mean_averages_values_and_influences():
    parts = [ranking.Ranked(value=v, influence=np.array([v, -v])) for v in (0.2, 0.4)]
    mean = ranking.macro(parts)
    assert mean.value == pytest.approx(0.3)
    assert mean.influence == pytest.approx([0.3, -0.3])
