"""Where profiles cannot tell, rows can: exact values of single columns, and all columns together.

It reads no more than it may hold in memory, and never what the report does not ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.drift_report import ColumnDrift, DriftReport
    from airflow_mlops_provider.data.source import DataSource

    Floats = NDArray[np.float64]

# With so few values on both sides the exact form costs nothing.
SMALL_VALUES = 10_000
# Of both sides of all columns together: 160 MB.
MAX_VALUES = 20_000_000
MAX_ROWS_TOGETHER = 10_000


def columns_to_read(report: DriftReport) -> list[str]:
    """Return the columns whose exact effect is worth a second look at the rows.

    Those are the ones that the profile cannot decide, and those of small samples; of these, the ones whose cells leave
    room for another value at all; by weight, as many as fit into memory.
    """
    if report.rule == "evidently":  # which judges cells, as its tests need no more
        return []
    wanted = [one for one in report.columns if _is_coarse(one) and (one.undecided or _is_small(one))]
    names, values = [], 0
    for one in sorted(wanted, key=lambda one: not one.undecided):
        values += one.n_reference + one.n_current
        if values > MAX_VALUES:
            break
        names.append(one.column)
    return names


def _is_coarse(one: ColumnDrift) -> bool:
    return one.effect is not None and one.effect.lower < one.effect.upper


def _is_small(one: ColumnDrift) -> bool:
    return max(one.n_reference, one.n_current) <= SMALL_VALUES


def values_of(
    names: Sequence[str], reference: DataSource | pa.Table, current: DataSource
) -> dict[str, tuple[Floats, Floats]]:
    """Return all finite values of numeric columns on both sides, as the cells counted them."""
    before, after = _table(reference, names), _table(current, names)
    return {name: (_finite(before.column(name)), _finite(after.column(name))) for name in names}


def _table(rows: DataSource | pa.Table, names: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    return rows.select(list(names)) if isinstance(rows, pa.Table) else rows.to_table(list(names))


def _finite(column: pa.ChunkedArray) -> Floats:
    import numpy as np

    from airflow_mlops_provider.core.column_values import numbers_of, plain

    parts = [numbers_of(plain(chunk).drop_null()) for chunk in column.chunks]
    values: Floats = np.concatenate([np.empty(0), *parts])
    finite: Floats = values[np.isfinite(values)]
    return finite


def compare_together(
    sample: pa.Table, current: DataSource, columns: Sequence[str], *, seed: int
) -> dict[str, dict[str, Any]]:
    """Compare the kept sample of the reference with as many random current rows, all columns together.

    Parameters
    ----------
    sample : pyarrow.Table
        Of the reference.
    current : DataSource
        The current rows.
    columns : sequence of str
        Those that both sides have in the same kind.
    seed : int
        Of draws, folds and models.

    Returns
    -------
    dict of str to dict
        ``domain_classifier`` and ``reconstruction_error``, as ``core.multivariate`` gives them; ``{"reason": …}`` for
        one that these rows do not allow.
    """
    from airflow_mlops_provider.core.multivariate import domain_classifier, reconstruction_error

    names = [name for name in columns if name in sample.schema.names]
    before = _frame(sample.select(names))
    after = _frame(random_rows(current, names, rows=min(sample.num_rows, MAX_ROWS_TOGETHER), seed=seed))
    found: dict[str, dict[str, Any]] = {}
    for name, compute in (("domain_classifier", domain_classifier), ("reconstruction_error", reconstruction_error)):
        try:
            found[name] = compute(before, after, seed=seed).to_dict()
        except InputError as error:
            # The verdict does not hang on it.
            found[name] = {"reason": str(error)}
    return found


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return pandas' form, with booleans as text: with nulls on one side only they would be two things."""
    import pyarrow as pa
    import pyarrow.types as types

    from airflow_mlops_provider.data.frame import to_frame

    return to_frame(
        table.cast(
            pa.schema([(one.name, pa.string() if types.is_boolean(one.type) else one.type) for one in table.schema])
        )
    )


def random_rows(source: DataSource, columns: Sequence[str], *, rows: int, seed: int) -> pa.Table:
    """Draw rows at random, reading the source once and holding only those."""
    import numpy as np
    import pyarrow as pa

    from airflow_mlops_provider.core.reference_grids import sample_positions

    positions = sample_positions(source.count_rows(), rows, seed=seed)
    kept, start = [], 0
    for batch in source.batches(list(columns)):
        first, last = np.searchsorted(positions, [start, start + batch.num_rows])
        kept.append(batch.take(pa.array(positions[first:last] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(kept)
