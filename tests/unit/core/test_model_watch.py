from __future__ import annotations

from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.model_watch import Sighting, is_news, lowest_version, pause_seconds

NOTHING = Sighting()
ONE, TWO = Sighting(version="1", created_ms=10), Sighting(version="2", created_ms=20)
TEN = Sighting(version="10", created_ms=100)


@pytest.mark.parametrize(
    ("known", "seen", "of_alias", "of_newest"),
    [
        (NOTHING, NOTHING, False, False),
        (NOTHING, ONE, True, True),
        (ONE, ONE, False, False),
        (ONE, TWO, True, True),
        (TWO, TEN, True, True),  # by number, not by letters
        (TWO, ONE, True, False),  # a rollback moves an alias; a newest version was deleted
        (TWO, NOTHING, False, False),
        (TWO, Sighting(version="1", created_ms=30), True, True),  # the model was made anew
        (TWO, Sighting(version="2", created_ms=30), True, True),
        (TWO, Sighting(version="3", created_ms=20), True, True),  # a clock that stood still
    ],
)
def test_what_is_news(known: Sighting, seen: Sighting, of_alias: bool, of_newest: bool) -> None:
    assert is_news(known, seen, alias="champion") is of_alias
    assert is_news(known, seen, alias=None) is of_newest


@pytest.mark.parametrize(
    ("newer_than", "min_version", "lowest"),
    [
        *[(None, None, 1), (3, None, 4), ("3", None, 4), (" 3 ", None, 4), ("", None, 1), ("None", None, 1)],
        *[(None, 3, 3), (None, "3", 3), (None, 0, 1), (0, None, 1)],
    ],
)
def test_the_lowest_version_that_will_do(newer_than: Any, min_version: Any, lowest: int) -> None:
    assert lowest_version(newer_than=newer_than, min_version=min_version) == lowest


@pytest.mark.parametrize("value", ["three", "-1", "3.0", True, "²", [3]])
@pytest.mark.parametrize("name", ["newer_than", "min_version"])
def test_what_is_no_version_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} must be a version number"):
        lowest_version(**{"newer_than": None, "min_version": None, name: value})


def test_pauses_grow_to_five_minutes_and_are_spread_over_a_tenth() -> None:
    assert pause_seconds(interval=10, failures=1, luck=0.5) == 20
    assert pause_seconds(interval=10, failures=10**6, luck=0.5) == 300
    assert pause_seconds(interval=3600, failures=3, luck=0.5) == 3600
    assert pause_seconds(interval=10, failures=0, luck=0.0) == pytest.approx(9)
    assert pause_seconds(interval=10, failures=0, luck=1.0) == pytest.approx(11)
