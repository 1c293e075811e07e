"""What a policy for retraining would have done with past windows: how often, how well and how long badly.

Pure orchestration: a world, given from outside, trains a model from what was there at a time and says how a model does
in a window. The decisions are those of :func:`airflow_mlops_provider.core.retrain.decide`, with nothing known before
its time. Each retraining replaces the model; gates, failures and rejections are not replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import Any, Protocol

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.retrain import decide
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.retrain_state import Check, Request, RetrainState, aware


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWindow:
    """One window of the past.

    Parameters
    ----------
    start, end : datetime
        Time it covers, with a zone.
    labels_known_at : datetime or None
        When its labels had come; None for never, of which only the backtest knows them.
    """

    start: datetime
    end: datetime
    labels_known_at: datetime | None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            aware(f"{name} of a past window", getattr(self, name))
        if self.start >= self.end:
            raise InputError(f"A past window must end after it starts; got {self.start} and {self.end}.")
        if self.labels_known_at is not None and aware("labels_known_at", self.labels_known_at) < self.end:
            raise InputError(
                f"The labels of the window to {self.end} cannot be known before its end; got {self.labels_known_at}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a model did in a window, in hindsight.

    Parameters
    ----------
    value : float
        The metric.
    degraded : bool
        Whether it is worse than the first model was when it was new, beyond chance and by enough to matter.
    """

    value: float
    degraded: bool


class World(Protocol):
    """What a backtest asks about models; a model is named by the number of windows it could learn from, 0 the first."""

    def train(self, known: Sequence[int]) -> int:
        """Return the name of the model that is made from these windows, the labels of which are known."""

    def score(self, model: int, window: int) -> Score:
        """Return how a model did in a window."""

    def watch(self, model: int, window: int) -> Sequence[Check]:
        """Return the checks that need no labels."""

    def judge(self, model: int, window: int) -> Check:
        """Return the performance check of a window whose labels have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One window under one policy.

    Parameters
    ----------
    window_end : datetime
        Which window.
    score : Score
        Of the model that served in it.
    retrained : bool
        Whether a training was asked for at its end.
    reasons, suppressed_by : tuple of str
        As decided then.
    """

    window_end: datetime
    score: Score
    retrained: bool
    reasons: tuple[str, ...]
    suppressed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All windows under one policy.

    Parameters
    ----------
    name : str
        Of the policy.
    steps : tuple of Step
        By time.
    days : tuple of float
        Length of each window.
    """

    name: str
    steps: tuple[Step, ...]
    days: tuple[float, ...]

    @property
    def retrains(self) -> int:
        """How many trainings were asked for."""
        return sum(one.retrained for one in self.steps)

    @property
    def mean(self) -> float:
        """The metric, each window weighing as long as it is."""
        return sum(one.score.value * days for one, days in self._timed()) / sum(self.days)

    @property
    def degraded_days(self) -> float:
        """How long the model was degraded."""
        return sum(days for one, days in self._timed() if one.score.degraded)

    def _timed(self) -> list[tuple[Step, float]]:
        return list(zip(self.steps, self.days, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the replay as plain JSON values."""
        return {
            "policy": self.name,
            "retrains": self.retrains,
            "mean": self.mean,
            "degraded_days": self.degraded_days,
            "windows": [
                {
                    "window_end": one.window_end.isoformat(timespec="seconds"),
                    "value": one.score.value,
                    "degraded": one.score.degraded,
                    "retrained": one.retrained,
                    "reasons": list(one.reasons),
                    "suppressed_by": list(one.suppressed_by),
                }
                for one in self.steps
            ],
        }


def check_windows(windows: Sequence[PastWindow]) -> None:
    """Refuse windows that are too few, out of order or overlap.

    Raises
    ------
    InputError
        They are.
    """
    if len(windows) < 2:
        raise InputError(f"A backtest needs at least 2 windows after the first training; got {len(windows)}.")
    for before, after in pairwise(windows):
        if after.start < before.end:
            raise InputError(
                f"Windows of a backtest must follow each other; the one to {after.end} starts at {after.start}, before "
                f"the one to {before.end} ends. Hint: order them by time, and let no row be in two."
            )


