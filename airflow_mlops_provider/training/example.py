"""A few rows that no person is behind, and what the model says of them: proof that its files are still the model.

The rows are put together from the training profile, so they hold nothing that the profile does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import CategoryGrid
from airflow_mlops_provider.core.specs import FeatureKind
from airflow_mlops_provider.training.scoring import BatchScorer

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile

SCHEMA = 1
# Of the typical row, and of rows on either side of it.
_PROBABILITIES = (0.5, 0.25, 0.75, 0.05, 0.95)
# Other processors and library builds round differently.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def make_example(training: DatasetProfile, *, kinds: Mapping[str, FeatureKind], scorer: BatchScorer) -> dict[str, Any]:
    """Make rows from a profile and score them.

    Parameters
    ----------
    training : DatasetProfile
        Of the training rows. Row i takes a quantile of each number and the i-th most frequent category of each text.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature columns in order.
    scorer : BatchScorer
        Of the fitted model.

    Returns
    -------
    dict
        Plain JSON values: ``schema``, ``rows`` and ``output``, both by column.
    """
    rows = {name: _values(training.column(name), kind) for name, kind in kinds.items()}
    return {"schema": SCHEMA, "rows": rows, "output": scorer.score(example_table(rows, kinds=kinds)).to_pydict()}


def example_table(rows: Mapping[str, list[Any]], *, kinds: Mapping[str, FeatureKind]) -> pa.Table:
    """Return the rows of an example as a table."""
    import pyarrow as pa

    types = {name: pa.float64() if kind == "numeric" else pa.string() for name, kind in kinds.items()}
    return pa.table({name: pa.array(rows[name], types[name]) for name in kinds})


def check_example(
    example: Mapping[str, Any], *, kinds: Mapping[str, FeatureKind], scorer: BatchScorer, label: str
) -> float:
    """Score an example again and compare with what is stored.

    Parameters
    ----------
    example : mapping
        From :func:`make_example`.
    kinds : mapping of str to {"numeric", "categorical"}
        Feature columns in order.
    scorer : BatchScorer
        Of the model as it was loaded.
    label : str
        Names the version in messages.

    Returns
    -------
    float
        Largest difference of a number; 0 without numbers.

    Raises
    ------
    InputError
        The example is damaged, or the model says something else than it did.
    """
    try:
        rows, stored = example_table(example["rows"], kinds=kinds), example["output"]
        found = scorer.score(rows).to_pydict()
        if set(found) != set(stored) or any(len(found[name]) != len(stored[name]) for name in found):
            raise InputError(f"it gives {sorted(found)}, stored is {sorted(stored)}")
        return max(_difference(name, stored[name], found[name]) for name in found)
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The files of {label} do not give what the model gave when it was trained: {error}. Hint: they were "
            "changed or mixed up, or a library now computes differently; train the model again."
        ) from error


def _difference(name: str, stored: list[Any], found: list[Any]) -> float:
    largest = 0.0
    for before, now in zip(stored, found, strict=True):
        if isinstance(before, float):
            gap = abs(before - now)
            if not gap <= _ABSOLUTE + _RELATIVE * abs(before):
                raise InputError(f"{name} was {before!r} and is {now!r}")
            largest = max(largest, gap)
        elif before != now:
            raise InputError(f"{name} was {before!r} and is {now!r}")
    return largest


def _values(column: ColumnProfile, kind: FeatureKind) -> list[Any]:
    size = len(_PROBABILITIES)
    if isinstance(column.grid, CategoryGrid):
        ranked = sorted(zip(column.counts, column.cells, strict=True), key=lambda pair: (-pair[0], pair[1]))
        names: list[Any] = [column.grid.categories[cell] for _, cell in ranked[:size]] or [None]
        texts = [names[i % len(names)] for i in range(size)]
        return texts if kind == "categorical" else [None if one is None else float(one == "true") for one in texts]
    found = column.quantiles(_PROBABILITIES)
    numbers: list[Any] = [None] * size if found is None else list(found)
    return numbers if kind == "numeric" else [None if one is None else f"{one:.17g}" for one in numbers]
