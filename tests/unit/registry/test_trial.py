from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.models import MODEL_FILE, PICKLE_FILE, write_model
from airflow_mlops_provider.registry.trial import Loading, TrialLimits, try_model

ROWS = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) % 3})
CLASSES = np.arange(20) % 2
KINDS = {"a": "numeric", "b": "numeric"}
WHERE = "Version 1 of model 'm'"


def model_of(folder: Path, model: object) -> Path:
    write_model(model, folder / "model", kinds=KINDS, task="binary", requirements=[])
    return folder / "model"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_of(tmp_path_factory.mktemp("good"), LogisticRegression().fit(ROWS, CLASSES))


class Code:
    """Unpickles as the result of running code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (self.code,)


def pickled(folder: Path, code: str) -> Path:
    (folder / PICKLE_FILE).write_bytes(cloudpickle.dumps(Code(code)))
    return folder


def test_a_good_model_passes(good: Path) -> None:
    try_model(good, where=WHERE, loading=Loading(), rows=ROWS)
    try_model(good, where=WHERE, loading=Loading())


def test_a_damaged_file_is_told_of(good: Path, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes((good / MODEL_FILE).read_bytes()[:300])
    with pytest.raises(InputError, match=f"{WHERE}: its file {MODEL_FILE} cannot be read"):
        try_model(tmp_path, where=WHERE, loading=Loading())


def test_what_cannot_predict_these_rows_is_told_of(good: Path) -> None:
    with pytest.raises(InputError, match=f"{WHERE} cannot predict: ValueError: The feature names"):
        try_model(good, where=WHERE, loading=Loading(), rows=ROWS.rename(columns={"a": "c"}))


def test_what_has_no_predict_is_no_model(tmp_path: Path) -> None:
    directory = model_of(tmp_path, StandardScaler().fit(ROWS))
    with pytest.raises(InputError, match="StandardScaler, which cannot predict"):
        try_model(directory, where=WHERE, loading=Loading())


def test_a_pickle_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    directory = pickled(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="is a pickle"):
        try_model(directory, where=WHERE, loading=Loading())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("code", "limits", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", {}, r"crash the process that loads them \(SIGSEGV\)"),
        ("while True: pass", {"cpu_seconds": 4}, "more than 4 seconds of processor time"),
        (
            "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
            {"cpu_seconds": 4},
            "more than 4 seconds of processor time",
        ),
        ("x = bytearray(1 << 33)", {"memory_megabytes": 2000}, "needs more than 2000 MB"),
        ("import os; os._exit(3)", {}, "it said nothing"),
        ("raise SystemExit(0)", {}, "end the process that loads them"),
        ("import os; os._exit(0)", {}, "end the process that loads them"),
    ],
)
def test_files_that_harm_the_process_that_loads_them_harm_only_that(
    tmp_path: Path, code: str, limits: dict[str, int], said: str
) -> None:
    loading = Loading(allow_pickle=True, limits=TrialLimits(**limits))
    with pytest.raises(InputError, match=said):
        try_model(pickled(tmp_path, code), where=WHERE, loading=loading)


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_a_trial_that_is_killed_from_outside_may_be_tried_again(tmp_path: Path, number: str) -> None:
    # It may write nothing into a file, but give one a name.
    # What whoever started the tests ignores, as nohup does with SIGHUP, a child would ignore too.
    heed = "" if number == "SIGKILL" else f"import signal; signal.signal(signal.{number}, signal.SIG_DFL); "
    code = heed + f"import os, time; open({str(tmp_path)!r} + f'/pid-{{os.getpid()}}', 'w'); time.sleep(600)"
    directory = pickled(tmp_path, code)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            try_model(directory, where=WHERE, loading=Loading(allow_pickle=True))
        except OutageError as error:
            failed.append(error)

    trial = threading.Thread(target=run)
    trial.start()
    while trial.is_alive() and not list(tmp_path.glob("pid-*")):
        time.sleep(0.05)
    os.kill(int(next(tmp_path.glob("pid-*")).name.removeprefix("pid-")), signal.Signals[number])
    trial.join()
    assert f"{WHERE}: the process that loads and tries it was killed from outside ({number})" in str(failed[0])
    assert "A retry may succeed" in str(failed[0])


def test_a_trial_that_is_not_done_in_time_by_the_clock_may_be_tried_again(tmp_path: Path) -> None:
    loading = Loading(allow_pickle=True, limits=TrialLimits(wall_seconds=6))
    with pytest.raises(OutageError, match=f"{WHERE}: .* more than 6 seconds by the clock.*A retry may succeed"):
        try_model(pickled(tmp_path, "import time; time.sleep(600)"), where=WHERE, loading=loading)


def test_the_trial_writes_no_files_and_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    target = str(tmp_path / "written")
    code = f"import os; assert 'AWS_SECRET_ACCESS_KEY' not in os.environ; open({target!r}, 'w').write('x' * 10**5)"
    with pytest.raises(InputError, match="File too large"):
        try_model(pickled(tmp_path, code), where=WHERE, loading=Loading(allow_pickle=True))
    assert os.path.getsize(target) == 0


@pytest.mark.parametrize("name", ["memory_megabytes", "cpu_seconds", "wall_seconds"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "4", None])
def test_limits_that_are_none_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} of TrialLimits"):
        TrialLimits(**{name: value})  # type: ignore[arg-type]
