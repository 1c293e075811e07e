"""Items come in order, one ahead and no more; what goes wrong while reading is raised where the item would be."""

from __future__ import annotations

from collections.abc import Generator
from threading import Event, active_count

import pytest

from airflow_mlops_provider.data.ahead import read_ahead


def test_the_next_item_is_made_while_this_one_is_worked_on_and_not_the_one_after() -> None:
    made = [Event() for _ in range(4)]

    def items() -> Generator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in read_ahead(items()):
        if number < 3:
            assert made[number + 1].wait(60)
        if number < 2:
            assert not made[number + 2].wait(0.05)
    assert number == 3


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def items() -> Generator[int]:
        yield 1
        raise OSError("the file is gone")

    reader = read_ahead(items())
    assert next(reader) == 1
    with pytest.raises(OSError, match="the file is gone"):
        next(reader)


def test_who_stops_early_closes_what_is_read_and_leaves_no_thread() -> None:
    closed = Event()
    before = active_count()

    def items() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    reader = read_ahead(items())
    next(reader)
    reader.close()
    assert closed.is_set()
    assert active_count() == before