def replay(windows: Sequence[PastWindow], policy: RetrainPolicy | None, world: World, *, name: str) -> Replay:
    """Live through past windows under one policy.

    Parameters
    ----------
    windows : sequence of PastWindow
        In order and without overlap.
    policy : RetrainPolicy or None
        None never retrains.
    world : World
        The models.
    name : str
        Of the policy.

    Raises
    ------
    InputError
        The windows overlap, or a value is no number.
    """
    check_windows(windows)
    life = _Life(windows=windows, world=world)
    steps = []
    for number, window in enumerate(windows):
        score = world.score(life.model, number)
        if not isfinite(score.value):
            raise InputError(f"The metric of the window to {window.end} is {score.value}.")
        asked = life.decide(number, policy) if policy is not None else (False, (), ())
        steps.append(
            Step(window_end=window.end, score=score, retrained=asked[0], reasons=asked[1], suppressed_by=asked[2])
        )
    days = tuple((one.end - one.start).total_seconds() / 86400 for one in windows)
    return Replay(name=name, steps=tuple(steps), days=days)


class _Life:
    """The state of one policy's life: which model serves since when, and what was asked."""

    def __init__(self, *, windows: Sequence[PastWindow], world: World) -> None:
        self.windows, self.world = windows, world
        self.model, self.since, self.epoch = world.train(()), windows[0].start, 1
        self.requests: list[Request] = []

    def decide(self, number: int, policy: RetrainPolicy) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
        now = self.windows[number].end
        state = RetrainState(
            epoch=self.epoch, trained_at=self.since, checks=self._checks(number, now), requests=tuple(self.requests)
        )
        found = decide(state=state, policy=policy, now=now)
        if found.retrain and found.window_end is not None:
            self.requests.append(
                Request(
                    number=len(self.requests) + 1,
                    epoch=self.epoch,
                    at=now,
                    window_end=found.window_end,
                    outcome="promoted",
                    causes=tuple(one.cause for one in found.alarms),
                    new_rows=found.new_rows,
                )
            )
            known = [place for place in range(number + 1) if self._known(place, now)]
            self.model, self.since, self.epoch = self.world.train(known), now, self.epoch + 1
        return found.retrain, found.reasons, tuple(found.suppressed_by)

    def _checks(self, number: int, now: datetime) -> tuple[Check, ...]:
        """Return what is known by now of the windows in which the present model served."""
        found: list[Check] = []
        for place in range(number + 1):
            window = self.windows[place]
            if window.start < self.since:
                continue
            found += self.world.watch(self.model, place)
            if self._known(place, now):
                found.append(self.world.judge(self.model, place))
            else:
                unlabelled = Check(
                    kind="performance", window_end=window.end, verdict="insufficient_data", labelled_rows=0
                )
                found.append(unlabelled)
        return tuple(found)

    def _known(self, place: int, now: datetime) -> bool:
        at = self.windows[place].labels_known_at
        return at is not None and at <= now


def table(replays: Sequence[Replay], *, metric: str) -> str:
    """Return a comparison as lines of text, one for each policy.

    Examples
    --------
    >>> step = Step(window_end=datetime(2026, 2, 1), score=Score(value=0.8, degraded=True), retrained=True, reasons=(),
    ...     suppressed_by=())
    >>> print(table([Replay(name="monthly", steps=(step,), days=(31.0,))], metric="roc_auc"))
    policy   retrains  mean roc_auc  degraded days
    monthly         1        0.8000             31
    """
    width = max(len("policy"), *(len(one.name) for one in replays))
    heading = f"mean {metric}"
    lines = [f"{'policy':<{width}}  retrains  {heading}  degraded days"]
    lines += [
        f"{one.name:<{width}}  {one.retrains:>8}  {one.mean:>{len(heading)}.4f}  {one.degraded_days:>13.4g}"
        for one in replays
    ]
    return "\n".join(lines)


def policies_of(given: Mapping[str, RetrainPolicy | Mapping[str, Any] | None]) -> dict[str, RetrainPolicy | None]:
    """Return the policies that a user's argument stands for, by name; None never retrains.

    Raises
    ------
    InputError
        There are none, or one contradicts itself.
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"policies of a backtest must map names to policies; got {given!r}.")
    found: dict[str, RetrainPolicy | None] = {}
    for name, one in given.items():
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"A policy of a backtest must have a name; got {name!r}.")
        try:
            found[name] = None if one is None else RetrainPolicy.of(one)
        except InputError as error:
            raise InputError(f"Policy {name!r} of the backtest: {error}") from error
    return found
