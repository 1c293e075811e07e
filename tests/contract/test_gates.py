"""What every gate promises, found by listing the folder: a new gate is checked without a line here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from airflow_mlops_provider.core.catalog import load, names
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gating import Evidence, Gate, GateKind, GateResult, decide, resolve_gates
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.shadow import record

UNIT_TESTS = Path(__file__).resolve().parents[1] / "unit" / "core" / "gates"
# A value for each parameter that has no default; a new gate with a new one adds it here.
REQUIRED = {"metric": "roc_auc", "threshold": 0.5, "megabytes": 1.0}
ONE_OF = {"max_latency": {"row_milliseconds": 5.0, "batch_milliseconds": 50.0}}

every_gate = pytest.mark.parametrize("key", names("gates"))


def parameters(key: str) -> dict[str, object]:
    gate = load("gates", key)
    return {one.name: REQUIRED[one.name] for one in fields(gate) if one.name in REQUIRED} | ONE_OF.get(key, {})


def build(key: str) -> Gate:
    return load("gates", key)(**parameters(key))


def predictions(seed: int, y: np.ndarray) -> Predictions:
    p = np.clip(0.5 * y + np.random.default_rng(seed).random(len(y)) / 2, 0, 1)
    return Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y,
        predicted=(p >= 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]),
    )


def evidence(*, champion: bool = True) -> Evidence:
    y = np.tile([0, 1, 1], 40)
    return Evidence(
        challenger=predictions(0, y),
        champion=predictions(1, y) if champion else None,
        baseline=Predictions(
            task="binary",
            labels=("no", "yes"),
            y_true=y,
            predicted=np.ones_like(y),
            probabilities=np.tile([1 / 3, 2 / 3], (120, 1)),
        ),
        rows_left_out=3,
        row_latency_milliseconds=0.4,
        batch_latency_milliseconds=11.0,
        batch_rows=1000,
        model_size_bytes=250_000,
        challenger_signature={"age": "double"},
        champion_signature={"age": "double"},
        shadow=record([(predictions(1, y), predictions(0, y))] * 3, metric="roc_auc") if champion else None,
    )


@every_gate
def test_it_is_a_frozen_dataclass_named_by_its_file(key):
    gate = build(key)
    assert is_dataclass(gate)
    assert isinstance(gate, Gate)
    assert gate.key == key
    assert gate.kind in get_args(GateKind)
    with pytest.raises(FrozenInstanceError):
        setattr(gate, fields(gate)[0].name, 1)
    assert build(key) == gate


@every_gate
def test_its_class_is_named_after_its_key(key):
    assert load("gates", key).__name__ == "".join(word.capitalize() for word in key.split("_"))


@every_gate
def test_its_docstring_names_every_parameter(key):
    gate = load("gates", key)
    _, _, described = gate.__doc__.partition("Parameters\n    ----------\n")
    assert described
    for one in fields(gate):
        assert f"    {one.name} : " in described


@every_gate
def test_its_result_is_plain_json_under_its_own_name(key):
    gate = build(key)
    result = gate.judge(evidence())
    assert isinstance(result, GateResult)
    assert (result.gate, result.kind, result.skipped) == (key, gate.kind, False)
    assert result.message
    assert result.observed
    assert result.required
    found = result.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@every_gate
def test_it_is_deterministic_and_leaves_the_evidence_alone(key):
    given = evidence()
    before = [given.challenger.probabilities.copy(), given.champion.predicted.copy(), dict(given.challenger_signature)]
    gate = build(key)
    assert gate.judge(given) == gate.judge(given) == gate.judge(evidence())
    after = [given.challenger.probabilities, given.champion.predicted, dict(given.challenger_signature)]
    assert all(np.array_equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert before[2] == after[2]


@every_gate
def test_without_a_champion_a_change_gate_is_skipped_and_a_value_gate_is_not(key):
    gate = build(key)
    (result,) = decide(evidence(champion=False), [gate]).results
    assert result.skipped == (gate.kind == "change")


@every_gate
def test_three_rows_of_one_class_and_nothing_else_never_pass(key):
    bare = predictions(0, np.zeros(3, dtype=int))
    (result,) = decide(Evidence(challenger=bare, champion=bare), [build(key)]).results
    assert not result.passed


@every_gate
def test_no_parameter_takes_nan_infinity_or_another_type(key):
    gate = load("gates", key)
    hints = get_type_hints(gate)
    for one in fields(gate):
        wrong = [float("nan"), float("inf"), float("-inf"), [], {}] + (["x"] if hints[one.name] is not str else [])
        for value in wrong:
            with pytest.raises(InputError, match=r"gate|metric"):
                gate(**(parameters(key) | {one.name: value}))


@every_gate
def test_it_can_be_written_as_a_mapping(key):
    assert resolve_gates([{"gate": key, **parameters(key)}]) == (build(key),)


@every_gate
def test_it_has_its_own_unit_test(key):
    assert (UNIT_TESTS / f"test_{key}.py").is_file()


def test_constructing_all_gates_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from airflow_mlops_provider.core.catalog import load, names\n"
        "from airflow_mlops_provider.core.gating import resolve_gates\n"
        "[load('gates', key) for key in names('gates')]\n"
        "resolve_gates(['better_than_champion', {'gate': 'min_metric', 'metric': 'roc_auc', 'threshold': 0.8}])\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'scipy', 'pyarrow', 'mlflow', 'airflow', 'great_expectations'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
