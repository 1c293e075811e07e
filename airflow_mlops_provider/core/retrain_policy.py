"""When a model is retrained: the settings of that decision, checked when a DAG file constructs them.

Standard library only, but for croniter, which Airflow itself reads schedules with; it is loaded for a policy that has
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Literal, get_args

from airflow_mlops_provider.core.drift_method import check_count
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.policy import Policy
from airflow_mlops_provider.core.quiet_hours import QuietHours, time_zone

OnDrift = Literal["confirmed", "always", "never"]
SHORTEST = timedelta(minutes=1)
# A model that fails or is rejected again and again is asked for ever more seldom, up to so many doublings.
MAX_DOUBLINGS = 5
_DURATIONS = ("max_age", "cooldown", "period")
# A pattern of days and hours has shown its shortest gap after so many times.
_TICKS_TO_LOOK = 60
_ANY_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPolicy(Policy):
    """What makes a model worth retraining, and what holds a retraining back.

    The default retrains when the champion got worse: by labels, by the estimate where labels are missing, or, where
    neither can tell, when its data drifted in several windows running. Drift that the labels or the estimate show to be
    harmless costs nothing; drift in a window whose labels hint at a loss counts as one. It waits for labelled rows from
    the changed time, because training on those of before gives the same model again, and asks once more when there are
    twice as many.

    Parameters
    ----------
    on_drift : {"confirmed", "always", "never"}, default "confirmed"
        ``confirmed``: the latest `drift_windows` windows all drifted, and no performance check and no estimate says how
        the champion did in any of them; or the latest window with labels drifted, and its labels make a drop probable
        (90 %, one-sided), though by themselves too few to show it. ``always``: the latest window drifted.
    drift_windows : int, default 3
        How many windows running, at least 1.
    on_performance_drop : bool, default True
        When the latest window with enough labels shows a drop.
    on_estimated_drop : bool, default True
        When the estimate shows a drop in a window later than any with enough labels.
    follow_up : bool, default True
        Once more after a retraining for a loss or drift, when as many labelled rows have come since as it had of the
        changed time: most of what it learned from was still of before.
    max_age : timedelta, optional
        When the champion was made so long ago, and so long after each request that did not replace it.
    schedule : str, optional
        At these times, as cron ("0 3 * * 1") or "@monthly", in `timezone`, whatever the checks say.
    min_new_rows : int, default 300
        Labelled rows there must be: of the windows since the evidence began, as performance checks counted them, or as
        the caller counts them. Where nobody counts, it holds nothing back, and the decision says so.
    cooldown : timedelta, default 5 days
        Between two requests, at least one minute. It doubles with each request of this champion's time that ended in a
        failed training or a rejected challenger, up to 32 times.
    max_per_period : int or None, default 2
        Requests in any `period`; None sets no limit.
    period : timedelta, default 30 days
        See `max_per_period`.
    one_in_flight : bool, default True
        Whether to wait while a training that was asked for has not ended.
    quiet_hours : two times of the day, optional
        Such as ``("08:00", "18:00")``, in which nothing is asked for; over midnight where the second is earlier.
    timezone : str, default "UTC"
        Of `schedule` and `quiet_hours`.

    Examples
    --------
    >>> RetrainPolicy(on_drift="never", quiet_hours=("08:00", "18:00"), timezone="Europe/Berlin").cooldown.days
    5
    """

    on_drift: OnDrift = "confirmed"
    drift_windows: int = 3
    on_performance_drop: bool = True
    on_estimated_drop: bool = True
    follow_up: bool = True
    max_age: timedelta | None = None
    schedule: str | None = None
    min_new_rows: int = 300
    cooldown: timedelta = timedelta(days=5)
    max_per_period: int | None = 2
    period: timedelta = timedelta(days=30)
    one_in_flight: bool = True
    quiet_hours: Sequence[str | time] | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        owner = "RetrainPolicy"
        if self.on_drift not in get_args(OnDrift):
            raise InputError(
                f"on_drift of {owner} must be one of {', '.join(get_args(OnDrift))}; got {self.on_drift!r}."
            )
        for name in ("on_performance_drop", "on_estimated_drop", "follow_up", "one_in_flight"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} of {owner} must be True or False; got {getattr(self, name)!r}.")
        check_count("drift_windows", owner, self.drift_windows, low=1)
        check_count("min_new_rows", owner, self.min_new_rows, low=0)
        if self.max_per_period is not None:
            check_count("max_per_period", owner, self.max_per_period, low=1)
        for name in _DURATIONS:
            _check_duration(name, getattr(self, name))
        time_zone(self.timezone)
        if self.quiet_hours is not None:
            quiet = QuietHours.parse(self.quiet_hours)
            object.__setattr__(self, "quiet_hours", (f"{quiet.start:%H:%M}", f"{quiet.end:%H:%M}"))
        self._check_that_it_can_trigger()
        self._check_times()
        if self.schedule is not None:
            self._check_schedule()

    def _check_that_it_can_trigger(self) -> None:
        causes = (self.on_performance_drop, self.on_estimated_drop, self.max_age is not None, self.schedule is not None)
        if self.on_drift == "never" and not any(causes):
            raise InputError(
                "RetrainPolicy must have a reason to retrain; got none. Hint: on_drift, on_performance_drop, "
                "on_estimated_drop, max_age or schedule."
            )

    def _check_times(self) -> None:
        if self.max_age is None:
            return
        if self.cooldown > self.max_age:
            raise InputError(
                f"cooldown of RetrainPolicy must not be longer than its max_age, which it would overrule; got "
                f"{self.cooldown} and {self.max_age}."
            )
        if self.max_per_period is not None and self.max_age * self.max_per_period < self.period:
            raise InputError(
                f"max_age of RetrainPolicy asks more often than max_per_period allows: {self.max_age} is over "
                f"{self.max_per_period} times in {self.period}. Hint: raise one of them."
            )

    def _check_schedule(self) -> None:
        ticks = self._ticks()
        shortest = min(later - earlier for earlier, later in pairwise(ticks))
        if shortest < self.cooldown:
            raise InputError(
                f"schedule {self.schedule!r} of RetrainPolicy comes after {shortest}, within its cooldown of "
                f"{self.cooldown}. Hint: shorten the cooldown."
            )
        limit = self.max_per_period
        if limit is None:
            return
        if any(later - earlier < self.period for earlier, later in zip(ticks, ticks[limit:], strict=False)):
            raise InputError(
                f"schedule {self.schedule!r} of RetrainPolicy comes more than {limit} times in {self.period}, which "
                "is its max_per_period. Hint: raise max_per_period, or set it to None."
            )

    def _ticks(self) -> list[datetime]:
        from croniter import CroniterBadDateError, CroniterError, croniter

        hint = "Hint: cron with five fields, such as '0 3 * * 1', or '@monthly'."
        text = self.schedule
        if not isinstance(text, str) or (not text.startswith("@") and len(text.split()) != 5):
            raise InputError(f"schedule of RetrainPolicy must be a text in cron's form; got {text!r}. {hint}")
        try:
            times = croniter(text, _ANY_MONDAY.astimezone(time_zone(self.timezone)))
            found = [times.get_next(datetime).astimezone(UTC) for _ in range(_TICKS_TO_LOOK)]
        except CroniterBadDateError as error:
            raise InputError(f"schedule {text!r} of RetrainPolicy never comes: {error}.") from error
        except (CroniterError, ValueError, KeyError, AttributeError) as error:
            raise InputError(f"schedule of RetrainPolicy cannot be read: {text!r}: {error}. {hint}") from error
        return found

    def last_tick(self, now: datetime) -> datetime | None:
        """Return the latest time of the schedule up to `now`, in UTC; None without a schedule."""
        if self.schedule is None:
            return None
        from croniter import croniter

        # croniter looks strictly before; a tick at this very moment counts.
        start = (now + timedelta(seconds=1)).astimezone(time_zone(self.timezone))
        found: datetime = croniter(self.schedule, start).get_prev(datetime)
        return found.astimezone(UTC).replace(fold=0)

    def quiet_until(self, now: datetime) -> datetime:
        """Return the first moment from `now` on outside of the quiet hours, in UTC."""
        if self.quiet_hours is None:
            return now.astimezone(UTC)
        return QuietHours.parse(self.quiet_hours).quiet_until(now, time_zone(self.timezone))

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain JSON values for records; durations as text such as ``7 days, 0:00:00``."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: str(value) if isinstance(value, timedelta) else value for name, value in values.items()}
        return {**plain, "quiet_hours": None if self.quiet_hours is None else [str(one) for one in self.quiet_hours]}

    @classmethod
    def on_schedule(cls, schedule: str = "@monthly", *, timezone: str = "UTC") -> RetrainPolicy:
        """Retrain by the calendar alone, whatever the model does: what most teams do first."""
        return cls(
            on_drift="never",
            on_performance_drop=False,
            on_estimated_drop=False,
            follow_up=False,
            schedule=schedule,
            timezone=timezone,
            min_new_rows=0,
            cooldown=SHORTEST,
            max_per_period=None,
        )

    @classmethod
    def on_any_drift(cls) -> RetrainPolicy:
        """Retrain whenever the latest window drifted, whether it hurts or not."""
        return cls(
            on_drift="always",
            on_performance_drop=False,
            on_estimated_drop=False,
            follow_up=False,
            min_new_rows=0,
            cooldown=SHORTEST,
            max_per_period=None,
        )


def _check_duration(name: str, value: Any) -> None:
    if value is None and name == "max_age":
        return
    if not isinstance(value, timedelta):
        raise InputError(
            f"{name} of RetrainPolicy must be a timedelta; got {value!r}. Hint: timedelta(days=5) says its unit."
        )
    if value < SHORTEST:
        raise InputError(f"{name} of RetrainPolicy must be at least a minute; got {value!r}.")
