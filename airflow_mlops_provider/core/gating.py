"""From evidence and gates to a verdict: what gates are given, what they answer, and how the answers add up.

It must never import a gate by name: gates are found by the catalog, and load nothing heavy until they judge.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from airflow_mlops_provider.core import catalog
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import default_metric, find
from airflow_mlops_provider.core.performance import MetricDifference, MetricValue, compare, evaluate

if TYPE_CHECKING:
    from airflow_mlops_provider.core.predictions import Predictions
    from airflow_mlops_provider.core.shadow import ShadowRecord
    from airflow_mlops_provider.core.specs import Task

GateKind = Literal["value", "change"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What gates judge: models' predictions on the same rows, and what was measured of the challenger.

    Parameters
    ----------
    challenger : Predictions
        Of the version that wants to be promoted.
    champion : Predictions, optional
        Of the version that serves; None when there is none yet.
    baseline : Predictions, optional
        Of a model that knows only the distribution of the target.
    rows_left_out : int, default 0
        Rows not judged because one of the models was trained on them.
    row_latency_milliseconds : float, optional
        Median time to predict one row alone; None when not measured.
    batch_latency_milliseconds : float, optional
        Median time to predict a batch, of `batch_rows`; None when not measured.
    batch_rows : int, optional
        Size of that batch.
    model_size_bytes : int, optional
        Size of the model's files; None when not measured.
    challenger_signature, champion_signature : mapping of str to str, optional
        Type of each input column by its name; None when not recorded.
    shadow : ShadowRecord, optional
        What the challenger has shown in the champion's shadow; None when it never stood there.
    confidence : float, default 0.95
        Of the two-sided intervals that gates compute.
    n_resamples : int, default 1000
        Bootstrap resamples.
    seed : int, default 0
        Of the bootstrap.
    """

    challenger: Predictions
    champion: Predictions | None = None
    baseline: Predictions | None = None
    rows_left_out: int = 0
    row_latency_milliseconds: float | None = None
    batch_latency_milliseconds: float | None = None
    batch_rows: int | None = None
    model_size_bytes: int | None = None
    challenger_signature: Mapping[str, str] | None = None
    champion_signature: Mapping[str, str] | None = None
    shadow: ShadowRecord | None = None
    confidence: float = 0.95
    n_resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("row_latency_milliseconds", "batch_latency_milliseconds", "model_size_bytes"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < inf:
                raise InputError(f"{name} of Evidence must be a finite number, at least 0; got {value!r}.")

    def measure(self, metric: str) -> MetricValue:
        """Evaluate the challenger by one metric."""
        return evaluate(
            self.challenger,
            metrics=[metric],
            confidence=self.confidence,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )[metric]

    def difference(self, other: Predictions | None, *, name: str, metric: str | None) -> MetricDifference:
        """Compare the challenger with another model by one metric, the task's default where it is None."""
        if other is None:
            raise InputError(f"there are no predictions of the {name}.")
        return compare(
            challenger=self.challenger,
            champion=other,
            metric=metric or default_metric(self.challenger.task),
            confidence=self.confidence,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Answer of one gate.

    Parameters
    ----------
    gate : str
        Its key.
    kind : {"value", "change"}
        Whether it judges the challenger alone, or against the champion.
    passed : bool
        True also when skipped.
    message : str
        One sentence for people, with the numbers.
    observed, required : mapping
        What was measured and what was demanded, as plain JSON values.
    skipped : bool, default False
        True for a change gate without a champion.
    """

    gate: str
    kind: GateKind
    passed: bool
    message: str
    observed: Mapping[str, Any] = field(default_factory=dict)
    required: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@runtime_checkable
class Gate(Protocol):
    """A frozen dataclass whose fields are its parameters. Its key is its file name in ``core/gates``."""

    key: ClassVar[str]
    kind: ClassVar[GateKind]

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence; raise :class:`InputError` when it does not allow an answer."""
        ...


GateSpec = str | Mapping[str, Any] | Gate

# A model that is not shown to be better stays a challenger.
DEFAULT_GATES: tuple[GateSpec, ...] = ("min_rows", "beats_baseline", "better_than_champion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all gates together say.

    Parameters
    ----------
    verdict : {"blessed", "rubber_stamped", "not_blessed"}
        ``rubber_stamped``: passed without a champion to compare with, so the change gates were skipped (the
        semantics of TFX's Evaluator).
    reasons : tuple of str
        Why not: the messages of the gates that did not pass. Empty when passed.
    results : tuple of GateResult
        In the order of the gates.
    """

    verdict: Literal["blessed", "rubber_stamped", "not_blessed"]
    reasons: tuple[str, ...]
    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may be promoted."""
        return self.verdict != "not_blessed"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "verdict": self.verdict,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "results": [result.to_dict() for result in self.results],
        }


def decide(evidence: Evidence, gates: Sequence[Gate]) -> Verdict:
    """Let every gate judge the evidence.

    Without a champion the change gates are skipped and the value gates still hold. A gate whose question the evidence
    cannot answer (one class, a NaN, nothing measured) does not pass.

    Parameters
    ----------
    evidence : Evidence
        What is known.
    gates : sequence of Gate
        At least one, as :func:`resolve_gates` gives them.

    Returns
    -------
    Verdict
    """
    if not gates:
        raise _no_gates()
    results = tuple(_answer(gate, evidence) for gate in gates)
    reasons = tuple(result.message for result in results if not result.passed)
    if reasons:
        return Verdict(verdict="not_blessed", reasons=reasons, results=results)
    verdict: Literal["blessed", "rubber_stamped"] = "blessed" if evidence.champion is not None else "rubber_stamped"
    return Verdict(verdict=verdict, reasons=(), results=results)


def _answer(gate: Gate, evidence: Evidence) -> GateResult:
    if gate.kind == "change" and evidence.champion is None:
        message = f"{gate.key} skipped: there is no champion to compare with."
        return GateResult(gate=gate.key, kind=gate.kind, passed=True, message=message, skipped=True)
    try:
        return gate.judge(evidence)
    except InputError as error:
        return GateResult(gate=gate.key, kind=gate.kind, passed=False, message=f"{gate.key} has no answer: {error}")


def resolve_gates(specs: Sequence[GateSpec] = DEFAULT_GATES, *, task: Task | None = None) -> tuple[Gate, ...]:
    """Turn what users write into gates, with every mistake found before any data are read.

    Parameters
    ----------
    specs : sequence of str, mapping or Gate, default `DEFAULT_GATES`
        A key (``"same_signature"``), a key with parameters (``{"gate": "min_metric", "metric": "roc_auc",
        "threshold": 0.8}``), or a gate.
    task : {"binary", "multiclass", "regression"}, optional
        When known, metrics that do not exist for it are refused.

    Returns
    -------
    tuple of Gate
        In the order given.

    Raises
    ------
    InputError
        No gates, an unknown gate, parameter or metric, or a parameter that is missing, of the wrong type, not finite
        or out of range.

    Examples
    --------
    >>> resolve_gates([{"gate": "min_metric", "metric": "roc_auc", "threshold": 0.8}])
    (MinMetric(metric='roc_auc', threshold=0.8, use_interval=False),)
    """
    if isinstance(specs, str | Mapping):
        raise InputError(f"gates must be a list; got {specs!r}. Hint: write [{specs!r}].")
    gates = tuple(_resolve(spec) for spec in specs)
    if not gates:
        raise _no_gates()
    for gate in gates:
        metric = getattr(gate, "metric", None)
        if task is not None and metric is not None:
            find(metric, task=task)
    return gates


def _resolve(spec: GateSpec) -> Gate:
    if isinstance(spec, str):
        spec = {"gate": spec}
    if not isinstance(spec, Mapping):
        if isinstance(spec, Gate) and not inspect.isclass(spec):
            return spec
        raise InputError(
            f"A gate must be a key, a mapping with the key 'gate', or a gate; got {spec!r} of type "
            f"{type(spec).__name__}. Known gates: {', '.join(catalog.names('gates'))}."
        )
    parameters = dict(spec)
    key = parameters.pop("gate", None)
    if not isinstance(key, str):
        raise InputError(
            f"A gate needs its key under 'gate'; got {spec!r}. Known gates: {', '.join(catalog.names('gates'))}."
        )
    gate = catalog.load("gates", key)
    known = inspect.signature(gate).parameters
    for name in parameters:
        if name not in known:
            raise catalog.unknown(f"parameter of gate {key!r}:", name, known)
    missing = [name for name, one in known.items() if one.default is one.empty and name not in parameters]
    if missing:
        raise InputError(f"Gate {key!r} needs {', '.join(map(repr, missing))}; got {spec!r}.")
    built: Gate = gate(**parameters)
    return built


def _no_gates() -> InputError:
    return InputError(
        "gates must not be empty: with no gate everything would be promoted. "
        f"Hint: leave gates out for the default, or choose from {', '.join(catalog.names('gates'))}."
    )
