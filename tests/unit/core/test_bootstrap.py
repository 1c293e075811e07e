"""The bootstrap of sums against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from airflow_mlops_provider.core import bootstrap
from airflow_mlops_provider.core.bootstrap import Units
from airflow_mlops_provider.core.errors import InputError


def _mean(sums):
    return sums[..., 1] / sums[..., 0]


def _rows(values):
    return bootstrap.in_blocks(np.column_stack([np.ones(len(values)), values]), seed=0)


@pytest.mark.parametrize("draw", ["lognormal", "normal"])
def test_bca_agrees_with_scipy_up_to_resampling_noise(draw):
    values = getattr(np.random.default_rng(5), draw)(size=60)
    units = _rows(values)
    resampled = bootstrap.bootstrap_sums(units, n_resamples=40_000, seed=1)
    found = bootstrap.bca(units, resampled, _mean, confidence=0.9, name="mean")
    scipy = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, confidence_level=0.9, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert found == pytest.approx((scipy.low, scipy.high), abs=0.02 * (scipy.high - scipy.low))


def test_counted_units_resample_as_their_rows_do():
    values = np.repeat([0.0, 1.0, 5.0], [30, 60, 10])
    counted = Units(contributions=np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 5.0]]), counts=np.array([30, 60, 10]))
    by_count, by_row = (
        bootstrap.bca(
            units, bootstrap.bootstrap_sums(units, n_resamples=40_000, seed=3), _mean, confidence=0.95, name="mean"
        )
        for units in (counted, _rows(values))
    )
    assert by_count == pytest.approx(by_row, abs=0.02 * (by_row[1] - by_row[0]))


def test_blocks_keep_the_sums_and_the_spread_of_the_rows():
    values = np.random.default_rng(7).normal(size=200_000)
    units = _rows(values)
    assert units.contributions.shape == (bootstrap.MAX_UNITS, 2)
    assert units.total == pytest.approx([len(values), values.sum()])
    resampled = bootstrap.bootstrap_sums(units, n_resamples=4000, seed=0)
    # The spread of 4,000 draws is known to about 1/sqrt(8000) = 1.1 %, that of 10,000 blocks to 0.7 %.
    assert np.std(_mean(resampled)) == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.05)


def test_resamples_do_not_depend_on_the_chunk_they_are_drawn_in():
    units = _rows(np.arange(9000.0))
    few, many = (bootstrap.bootstrap_sums(units, n_resamples=n, seed=4) for n in (300, 700))
    assert np.array_equal(few, many[:300])
    assert few[:, 0] == pytest.approx(9000)


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    units = _rows(np.array([1.0, 0.0, 0.0]))
    resampled = bootstrap.bootstrap_sums(units, n_resamples=200, seed=0)
    with (
        pytest.raises(
            InputError, match=r"share has no interval: it is undefined on \d+ of 200 resamples of the 3 rows"
        ),
        np.errstate(invalid="ignore"),
    ):
        bootstrap.bca(units, resampled, lambda s: np.where(s[..., 1] > 0, 1.0, np.nan), confidence=0.95, name="share")


def test_a_constant_statistic_has_a_point_as_interval():
    units = _rows(np.full(20, 3.0))
    resampled = bootstrap.bootstrap_sums(units, n_resamples=200, seed=0)
    assert bootstrap.bca(units, resampled, _mean, confidence=0.95, name="mean") == (3.0, 3.0)


def test_norm_interval_of_pure_noise_reaches_0():
    noise = np.random.default_rng(0).normal(size=(500, 8))
    units = bootstrap.in_blocks(np.column_stack([np.ones(500), noise - noise.mean(axis=0)]), seed=0)
    resampled = bootstrap.bootstrap_sums(units, n_resamples=500, seed=0)

    def norm(sums):
        return np.abs(sums[..., 1:]).sum(axis=-1) / sums[..., 0]

    assert bootstrap.norm_interval(units, resampled, norm, confidence=0.95)[0] == 0.0
