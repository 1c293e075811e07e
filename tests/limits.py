"""What a task may meet on a real machine and a test must cause for itself."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk(*, largest_file_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a full disk does.

    The limit is of the process, so of pytest's own output too, and ends before the test does.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
