"""The outputs of a champion and its shadow, row by row, and with labels where there are some; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.shadow import ShadowAgreement, agreement
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.training.target import encode, true_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.registry.evidence import TrainingEvidence

PREDICTION = "prediction"
PROBABILITY = "probability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What two versions said of the same rows.

    Parameters
    ----------
    agreement : ShadowAgreement
        On all rows.
    labelled : (Predictions, Predictions) or None
        Champion and shadow on the rows with labels; None without any.
    """

    agreement: ShadowAgreement
    labelled: tuple[Predictions, Predictions] | None


def read_outputs(
    *, champion: str, shadow: str, keys: Sequence[str], evidence: TrainingEvidence, labels: Any
) -> Outputs:
    """Read two outputs of one scoring.

    Parameters
    ----------
    champion, shadow : str
        Where they are.
    keys : sequence of str
        Columns that name a row; without any, the rows' order does.
    evidence : TrainingEvidence
        Of the champion.
    labels : data argument or None
        Rows with keys and target.

    Raises
    ------
    InputError
        The outputs are not of the same rows, a key is repeated, or no label belongs to any of them.
    """
    names = [PREDICTION] if evidence.task == "regression" else [PREDICTION, PROBABILITY]
    names += [f"{PROBABILITY}_{one}" for one in evidence.classes] if evidence.task == "multiclass" else []
    ours, theirs = _read(champion, [*keys, *names]), _read(shadow, [*keys, *names])
    if ours.num_rows != theirs.num_rows or any(not ours.column(key).equals(theirs.column(key)) for key in keys):
        raise InputError(
            f"{champion} and {shadow} do not hold the same rows in the same order. Hint: give the outputs of one run."
        )
    found = agreement(
        champion=_plain(ours, PREDICTION),
        shadow=_plain(theirs, PREDICTION),
        champion_scores=_scores(ours),
        shadow_scores=_scores(theirs),
        is_regression=evidence.task == "regression",
    )
    labelled = None
    if labels is not None:
        rows, values = _join(ours, labels, keys=keys, evidence=evidence)
        labelled = (
            _predictions(ours.take(rows), values, evidence),
            _predictions(theirs.take(rows), values, evidence),
        )
    return Outputs(agreement=found, labelled=labelled)


def _read(where: str, names: Sequence[str]) -> pa.Table:
    with open_data(where) as source:
        known = set(source.schema().names)
        optional = {name for name in names if name.startswith(PROBABILITY)}
        return source.to_table([name for name in names if name in known or name not in optional])


def _join(
    ours: pa.Table, labels: Any, *, keys: Sequence[str], evidence: TrainingEvidence
) -> tuple[pa.Array, NDArray[Any]]:
    """Return the positions of the rows with labels, and their true values."""
    import pyarrow as pa

    with open_data(labels) as source:
        table = source.to_table([*keys, evidence.target])
    for side, one in (("the scored rows", ours), ("the labels", table)):
        if one.select(keys).group_by(list(keys)).aggregate([]).num_rows < one.num_rows:
            raise InputError(f"A key in {list(keys)} is repeated in {side}, so labels cannot be joined.")
    numbered = ours.select(keys).append_column("__row__", pa.array(range(ours.num_rows), pa.int64()))
    try:
        joined = numbered.join(table, keys=list(keys), join_type="inner").sort_by("__row__")
    except pa.ArrowInvalid as error:
        raise InputError(f"Labels and predictions cannot be joined by {list(keys)}: {error}.") from error
    if not joined.num_rows:
        raise InputError(f"No label belongs to any of the scored rows. Hint: do both hold the keys {list(keys)}?")
    values = true_values(joined.column(evidence.target), name=evidence.target, task=evidence.task)
    return joined.column("__row__").combine_chunks(), values


def _predictions(rows: pa.Table, values: NDArray[Any], evidence: TrainingEvidence) -> Predictions:
    import numpy as np

    if evidence.task == "regression":
        return Predictions(task="regression", y_true=values, predicted=_plain(rows, PREDICTION))
    probabilities = None
    if evidence.task == "binary" and PROBABILITY in rows.column_names:
        positive = _plain(rows, PROBABILITY)
        probabilities = np.column_stack([1 - positive, positive])
    elif evidence.task == "multiclass" and PROBABILITY in rows.column_names:
        probabilities = np.column_stack([_plain(rows, f"{PROBABILITY}_{one}") for one in evidence.classes])
    return Predictions(
        task=evidence.task,
        labels=tuple(str(one) for one in evidence.classes),
        y_true=encode(values, classes=evidence.classes, name=evidence.target),
        predicted=encode(_plain(rows, PREDICTION), classes=evidence.classes, name=PREDICTION),
        probabilities=probabilities,
    )


def _scores(rows: pa.Table) -> NDArray[np.float64] | None:
    return _plain(rows, PROBABILITY) if PROBABILITY in rows.column_names else None


def _plain(rows: pa.Table, name: str) -> NDArray[Any]:
    column: NDArray[Any] = rows.column(name).to_numpy()
    return column
