"""The output of a scoring, read back: rows of one version, and what they say in the terms of its training.

Shared by everything that judges what was scored before. It reads and checks, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.row_times import RowTimes, row_times
from airflow_mlops_provider.core.specs import Fingerprint
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.operators.scoring_lanes import MODEL_VERSION, SCORED_AT
from airflow_mlops_provider.training.scoring import PREDICTION, PROBABILITY
from airflow_mlops_provider.training.target import encode

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.registry.evidence import TrainingEvidence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredRows:
    """What was scored.

    Parameters
    ----------
    table : pyarrow.Table
        All rows, of every version: keys, outputs, and further columns where they were asked for and are there.
    rows : int array
        Positions of the rows of the version.
    times : RowTimes
        When each row of the table was scored.
    versions : mapping of str to int
        Rows of each version.
    fingerprint : Fingerprint
        Of the files.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    times: RowTimes
    versions: Mapping[str, int]
    fingerprint: Fingerprint

    def times_of(self, rows: NDArray[np.int64]) -> RowTimes:
        """Return the times of some rows; of text, all that lack a zone are counted with them."""
        times = self.times
        return RowTimes(microseconds=times.microseconds[rows], known=times.known[rows], naive=times.naive)


def scored_data(given: Any) -> Any:
    """Return the data that an operator's ``predictions`` mean.

    Parameters
    ----------
    given : data argument, or XCom of a scoring task, or several of these
        Of an XCom, the ``output`` counts.

    Raises
    ------
    InputError
        The scoring published nothing, or the XCom is of another task.
    """
    if isinstance(given, Mapping):
        if not given.get("output") or given.get("published") is False:
            raise InputError(
                f"The scoring of {given.get('model_name')!r} published no output, so there is nothing to judge. "
                "Hint: give the XCom of a BatchScoreOperator whose verdict was good, or paths."
            )
        return given["output"]
    if isinstance(given, Iterable) and not isinstance(given, str | bytes) and not hasattr(given, "__fspath__"):
        # An Asset is iterable too, over what it consists of.
        return given if hasattr(given, "uri") else [scored_data(one) for one in given]
    return given


def output_names(evidence: TrainingEvidence) -> list[str]:
    """Return the columns of a scoring's output that hold what the version said; probabilities may be missing."""
    if evidence.task == "regression":
        return [PREDICTION]
    several = [f"{PROBABILITY}_{one}" for one in evidence.classes] if evidence.task == "multiclass" else []
    return [PREDICTION, PROBABILITY, *several]


def read_scored(
    data: Any,
    *,
    evidence: TrainingEvidence,
    version: str,
    keys: Sequence[str] = (),
    others: Sequence[str] = (),
    time_column: str = SCORED_AT,
) -> ScoredRows:
    """Read what was scored, and find the rows of one version.

    Parameters
    ----------
    data : data argument
        Outputs of BatchScoreOperator, or tables like them.
    evidence : TrainingEvidence
        Of the version.
    version : str
        Its number; rows of others are told apart by the column ``model_version``.
    keys, others : sequence of str
        Columns that must be there, and columns taken along where they are.
    time_column : str, default "scored_at"
        When a row was scored.

    Raises
    ------
    NoDataError
        There are no rows.
    InputError
        A column is missing, a time cannot be read, or the version's rows hold predictions that are none.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    with open_data(data) as source:
        known = set(source.schema().names)
        optional = [name for name in (*output_names(evidence), *others) if name != PREDICTION]
        wanted = [*keys, PREDICTION, *(name for name in optional if name in known), MODEL_VERSION, time_column]
        table = source.to_table(list(dict.fromkeys(wanted)))
        fingerprint = source.fingerprint()
    numbers = pc.fill_null(table.column(MODEL_VERSION).cast(pa.string()), "")
    versions = {one["values"]: int(one["counts"]) for one in pc.value_counts(numbers).to_pylist()}
    rows = np.flatnonzero(pc.equal(numbers, version).to_numpy())
    times = row_times(table.column(time_column), name=time_column)
    check_outputs(table.take(rows), evidence)
    return ScoredRows(table=table, rows=rows, times=times, versions=versions, fingerprint=fingerprint)


def check_outputs(rows: pa.Table, evidence: TrainingEvidence) -> None:
    """Refuse outputs that are no predictions, saying how many there are.

    Raises
    ------
    InputError
        A prediction is missing or not finite, or a probability is missing or outside of 0 to 1.
    """
    import numpy as np
    import pyarrow.compute as pc

    wrong = np.asarray(pc.is_null(rows.column(PREDICTION), nan_is_null=True).to_numpy(), dtype=bool)
    if evidence.task == "regression":
        wrong = ~np.isfinite(_numbers(rows, PREDICTION))
    found = {f"no {PREDICTION}": wrong}
    for name in output_names(evidence)[1:]:
        if name in rows.column_names:
            values = _numbers(rows, name)
            # NaN is in no interval.
            found[f"a {name} that is none"] = ~((values >= 0) & (values <= 1))
    for what, bad in found.items():
        if bad.any():
            raise InputError(
                f"{int(bad.sum())} of {len(bad)} scored rows of this version hold {what}, row {int(bad.argmax())} "
                "first. Hint: ValidatePredictionsOperator says more; leave these rows out or score them again."
            )


def _numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        values: NDArray[np.float64] = rows.column(name).cast("float64").to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"Column {name!r} of the scored rows must hold numbers: {error}.") from error
    return values


def predictions_of(rows: pa.Table, values: NDArray[Any], evidence: TrainingEvidence) -> Predictions:
    """Return what a version said of rows together with their true values.

    Parameters
    ----------
    rows : pyarrow.Table
        With the outputs.
    values : array
        True values in the order of the rows, as :func:`~airflow_mlops_provider.training.target.true_values` gives them.
    evidence : TrainingEvidence
        Of the version.

    Raises
    ------
    InputError
        A class is not one of the model's.
    """
    import numpy as np

    if evidence.task == "regression":
        return Predictions(task="regression", y_true=values, predicted=_numbers(rows, PREDICTION))
    probabilities = None
    lacking = [name for name in output_names(evidence) if name not in rows.column_names]
    if lacking and PROBABILITY in rows.column_names:
        raise InputError(
            f"The scored rows have a {PROBABILITY}, but lack {lacking}. Hint: are they of a version that knows the "
            f"classes {[str(one) for one in evidence.classes][:10]}?"
        )
    if evidence.task == "binary" and PROBABILITY in rows.column_names:
        positive = _numbers(rows, PROBABILITY)
        probabilities = np.column_stack([1 - positive, positive])
    elif evidence.task == "multiclass" and PROBABILITY in rows.column_names:
        probabilities = np.column_stack([_numbers(rows, f"{PROBABILITY}_{one}") for one in evidence.classes])
    return Predictions(
        task=evidence.task,
        labels=tuple(str(one) for one in evidence.classes),
        y_true=encode(values, classes=evidence.classes, name=evidence.target),
        predicted=encode(column_values(rows, PREDICTION), classes=evidence.classes, name=PREDICTION),
        probabilities=probabilities,
    )


def column_values(rows: pa.Table, name: str) -> NDArray[Any]:
    """Return a column as NumPy."""
    values: NDArray[Any] = rows.column(name).to_numpy()
    return values
