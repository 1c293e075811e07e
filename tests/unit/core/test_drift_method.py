"""Effects, and samples that methods refuse; choices of methods are tested with the policy that holds them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from airflow_mlops_provider.core.drift_method import Effect, numeric_values, resolve_method
from airflow_mlops_provider.core.errors import InputError


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.05, False), (0.1, False), (0.11, True), (0.2, True), (0.21, False)]
)
def test_an_interval_straddles_what_it_cannot_place(threshold, expected):
    # The verdict is effect >= threshold: certain when the lower end reaches it, or the upper end does not.
    assert Effect(value=0.15, lower=0.1, upper=0.2).straddles(threshold) == expected


def test_an_infinite_bound_is_null_in_json():
    found = Effect(value=1.0, lower=0.0, upper=inf).to_dict()
    assert found == {"value": 1.0, "lower": 0.0, "upper": None}


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (np.array([]), "empty current"),
        (np.array([1.0, np.nan]), "1 values in the current sample that are not finite"),
        (np.array(["a"]), "needs numbers in the current sample"),
        (np.ones((2, 2)), "one-dimensional"),
        ([1.0, 2.0], "one-dimensional"),
    ],
)
def test_samples_that_are_no_finite_numbers_are_refused(sample, said):
    with pytest.raises(InputError, match=said):
        numeric_values("psi", np.array([1.0]), sample)


def test_whole_numbers_and_booleans_are_numbers():
    first, second = numeric_values("psi", np.array([1, 2]), np.array([True, False]))
    assert first.dtype == second.dtype == np.float64


def test_an_unknown_parameter_gets_the_closest_known_one():
    with pytest.raises(InputError, match=r"'n_bin'.*did you mean 'n_bins'"):
        resolve_method({"method": "psi", "n_bin": 5})
