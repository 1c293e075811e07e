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
    reason : str
        Why no metric can compare them, whatever the labels; "" otherwise.
    """

    agreement: ShadowAgreement
    labelled: tuple[Predictions, Predictions] | None
    reason: str = ""


def read_outputs(
    *,
    champion: str,
    shadow: str,
    keys: Sequence[str],
    evidence: TrainingEvidence,
    shadow_evidence: TrainingEvidence,
    labels: Any,
) -> Outputs:
    """Read two outputs of one scoring.

    Versions that know different classes are compared by their predictions only: a probability means something else to
    each of them.

    Parameters
    ----------
    champion, shadow : str
        Where they are.
    keys : sequence of str
        Columns that name a row; without any, the rows' order does.
    evidence, shadow_evidence : TrainingEvidence
        Of the champion, and of the shadow.
    labels : data argument or None
        Rows with keys and target.

    Raises
    ------
    InputError
        The outputs are not of the same rows, a key is repeated, or labels contradict each other or belong to no row.
    """
    ours = _read(champion, [*keys, *output_names(evidence)])
    theirs = _read(shadow, [*keys, *output_names(shadow_evidence)])
    if ours.num_rows != theirs.num_rows or any(not ours.column(key).equals(theirs.column(key)) for key in keys):
        raise InputError(
            f"{champion} and {shadow} do not hold the same rows in the same order. Hint: give the outputs of one run."
        )
    reason = _unlike(evidence, shadow_evidence)
    if reason:
        return Outputs(agreement=_agreement(ours, theirs, evidence, shadow_evidence), labelled=None, reason=reason)
    theirs = _in_order(theirs, shadow_evidence, evidence)
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
    return Outputs(agreement=_agreement(ours, theirs, evidence, shadow_evidence), labelled=labelled)


def _unlike(champion: TrainingEvidence, shadow: TrainingEvidence) -> str:
    """Return why a metric cannot compare two versions; "" when it can."""
    if (champion.task == "regression") != (shadow.task == "regression"):
        return f"the champion's task is {champion.task}, the shadow's {shadow.task}"
    if set(champion.classes) != set(shadow.classes):
        return f"the champion knows the classes {list(champion.classes)[:10]}, the shadow {list(shadow.classes)[:10]}"
    return ""


def _in_order(rows: pa.Table, own: TrainingEvidence, wanted: TrainingEvidence) -> pa.Table:
    """Return an output whose probability is of another version's positive class."""
    import pyarrow.compute as pc

    if own.task != "binary" or list(own.classes) == list(wanted.classes) or PROBABILITY not in rows.column_names:
        return rows
    position = rows.column_names.index(PROBABILITY)
    return rows.set_column(position, PROBABILITY, pc.subtract(1.0, rows.column(PROBABILITY)))


def _agreement(
    ours: pa.Table, theirs: pa.Table, champion: TrainingEvidence, shadow: TrainingEvidence
) -> ShadowAgreement:
    if (champion.task == "regression") != (shadow.task == "regression"):
        return ShadowAgreement(
            rows=ours.num_rows, agreement=None, rank_correlation=None, mean_shift=None, score_distance=None
        )
    said = [column_values(rows, PREDICTION) for rows in (ours, theirs)]
    if said[0].dtype != said[1].dtype:
        # Classes such as 0 and "0" are the same to nobody, and NumPy does not compare them one by one.
        said = [one.astype(object) for one in said]
    # Of several classes the probability is of the predicted one, of which there may be two.
    both = champion.task == "binary" and not _unlike(champion, shadow)
    return agreement(
        champion=said[0],
        shadow=said[1],
        champion_scores=_scores(ours) if both else None,
        shadow_scores=_scores(theirs) if both else None,
        is_regression=champion.task == "regression",
    )


def _read(where: str, names: Sequence[str]) -> pa.Table:
    with open_data(where) as source:
        known = set(source.schema().names)
        optional = {name for name in names if name.startswith(PROBABILITY)}
        return source.to_table([name for name in names if name in known or name not in optional])


def _scores(rows: pa.Table) -> NDArray[np.float64] | None:
    return column_values(rows, PROBABILITY) if PROBABILITY in rows.column_names else None
