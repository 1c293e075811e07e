"""Models of known quality on the same 600 rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from airflow_mlops_provider.core.predictions import Predictions

ROWS = 600


def _binary(error: float, *, seed: int = 0) -> Predictions:
    """Probabilities calibrated by construction, blurred by noise of the given size on the logit scale."""
    shared = np.random.default_rng(11)
    logit = 2 * shared.normal(size=ROWS)
    y = (shared.random(ROWS) < expit(logit)).astype(int)
    p = expit(logit + error * np.random.default_rng(seed).normal(size=ROWS))
    return Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y,
        predicted=(p >= 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]),
    )


def _regression(error: float, *, seed: int = 0) -> Predictions:
    y = np.random.default_rng(12).normal(size=ROWS)
    return Predictions(task="regression", y_true=y, predicted=y + error * np.random.default_rng(seed).normal(size=ROWS))


@pytest.fixture
def binary() -> Callable[..., Predictions]:
    return _binary


@pytest.fixture
def regression() -> Callable[..., Predictions]:
    return _regression
