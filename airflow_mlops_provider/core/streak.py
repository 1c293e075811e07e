"""Since when something is bad: the first window of the present run of bad verdicts; knows nothing of where they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BAD = frozenset({"drift", "drop"})
GOOD = frozenset({"no_drift", "no_drop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Windows in a row that were bad.

    Parameters
    ----------
    since : str
        End of the first one.
    windows : int
        How many, at least 1.
    """

    since: str
    windows: int


def bad_streak(checks: Iterable[tuple[str, str]], *, until: str) -> Streak | None:
    """Return the bad windows in a row up to a window, or None when that one is not bad.

    Parameters
    ----------
    checks : iterable of (window_end, verdict)
        The latest window first, and of one window the latest check first: that one counts. Read only as far as needed.
    until : str
        End of the present window, in the same form; later windows (there are some in a backfill) do not count.

    Returns
    -------
    Streak or None
        Windows with too few data neither end it nor are counted.

    Examples
    --------
    >>> checks = [("d5", "drift"), ("d4", "insufficient_data"), ("d3", "drift"), ("d3", "no_drift"), ("d2", "no_drift")]
    >>> bad_streak(checks, until="d5")
    Streak(since='d3', windows=2)
    """
    seen: set[str] = set()
    bad: list[str] = []
    for window_end, verdict in checks:
        if window_end > until or window_end in seen:
            continue
        seen.add(window_end)
        if verdict in GOOD:
            break
        if verdict in BAD:
            bad.append(window_end)
    return Streak(since=bad[-1], windows=len(bad)) if bad and bad[0] == until else None
