"""The outputs of a champion and its shadow, row by row, and with labels where there are some; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.row_keys import key_codes
from airflow_mlops_provider.core.shadow import ShadowAgreement, agreement
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.operators.labelled_rows import read_labels
from airflow_mlops_provider.operators.scored_rows import column_values, output_names, predictions_of
from airflow_mlops_provider.training.scoring import PREDICTION, PROBABILITY

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.registry.evidence import TrainingEvidence


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
        The outputs are not of the same rows, a key is repeated, or labels contradict each other or belong to no row.
    """
    names = output_names(evidence)
    ours, theirs = _read(champion, [*keys, *names]), _read(shadow, [*keys, *names])
    if ours.num_rows != theirs.num_rows or any(not ours.column(key).equals(theirs.column(key)) for key in keys):
        raise InputError(
            f"{champion} and {shadow} do not hold the same rows in the same order. Hint: give the outputs of one run."
        )
    found = agreement(
        champion=column_values(ours, PREDICTION),
        shadow=column_values(theirs, PREDICTION),
        champion_scores=_scores(ours),
        shadow_scores=_scores(theirs),
        is_regression=evidence.task == "regression",
    )
    labelled = None
    if labels is not None:
        (codes,) = key_codes([ours], keys=keys)
        if len(set(codes.tolist())) < len(codes):
            raise InputError(f"A key in {list(keys)} is repeated in the scored rows, so labels cannot be joined.")
        found_labels = read_labels(labels, ours, keys=keys, evidence=evidence)
        rows, values = found_labels.rows, found_labels.values
        if len(rows):
            labelled = (
                predictions_of(ours.take(rows), values, evidence),
                predictions_of(theirs.take(rows), values, evidence),
            )
    return Outputs(agreement=found, labelled=labelled)


def _read(where: str, names: Sequence[str]) -> pa.Table:
    with open_data(where) as source:
        known = set(source.schema().names)
        optional = {name for name in names if name.startswith(PROBABILITY)}
        return source.to_table([name for name in names if name in known or name not in optional])


def _scores(rows: pa.Table) -> NDArray[np.float64] | None:
    return column_values(rows, PROBABILITY) if PROBABILITY in rows.column_names else None
