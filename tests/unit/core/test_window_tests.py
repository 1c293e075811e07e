from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from airflow_mlops_provider.core.window_tests import all_alike_p, beyond_extreme_p, more_frequent_p


@pytest.mark.parametrize(("n", "m", "k"), [(3, 3, 1), (3, 3, 2), (4, 2, 2), (2, 4, 3), (1, 5, 5)])
def test_exceedances_are_as_likely_as_among_all_orders_of_the_values(n: int, m: int, k: int) -> None:
    orders = list(permutations(range(n + m)))
    # The first n places are the reference's.
    hits = sum(sum(value > max(order[:n]) for value in order[n:]) >= k for order in orders)
    assert beyond_extreme_p(beyond=k, n_reference=n, n_current=m) == pytest.approx(hits / len(orders))


def test_no_exceedance_is_certain_and_more_than_all_impossible() -> None:
    assert beyond_extreme_p(beyond=0, n_reference=10, n_current=10) == 1.0
    assert beyond_extreme_p(beyond=11, n_reference=10, n_current=10) == 0.0


@given(a=st.integers(0, 40), n=st.integers(1, 40), b=st.integers(0, 40), m=st.integers(1, 40))
def test_a_higher_share_is_judged_as_fishers_test_of_scipy_does(a: int, n: int, b: int, m: int) -> None:
    a, b = min(a, n), min(b, m)
    expected = fisher_exact([[b, m - b], [a, n - a]], alternative="greater").pvalue
    assert more_frequent_p(reference=(a, n), current=(b, m)) == pytest.approx(expected, abs=1e-12)


def test_one_value_in_all_rows_is_no_less_likely_than_in_independent_draws() -> None:
    rng = np.random.default_rng(0)
    reference = rng.random(200) < 0.9
    bound = all_alike_p(n_value=int(reference.sum()), n_reference=200, n_current=20)
    drawn = (rng.choice(reference, size=(20_000, 20)).all(axis=1)).mean()
    assert drawn <= bound * 1.1
    assert bound < 0.5


def test_one_value_that_was_never_seen_is_the_least_likely_of_all() -> None:
    assert all_alike_p(n_value=0, n_reference=99, n_current=3) == pytest.approx(1e-4)
    assert all_alike_p(n_value=99, n_reference=99, n_current=2) == pytest.approx(1.0)


def test_one_row_is_alike_whatever_it_holds() -> None:
    assert all_alike_p(n_value=0, n_reference=10**6, n_current=1) == 1.0
