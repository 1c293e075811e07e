from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.specs import Split
from airflow_mlops_provider.training.split import fold_indices, holdout_mask, identity_columns

DAY = dt.date(2026, 1, 1)


def held(table: pa.Table, split: Split, *, codes=None, seed: int = 0) -> np.ndarray:
    hashes = hash_rows(table, columns=identity_columns(table, split))
    return holdout_mask(table, split=split, row_hashes=hashes, codes=codes, seed=seed)


def folds_of(table: pa.Table, split: Split, *, codes=None, folds: int = 3, task: str = "regression"):
    labels = () if codes is None else [str(one) for one in range(int(codes.max()) + 1)]
    return fold_indices(task=task, split=split, table=table, codes=codes, labels=labels, folds=folds, seed=0)


@given(st.integers(100, 400), st.integers(1, 400), st.sampled_from([0.1, 0.2, 0.5]))
def test_a_row_keeps_its_side_when_rows_are_added_or_reordered(n: int, more: int, share: float) -> None:
    split = Split(holdout_share=share)
    small = pa.table({"id": range(n), "x": [i * 0.5 for i in range(n)]})
    large = pa.table({"x": [i * 0.5 for i in range(n + more)][::-1], "id": list(range(n + more))[::-1]})
    assert held(large, split)[::-1][:n].tolist() == held(small, split).tolist()


def test_with_keys_a_row_keeps_its_side_when_its_values_are_corrected() -> None:
    split = Split(columns=("id",))
    before = pa.table({"id": range(500), "x": [0] * 500})
    after = pa.table({"id": range(500), "x": [1] * 500})
    assert held(before, split).tolist() == held(after, split).tolist()
    assert held(before, Split()).tolist() != held(after, Split()).tolist()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_hash_holds_out_the_asked_share(share: float) -> None:
    n = 20_000
    count = int(held(pa.table({"id": range(n)}), Split(holdout_share=share)).sum())
    # Binomial: five standard deviations.
    assert abs(count - n * share) < 5 * np.sqrt(n * share * (1 - share))


def test_no_group_is_on_both_sides_or_in_two_folds() -> None:
    groups = np.random.default_rng(0).integers(0, 60, 1000)
    table = pa.table({"household": groups, "x": range(1000)})
    split = Split(method="group", columns=("household",))
    mask = held(table, split)
    assert set(groups[mask]).isdisjoint(groups[~mask])
    codes = np.arange(1000) % 2
    for task, given_codes in (("regression", None), ("binary", codes)):
        for train, validation in folds_of(table, split, codes=given_codes, task=task):
            assert set(groups[train]).isdisjoint(groups[validation])


def test_no_future_is_in_training_and_rows_of_one_instant_stay_together() -> None:
    days = np.random.default_rng(1).integers(0, 40, 500)
    table = pa.table({"day": [DAY + dt.timedelta(days=int(day)) for day in days]})
    split = Split(method="time", columns=("day",))
    mask = held(table, split)
    assert days[~mask].max() < days[mask].min()
    assert 0.1 < mask.mean() <= 0.2
    found = folds_of(table, split, folds=4)
    assert len(found) == 4
    for train, validation in found:
        assert days[train].max() < days[validation].min()


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_seeded_splits_depend_on_the_seed_only(method: str) -> None:
    table, codes = pa.table({"x": range(200)}), (np.arange(200) % 10 == 0).astype(int)
    split = Split(method=method, holdout_share=0.25)
    masks = [held(table, split, codes=codes, seed=seed) for seed in (0, 0, 1)]
    assert masks[0].tolist() == masks[1].tolist() != masks[2].tolist()
    assert masks[0].sum() == 50
    if method == "stratified":
        assert codes[masks[0]].sum() == 5


def test_class_shares_are_kept_in_the_folds() -> None:
    codes = (np.arange(300) % 10 == 0).astype(int)
    for _, validation in folds_of(pa.table({"x": range(300)}), Split(), codes=codes, task="binary"):
        assert codes[validation].sum() == 10


@pytest.mark.parametrize(
    ("columns", "split", "message"),
    [
        ({"x": [1, 2]}, Split(columns=("id",)), "'id' to hash is missing"),
        ({"x": [1, 2]}, Split(method="group", columns=("id",)), "Split column 'id' is not in the data"),
        ({"t": [DAY, None]}, Split(method="time", columns=("t",)), "'t' is null in 1 rows"),
        ({"t": [1.0, float("nan")]}, Split(method="time", columns=("t",)), "'t' is null in 1 rows"),
        ({"t": ["1/2/2026", "2/1/2026"]}, Split(method="time", columns=("t",)), "must hold dates.*got string"),
        ({"t": [DAY, DAY]}, Split(method="time", columns=("t",)), "leaves 0 of 2 rows held out"),
        ({"g": [1] * 9}, Split(method="group", columns=("g",)), "leaves [09] of 9 rows held out"),
        ({"x": [1, 2, 3]}, Split(method="stratified"), "needs classes; the task is a regression"),
        ({"x": [1]}, Split(method="random"), "is not possible"),
    ],
)
def test_a_split_that_is_not_possible_is_refused(columns: dict, split: Split, message: str) -> None:
    with pytest.raises(InputError, match=message):
        held(pa.table(columns), split)


def test_a_class_with_one_row_cannot_be_stratified() -> None:
    with pytest.raises(InputError, match="'stratified' is not possible"):
        held(pa.table({"x": range(50)}), Split(method="stratified"), codes=np.array([1] + [0] * 49))


@pytest.mark.parametrize(
    ("columns", "split", "codes"),
    [
        ({"x": range(10)}, Split(), np.array([1] + [0] * 9)),
        ({"g": [1, 1, 2, 2]}, Split(method="group", columns=("g",)), None),
        ({"g": [1, 1, 2, 2]}, Split(method="group", columns=("g",)), np.array([0, 1, 0, 1])),
        ({"t": [1, 1, 2, 2, 3]}, Split(method="time", columns=("t",)), None),
        ({"t": range(9)}, Split(method="time", columns=("t",)), np.array([0] * 6 + [1] * 3)),
    ],
)
def test_folds_that_are_not_possible_are_refused(columns: dict, split: Split, codes: np.ndarray | None) -> None:
    task = "regression" if codes is None else "binary"
    with pytest.raises(InputError, match=r"fold"):
        folds_of(pa.table(columns), split, codes=codes, task=task)
