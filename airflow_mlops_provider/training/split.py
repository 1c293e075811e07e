"""Which rows are held out and how the others are folded; decides by row hashes, keys, time or seed, never by order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.specs import Split, Task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def identity_columns(table: pa.Table, split: Split) -> list[str]:
    """Return the columns that tell rows apart: the keys when the split names them, else all."""
    if split.method == "hash" and split.columns:
        return list(split.columns)
    return sorted(table.column_names)


def holdout_mask(
    table: pa.Table, *, split: Split, row_hashes: np.ndarray, codes: np.ndarray | None, seed: int
) -> np.ndarray:
    """Decide which rows are held out of training.

    Parameters
    ----------
    table : pyarrow.Table
        All rows.
    split : Split
        The rule.
    row_hashes : uint64 array, shape (n_rows,)
        Hashes over :func:`identity_columns`.
    codes : int array, shape (n_rows,), or None
        Class codes, for ``stratified``.
    seed : int
        For ``random`` and ``stratified``.

    Returns
    -------
    bool array, shape (n_rows,)
        True where held out.

    Raises
    ------
    InputError
        A column is missing, a time is null, a regression is to be stratified, or one side stays empty.
    """
    import numpy as np

    for name in split.columns:
        if name not in table.column_names:
            raise InputError(f"Split column {name!r} is not in the data. Hint: it has {', '.join(table.column_names)}.")
    if split.method == "hash":
        mask = _by_hash(row_hashes, split.holdout_share)
    elif split.method == "group":
        mask = _by_hash(hash_rows(table, columns=split.columns), split.holdout_share)
    elif split.method == "time":
        mask = _by_time(table, split)
    else:
        mask = _by_seed(len(table), split, codes, seed)
    held = int(np.count_nonzero(mask))
    if held in {0, len(table)}:
        raise InputError(
            f"Split {split.method!r} with holdout_share={split.holdout_share} leaves {held} of {len(table)} rows held "
            "out. Hint: both sides need rows; give more data or another split."
        )
    return mask


def _by_hash(hashes: np.ndarray, share: float) -> np.ndarray:
    import numpy as np

    # Row hashes are also stored and compared; a multiplication by an odd constant (the golden ratio) makes the side
    # depend on all their bits.
    mixed = hashes * np.uint64(0x9E3779B97F4A7C15)
    below: np.ndarray = (mixed >> np.uint64(11)).astype(np.float64) < share * 2.0**53
    return below


def _by_time(table: pa.Table, split: Split) -> np.ndarray:
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.types as t

    name = split.columns[0]
    column = table.column(name)
    if not (t.is_date(column.type) or t.is_timestamp(column.type) or _is_number(column.type)):
        raise InputError(
            f"Time column {name!r} must hold dates, timestamps or numbers; got {column.type}, whose order need not be "
            "that of time. Hint: write times as ISO 8601, such as 2026-01-31."
        )
    missing = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
    if missing:
        raise InputError(f"Time column {name!r} is null in {missing} rows, so they have no place in time.")
    instants = _instants(table, name)
    # Rows of one instant stay together: the cut falls between instants, and those at the cut are trained on.
    last_trained = np.sort(instants)[max(round(len(instants) * (1 - split.holdout_share)) - 1, 0)]
    later: np.ndarray = instants > last_trained
    return later


def _instants(table: pa.Table, name: str) -> np.ndarray:
    """Return the number of each row's moment among the distinct ones, from 1."""
    import numpy as np
    import pyarrow.compute as pc

    return np.asarray(pc.rank(table.column(name), sort_keys="ascending", tiebreaker="dense")).astype(np.int64)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind))


def _by_seed(rows: int, split: Split, codes: np.ndarray | None, seed: int) -> np.ndarray:
    import numpy as np
    from sklearn.model_selection import train_test_split

    if split.method == "stratified" and codes is None:
        raise InputError("Split 'stratified' needs classes; the task is a regression. Hint: method='random'.")
    try:
        _, held = train_test_split(
            np.arange(rows),
            test_size=split.holdout_share,
            random_state=seed,
            stratify=codes if split.method == "stratified" else None,
        )
    except ValueError as error:
        raise InputError(f"Split {split.method!r} is not possible: {error}") from error
    mask = np.zeros(rows, dtype=bool)
    mask[held] = True
    return mask


def fold_indices(
    *,
    task: Task,
    split: Split,
    table: pa.Table,
    codes: np.ndarray | None,
    labels: Sequence[str],
    folds: int,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return cross-validation folds of the training rows, in the spirit of the split.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        Classifications are stratified.
    split : Split
        ``group`` keeps groups whole; ``time`` validates on later rows only.
    table : pyarrow.Table
        The training rows.
    codes : int array, shape (n_rows,), or None
        Class codes.
    labels : sequence of str
        Names of the classes in code order, for messages.
    folds : int
        Number of folds, at least 2.
    seed : int
        For shuffling.

    Returns
    -------
    list of (train indices, validation indices)

    Raises
    ------
    InputError
        There are too few rows, groups or moments for the folds, or a fold would train without one of the classes.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    rows = np.arange(len(table))
    groups: Any = None
    if split.method == "group":
        groups = hash_rows(table, columns=split.columns)
        splitter: Any = GroupKFold if task == "regression" else StratifiedGroupKFold
    else:
        splitter = KFold if task == "regression" else StratifiedKFold
    try:
        if split.method == "time":
            found = _time_folds(_instants(table, split.columns[0]), folds)
        else:
            found = list(splitter(n_splits=folds, shuffle=True, random_state=seed).split(rows, codes, groups))
    except ValueError as error:
        raise InputError(
            f"The {len(table)} training rows cannot be cut into {folds} folds: {error} "
            "Hint: more data, fewer folds, or folds=0."
        ) from error
    if codes is not None:
        _require_classes(found, codes, labels)
    return found


def _time_folds(instants: np.ndarray, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut between moments, so that no row is validated on rows of its own moment or a later one."""
    import numpy as np
    from sklearn.model_selection import TimeSeriesSplit

    cuts = TimeSeriesSplit(n_splits=folds).split(np.arange(int(instants.max())))
    return [
        (np.flatnonzero(np.isin(instants, train + 1)), np.flatnonzero(np.isin(instants, test + 1)))
        for train, test in cuts
    ]


def _require_classes(folds: Sequence[tuple[np.ndarray, np.ndarray]], codes: np.ndarray, labels: Sequence[str]) -> None:
    import numpy as np

    for number, (train, _) in enumerate(folds, start=1):
        counts = np.bincount(codes[train], minlength=len(labels))
        if counts.min() == 0:
            raise InputError(
                f"Fold {number} of {len(folds)} would train without class {labels[int(counts.argmin())]!r}: "
                f"{dict(zip(labels, counts.tolist(), strict=True))} rows each. "
                "Hint: more data, fewer folds, or folds=0."
            )
