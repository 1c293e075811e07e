"""The verdict a careful analyst would give, on real profiles of real and made-up tables."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from airflow_mlops_provider.core.column_drift import unseen_test
from airflow_mlops_provider.core.decide_drift import adjust_p_values, decide_drift
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.core.profile_pairs import merge
from airflow_mlops_provider.core.profiler import Profiler
from airflow_mlops_provider.core.reference_grids import reference_grids

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def profiles(reference, current) -> tuple[DatasetProfile, DatasetProfile]:
    """Profile both tables in the cells of the first."""
    tables = [one if isinstance(one, pa.Table) else pa.table(one) for one in (reference, current)]
    grids = reference_grids(tables[0])
    found = []
    for table in tables:
        profiler = Profiler(grids)
        profiler.update(table)
        found.append(profiler.result())
    return found[0], found[1]


def decide(reference, current, policy=None, **more):
    return decide_drift(*profiles(reference, current), policy, **more)


def rng(seed=0):
    return np.random.default_rng(seed)


def quiet(n, seed, *, columns=10, shift=0.0):
    """Independent columns, the first one shifted."""
    made = rng(seed)
    return {f"x{i}": made.normal(shift if i == 0 else 0.0, 1.0, n) for i in range(columns)}


@pytest.fixture(scope="module")
def telco_frame():
    path = Path(__file__).resolve().parents[3] / "dags" / "data" / "telco_churn.csv"
    return pd.read_csv(path).sample(frac=1.0, random_state=0, ignore_index=True)


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def test_two_halves_of_the_churn_table_do_not_drift(telco_frame):
    report = decide(arrow(telco_frame[:3500]), arrow(telco_frame[3500:]))
    assert report.verdict == "no_drift"
    assert report.n_drifted == 0
    assert report.n_judged == telco_frame.shape[1]


def test_only_customers_by_the_month_are_a_drift_of_what_goes_with_it(telco_frame):
    current = telco_frame[3500:]
    report = decide(arrow(telco_frame[:3500]), arrow(current[current["contract"] == "Month-to-month"]))
    assert {"contract", "tenure"} <= set(report.drifted_columns)
    assert report.column("contract").effect.value > 0.3
    assert report.column("female").verdict == "no_drift"


def test_a_shift_of_the_most_important_column_alone_is_a_drift_and_of_an_unimportant_one_is_not():
    importances = {f"x{i}": weight for i, weight in enumerate([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.04, 0.03, 0.02, 0.01])}
    reference, current = quiet(5000, 0), quiet(2000, 1, shift=0.3)
    report = decide(reference, current, importances=importances)
    assert report.verdict == "drift"
    assert report.drifted_columns == ("x0",)
    assert report.importance_drifted == pytest.approx(0.3)
    unimportant = {f"x{i}": value for i, value in enumerate(reversed(importances.values()))}
    report = decide(reference, current, importances=unimportant)
    assert (report.verdict, report.n_drifted) == ("no_drift", 1)
    assert decide(reference, current).verdict == "no_drift"


def test_the_most_important_column_suffices_even_where_importance_is_spread_thin():
    importances = {f"x{i}": 1.1 if i == 0 else 1.0 for i in range(10)}
    report = decide(quiet(5000, 0), quiet(2000, 1, shift=0.3), importances=importances)
    assert report.importance_threshold == pytest.approx(1.1 / 10.1)
    assert report.verdict == "drift"


def test_negative_importances_count_as_none_and_all_zero_ones_as_not_given():
    reference, current = quiet(5000, 0), quiet(2000, 1, shift=0.3)
    assert decide(reference, current, importances={"x0": -5.0, "x1": 1.0}).verdict == "no_drift"
    report = decide(reference, current, importances={"x0": 0.0, "x1": -1.0})
    assert report.importance_drifted is None
    assert report.drift_share == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [{"x0": float("nan")}, {"x0": float("inf")}, {"nothing": 1.0}, {}])
def test_importances_that_say_nothing_are_refused(bad):
    with pytest.raises(InputError, match="mportance"):
        decide(quiet(200, 0), quiet(200, 1), importances=bad)


def test_a_tiny_shift_in_many_rows_is_significant_and_still_no_drift():
    reference, current = {"x": rng(0).normal(size=200_000)}, {"x": rng(1).normal(0.03, 1, 200_000)}
    column = decide(reference, current).column("x")
    assert column.adjusted_p_value < 1e-6
    assert column.verdict == "no_drift"
    eager = DriftPolicy(numeric={"method": "wasserstein", "threshold": 0})
    assert decide(reference, current, eager).column("x").verdict == "drift"


def test_a_large_effect_in_few_rows_is_no_drift_unless_significant():
    # Evidently's default calls 94 % of such windows drift.
    column = decide({"x": rng(0).normal(size=10_000)}, {"x": rng(7).normal(size=100)}).column("x")
    assert column.effect.value >= 0.1
    assert column.verdict == "no_drift"


def test_half_of_the_columns_are_a_drift_of_the_data_set():
    reference = {f"x{i}": rng(i).normal(size=2000) for i in range(4)}
    current = {f"x{i}": rng(i + 9).normal(1.0 if i < 2 else 0.0, 1, 2000) for i in range(4)}
    report = decide(reference, current)
    assert (report.verdict, report.drift_share) == ("drift", 0.5)
    assert decide(reference, current, DriftPolicy(drift_share=0.6)).verdict == "no_drift"


def test_all_p_values_are_corrected_as_one_family_as_scipy_does():
    reference = {**quiet(3000, 0), "plan": rng(1).choice(list("abc"), 3000), "gap": [None, 1.0, 2.0] * 1000}
    current = {**quiet(800, 2), "plan": rng(3).choice(list("abc"), 800), "gap": ([None] * 3 + [1.0] * 5) * 100}
    report = decide(reference, current)
    raw, adjusted = [], []
    for column in report.columns:
        for one in (column, column.missing, column.unseen):
            if one is not None and one.adjusted_p_value is not None:
                raw.append(one.p_value)
                adjusted.append(one.adjusted_p_value)
    assert len(raw) == 13  # twelve shapes, one column with missing rows
    np.testing.assert_allclose(adjusted, stats.false_discovery_control(raw), rtol=1e-12)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_correction_is_scipys(p_values):
    family = {(f"c{i}", "shape"): value for i, value in enumerate(p_values)}
    found = adjust_p_values(family, DriftPolicy())
    expected = stats.false_discovery_control(p_values)
    np.testing.assert_allclose([found[f"c{i}"]["shape"] for i in range(len(p_values))], expected, rtol=1e-12)


def test_a_rise_in_missing_rows_is_judged_apart_from_shape():
    reference = {"x": np.where(rng(0).random(4000) < 0.05, np.nan, rng(1).normal(size=4000))}
    current = {"x": np.where(rng(2).random(2000) < 0.25, np.nan, rng(3).normal(size=2000))}
    column = decide(reference, current).column("x")
    assert (column.verdict, column.shape_verdict, column.missing.verdict) == ("drift", "no_drift", "drift")
    assert "missing rows" in column.reason
    quiet_policy = DriftPolicy(missing_share_change=None)
    assert decide(reference, current, quiet_policy).column("x").verdict == "no_drift"


def test_infinite_numbers_count_as_missing_and_not_as_shape():
    values = rng(0).normal(size=2000)
    spoilt = np.where(np.arange(2000) % 4 == 0, np.inf, values)
    column = decide({"x": values}, {"x": spoilt}).column("x")
    assert column.missing.current_count == 500
    assert (column.shape_verdict, column.missing.verdict) == ("no_drift", "drift")


def test_unseen_categories_are_judged_apart_from_shape():
    reference = {"plan": rng(0).choice(["a", "b"], 3000)}
    current = {"plan": rng(1).choice(["a", "b", "new"], 1000, p=[0.45, 0.45, 0.1])}
    column = decide(reference, current).column("plan")
    assert (column.verdict, column.shape_verdict, column.unseen.verdict) == ("drift", "no_drift", "drift")
    assert column.unseen.examples == ("new",)
    assert column.unseen.current_share == pytest.approx(0.1, abs=0.03)


def test_a_column_with_a_long_tail_of_rare_categories_does_not_cry_wolf():
    # Half of the names occur once, so a tenth of the next rows is in new ones: nothing has changed.
    shares = 1 / np.arange(1, 5001)
    names = np.array([f"n{i}" for i in range(5000)])
    draw = lambda seed, n: {"name": rng(seed).choice(names, n, p=shares / shares.sum())}  # noqa: E731 - used twice
    column = decide(draw(0, 1500), draw(1, 1500)).column("name")
    assert column.unseen.current_share > 0.05
    assert column.verdict == "no_drift"


def test_ten_thousand_names_of_which_the_profile_keeps_the_frequent_ones_do_not_cry_wolf():
    names = np.array([f"user{i}" for i in range(10_000)])
    shares = np.r_[np.full(50, 0.4 / 50), np.full(9_950, 0.6 / 9_950)]
    alarms = 0
    for seed in range(0, 40, 2):
        reference, current = ({"user": rng(seed + i).choice(names, 20_000 - 15_000 * i, p=shares)} for i in (0, 1))
        alarms += decide(reference, current).column("user").verdict == "drift"
    assert alarms <= 3


def test_a_change_among_the_frequent_of_many_names_is_seen():
    names = np.array([f"user{i}" for i in range(10_000)])
    shares = np.r_[np.full(50, 0.4 / 50), np.full(9_950, 0.6 / 9_950)]
    moved = np.r_[np.full(25, 0.3 / 25), np.full(25, 0.1 / 25), np.full(9_950, 0.6 / 9_950)]
    reference = {"user": rng(0).choice(names, 20_000, p=shares)}
    assert decide(reference, {"user": rng(1).choice(names, 5000, p=moved)}).column("user").verdict == "drift"


@pytest.mark.parametrize(("n", "m"), [(500, 500), (2000, 200), (500, 50_000)])
def test_the_unseen_test_holds_its_level_for_long_tails(n, m):
    shares = 1 / np.arange(1, 3001)
    shares /= shares.sum()
    made, alarms = rng(n + m), 0
    for _ in range(300):
        reference, current = made.multinomial(n, shares), made.multinomial(m, shares)
        unseen = int(current[reference == 0].sum())
        counts = reference[reference > 0].tolist()
        alarms += unseen_test(reference_counts=counts, unseen=unseen, n_current=m).p_value <= 0.05
    assert stats.binomtest(alarms, 300, 0.05, alternative="greater").pvalue > 1e-3


def test_fewer_unseen_rows_than_expected_are_no_news():
    assert unseen_test(reference_counts=[900] + [1] * 100, unseen=5, n_current=500).p_value == 1.0


def test_missing_new_and_retyped_columns_are_a_finding_of_their_own():
    reference = {"gone": [1.0] * 200, "age": list(range(200)), "plan": ["a", "b"] * 100}
    current = {"age": [str(i) for i in range(200)], "plan": ["a", "b"] * 100, "new": [1] * 200}
    report = decide(reference, current)
    assert report.schema.missing == ("gone",)
    assert report.schema.new == ("new",)
    assert report.schema.retyped == (("age", "numeric", "text"),)
    assert report.verdict == "drift"
    assert any("age changed from numeric to text" in reason for reason in report.reasons)
    assert [column.column for column in report.columns] == ["plan"]
    lenient = DriftPolicy(schema_change_is_drift=False)
    assert decide(reference, current, lenient).verdict == "no_drift"


def test_new_columns_alone_and_wider_numbers_are_no_drift():
    values = rng(0).integers(0, 50, 500)
    report = decide({"age": values.astype("int32")}, {"age": values.astype(float), "new": values})
    assert report.verdict == "no_drift"
    assert report.schema.new == ("new",)


def test_an_empty_window_is_insufficient_data_and_not_a_crash():
    reference = pa.table(quiet(500, 0))
    report = decide(reference, reference.slice(0, 0))
    assert report.verdict == "insufficient_data"
    assert report.n_insufficient == 10
    assert report.drift_share is None
    report = decide_drift(profiles(reference, reference)[0], Profiler(reference_grids(reference)).result())
    assert report.verdict == "insufficient_data"


@pytest.mark.parametrize("rows", [1, 99])
def test_a_few_rows_are_insufficient_data_however_different(rows):
    report = decide({"x": rng(0).normal(size=5000)}, {"x": np.full(rows, 1e6)})
    assert report.verdict == "insufficient_data"
    assert f"{rows} current rows, 100 needed" in report.reasons[0]
    assert report.column("x").verdict == "insufficient_data"


def test_a_small_reference_is_insufficient_data_too():
    report = decide({"x": [1.0, 2.0]}, {"x": rng(0).normal(size=500)})
    assert report.verdict == "insufficient_data"
    assert report.reasons == ("no column could be judged: 2 reference rows, 100 needed",)


def test_a_constant_column_that_stays_is_no_drift_and_one_that_moves_is():
    still = {"x": np.full(500, 5.0), "s": np.full(500, "a")}
    assert decide(still, still).n_drifted == 0
    moved = decide(still, {"x": np.full(300, 6.0), "s": np.full(300, "b")})
    assert moved.column("x").verdict == "drift"
    assert moved.column("s").unseen.verdict == "drift"
    assert moved.verdict == "drift"


def test_a_reference_without_spread_sees_values_that_spread():
    report = decide({"x": np.zeros(1000)}, {"x": np.where(np.arange(400) % 2 == 0, 0.0, rng(0).normal(size=400))})
    column = report.column("x")
    assert column.verdict == "drift"
    assert np.isfinite(column.effect.value)


def test_a_column_of_nulls_alone_is_judged_by_its_missing_rows():
    values, nulls = pa.array(rng(0).normal(size=300)), pa.nulls(300, pa.float64())
    went = decide({"x": values}, {"x": nulls}).column("x")
    assert (went.verdict, went.shape_verdict) == ("drift", "insufficient_data")
    assert decide({"x": nulls}, {"x": nulls}).n_drifted == 0
    came = decide({"x": pa.nulls(300)}, {"x": values}).column("x")
    assert (came.verdict, came.shape_verdict) == ("drift", None)


def test_dates_move_with_the_calendar_unless_asked_for():
    start = datetime(2026, 1, 1)
    days = lambda first: {"day": [start + timedelta(days=first + i % 30) for i in range(600)]}  # noqa: E731 - used twice
    assert decide(days(0), days(30)).column("day").shape_verdict is None
    report = decide(days(0), days(30), DriftPolicy(per_column={"day": "wasserstein"}))
    assert report.column("day").verdict == "drift"


def test_booleans_are_categories():
    column = decide({"flag": [True, False] * 500}, {"flag": [True] * 400 + [False] * 100}).column("flag")
    assert (column.kind, column.method, column.verdict) == ("boolean", "jensen_shannon", "drift")


def test_huge_numbers_neither_overflow_nor_warn():
    with np.errstate(all="raise"):
        column = decide({"x": rng(0).normal(size=500) * 1e307}, {"x": rng(1).normal(1, 1, 500) * 1e307}).column("x")
    assert column.verdict == "drift"
    assert column.effect.value == pytest.approx(1.0, abs=0.2)


def test_all_values_make_the_effect_exact():
    x, y = rng(0).normal(size=3000), rng(1).normal(0.2, 1, 3000)
    rough = decide({"x": x}, {"x": y}).column("x")
    exact = decide({"x": x}, {"x": y}, values={"x": (x, y)}).column("x")
    assert (rough.form, exact.form) == ("cells", "exact")
    assert exact.effect.lower == exact.effect.upper
    assert rough.effect.lower <= exact.effect.value * 1.001
    assert exact.effect.value == pytest.approx(stats.wasserstein_distance(x, y) / np.std(x))


def test_an_interval_that_holds_the_threshold_is_said_to_be_undecided():
    x, y = rng(0).normal(size=3000), rng(1).normal(0.2, 1, 3000)
    effect = decide({"x": x}, {"x": y}).column("x").effect
    between = DriftPolicy(numeric={"method": "wasserstein", "threshold": (effect.lower + effect.upper) / 2})
    assert decide({"x": x}, {"x": y}, between).column("x").undecided
    assert not decide({"x": x}, {"x": y}, between, values={"x": (x, y)}).column("x").undecided
    assert not decide({"x": x}, {"x": y}).column("x").undecided


def test_values_with_gaps_are_refused_by_column():
    with pytest.raises(InputError, match=r"Column 'x'.*not finite"):
        decide({"x": [1.0, 2.0]}, {"x": [1.0]}, values={"x": (np.array([1.0, np.nan]), np.array([1.0]))})


def test_columns_counted_in_different_cells_are_refused():
    reference, _ = profiles({"x": rng(0).normal(size=500)}, {"x": [1.0]})
    other, _ = profiles({"x": rng(1).normal(size=500)}, {"x": [1.0]})
    with pytest.raises(InputError, match="different cells"):
        decide_drift(reference, other)


def test_a_reference_without_columns_is_refused():
    with pytest.raises(InputError, match="no columns"):
        decide_drift(DatasetProfile(rows=0, columns=()), DatasetProfile(rows=0, columns=()))


def test_the_report_is_plain_json_and_the_same_every_time():
    reference = {**quiet(400, 0), "plan": rng(1).choice(list("abcdefgh"), 400), "gone": [1.0] * 400}
    current = {**quiet(120, 2, shift=1.0), "plan": rng(3).choice(list("abcdz"), 120)}
    found = decide(reference, current).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert decide(reference, current).to_dict() == found
    assert found["columns"][0]["column"] in {"plan", "x0"}


def test_what_drifted_and_matters_most_comes_first():
    reference, current = quiet(3000, 0), quiet(3000, 1)
    current["x3"] = current["x3"] + 1.0
    current["x7"] = current["x7"] + 2.0
    assert [one.column for one in decide(reference, current).columns[:2]] == ["x7", "x3"]
    report = decide(reference, current, importances={"x3": 0.9, "x7": 0.05, "x1": 0.05})
    assert [one.column for one in report.columns[:2]] == ["x3", "x7"]


def test_without_drift_at_most_five_percent_of_windows_alarm_even_if_one_column_suffices():
    # The full form, for all sizes, is benchmarks/calibration.py.
    shares = [0.3, 0.25, 0.2, 0.15, 0.08, 0.02]
    made = rng(7)
    table = {f"x{i}": made.normal(size=10_000) for i in range(6)}
    table |= {f"c{i}": made.choice(list("abcdef"), 10_000, p=shares) for i in range(4)}
    reference, _ = profiles(table, {name: one[:1] for name, one in table.items()})
    windows, alarms = 200, 0
    for _ in range(windows):
        columns = []
        for column in reference.columns:
            counts = made.multinomial(150, np.array(column.counts) / sum(column.counts)).tolist()
            kept = [(cell, count) for cell, count in zip(column.cells, counts, strict=True) if count]
            columns.append(replace(column, rows=150, cells=tuple(c for c, _ in kept), counts=tuple(n for _, n in kept)))
        current = DatasetProfile(rows=150, columns=tuple(columns))
        report = decide_drift(reference, current, importances=dict.fromkeys(reference.names, 1.0))
        alarms += report.verdict == "drift"
    assert stats.binomtest(alarms, windows, 0.05, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(
    ("drifted", "least"),
    [
        (lambda made, n: made.normal(0.3, 1.0, n), 0.95),
        (lambda made, n: made.normal(0.0, 1.4, n), 0.95),
        (lambda made, n: made.normal(size=n) + 4 * (made.random(n) < 0.06), 0.75),
    ],
    ids=["mean", "scale", "tail"],
)
def test_drift_in_one_of_ten_columns_is_found_in_a_thousand_rows(drifted, least):
    found, windows = 0, 40
    reference, _ = profiles(quiet(5000, 0), quiet(1, 0))
    for seed in range(windows):
        profiler = Profiler(reference.grids)
        profiler.update(pa.table({**quiet(1000, seed + 1), "x0": drifted(rng(seed + 100), 1000)}))
        found += decide_drift(reference, profiler.result()).column("x0").verdict == "drift"
    assert found / windows >= least


def golden_samples():
    spec = importlib.util.spec_from_file_location("make_drift", GOLDEN / "make_drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {size: module.samples(size) for size in module.SIZES}


@pytest.mark.parametrize("size", ["small", "large"])
def test_evidently_defaults_reproduce_evidentlys_verdicts(size):
    columns = golden_samples()[size]
    expected = json.loads((GOLDEN / "drift.json").read_text())["evidently"]["verdicts"][size]
    tables = [{name: both[side] for name, both in columns.items()} for side in (0, 1)]
    report = decide(*tables, DriftPolicy.evidently_defaults())
    for name, theirs in expected.items():
        if name != "data_set":
            ours = report.column(name)
            assert (ours.verdict == "drift") == theirs["drift"], (name, ours.reason, theirs)
            if "p_value" in theirs["method"]:
                # Kolmogorov-Smirnov's difference is taken at the cells' bounds; the others know every value.
                tolerance = 1.0 if "K-S" in theirs["method"] else 1e-6
                assert ours.p_value == pytest.approx(theirs["value"], rel=tolerance, abs=1e-12)
    assert report.n_drifted == expected["data_set"]["count"]
    assert (report.verdict == "drift") == expected["data_set"]["drift"]


@pytest.mark.parametrize("size", ["small", "large"])
def test_nannyml_defaults_reproduce_nannymls_alerts_on_categories_and_few_values(size):
    columns = golden_samples()[size]
    theirs = json.loads((GOLDEN / "drift.json").read_text())["nannyml"]["values"][size]
    tables = [{name: both[side] for name, both in columns.items()} for side in (0, 1)]
    report = decide(*tables, DriftPolicy.nannyml_defaults())
    for name in ("few", "two_values", "category", "category_quiet", "binary"):
        ours = report.column(name)
        assert (ours.verdict == "drift") == theirs[name]["jensen_shannon_alert"], name
        assert ours.effect.value == pytest.approx(theirs[name]["jensen_shannon"], rel=1e-6), name
    assert report.verdict == "drift"


def test_rows_of_a_part_without_a_column_are_missing_there() -> None:
    rng = np.random.default_rng(0)
    whole = {"x": rng.normal(size=500), "y": rng.normal(size=500)}
    reference, first = profiles(whole, whole)
    _, second = profiles(whole, {"x": whole["x"]})
    report = decide_drift(reference, merge([first, second]))
    missing = report.column("y").missing
    assert (missing.current_count, missing.current_share, missing.verdict) == (500, 0.5, "drift")
    assert report.column("x").missing.current_count == 0
    assert report.verdict == "drift"


def test_an_exact_value_that_the_cells_rule_out_does_not_overrule_them() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=500), rng.normal(3, 1, 500)
    found = decide_drift(*profiles({"x": before}, {"x": now}), values={"x": (before, before)}).column("x")
    assert (found.form, found.verdict) == ("cells", "drift")


def test_texts_that_are_nearly_all_different_are_not_judged_unless_they_became_few() -> None:
    rng = np.random.default_rng(0)
    zips = [f"{one:05d}" for one in rng.integers(0, 20_000, 6_000)]
    few = decide_drift(*profiles({"zip": zips}, {"zip": ["99999", "99998"] * 1_000}))
    assert few.verdict == "drift"
    for size in (200, 2_000, 30_000):
        again = [f"{one:05d}" for one in rng.integers(0, 20_000, size)]
        report = decide_drift(*profiles({"zip": zips}, {"zip": again}))
        assert report.verdict == report.column("zip").verdict == "insufficient_data"
        assert "nearly all different" in report.column("zip").reason + report.reasons[0]


def test_a_few_rows_may_show_a_change_where_any_size_is_asked_for_but_never_that_there_is_none() -> None:
    asked = [["new"] * 30, ["a", "b"] * 15, [None] * 30, ["a"]]
    found = [
        decide_drift(*profiles({"x": ["a", "b"] * 500}, {"x": pa.array(one, pa.string())}), any_size=True)
        for one in asked
    ]
    assert [one.column("x").verdict for one in found] == ["drift", "insufficient_data", "drift", "insufficient_data"]
    quiet = decide_drift(*profiles({"x": ["a", "b"] * 500}, {"x": asked[0]}))
    assert quiet.column("x").verdict == "insufficient_data"
