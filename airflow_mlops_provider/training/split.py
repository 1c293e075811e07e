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

    name = split.columns[0]
    column = table.column(name)
    if column.null_count:
        raise InputError(f"Time column {name!r} is null in {column.null_count} rows, so they have no place in time.")
    ranks = np.asarray(pc.rank(column, sort_keys="ascending", tiebreaker="max"))
    # Rows of one instant stay together: the cut falls between instants, and those at the cut are trained on.
    last_trained = np.sort(ranks)[max(round(len(ranks) * (1 - split.holdout_share)) - 1, 0)]
    later: np.ndarray = ranks > last_trained
    return later


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
    *, task: Task, split: Split, table: pa.Table, codes: np.ndarray | None, folds: int, seed: int
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
        A class or the groups have fewer members than there are folds.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

    rows = np.arange(len(table))
    groups: Any = None
    if codes is not None and split.method != "time":
        _require_members(codes, folds)
    if split.method == "time":
        return _time_folds(table, split.columns, TimeSeriesSplit(n_splits=folds))
    if split.method == "group":
        groups = hash_rows(table, columns=split.columns)
        splitter: Any = (
            GroupKFold(n_splits=folds, shuffle=True, random_state=seed)
            if task == "regression"
            else StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        )
    elif task == "regression":
        splitter = KFold(n_splits=folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    try:
        return list(splitter.split(rows, codes, groups))
    except ValueError as error:
        raise InputError(f"The training rows cannot be cut into {folds} folds: {error}") from error


def _require_members(codes: np.ndarray, folds: int) -> None:
    import numpy as np

    counts = np.bincount(codes)
    least = int(counts.argmin())
    if counts[least] < folds:
        raise InputError(
            f"Class number {least} has {counts[least]} training rows, too few for {folds} folds. "
            "Hint: more data, fewer folds, or folds=0."
        )


def _time_folds(table: pa.Table, columns: Sequence[str], splitter: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    import numpy as np
    import pyarrow.compute as pc

    order = np.asarray(pc.sort_indices(table, sort_keys=[(columns[0], "ascending")])).astype(np.int64)
    return [(order[train], order[test]) for train, test in splitter.split(order)]
