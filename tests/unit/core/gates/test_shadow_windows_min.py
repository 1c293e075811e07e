from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.shadow_windows_min import ShadowWindowsMin
from airflow_mlops_provider.core.gating import Evidence, decide
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.core.shadow import record

Maker = Callable[..., Predictions]


def evidence(binary: Maker, *, shadow: float, windows: int) -> Evidence:
    champion = binary(1.0, seed=1)
    shown = record([(champion, binary(shadow, seed=2))] * windows, metric="roc_auc")
    return Evidence(challenger=binary(shadow, seed=2), champion=champion, shadow=shown)


def test_a_challenger_that_was_not_worse_in_enough_windows_passes(binary: Maker) -> None:
    assert ShadowWindowsMin(windows=3).judge(evidence(binary, shadow=0.2, windows=3)).passed


def test_too_few_windows_or_rows_do_not_pass(binary: Maker) -> None:
    good = evidence(binary, shadow=0.2, windows=3)
    assert not ShadowWindowsMin(windows=4).judge(good).passed
    assert not ShadowWindowsMin(windows=3, rows=5_000).judge(good).passed


def test_a_challenger_that_was_worse_does_not_pass(binary: Maker) -> None:
    result = ShadowWindowsMin().judge(evidence(binary, shadow=3.0, windows=3))
    assert not result.passed
    assert result.observed["lower"] < -0.01


def test_a_challenger_that_never_stood_in_the_shadow_does_not_pass_and_hears_what_to_do(binary: Maker) -> None:
    given = Evidence(challenger=binary(0.2), champion=binary(1.0))
    with pytest.raises(InputError, match="CompareShadowOperator"):
        ShadowWindowsMin().judge(given)
    assert not decide(given, [ShadowWindowsMin()]).passed


def test_impossible_demands_are_refused() -> None:
    for wrong in ({"windows": 0}, {"rows": 0}, {"margin": -1}):
        with pytest.raises(InputError):
            ShadowWindowsMin(**wrong)
