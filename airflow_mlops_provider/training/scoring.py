"""A fitted model over batches of rows without labels; must never keep a batch, nor change what the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import FeatureKind, Task
from airflow_mlops_provider.training.columns import to_frame

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

PREDICTION = "prediction"
PROBABILITY = "probability"
# Classifiers whose `predict` is the class with the highest probability, ties aside, so that rows go through once.
_MOST_PROBABLE = frozenset(
    {
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.tree._classes.DecisionTreeClassifier",
    }
)
_TIE = 1e-9


class BatchScorer:
    """Scores batches with one model.

    Parameters
    ----------
    model : fitted scikit-learn estimator
        With everything that prepares its input inside.
    task : {"binary", "multiclass", "regression"}
        Kind of prediction.
    classes : sequence
        Classes in code order, the second of two being the positive one; () for a regression.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature columns in the order of training.

    Raises
    ------
    InputError
        The model is not the one that the arguments describe: it has other features or classes.
    """

    def __init__(self, model: Any, *, task: Task, classes: Sequence[Any], kinds: Mapping[str, FeatureKind]) -> None:
        self._model = model
        self._classes = list(classes)
        self._kinds = dict(kinds)
        self._order = [] if task == "regression" else _order(model, self._classes)
        _require_features(model, list(kinds))
        self.task = task
        self.has_probabilities = task != "regression" and hasattr(model, "predict_proba")
        self._single_pass = self.has_probabilities and _path(_last_step(model)) in _MOST_PROBABLE

    @property
    def schema(self) -> pa.Schema:
        """Columns of the output: ``prediction``; for classifiers with probabilities ``probability``, of the positive
        class or, of several, of the predicted one; for several classes ``probability_<class>`` too.
        """
        import pyarrow as pa

        kind = pa.float64() if self.task == "regression" else pa.array(self._classes).type
        fields = [(PREDICTION, kind)]
        if self.has_probabilities:
            fields.append((PROBABILITY, pa.float64()))
            if self.task == "multiclass":
                fields += [(f"{PROBABILITY}_{one}", pa.float64()) for one in self._classes]
        return pa.schema(fields)

    def score(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict a batch.

        Parameters
        ----------
        rows : pyarrow.RecordBatch or pyarrow.Table
            With at least the features, in any order.

        Returns
        -------
        pyarrow.Table
            With the columns of `schema`; NaN where the model gives none.

        Raises
        ------
        InputError
            A feature is missing, cannot be read as its kind, or the model cannot predict these rows.
        """
        import pyarrow as pa

        frame = to_frame(pa.table(rows), kinds=self._kinds)
        try:
            columns = self._columns(frame)
        except (ValueError, TypeError) as error:
            raise InputError(f"The model cannot predict these rows: {str(error).splitlines()[0]}") from error
        return pa.table(columns, schema=self.schema)

    def _columns(self, frame: pd.DataFrame) -> dict[str, Any]:
        import numpy as np
        import pyarrow as pa

        if self.task == "regression":
            return {PREDICTION: np.asarray(self._model.predict(frame), dtype=np.float64)}
        if not self.has_probabilities:
            return {PREDICTION: self._labels(self._codes(self._model.predict(frame)))}
        given = np.asarray(self._model.predict_proba(frame), dtype=np.float64)[:, self._order]
        codes = self._chosen(frame, given)
        columns: dict[str, Any] = {PREDICTION: self._labels(codes)}
        if self.task == "binary":
            return {**columns, PROBABILITY: pa.array(given[:, 1])}
        columns[PROBABILITY] = given[np.arange(len(codes)), codes]
        return columns | {f"{PROBABILITY}_{one}": given[:, i] for i, one in enumerate(self._classes)}

    def _chosen(self, frame: pd.DataFrame, given: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the codes that `predict` gives, asking it only where the probabilities do not tell."""
        import numpy as np

        if not self._single_pass:
            return self._codes(self._model.predict(frame))
        if given.shape[1] == 2:
            lead = given[:, 1] - given[:, 0]
            codes: NDArray[np.intp] = (lead > 0).astype(np.intp)
            lead = np.abs(lead)
        else:
            codes = given.argmax(axis=1)
            rest = given.copy()
            rest[np.arange(len(codes)), codes] = -np.inf
            lead = given[np.arange(len(codes)), codes] - rest.max(axis=1)
        # Also where a probability is NaN: no comparison holds then.
        unclear = ~(lead > _TIE)
        if unclear.any():
            codes[unclear] = self._codes(self._model.predict(frame[unclear]))
        return codes

    def _codes(self, predicted: Any) -> NDArray[np.intp]:
        import numpy as np

        known = self._model.classes_
        positions = np.searchsorted(known, predicted)
        # From the model's own order, which is sorted, to that of the classes.
        back = np.argsort(np.asarray(self._order))
        codes: NDArray[np.intp] = back[positions]
        return codes

    def _labels(self, codes: NDArray[np.intp]) -> pa.Array:
        import pyarrow as pa

        return pa.array(self._classes).take(pa.array(codes))


def _order(model: Any, classes: list[Any]) -> list[int]:
    known = getattr(model, "classes_", None)
    known = [] if known is None else known.tolist()
    if sorted(map(str, known)) != sorted(map(str, classes)):
        raise InputError(
            f"The model knows the classes {known[:10]}, its record says {classes[:10]}. "
            "Hint: its files belong to another model."
        )
    return [known.index(one) for one in classes]


def _require_features(model: Any, names: list[str]) -> None:
    found = getattr(model, "feature_names_in_", None)
    if found is not None and list(found) != names:
        raise InputError(
            f"The model takes the features {list(found)[:10]}, its record says {names[:10]}. "
            "Hint: its files belong to another model."
        )


def _last_step(model: Any) -> Any:
    steps = getattr(model, "steps", None)
    return _last_step(steps[-1][1]) if steps else model


def _path(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"
