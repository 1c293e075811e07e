from __future__ import annotations

import jinja2
import pytest

from airflow_mlops_provider.reports.render import number, percent, render


def test_a_value_that_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="result"):
        render("validation.html.j2", about={})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7043, "7,043"), (0.000123456, "0.0001235"), (1234567.8, "1,234,568"), (None, "–"), (-2.5, "-2.5")],
)
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (1, "100 %"), (0.00156, "0.156 %"), (None, "–")])
def test_shares_are_written_as_per_cent(share: float | None, text: str) -> None:
    assert percent(share) == text
