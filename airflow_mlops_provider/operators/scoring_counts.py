"""Serving rows and predictions as profiles: counted as training counted them, so that both can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.data.source import DataSource


def countable(scored: pa.Table, *, labels: Sequence[str]) -> pa.Table:
    """Return predictions as training counted them: classes by name, and the probability."""
    import pyarrow as pa

    from airflow_mlops_provider.training.scoring import PREDICTION, PROBABILITY

    columns = {PREDICTION: scored.column(PREDICTION)}
    if labels:
        encoded = scored.column(PREDICTION).combine_chunks().dictionary_encode()
        names = pa.array([_class_name(one) for one in encoded.dictionary.to_pylist()], pa.string())
        columns[PREDICTION] = pa.DictionaryArray.from_arrays(encoded.indices, names)
    if PROBABILITY in scored.column_names:
        columns[PROBABILITY] = scored.column(PROBABILITY)
    return pa.table(columns)


def _class_name(value: Any) -> str | None:
    if isinstance(value, float):
        # Integer classes that passed through a table with missing values.
        return None if value != value else str(int(value)) if value.is_integer() else str(value)
    return None if value is None else str(value)


def serving_schema(source: DataSource, *, beside: Sequence[str]) -> DatasetProfile:
    """Return the columns of the data as a profile without counts.

    Parameters
    ----------
    source : DataSource
        The rows.
    beside : sequence of str
        Columns to leave out.
    """
    from airflow_mlops_provider.core.column_values import kind_of
    from airflow_mlops_provider.core.histogram import NoGrid

    columns = []
    for one in source.schema():
        if one.name not in beside:
            kind = kind_of(one.type)
            kinds = () if kind == "null" else (kind,)
            columns.append(ColumnProfile(name=one.name, grid=NoGrid(), types=(str(one.type),), kinds=kinds))
    return DatasetProfile(rows=0, columns=tuple(sorted(columns, key=lambda one: one.name)))


class SkewCounter:
    """Counts serving features in the cells of training.

    Parameters
    ----------
    training : DatasetProfile
        Of the version's training rows.
    features : sequence of str
        To count.
    """

    def __init__(self, training: DatasetProfile, *, features: Sequence[str]) -> None:
        from airflow_mlops_provider.core.profiler import Profiler

        self._known = frozenset(training.names)
        self._grids = {name: training.grids[name] for name in features if name in training.grids}
        self._profiler = Profiler(self._grids)

    def update(self, batch: pa.RecordBatch) -> None:
        """Count a batch; booleans are 0 and 1 where training had numbers, and the reverse, as they are to the model."""
        import pyarrow as pa

        columns = {}
        for name, grid in self._grids.items():
            position = batch.schema.get_field_index(name)
            if position < 0:
                continue
            columns[name] = _as_in_training(batch.column(position), kind=getattr(grid, "kind", None))
        self._profiler.update(pa.RecordBatch.from_pydict(columns))

    def result(self, *, others: DatasetProfile) -> DatasetProfile:
        """Return the profile, with the columns that training did not have.

        Columns of training that are no features, such as the target, are left out: uncounted, they could be compared
        with nothing.
        """
        counted = self._profiler.result()
        known = set(counted.names)
        rest = tuple(one for one in others.columns if one.name not in known | self._known)
        columns = tuple(sorted((*counted.columns, *rest), key=lambda one: one.name))
        return DatasetProfile(rows=counted.rows, columns=columns)


def _as_in_training(column: pa.Array, *, kind: str | None) -> pa.Array:
    """Return booleans as numbers or zeros and ones as booleans where training had these; anything else as it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from airflow_mlops_provider.core.column_values import kind_of

    given = kind_of(column.type)
    if (given, kind) == ("boolean", "numeric"):
        return column.cast(pa.int8())
    if (given, kind) == ("numeric", "boolean"):
        numbers = column.cast(pa.float64())
        numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
        if pc.all(pc.is_in(numbers, value_set=pa.array([0.0, 1.0, None]))).as_py() is not False:
            return pc.equal(numbers, 1.0)
    return column


def count_features(source: DataSource, training: DatasetProfile, *, features: Sequence[str]) -> DatasetProfile:
    """Count the features of a source in the cells of training, in memory that does not grow with the rows.

    Columns that are no features are named with their types only. Without any feature the rows are counted and no more.
    """
    known = set(source.schema().names)
    present = [name for name in features if name in known]
    counter = SkewCounter(training, features=present)
    if present:
        for batch in source.batches(present, dictionaries=True):
            counter.update(batch)
    found = counter.result(others=serving_schema(source, beside=present))
    return DatasetProfile(rows=source.count_rows(), columns=found.columns)


def count_predictions(
    source: DataSource, heldout: DatasetProfile, *, columns: Mapping[str, str], labels: Sequence[str]
) -> DatasetProfile:
    """Count predictions in the cells of a version's held-out ones.

    Parameters
    ----------
    source : DataSource
        The predictions.
    heldout : DatasetProfile
        Of ``prediction`` and ``probability``.
    columns : mapping of str to str
        Our name to that in the source.
    labels : sequence of str
        Classes of the model; () for a regression.

    Raises
    ------
    InputError
        The source lacks a column.
    """
    import pyarrow as pa

    from airflow_mlops_provider.core.profiler import Profiler

    profiler = Profiler(heldout.grids)
    for batch in source.batches(list(columns.values())):
        table = pa.table(dict(zip(columns, batch.columns, strict=True)))
        profiler.update(countable(table, labels=labels))
    return profiler.result()
