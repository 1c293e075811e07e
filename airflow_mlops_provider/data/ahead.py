"""Reading beside the work on what was read; must never be more than one item ahead, because items are large."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

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
