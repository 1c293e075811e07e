"""What a model must beat: the prediction of somebody who has seen the target's distribution and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.specs import Task

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A constant prediction learned from the training target.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    constants : tuple of float
        Class shares in code order (``DummyClassifier(strategy="prior")``), or the mean (``DummyRegressor()``).
    """

    task: Task
    constants: tuple[float, ...]

    @classmethod
    def of(cls, values: np.ndarray, *, task: Task) -> Baseline:
        """Learn the baseline from class codes, or from the values of a regression."""
        import numpy as np
        from sklearn.dummy import DummyClassifier, DummyRegressor

        nothing = np.zeros((len(values), 1))
        if task == "regression":
            return cls(task=task, constants=(float(DummyRegressor().fit(nothing, values).constant_.item()),))
        prior = DummyClassifier(strategy="prior").fit(nothing, values).class_prior_
        return cls(task=task, constants=tuple(float(share) for share in prior))

    def predict(self, y_true: np.ndarray, *, labels: Sequence[str]) -> Predictions:
        """Return what the baseline says about rows whose true codes or values are `y_true`."""
        import numpy as np

        rows = len(y_true)
        if self.task == "regression":
            return Predictions(
                task=self.task, y_true=y_true, labels=(), predicted=np.full(rows, self.constants[0], dtype=float)
            )
        return Predictions(
            task=self.task,
            y_true=y_true,
            labels=tuple(labels),
            predicted=np.full(rows, int(np.argmax(self.constants)), dtype=np.int64),
            probabilities=np.tile(np.asarray(self.constants), (rows, 1)),
        )
