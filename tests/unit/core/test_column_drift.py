"""What is measured of one column: which values are compared, and what is expected of categories never seen."""

from __future__ import annotations

import pyarrow as pa
import pytest
from scipy import stats

from airflow_mlops_provider.core.column_drift import Measured, measure, unseen_test
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.profiler import Profiler
from airflow_mlops_provider.core.reference_grids import reference_grids


def measured(reference: list, *current: list) -> Measured:
    """Measure a column, whose current values may come in parts of several types."""
    table = pa.table({"x": reference})
    profilers = [Profiler(reference_grids(table)) for _ in range(2)]
    profilers[0].update(table)
    for part in current:
        profilers[1].update(pa.table({"x": part}))
    columns = [one.result().column("x") for one in profilers]
    return measure(*columns, policy=DriftPolicy(), values=None)


def test_rows_in_unseen_categories_are_not_compared_by_shape() -> None:
    found = measured(["a", "b"] * 100, ["a"] * 60 + ["new"] * 40)
    assert (found.n_reference, found.n_current) == (200, 60)
    assert found.unseen is not None
    assert (found.unseen.reference, found.unseen.current) == ((0, 200), (40, 100))


def test_values_of_another_type_and_infinite_ones_are_missing() -> None:
    found = measured([float(one) for one in range(100)], [1.0, None, float("nan"), float("inf"), -float("inf")], ["a"])
    assert (found.missing.reference, found.missing.current) == ((0, 100), (5, 6))
    assert found.n_current == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Good and Turing: 10 of 1,000; Esty: 20 / 1,000^2, which a binomial of 5 in 500 has.
        ([970, *[1] * 10, *[2] * 10], (3, 333)),
        ([980, *[1] * 10, *[2] * 5], (5, 500)),
        # None was seen once: as if there were no chance, and no more certainty than 1,000 / 21 rows give.
        ([980, *[2] * 10], (0, 48)),
        ([1000], (0, 1000)),
    ],
)
def test_unseen_rows_are_compared_with_those_that_rare_categories_let_expect(
    counts: list[int], expected: tuple[int, int]
) -> None:
    hits, rows = expected
    theirs = stats.fisher_exact([[hits, rows - hits], [12, 188]]).pvalue
    assert unseen_test(reference_counts=counts, unseen=12, n_current=200).p_value == pytest.approx(theirs, rel=1e-9)


def test_a_few_rows_are_not_tested() -> None:
    found = measured(["a", "b"] * 100, ["a", "new"])
    assert found.test is None
    assert found.missing.test is None
    assert found.unseen is not None
    assert found.unseen.test is None
