from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import wasserstein_distance

from airflow_mlops_provider.core.decide_drift import decide_drift
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError
from airflow_mlops_provider.data.profiling import profile_source
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.operators import drift_rows
from airflow_mlops_provider.operators.drift_check import Comparison, compare
from airflow_mlops_provider.operators.drift_rows import columns_to_read, compare_together, random_rows, values_of
from airflow_mlops_provider.operators.drift_sides import DriftRequest

LOG = logging.getLogger(__name__)
N = 12_000


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Samples too large to be read again without need, with a tail, nulls, NaN, infinities and text."""
    folder = tmp_path_factory.mktemp("sides")
    rng = np.random.default_rng(0)
    written = {}
    for name, shift in (("reference", 0.0), ("current", 0.2)):
        charge = rng.lognormal(shift, 1.0, N)
        charge[:3] = [np.nan, np.inf, -np.inf]
        table = pa.table(
            {
                "charge": charge,
                "age": pa.array(rng.normal(40, 9, N), mask=rng.random(N) < 0.01),
                "plan": rng.choice(["a", "b", "c"], N),
                "email": [f"{name}{i}@example.com" for i in range(N)],
            }
        )
        written[name] = folder / f"{name}.parquet"
        pq.write_table(table, written[name])
    return written


def asked(sides: dict[str, Path], policy: DriftPolicy, **changes: Any) -> Comparison:
    request = DriftRequest(
        data=str(sides["current"]),
        profile=None,
        model_name=None,
        reference=str(sides["reference"]),
        policy=policy,
        window_end="2026-01-01",
        mlflow_conn_id="mlflow_default",
        experiment_name="drift checks",
    )
    return compare(replace(request, **changes), log=LOG)


def exact_effect(sides: dict[str, Path]) -> float:
    """The normed distance as SciPy gives it from all finite values."""
    both = []
    for path in sides.values():
        values = pd.read_parquet(path)["charge"].to_numpy()
        both.append(values[np.isfinite(values)])
    return wasserstein_distance(*both) / both[0].std()


@pytest.mark.parametrize(("factor", "verdict"), [(1 - 1e-6, "drift"), (1 + 1e-6, "no_drift")])
def test_where_cells_cannot_tell_the_side_of_the_threshold_the_values_themselves_do(
    airflow_home: Path, sides: dict[str, Path], factor: float, verdict: str
) -> None:
    threshold = exact_effect(sides) * factor
    policy = DriftPolicy(per_column={"charge": {"method": "wasserstein", "threshold": threshold}})
    found = asked(sides, policy).report
    charge = found.column("charge")
    assert (charge.form, charge.undecided, charge.shape_verdict) == ("exact", False, verdict)
    assert charge.effect.value == pytest.approx(exact_effect(sides), rel=1e-9)
    assert found.column("age").form == "cells"  # which can tell


def test_where_cells_can_tell_rows_are_not_read_again(airflow_home: Path, sides: dict[str, Path]) -> None:
    found = asked(sides, DriftPolicy(numeric={"method": "wasserstein", "threshold": 0.5})).report
    assert {one.form for one in found.columns if one.effect} == {"cells"}


def test_without_rows_of_both_sides_the_report_says_that_it_cannot_tell(
    airflow_home: Path, sides: dict[str, Path]
) -> None:
    policy = DriftPolicy(per_column={"charge": {"method": "wasserstein", "threshold": exact_effect(sides)}})
    with open_files(str(sides["reference"])) as source:
        before = profile_source(source)
    with open_files(str(sides["current"])) as source:
        after = profile_source(source, grids=before.grids)
    report = decide_drift(before, after, policy)
    assert report.column("charge").undecided
    assert columns_to_read(report) == ["charge"]
    assert columns_to_read(replace(report, rule="evidently")) == []


def test_what_the_policy_ignores_is_in_no_profile(airflow_home: Path, sides: dict[str, Path]) -> None:
    found = asked(sides, DriftPolicy(ignore_columns=["email"]))
    assert "email" not in found.current.names
    assert "email" not in found.reference.profile.names
    assert "example.com" not in found.current.to_json() + str(found.report)


def test_values_are_those_that_the_cells_counted(sides: dict[str, Path]) -> None:
    with open_files(str(sides["reference"])) as before, open_files(str(sides["current"])) as after:
        values = values_of(["charge", "age"], before.to_table(), after)
    frame = pd.read_parquet(sides["current"])
    assert len(values["charge"][1]) == N - 3
    assert sorted(values["age"][1]) == sorted(frame["age"].dropna())
    assert all(np.isfinite(side).all() for pair in values.values() for side in pair)


def test_random_rows_are_whole_different_rows_over_all_batches(sides: dict[str, Path]) -> None:
    with open_files(str(sides["current"])) as source:
        drawn = random_rows(source, ["email", "age"], rows=500, seed=3)
        assert drawn.equals(random_rows(source, ["email", "age"], rows=500, seed=3))
        assert not drawn.equals(random_rows(source, ["email", "age"], rows=500, seed=4))
        assert random_rows(source, ["age"], rows=10 * N, seed=0).num_rows == N
    frame = pd.read_parquet(sides["current"]).set_index("email")
    emails = drawn.column("email").to_pylist()
    assert len(set(emails)) == drawn.num_rows == 500
    places = frame.index.get_indexer(emails)
    assert places.min() < N / 20
    assert places.max() > N * 19 / 20
    np.testing.assert_array_equal(
        frame.loc[emails, "age"].to_numpy(), drawn.column("age").to_numpy(zero_copy_only=False)
    )


def test_all_columns_together_show_what_no_single_one_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def rows(correlation: float, flags: pa.Array) -> pa.Table:
        x, y = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 600).T
        return pa.table({"x": x, "y": y, "flag": flags})

    flags = pa.array([True, False] * 300)
    # Nulls make pandas' booleans numbers, on one side only.
    with_null = pa.array([None, True, *([False, True] * 299)])
    for correlation, differs in ((0.9, False), (-0.9, True)):
        path = tmp_path / f"{differs}.parquet"
        pq.write_table(rows(correlation, with_null), path)
        with open_files(str(path)) as source:
            found = compare_together(rows(0.9, flags), source, ["flag", "x", "y"], seed=0)
        assert found["domain_classifier"]["drift"] is differs
        assert found["reconstruction_error"]["drift"] is differs


def test_too_few_rows_for_all_columns_together_are_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("x,y\n1,2\n3,4\n")
    with open_files(str(path)) as source:
        found = compare_together(pa.table({"x": [1.0] * 60, "y": [2.0] * 60}), source, ["x", "y"], seed=0)
    assert "50 current rows; got 2" in found["domain_classifier"]["reason"]
    assert set(found) == {"domain_classifier", "reconstruction_error"}


def test_absent_current_rows_and_an_absent_reference_are_told_apart(
    airflow_home: Path, sides: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(NoDataError):
        asked(sides, DriftPolicy(), data=str(tmp_path / "absent.csv"))
    with pytest.raises(InputError, match="The reference has no rows") as caught:
        asked(sides, DriftPolicy(), reference=str(tmp_path / "absent.csv"))
    assert not isinstance(caught.value, NoDataError)


def test_data_that_change_while_they_are_compared_give_no_verdict(
    airflow_home: Path, sides: dict[str, Path], tmp_path: Path
) -> None:
    moving = tmp_path / "moving.parquet"
    shutil.copyfile(sides["current"], moving)

    def columns_and_change(report: Any) -> list[str]:
        shutil.copyfile(sides["reference"], moving)
        return ["charge"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift_rows, "columns_to_read", columns_and_change)
        with pytest.raises(DataChangedError):
            asked(sides, DriftPolicy(), data=str(moving))
