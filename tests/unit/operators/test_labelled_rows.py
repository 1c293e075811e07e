from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.errors import InputError, NoDataError
from airflow_mlops_provider.operators.labelled_rows import check_keys, read_labels

BINARY: Any = SimpleNamespace(task="binary", classes=["No", "Yes"], target="churn")
SCORED = pa.table({"customer": [5, 6, 7]})


def written(folder: Path, **columns: Any) -> str:
    path = folder / "labels.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_labels_from_a_file_meet_their_rows_and_bring_columns_along(tmp_path: Path) -> None:
    path = written(tmp_path, customer=[7, 5, 9], churn=["Yes", "No", "No"], region=["n", "s", "e"])
    found = read_labels(path, SCORED, keys=["customer"], evidence=BINARY, others=["region", "city"])
    assert (found.rows.tolist(), found.values.tolist()) == ([0, 2], ["No", "Yes"])
    assert found.others.to_pydict() == {"region": ["s", "n"]}
    assert (found.counts.unknown, found.fingerprint.rows) == (1, 3)


def test_what_was_not_known_at_a_time_is_not_known_in_a_backfill_either(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        customer=[5, 5, 6],
        churn=["No", "Yes", "Yes"],
        known_at=["2026-01-02T00:00:00Z", "2026-02-02T00:00:00Z", "2026-02-02T00:00:00Z"],
    )
    arguments: Any = {"keys": ["customer"], "evidence": BINARY, "time_column": "known_at"}
    early = read_labels(path, SCORED, now=datetime(2026, 1, 31, tzinfo=UTC), **arguments)
    late = read_labels(path, SCORED, now=datetime(2026, 3, 1, tzinfo=UTC), **arguments)
    assert (early.values.tolist(), early.counts.future) == (["No"], 2)
    assert (late.values.tolist(), late.counts.corrected) == (["Yes", "Yes"], 1)


def test_a_table_without_labels_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        read_labels(written(tmp_path, customer=[], churn=[]), SCORED, keys=["customer"], evidence=BINARY)


@pytest.mark.parametrize("given", ["customer", (), ["customer", "customer"]])
def test_keys_that_cannot_be_keys_show_when_the_dag_is_parsed(given: Any) -> None:
    with pytest.raises(InputError, match="needs a list of key_columns"):
        check_keys("CheckPerformanceOperator", given)
