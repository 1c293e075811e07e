from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_mlops_provider.reports.validation import validation_report

EVIL = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Collects the tags, the addresses they name and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


def entry(**changes: Any) -> dict[str, Any]:
    return {"type": "expect_x", "column": "a", "settings": "", "severity": "critical", "success": True, **changes}


def result(**changes: Any) -> dict[str, Any]:
    return {
        "passed": True,
        "reasons": [],
        "warnings": [],
        "data": {"uri": "file:///a.csv", "fingerprint": None},
        "engine": "pandas",
        "rows": 7043,
        "columns": 20,
        "statistics": {
            "findings": 0,
            "expectations_evaluated": 1,
            "expectations_succeeded": 1,
            "expectations_in_error": 0,
        },
        "preconditions": {"min_rows": "at least 1 row"},
        "findings": [],
        "expectations": [entry()],
        **changes,
    }


def test_the_verdict_and_its_reasons_come_before_the_tables() -> None:
    text = Page(validation_report(result(passed=False, reasons=["too few rows"]), about={"DAG": "d"})).text
    assert text.index("Rejected") < text.index("too few rows") < text.index("Preconditions") < text.index("About")
    assert "Passed" in Page(validation_report(result(), about={})).text


def test_failures_come_first_and_critical_ones_before_warnings() -> None:
    entries = [
        entry(column="fine"),
        entry(column="warned", severity="warning", success=False),
        entry(column="broken", success=False, unexpected_count=3, unexpected_share=0.25),
        entry(column="raised", success=False, error="TypeError was raised"),
    ]
    text = Page(validation_report(result(expectations=entries), about={})).text
    order = [text.index(f"{column} ") for column in ("broken", "raised", "warned", "fine")]
    assert order == sorted(order)
    assert "25 %" in text
    assert "Could not be checked: TypeError was raised" in text


def test_a_finding_stands_beside_its_rule() -> None:
    found = [{"check": "min_rows", "message": "the table has 0 rows"}]
    page = Page(validation_report(result(findings=found, expectations=[]), about={}))
    assert "broken min_rows at least 1 row the table has 0 rows" in page.text
    assert "None was run" in page.text


@pytest.mark.parametrize("place", ["uri", "reason", "column", "settings", "error", "about", "value"])
def test_names_from_users_and_data_cannot_become_markup(place: str) -> None:
    changes: dict[str, Any] = {"passed": False, "reasons": ["r"]}
    if place == "uri":
        changes["data"] = {"uri": EVIL, "fingerprint": None}
    elif place == "reason":
        changes["reasons"] = [EVIL]
    elif place == "value":
        changes["expectations"] = [entry(success=False, unexpected_values=[EVIL])]
    elif place != "about":
        changes["expectations"] = [entry(success=False, **{place: EVIL})]
    html = validation_report(result(**changes), about={EVIL: EVIL} if place == "about" else {})
    page = Page(html)
    assert "script" not in page.tags
    assert EVIL in page.text


def test_the_report_loads_nothing_from_outside_and_says_so_to_the_browser() -> None:
    html = validation_report(result(), about={})
    page = Page(html)
    assert page.addresses == []
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html
