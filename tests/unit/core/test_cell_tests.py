"""p-values on cells: agreement with SciPy, and right at any pair of sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from airflow_mlops_provider.core.cell_tests import cell_test, proportion_test
from airflow_mlops_provider.core.cells import CellCounts


def categories(reference, current):
    return CellCounts(reference=np.array(reference), current=np.array(current))


def numbers(reference, current, *, single=False):
    lower = np.arange(len(reference), dtype=float)
    upper = lower if single else lower + 1
    return CellCounts(reference=np.array(reference), current=np.array(current), lower=lower, upper=upper)


def p(cells, test="ordered", seed=0):
    return cell_test(cells, test=test, seed=seed).p_value


def test_large_tables_of_categories_agree_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        reference, current = (rng.multinomial(n, [0.4, 0.3, 0.2, 0.1]) for n in (5000, 2000))
        expected = stats.chi2_contingency([reference, current], correction=False).pvalue
        assert p(categories(reference, current), "homogeneity") == pytest.approx(expected, rel=1e-9)


def test_small_tables_agree_with_the_permutation_distribution():
    reference, current = [20, 12, 8, 6], [4, 9, 9, 10]
    expected = stats.chi2_contingency(
        [reference, current], correction=False, method=stats.PermutationMethod(n_resamples=40_000, rng=1)
    ).pvalue
    found = cell_test(categories(reference, current), test="homogeneity", seed=0)
    assert found.test == "chi_square_permutation"
    # Draws stop at 20 exceedances, which leaves an error of about a quarter.
    assert expected / 2 < found.p_value < 2 * expected


def test_draws_depend_on_the_seed_alone():
    cells = categories([20, 12, 8, 6], [4, 9, 9, 10])
    assert p(cells, "homogeneity", 1) == p(cells, "homogeneity", 1) != p(cells, "homogeneity", 2)


@pytest.mark.filterwarnings("ignore:p-value")  # SciPy's own p-value is capped; only its statistic is used
def test_many_values_without_ties_agree_with_the_limiting_anderson_darling_distribution():
    # Critical values of the one-sample statistic with known parameters, which the two-sample one shares:
    # Stephens (1974), table 1A: 1.933 (10 %), 2.492 (5 %), 3.857 (1 %). Values with those statistics are looked for.
    rng = np.random.default_rng(0)
    found = {}
    for _ in range(300):
        x, y = rng.normal(size=400), rng.normal(0.1, 1, 300)
        edges = np.quantile(np.r_[x, y], np.linspace(0, 1, 201))
        counts = [np.histogram(one, edges)[0] for one in (x, y)]
        statistic = stats.anderson_ksamp([x, y], variant="midrank").statistic
        found[1 + statistic * np.sqrt(2 * (np.pi**2 - 9) / 3)] = p(numbers(*counts))
    for critical, level in ((1.933, 0.10), (2.492, 0.05), (3.857, 0.01)):
        near = [value for statistic, value in found.items() if abs(statistic - critical) < 0.15]
        assert np.median(near) == pytest.approx(level, rel=0.35)


def test_order_is_used_where_there_is_order():
    reference, current = [100] * 20, [100 + 2 * (i - 10) for i in range(20)]
    assert p(numbers(reference, current)) < 1e-3
    assert p(numbers(reference, current), "homogeneity") > 0.01


@pytest.mark.parametrize(("n", "m"), [(50, 50), (1000, 60), (60, 100_000), (1_000_000, 200)])
@pytest.mark.parametrize("kind", ["even", "lattice", "zero_inflated"])
def test_ordered_p_values_are_uniform_without_drift(n, m, kind):
    shares = {
        "even": np.full(300, 1 / 300),
        "lattice": np.array([0.1, 0.25, 0.3, 0.2, 0.1, 0.05]),
        "zero_inflated": np.r_[0.6, np.full(200, 0.4 / 200)],
    }[kind]
    rng = np.random.default_rng([n, m])
    windows = 1500
    found = np.array([p(numbers(rng.multinomial(n, shares), rng.multinomial(m, shares))) for _ in range(windows)])
    for level in (0.01, 0.05, 0.25):
        hits = int((found <= level).sum())
        assert stats.binomtest(hits, windows, level, alternative="greater").pvalue > 1e-3
    assert (found <= 0.25).mean() > 0.2


@pytest.mark.parametrize(("n", "m"), [(100, 100), (10_000, 100), (200, 50_000)])
def test_category_p_values_hold_their_level_without_drift_though_some_are_rare(n, m):
    shares = [0.5, 0.25, 0.1, 0.05, 0.04, 0.03, 0.02, 0.005, 0.005]
    rng = np.random.default_rng([n, m])
    windows = 1500
    found = np.array(
        [p(categories(rng.multinomial(n, shares), rng.multinomial(m, shares)), "homogeneity") for _ in range(windows)]
    )
    for level in (0.002, 0.01, 0.05):
        hits = int((found <= level).sum())
        assert stats.binomtest(hits, windows, level, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("test", ["homogeneity", "ordered"])
def test_one_cell_leaves_nothing_to_tell_apart(test):
    assert cell_test(numbers([10], [10], single=True), test=test, seed=0).test == "none"


@pytest.mark.parametrize("test", ["homogeneity", "ordered"])
def test_wholly_different_samples_are_told_apart_at_any_size(test):
    for n, m in ((100, 100), (1_000_000, 30), (30, 1_000_000)):
        assert p(numbers([n, 0], [0, m], single=True), test) < 1e-6


def test_rare_cells_that_a_large_reference_would_hide_are_judged_exactly():
    # Two hundred rows that all moved to a category that is one in a hundred thousand.
    assert p(categories([999_990, 10], [0, 200]), "homogeneity") < 1e-50
    # Three of 200 in a category of one in 10,000: the exact binomial tail.
    found = cell_test(categories([500_000, 499_900, 100], [100, 97, 3]), test="homogeneity", seed=0)
    assert found.test.endswith("_and_fisher")
    assert found.p_value == pytest.approx(2 * stats.fisher_exact([[100, 999_900], [3, 197]]).pvalue, rel=1e-3)
    # One value holds nearly all, and hundreds the rest.
    atoms = numbers([1_000_000] + [1] * 300, [170] + [0] * 270 + [1] * 30)
    assert p(atoms) < 1e-50
    assert p(numbers([1_000_000] + [1] * 300, [200] + [0] * 300)) > 0.5


def test_few_values_fall_back_on_homogeneity():
    found = cell_test(numbers([500, 300, 200], [400, 300, 300], single=True), test="ordered", seed=0)
    assert found.test == "chi_square"


@settings(max_examples=60)
@given(st.data())
def test_any_counts_give_a_probability_that_does_not_depend_on_which_sample_is_the_reference(data):
    size = data.draw(st.integers(1, 40))
    counts = st.lists(st.sampled_from([0, 1, 2, 7, 50, 3000, 10**7]), min_size=size, max_size=size).filter(any)
    reference, current = data.draw(counts), data.draw(counts)
    for cells, mirrored in (
        (numbers(reference, current), numbers(current, reference)),
        (categories(reference, current), categories(current, reference)),
    ):
        for test in ("homogeneity", "ordered")[: 2 if cells.ordered else 1]:
            one, other = cell_test(cells, test=test, seed=0), cell_test(mirrored, test=test, seed=0)
            assert 0.0 <= one.p_value <= 1.0
            assert one.test == other.test
            if "permutation" not in one.test:
                assert one.p_value == pytest.approx(other.p_value, rel=1e-6, abs=1e-12)


def test_proportions_agree_with_fishers_exact_test():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, m = rng.integers(5, 3000, 2).tolist()
        a, b = int(rng.integers(0, n + 1)), int(rng.integers(0, m + 1))
        if 0 < a + b < n + m:
            expected = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
            found = proportion_test(reference=(a, n), current=(b, m))
            # Above 1,000 expected values chi-square serves; it agrees where p-values are decided on.
            tolerance = {"rel": 1e-6} if found.test == "fisher" else {"rel": 0.2, "abs": 1e-12}
            assert found.p_value == pytest.approx(expected, **tolerance)


def test_proportions_of_large_samples_agree_with_both_tests():
    reference, current = (50_000, 1_000_000), (10_300, 200_000)
    found = proportion_test(reference=reference, current=current)
    table = [[50_000, 950_000], [10_300, 189_700]]
    assert found.test == "chi_square"
    assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=0.02)


def test_a_rare_event_in_unequal_samples_is_judged_exactly():
    table = [[3, 999_997], [4, 196]]
    found = proportion_test(reference=(3, 1_000_000), current=(4, 200))
    assert found.test == "fisher"
    assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-4)


@pytest.mark.parametrize(("reference", "current"), [((0, 10), (0, 20)), ((10, 10), (20, 20)), ((0, 0), (3, 9))])
def test_shares_of_none_or_all_leave_nothing_to_tell_apart(reference, current):
    assert proportion_test(reference=reference, current=current).test == "none"
