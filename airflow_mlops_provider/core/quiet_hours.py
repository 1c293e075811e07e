"""Hours of the day in which nothing is started, as people read a clock on the wall; knows no time but what it is given.

A wall clock shows some hours twice and others never when summer time begins or ends. What counts is only what it shows:
an hour shown twice is quiet twice, and one never shown ends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_mlops_provider.core.errors import InputError

# No day has more minutes than this, the longest change of any time zone included.
_MINUTES_TO_LOOK = 49 * 60


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of the day, over midnight where it ends before it starts.

    Parameters
    ----------
    start, end : datetime.time
        In whole minutes; `start` is quiet and `end` is not.

    Examples
    --------
    >>> night = QuietHours.parse(("22:00", "06:00"))
    >>> night.covers(time(23, 30)), night.covers(time(6, 0))
    (True, False)
    """

    start: time
    end: time

    @classmethod
    def parse(cls, given: Sequence[str | time]) -> QuietHours:
        """Read a span from two times of the day, as ``"HH:MM"`` or :class:`datetime.time`.

        Raises
        ------
        InputError
            They are no times of the day, or cover the whole day.
        """
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
            raise InputError(
                f"quiet_hours of RetrainPolicy must be two times of the day; got {given!r}. Hint: ('08:00', '18:00')."
            )
        start, end = (_time_of_day(one) for one in given)
        if start == end:
            raise InputError(
                f"quiet_hours of RetrainPolicy must leave time to retrain; {start:%H:%M} to {end:%H:%M} is the whole "
                "day. Hint: leave quiet_hours out for none."
            )
        return cls(start, end)

    def covers(self, shown: time) -> bool:
        """Return whether a wall clock that shows this time shows a quiet one."""
        if self.start < self.end:
            return self.start <= shown < self.end
        return shown >= self.start or shown < self.end

    def is_quiet(self, now: datetime, zone: ZoneInfo) -> bool:
        """Return whether it is quiet at a moment."""
        return self.covers(now.astimezone(zone).time())

    def quiet_until(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the first moment from `now` on that is not quiet, in UTC."""
        now = now.astimezone(UTC)
        if not self.is_quiet(now, zone):
            return now
        # Minute by minute, because that is right at every change of the clock without knowing one.
        moment = now.replace(second=0, microsecond=0)
        for _ in range(_MINUTES_TO_LOOK):
            moment += timedelta(minutes=1)
            if not self.is_quiet(moment, zone):
                return moment
        raise InputError(f"quiet_hours of RetrainPolicy never end in time zone {zone.key}.")


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA data base, such as ``Europe/Berlin``.

    Raises
    ------
    InputError
        There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise InputError(
            f"timezone of RetrainPolicy must be a name such as 'Europe/Berlin'; got {name!r}: {error}."
        ) from error


def _time_of_day(given: str | time) -> time:
    try:
        found = given if isinstance(given, time) else time.fromisoformat(given)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"quiet_hours of RetrainPolicy must be times such as '18:00'; got {given!r}: {error}."
        ) from error
    if found.tzinfo is not None or found.second or found.microsecond:
        raise InputError(
            f"quiet_hours of RetrainPolicy must be whole minutes without a zone; got {given!r}. "
            "Hint: the zone is the policy's timezone."
        )
    return found
