"""Reading ahead of the caller and writing behind it; must never hold more than one item each, as items are large.

A time-out of the task is raised by a signal in the main thread, wherever that is, also while it waits here. Nothing
here may be left while its thread still works: who cleans up next would pull the files away from under it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from threading import Event
from types import TracebackType
from typing import Any, Self, TypeVar

_Item = TypeVar("_Item")
_END: Any = object()


class _Beside:
    """A thread that does one thing after another, and nothing any more once this is left, however it is left."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._is_over = False
        self._quiet = Event()
        self._quiet.set()

    def begin(self, work: Callable[[], _Item]) -> Future[_Item]:
        """Do this after what was begun before."""
        return self._pool.submit(self._do, work)

    def _do(self, work: Callable[[], _Item]) -> _Item:
        # In this order, so that who has set `_is_over` and then finds it quiet knows that nothing will begin.
        self._quiet.clear()
        try:
            if self._is_over:
                raise CancelledError
            return work()
        finally:
            self._quiet.set()

    def end(self) -> None:
        """Let nothing more begin and wait for what goes on; what interrupts the wait is raised after it.

        Joining the thread instead would not do: a thread whose join is interrupted passes for one that has ended.
        """
        interruption: BaseException | None = None
        while not (self._is_over and self._quiet.is_set()):
            try:
                self._is_over = True
                self._quiet.wait()
            except BaseException as error:
                interruption = interruption or error
        self._pool.shutdown(wait=True)
        if interruption is not None:
            raise interruption

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


def read_ahead(items: Generator[_Item]) -> Generator[_Item]:
    """Yield items in their order, while a thread makes the next one.

    Parameters
    ----------
    items : generator
        What it raises is raised here, in its place. It is closed when this generator is.

    Examples
    --------
    >>> list(read_ahead(number**2 for number in range(4)))
    [0, 1, 4, 9]
    """

    def following() -> _Item:
        return next(items, _END)

    with closing(items), _Beside("read-ahead") as thread:
        pending = thread.begin(following)
        while (item := pending.result()) is not _END:
            pending = thread.begin(following)
            yield item


class WriteBehind:
    """Does one piece of work after another in a thread, in their order, while the caller goes on.

    When it is left without an error, all work has been done; when with one, none goes on, and only what had begun was.

    Examples
    --------
    >>> done = []
    >>> with WriteBehind() as behind:
    ...     for number in range(4):
    ...         behind.do(lambda number=number: done.append(number))
    >>> done
    [0, 1, 2, 3]
    """

    def __init__(self) -> None:
        self._thread = _Beside("write-behind")
        self._pending: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Wait for the work before, raise what it raised, and begin this one."""
        self._wait()
        self._pending = self._thread.begin(work)

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.end()
