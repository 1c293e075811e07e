"""Reading ahead of the caller and writing behind it; must never hold more than one item each, as items are large."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

_Item = TypeVar("_Item")
_END: Any = object()


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
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        following = pool.submit(next, items, _END)
        while (item := following.result()) is not _END:
            following = pool.submit(next, items, _END)
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
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._pending: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Wait for the work before, raise what it raised, and begin this one."""
        self._wait()
        self._pending = self._pool.submit(work)

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
            self._pool.shutdown(wait=True)
        except BaseException:
            # A time-out of the task strikes here, too. Who cleans up next must not meet work that still goes on.
            self._pool.shutdown(wait=True)
            raise
        if error is None:
            self._wait()
