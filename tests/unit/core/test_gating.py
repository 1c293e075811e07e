"""From gates as users write them to a verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from airflow_mlops_provider.core.catalog import names
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.better_than_champion import BetterThanChampion
from airflow_mlops_provider.core.gates.min_metric import MinMetric
from airflow_mlops_provider.core.gating import DEFAULT_GATES, Evidence, GateResult, decide, resolve_gates
from airflow_mlops_provider.core.predictions import Predictions


def model(skill: float, *, rows: int = 400, seed: int = 0) -> Predictions:
    """A binary model whose score is the truth times `skill` plus noise that all models share in part."""
    truth = np.random.default_rng(1)
    y = (truth.random(rows) < 0.4).astype(int)
    noise = truth.normal(size=rows) + 0.2 * np.random.default_rng(seed).normal(size=rows)
    p = 1 / (1 + np.exp(-(skill * (y - 0.5) + noise)))
    return Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=y,
        predicted=(p >= 0.5).astype(int),
        probabilities=np.column_stack([1 - p, p]),
    )


BASELINE = Predictions(
    task="binary",
    labels=("no", "yes"),
    y_true=model(1).y_true,
    predicted=np.zeros(400, dtype=int),
    probabilities=np.tile([0.6, 0.4], (400, 1)),
)


def test_a_better_challenger_is_blessed():
    verdict = decide(Evidence(challenger=model(3), champion=model(1), baseline=BASELINE), resolve_gates())
    assert (verdict.verdict, verdict.passed, verdict.reasons) == ("blessed", True, ())
    assert [result.gate for result in verdict.results] == list(DEFAULT_GATES)


def test_the_same_model_again_is_not_blessed_and_the_reason_says_why():
    verdict = decide(Evidence(challenger=model(2), champion=model(2), baseline=BASELINE), resolve_gates())
    assert (verdict.verdict, verdict.passed) == ("not_blessed", False)
    assert len(verdict.reasons) == 1
    assert "+0.0000 [+0.0000, +0.0000] on 400 rows. Not shown to be better" in verdict.reasons[0]


def test_a_little_luck_is_not_enough():
    verdict = decide(
        Evidence(challenger=model(2, seed=3), champion=model(2, seed=4), baseline=BASELINE), resolve_gates()
    )
    assert verdict.verdict == "not_blessed"


def test_a_first_model_is_rubber_stamped_with_its_change_gates_skipped():
    verdict = decide(Evidence(challenger=model(2), baseline=BASELINE), resolve_gates())
    assert (verdict.verdict, verdict.passed) == ("rubber_stamped", True)
    skipped = {result.gate: result.skipped for result in verdict.results}
    assert skipped == {"min_rows": False, "beats_baseline": False, "better_than_champion": True}


def test_a_first_model_must_still_pass_the_value_gates():
    verdict = decide(Evidence(challenger=model(0), baseline=BASELINE), resolve_gates())
    assert verdict.verdict == "not_blessed"
    assert "against the baseline's 0.5000" in verdict.reasons[0]


def test_all_reasons_are_given_not_just_the_first():
    gates = resolve_gates([{"gate": "min_rows", "rows": 1000}, {"gate": "min_metric", "metric": "f1", "threshold": 1}])
    verdict = decide(Evidence(challenger=model(1)), gates)
    assert len(verdict.reasons) == 2


def test_evidence_that_allows_no_answer_never_passes():
    one_class = Predictions(
        task="binary",
        labels=("no", "yes"),
        y_true=np.zeros(50, dtype=int),
        predicted=np.zeros(50, dtype=int),
        probabilities=np.tile([0.9, 0.1], (50, 1)),
    )
    gates = resolve_gates([{"gate": "min_metric", "metric": "roc_auc", "threshold": 0.0}])
    verdict = decide(Evidence(challenger=one_class), gates)
    assert verdict.verdict == "not_blessed"
    assert "min_metric has no answer: roc_auc is undefined" in verdict.reasons[0]
    assert "'yes': 0" in verdict.reasons[0]


def test_a_verdict_is_plain_json():
    evidence = Evidence(challenger=model(3), champion=model(1), baseline=BASELINE, rows_left_out=np.int64(7).item())
    found = decide(evidence, resolve_gates([*DEFAULT_GATES, "max_calibration_error", "same_signature"])).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"verdict", "passed", "reasons", "results"}


def test_gates_are_written_as_keys_mappings_or_objects():
    mapping = {"gate": "min_metric", "metric": "roc_auc", "threshold": 0.8}
    found = resolve_gates(["better_than_champion", mapping, MinMetric(metric="f1", threshold=0.5)])
    assert found == (
        BetterThanChampion(),
        MinMetric(metric="roc_auc", threshold=0.8),
        MinMetric(metric="f1", threshold=0.5),
    )
    assert mapping == {"gate": "min_metric", "metric": "roc_auc", "threshold": 0.8}


def test_a_gate_of_the_users_own_takes_part():
    @dataclass(frozen=True)
    class OnlyOnFridays:
        key: ClassVar[str] = "only_on_fridays"
        kind: ClassVar[str] = "value"

        def judge(self, evidence: Evidence) -> GateResult:
            return GateResult(gate=self.key, kind="value", passed=False, message="It is Monday.")

    verdict = decide(Evidence(challenger=model(1)), resolve_gates([OnlyOnFridays()]))
    assert verdict.reasons == ("It is Monday.",)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "gates must not be empty"),
        ("min_rows", "gates must be a list; got 'min_rows'"),
        ({"gate": "min_rows"}, "gates must be a list"),
        (["min_metrics"], r"Unknown gate 'min_metrics'\. Known: .*did you mean 'min_metric'"),
        ([{"gate": "nothing"}], "Unknown gate 'nothing'"),
        ([{"metric": "f1", "threshold": 1}], "needs its key under 'gate'"),
        ([{"gate": 3}], "needs its key under 'gate'"),
        ([3], "must be a key, a mapping with the key 'gate', or a gate; got 3 of type int"),
        ([MinMetric], "must be a key, a mapping"),
        ([None], "must be a key, a mapping"),
        ([{"gate": "min_metric", "metric": "f1"}], "Gate 'min_metric' needs 'threshold'"),
        (["max_model_size"], "Gate 'max_model_size' needs 'megabytes'"),
        ([{"gate": "min_metric", "metric": "f1", "treshold": 1}], "Unknown parameter .*'treshold'.*mean 'threshold'"),
        ([{"gate": "min_metric", "metric": "f1", "threshold": float("nan")}], "must be a finite number; got nan"),
        ([{"gate": "min_metric", "metric": "f1", "threshold": float("inf")}], "must be a finite number; got inf"),
        ([{"gate": "min_metric", "metric": "f1", "threshold": "0.8"}], "must be a finite number; got '0.8'"),
        ([{"gate": "min_metric", "metric": "f1", "threshold": 80}], "must be from 0 to 1; got 80"),
        ([{"gate": "min_metric", "metric": "f2", "threshold": 0.5}], "Unknown metric 'f2'"),
        ([{"gate": "min_metric", "metric": None, "threshold": 0.5}], "Unknown metric None"),
    ],
)
def test_mistakes_are_found_before_any_data_are_read(specs, message):
    with pytest.raises(InputError, match=message):
        resolve_gates(specs)


def test_a_metric_of_another_task_is_found_when_the_task_is_known():
    gates = [{"gate": "min_metric", "metric": "roc_auc", "threshold": 0.8}]
    with pytest.raises(InputError, match="Unknown regression metric 'roc_auc'"):
        resolve_gates(gates, task="regression")
    with pytest.raises(InputError, match="Unknown multiclass metric 'calibration_error'"):
        resolve_gates(["max_calibration_error"], task="multiclass")
    assert resolve_gates(task="regression")


def test_a_list_without_gates_decides_nothing():
    with pytest.raises(InputError, match="gates must not be empty.*" + names("gates")[0]):
        decide(Evidence(challenger=model(1)), ())


@pytest.mark.parametrize("name", ["row_latency_milliseconds", "batch_latency_milliseconds", "model_size_bytes"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1])
def test_measurements_that_are_no_measurements_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} of Evidence must be a finite number, at least 0"):
        Evidence(challenger=model(1), **{name: value})
