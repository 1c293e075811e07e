from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.specs import Split, TrainSettings
from airflow_mlops_provider.training.prepare import prepare


@pytest.fixture(scope="module")
def customers(telco) -> pa.Table:
    return pyarrow.csv.read_csv(telco)


def test_every_row_is_on_one_side_and_training_rows_are_remembered(customers: pa.Table) -> None:
    prepared = prepare(customers, target="churn", settings=TrainSettings())
    assert len(prepared.rows) + len(prepared.holdout_rows) == customers.num_rows
    assert "churn" not in prepared.rows
    hashes = hash_rows(customers, columns=prepared.identity_columns)
    seen = prepared.training_rows.contains(hashes)
    # Equal rows share their side; a false positive of the set has a chance of 0.05 %.
    assert len(prepared.rows) <= seen.sum() <= len(prepared.rows) + 10
    assert (prepared.target.task, prepared.target.classes, prepared.metric) == ("binary", ("No", "Yes"), "roc_auc")


def test_the_order_of_rows_and_columns_in_the_file_does_not_matter(customers: pa.Table) -> None:
    shuffled = customers.take(np.random.default_rng(0).permutation(customers.num_rows))
    first = prepare(customers, target="churn", settings=TrainSettings())
    second = prepare(shuffled, target="churn", settings=TrainSettings())
    assert first.rows.equals(second.rows)
    assert first.holdout_rows.equals(second.holdout_rows)
    assert first.target.values.tolist() == second.target.values.tolist()
    assert first.training_rows == second.training_rows


def test_grown_data_keep_every_row_on_its_side(customers: pa.Table) -> None:
    small = prepare(customers.slice(0, 3000), target="churn", settings=TrainSettings())
    large = prepare(customers, target="churn", settings=TrainSettings())
    hashes = hash_rows(customers.slice(0, 3000), columns=small.identity_columns)
    was, is_now = small.training_rows.contains(hashes), large.training_rows.contains(hashes)
    # Either set takes an unseen row for a seen one with a chance of 0.05 %.
    assert (was != is_now).sum() <= 8


def test_keys_of_the_split_are_no_features(customers: pa.Table) -> None:
    keyed = customers.append_column("customer_id", pa.array(range(customers.num_rows)))
    prepared = prepare(keyed, target="churn", settings=TrainSettings(split=Split(columns=("customer_id",))))
    assert prepared.identity_columns == ("customer_id",)
    assert "customer_id" not in prepared.features.kinds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TrainSettings(metric="rmse"), "Unknown binary metric 'rmse'"),
        (TrainSettings(features=["nothing"]), "Column 'nothing' is not in the data"),
        (TrainSettings(split=Split(columns=("id",))), "'id' to hash is missing"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(
    customers: pa.Table, settings: TrainSettings, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare(customers, target="churn", settings=settings)


def test_a_target_that_is_not_there_is_refused_with_the_columns_there_are(customers: pa.Table) -> None:
    with pytest.raises(InputError, match=r"Target 'left' is not in the data. Hint: the columns are churn, female"):
        prepare(customers, target="left", settings=TrainSettings())


def test_one_class_on_a_side_is_refused_with_the_counts() -> None:
    table = pa.table({"day": range(100), "x": [i % 7 for i in range(100)], "y": ["a", "b"] * 40 + ["a"] * 20})
    settings = TrainSettings(split=Split(method="time", columns=("day",)))
    with pytest.raises(InputError, match=r"The held-out rows lack classes of target 'y': \{'a': 20, 'b': 0\}"):
        prepare(table, target="y", settings=settings)
