"""Parameters of gates are checked at parse."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gate_parameters import check_count, check_flag, check_number


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "1", None, [1]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(InputError, match="margin of gate 'g' must be a finite number"):
        check_number("g", "margin", value)


def test_numbers_out_of_range_are_refused_with_the_range():
    with pytest.raises(InputError, match="must be at least 0; got -1"):
        check_number("g", "margin", -1, low=0)
    with pytest.raises(InputError, match=r"must be from 0 to 1; got 1\.5"):
        check_number("g", "threshold", 1.5, low=0, high=1)
    check_number("g", "threshold", 1, low=0, high=1)


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, True, "3", None, float("nan")])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(InputError, match="rows of gate 'g' must be a whole number, at least 1"):
        check_count("g", "rows", value)


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(InputError, match="must be True or False"):
        check_flag("g", "use_interval", value)
