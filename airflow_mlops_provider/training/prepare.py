"""Rows to their sides, and what is to be learned from which columns; refuses what nothing can be learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import default_metric, find
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.row_set import RowSet
from airflow_mlops_provider.core.specs import TrainSettings
from airflow_mlops_provider.training.columns import Features, choose_features, to_frame
from airflow_mlops_provider.training.split import holdout_mask, identity_columns
from airflow_mlops_provider.training.target import Target, encode, read_target

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Rows on their sides, ready to fit.

    Parameters
    ----------
    table : pyarrow.Table
        Training rows with all columns.
    rows, holdout_rows : pandas.DataFrame
        Features of the training and held-out rows.
    target : Target
        Of the training rows.
    holdout_values : array, shape (n_holdout,)
        True values of the held-out rows.
    features : Features
        What the model sees.
    target_name : str
        Column it was read from.
    metric : str
        What decides.
    identity_columns : tuple of str
        Columns whose hash identifies a row.
    training_rows : RowSet
        Hashes of the training rows.
    """

    table: pa.Table
    rows: pd.DataFrame
    holdout_rows: pd.DataFrame
    target: Target
    holdout_values: np.ndarray
    features: Features
    target_name: str
    metric: str
    identity_columns: tuple[str, ...]
    training_rows: RowSet

    @property
    def codes(self) -> np.ndarray | None:
        """Class codes of the training rows, None for regression."""
        if self.target.task == "regression":
            return None
        return encode(self.target.values, classes=self.target.classes, name=self.target_name)


def prepare(table: pa.Table, *, target: str, settings: TrainSettings) -> Prepared:
    """Put rows on their sides and decide features, task and metric.

    Parameters
    ----------
    table : pyarrow.Table
        All rows. Their order does not matter.
    target : str
        Column to predict.
    settings : TrainSettings
        See there.

    Raises
    ------
    InputError
        Nothing can be learned from this table with these settings; the message says why.
    """
    import numpy as np

    if target not in table.column_names:
        raise InputError(
            f"Target {target!r} is not in the data. Hint: the columns are {', '.join(table.column_names)}."
        )
    read = read_target(table.column(target), name=target, task=settings.task, positive_class=settings.positive_class)
    metric = settings.metric or default_metric(read.task)
    find(metric, task=read.task)
    identity = identity_columns(table, settings.split)
    hashes = hash_rows(table, columns=identity)
    # One order for any order of the file: everything below depends on the rows only.
    order = np.lexsort((hash_rows(table, columns=sorted(table.column_names)), hashes))
    table, hashes, values = table.take(order), hashes[order], read.values[order]
    codes = None if read.task == "regression" else encode(values, classes=read.classes, name=target)
    held = holdout_mask(table, split=settings.split, row_hashes=hashes, codes=codes, seed=settings.seed)
    _require_classes(read, codes, held, target)
    training = table.filter(~held)
    features = choose_features(
        training, target=target, features=settings.features, drop=settings.drop_columns, keys=settings.split.columns
    )
    return Prepared(
        table=training,
        rows=to_frame(training, kinds=features.kinds),
        holdout_rows=to_frame(table.filter(held), kinds=features.kinds),
        target=Target(task=read.task, values=values[~held], classes=read.classes),
        holdout_values=values[held],
        features=features,
        target_name=target,
        metric=metric,
        identity_columns=tuple(identity),
        training_rows=RowSet.of(hashes[~held]),
    )


def _require_classes(target: Target, codes: np.ndarray | None, held: np.ndarray, name: str) -> None:
    import numpy as np

    if codes is None:
        return
    for side, mask in (("training", ~held), ("held-out", held)):
        counts = np.bincount(codes[mask], minlength=len(target.classes))
        if (counts == 0).any():
            raise InputError(
                f"The {side} rows lack classes of target {name!r}: "
                f"{dict(zip(target.labels, counts.tolist(), strict=True))} rows each. "
                "Hint: more data, a greater holdout_share, or split method 'stratified'."
            )
