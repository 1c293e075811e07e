"""The metric that decides, as scikit-learn's searches call it; must say the same number as the final judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.metrics import greater_is_better
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.training.predict import predict
from airflow_mlops_provider.training.target import Target

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """The chosen metric as scikit-learn wants it: greater is better, and a log line for each value.

    Parameters
    ----------
    metric : str
        Name of the metric.
    target : Target
        Task and classes.
    target_name : str
        For messages.
    tell : callable, optional
        Called with each value, for progress.
    """

    metric: str
    target: Target
    target_name: str
    tell: Callable[[float], None] | None = None

    def value(self, model: Any, rows: pd.DataFrame, values: np.ndarray) -> float:
        """Return the metric as users know it."""
        return self._evaluate(self._predict(model, rows, values))

    def __call__(self, model: Any, rows: pd.DataFrame, values: np.ndarray) -> float:
        """Return the metric with the sign that makes greater better."""
        value = self.value(model, rows, values)
        if self.tell is not None:
            self.tell(value)
        return self._sign * value

    def parts(self, model: Any, rows: pd.DataFrame, values: np.ndarray, *, parts: int) -> list[float]:
        """Return the signed metric of each of several tables of the same target, predicted in one call.

        Parameters
        ----------
        model : fitted estimator
        rows : pandas.DataFrame, shape (parts * n_rows, n_features)
            The tables below each other.
        values : array, shape (n_rows,)
            The target of each.
        parts : int
            Number of tables.
        """
        import numpy as np

        whole = self._predict(model, rows, np.tile(values, parts))
        n = len(values)
        return [self._sign * self._evaluate(whole.take(slice(k * n, (k + 1) * n))) for k in range(parts)]

    @property
    def _sign(self) -> int:
        return 1 if greater_is_better(self.metric) else -1

    def _predict(self, model: Any, rows: pd.DataFrame, values: np.ndarray) -> Predictions:
        return predict(
            model,
            rows,
            values,
            task=self.target.task,
            classes=self.target.classes,
            target=self.target_name,
            metric=self.metric,
        )

    def _evaluate(self, predictions: Predictions) -> float:
        # The interval is not used here, so it may be rough.
        return evaluate(predictions, metrics=[self.metric], n_resamples=100)[self.metric].value
