from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.decide_drift import decide_drift
from airflow_mlops_provider.core.drift_report import DriftReport
from airflow_mlops_provider.core.profile_pairs import cells_of
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.reports.drift import HEIGHT, WIDTH, drift_report, numeric_bins, picture

RNG = np.random.default_rng(0)
ABOUT = {
    "title": "churn",
    "window_end": "2026-01-02",
    "reference": "training rows",
    "current": "customers",
    "policy": {"fdr": 0.05},
    "multivariate": {},
}


def report_of(before: pa.Table, after: pa.Table, **decide: Any) -> tuple[DriftReport, str]:
    reference = profile_table(before)
    current = profile_table(after, grids=reference.grids)
    report = decide_drift(reference, current, **decide)
    cells = {
        one.column: aligned
        for one in report.columns
        if (aligned := cells_of(reference.column(one.column), current.column(one.column)))
    }
    return report, drift_report(report, cells=cells, about=ABOUT)


class Elements(HTMLParser):
    """Collects the elements of a page and checks that they are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in {"meta", "br", "path", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_verdict_and_its_reasons_come_before_the_columns_and_what_drifted_before_what_did_not() -> None:
    before = pa.table({"b_still": RNG.normal(size=900), "z_moved": RNG.normal(size=900)})
    after = pa.table({"b_still": RNG.normal(size=900), "z_moved": RNG.normal(1, size=900)})
    report, page = report_of(before, after)
    assert report.verdict == "drift"
    order = ["✗ Drift", report.reasons[0], "Columns that drifted", ">z_moved<", ">b_still<", "training rows"]
    assert [page.index(part) for part in order] == sorted(page.index(part) for part in order)
    assert "1 of 2" in "".join(Elements(page).text)


@pytest.mark.parametrize(("rows", "word"), [(900, "✓ No drift"), (20, "? Too few data to tell")])
def test_each_verdict_has_its_words(rows: int, word: str) -> None:
    before = pa.table({"a": RNG.normal(size=900)})
    assert word in report_of(before, before.slice(0, rows))[1]


def test_a_changed_schema_is_shown_first() -> None:
    before = pa.table({"gone": [1, 2] * 100, "kept": [1, 2] * 100, "was_number": [1, 2] * 100})
    after = pa.table({"came": ["x"] * 200, "kept": [1, 2] * 100, "was_number": ["a", "b"] * 100})
    text = "".join(Elements(report_of(before, after)[1]).text)
    assert re.search(r"missing\s*gone\s*there", text)
    assert re.search(r"retyped\s*was_number\s*numeric\s*text", text)
    assert re.search(r"new\s*came", text)


HOSTILE = '</td><script>alert(1)</script><img src=x onerror=alert(1)>" onload="x'


def test_names_of_columns_and_categories_are_text_whatever_they_say() -> None:
    before = pa.table({HOSTILE: ["a", "b"] * 300, f"{HOSTILE}2": RNG.normal(size=600)})
    after = pa.table({HOSTILE: [HOSTILE, "b"] * 300, f"{HOSTILE}2": RNG.normal(1, size=600)})
    _, page = report_of(before, after)
    found = Elements(page)
    assert {"script", "img"}.isdisjoint(found.names)
    assert "".join(found.text).count("<script>alert(1)</script>") >= 2
    assert "src=" not in page.replace("src=x onerror", "")


def test_the_page_loads_and_runs_nothing() -> None:
    before = pa.table({"a": RNG.normal(size=300), "b": ["x", "y", "z"] * 100})
    _, page = report_of(before, before)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://", page)
    assert "<script" not in page


def test_a_hundred_columns_stay_a_small_page_with_a_picture_each() -> None:
    names = [f"value number {i} with a rather long name" for i in range(60)]

    def table(shift: float) -> pa.Table:
        numbers = {f"n{i}": RNG.lognormal(shift * (i % 5 == 0), 2, 800) for i in range(60)}
        return pa.table(numbers | {f"c{i}": RNG.choice(names, 800) for i in range(40)})

    _, page = report_of(table(0), table(1))
    assert page.count('role="img"') == 100
    assert len(page) < 500_000


def test_no_value_of_a_row_is_in_the_page_but_names_of_frequent_categories() -> None:
    mails = [f"person{i}@example.com" for i in range(3000)]
    before = pa.table({"mail": mails, "plan": ["a", "b", "c"] * 1000})
    after = pa.table({"mail": [f"new{i}@example.com" for i in range(3000)], "plan": ["a", "b", "d"] * 1000})
    _, page = report_of(before, after)
    assert "example.com" not in page
    assert "New categories in 33.3 % of the rows: d" in page


def test_bins_hold_all_values_of_both_samples() -> None:
    before, after = RNG.standard_t(2, 5000), RNG.standard_t(2, 700) + 0.5
    reference = profile_table(pa.table({"x": before}))
    current = profile_table(pa.table({"x": after}), grids=reference.grids)
    cells = cells_of(reference.column("x"), current.column("x"))
    for stretched in (False, True):
        edges, first, second = numeric_bins(cells, stretched=stretched)
        assert (first.sum(), second.sum()) == (5000, 700)
        assert (np.diff(edges) > 0).all()
        # Against counting the values themselves; only values of a cell that holds an edge may fall on its other side.
        whole = np.histogram(np.clip(before, edges[0], edges[-1]), edges)[0]
        assert np.abs(np.cumsum(first) - np.cumsum(whole)).max() < 0.03 * 5000


def test_a_long_tail_is_drawn_on_a_stretched_axis_and_an_even_column_is_not() -> None:
    def drawn(values: np.ndarray) -> Any:
        profile = profile_table(pa.table({"x": values}))
        return picture(cells_of(profile.column("x"), profile.column("x")))

    assert drawn(RNG.lognormal(0, 3, 4000)).stretched
    assert not drawn(RNG.normal(size=4000)).stretched
    assert not drawn(np.array([0.0, 1.0] * 50 + [0.0] * 300)).stretched


@pytest.mark.parametrize(
    ("lower", "upper"),
    [([5.0], [5.0]), ([-1.7e308, 1.7e308], [-1.7e308, 1.7e308]), ([0.0, 1.0], [0.0, 1.0]), ([0.0], [0.0])],
)
def test_pictures_of_odd_ranges_are_drawn_inside_their_box(lower: list[float], upper: list[float]) -> None:
    counts = np.full(len(lower), 7)
    cells = CellCounts(reference=counts, current=counts, lower=np.array(lower), upper=np.array(upper))
    drawn = picture(cells)
    numbers = [float(each) for each in re.findall(r"[-\d.]+(?:e[-+]\d+)?", drawn.current)]
    assert min(numbers) >= 0
    assert max(numbers) <= max(WIDTH, HEIGHT)
    assert "nan" not in drawn.current
    assert drawn.reference == drawn.current
    assert "V0.0" in drawn.current  # the highest bar fills the box


def test_the_largest_categories_are_drawn_and_the_rest_counted() -> None:
    labels = tuple(f"c{i}" for i in range(12))
    reference = np.array([100, 50, *[5] * 10])
    current = np.array([20, 160, *[2] * 10])
    drawn = picture(CellCounts(reference=reference, current=current, labels=labels))
    assert [name for name, _, _ in drawn.bars[:2]] == ["c1", "c0"]
    assert drawn.bars[0][2] == 100
    assert drawn.bars[0][1] == pytest.approx(100 * (50 / 200) / (160 / 200))
    assert drawn.rest == (4, pytest.approx(20 / 200), pytest.approx(8 / 200))
