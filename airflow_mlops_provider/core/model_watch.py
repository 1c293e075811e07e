"""Decisions of those who wait for a model: which version is the one waited for, what is news, how long to pause."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlops_provider.core.errors import InputError

# However long a service is away, it is asked again about this often.
LONGEST_PAUSE_SECONDS = 300.0
JITTER = 0.1
NOTHING = frozenset({"", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Which version somebody last saw.

    Parameters
    ----------
    version : str or None
        Its number; None when there was none.
    created_ms : int
        When it was made, in milliseconds since 1970: a model that is deleted and made anew begins at 1 again.
    """

    version: str | None = None
    created_ms: int = 0


def is_news(known: Sighting, seen: Sighting, *, alias: str | None) -> bool:
    """Tell whether a look shows what has to be announced.

    Parameters
    ----------
    known, seen : Sighting
        What was announced last, and what is there now.
    alias : str or None
        What was looked at: the version under an alias, or the newest one.

    Returns
    -------
    bool
        An alias is news when it points at another version than it did, also at an earlier one; a newest version when it
        was made later. That something is gone is no news.

    Examples
    --------
    >>> one, two = Sighting(version="1", created_ms=5), Sighting(version="2", created_ms=7)
    >>> is_news(two, one, alias="champion"), is_news(two, one, alias=None), is_news(one, two, alias=None)
    (True, False, True)
    """
    if seen.version is None or seen == known:
        return False
    if alias is not None or known.version is None:
        return True
    return seen.created_ms > known.created_ms or int(seen.version) > int(known.version)


def lowest_version(*, newer_than: object, min_version: object) -> int:
    """Return the lowest version number waited for, from what a user gave, of which one may be a rendered template.

    Raises
    ------
    InputError
        One is no version number, or both are given.

    Examples
    --------
    >>> lowest_version(newer_than="3", min_version=None), lowest_version(newer_than="None", min_version=None)
    (4, 1)
    """
    above, least = _number("newer_than", newer_than), _number("min_version", min_version)
    if above is not None and least is not None:
        raise InputError(
            f"newer_than and min_version say the same in two ways; got {above} and {least}. Hint: give one."
        )
    if above is not None:
        return above + 1
    return max(1, least or 1)


def _number(name: str, given: object) -> int | None:
    text = "" if given is None else str(given).strip()
    # There was no version before: what a template makes of an absent XCom.
    if text.lower() in NOTHING:
        return None
    if isinstance(given, bool) or not text.isascii() or not text.isdigit():
        raise InputError(f"{name} must be a version number, such as 3; got {given!r}.")
    return int(text)


def pause_seconds(*, interval: float, failures: int, luck: float) -> float:
    """Return how long to wait before the next look.

    Parameters
    ----------
    interval : float
        Between two looks when all is well, above 0.
    failures : int
        How often in a row there was no answer; each doubles the pause, up to five minutes or the interval.
    luck : float
        In [0, 1): spreads those who began together over a tenth of the pause to either side.

    Examples
    --------
    >>> [pause_seconds(interval=60, failures=n, luck=0.5) for n in (0, 1, 2, 3, 50)]
    [60.0, 120.0, 240.0, 300.0, 300.0]
    """
    pause = min(interval * 2.0 ** min(failures, 20), max(interval, LONGEST_PAUSE_SECONDS))
    return pause * (1 + JITTER * (2 * luck - 1))
