"""Items come and work is done in order, one beside the caller and no more; what goes wrong there is raised here."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from threading import Event
from threading import enumerate as all_threads

import pytest

from airflow_mlops_provider.data.beside import WriteBehind, read_ahead


def threads() -> list[str]:
    """Those of ours; others of this process come and go."""
    return [one.name for one in all_threads() if one.name.startswith(("read-ahead", "write-behind"))]


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
    assert threads() == []


def test_work_is_done_while_the_caller_goes_on_and_one_after_another() -> None:
    begun, released, done = Event(), Event(), []

    def first() -> None:
        begun.set()
        assert released.wait(60)
        done.append(1)

    with WriteBehind() as behind:
        behind.do(first)
        assert begun.wait(60)
        assert not done
        released.set()
        behind.do(lambda: done.append(2))
        assert done[0] == 1
    assert done == [1, 2]


def _full() -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize("more", [0, 1])
def test_an_error_of_the_work_is_raised_at_the_next_or_at_the_end(more: int) -> None:
    done: list[str] = []

    def go_on() -> None:
        with WriteBehind() as behind:
            behind.do(_full)
            for _ in range(more):
                behind.do(lambda: done.append("after the failure"))

    with pytest.raises(OSError, match="the disk is full"):
        go_on()
    assert not done


def test_who_fails_meanwhile_is_heard_and_leaves_no_thread() -> None:

    def fail() -> None:
        with WriteBehind() as behind:
            behind.do(_full)
            raise ValueError("the caller's own")

    with pytest.raises(ValueError, match="the caller's own"):
        fail()
    assert threads() == []


class TimeOutError(BaseException):
    """As Airflow raises from a signal when a task has taken too long."""


@pytest.fixture
def strikes() -> Iterator[list[int]]:
    """Where a time-out that strikes twice after it was set off counts its strikes."""
    seen: list[int] = []

    def strike(*_: object) -> None:
        seen.append(1)
        if len(seen) == 2:
            signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeOutError

    before = signal.signal(signal.SIGALRM, strike)
    yield seen
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _outlasting(strikes: list[int]) -> None:
    while len(strikes) < 2:
        time.sleep(0.01)
    time.sleep(0.2)


def _nothing(behind: WriteBehind) -> None:
    """Leave at once, so that the time-out meets the wait at the end."""


@pytest.mark.parametrize(
    "meanwhile",
    [_nothing, lambda behind: behind.do(lambda: None), lambda behind: time.sleep(60)],
    ids=["at the end", "at the next work", "beside the work"],
)
def test_nobody_leaves_before_the_work_has_ended_however_often_the_task_times_out(
    strikes: list[int], meanwhile: Callable[[WriteBehind], None]
) -> None:
    done: list[str] = []

    def work() -> None:
        _outlasting(strikes)
        done.append("begun work")

    def go_on() -> None:
        with WriteBehind() as behind:
            behind.do(work)
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            meanwhile(behind)

    with pytest.raises(TimeOutError):
        go_on()
    assert done == ["begun work"]
    assert threads() == []


def test_nobody_stops_reading_in_the_middle_of_an_item_however_often_the_task_times_out(strikes: list[int]) -> None:
    done: list[str] = []

    def items() -> Generator[int]:
        try:
            yield 1
            _outlasting(strikes)
            done.append("second item")
            yield 2
        finally:
            done.append("closed")

    def go_on() -> None:
        with closing(read_ahead(items())) as reader:
            for _ in reader:
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                time.sleep(60)

    with pytest.raises(TimeOutError):
        go_on()
    assert done == ["second item", "closed"]
    assert threads() == []
