"""Loading a model for the first time in a process of its own, with limits, so that a bad file harms nobody.

A model's files may crash the interpreter, fill the memory or never end, even when every type in them is trusted. The
process that tries them has no credentials in its environment, may write no files, and tells only how it went; the model
itself never comes back from it. A model that passes its limits is bad input; what a busy or full machine does to the
process is no fault of the model, and a retry may find a calmer one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, OutageError

if TYPE_CHECKING:
    import pandas as pd

# What an interpreter needs to start and to find libraries, and nothing that opens doors.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
MEGABYTE = 1 << 20
# What the process says when it came to its end, so that one that a file ended does not pass.
DONE = "tried\n"
# Sent by a person, a scheduler or a kernel without memory; the processor limit is SIGXCPU before it is SIGKILL.
FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLimits:
    """What the process that tries a model may use.

    Parameters
    ----------
    memory_megabytes : int, default 4096
        Address space, libraries included, which need about 1,000.
    cpu_seconds : int, default 120
        Processor time.
    wall_seconds : int, default 300
        Time by the clock.
    """

    memory_megabytes: int = 4096
    cpu_seconds: int = 120
    wall_seconds: int = 300

    def __post_init__(self) -> None:
        for name in ("memory_megabytes", "cpu_seconds", "wall_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} of TrialLimits must be a whole number from 1; got {value!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How the files of a version may be tried and loaded.

    Parameters
    ----------
    trusted_types : sequence of str
        Types that the user vouches for.
    allow_pickle : bool
        Whether a pickled model may be loaded.
    limits : TrialLimits
        Of the process that tries it.
    """

    trusted_types: Sequence[str] = ()
    allow_pickle: bool = False
    limits: TrialLimits = field(default_factory=TrialLimits)


def try_model(directory: Path, *, where: str, loading: Loading, rows: pd.DataFrame | None = None) -> None:
    """Load a model in a process of its own and let it predict.

    Parameters
    ----------
    directory : Path
        The model's files.
    where : str
        Name of the model for messages, at the beginning of a sentence.
    loading : Loading
        What may be loaded, and the limits.
    rows : pandas.DataFrame, optional
        Features to predict; without them the model is only loaded.

    Raises
    ------
    InputError
        It does not load, does not predict, crashes, or needs more memory or processor time than it may.
    OutageError
        It was not done in time by the clock, or its process was killed from outside.
    """
    limits = loading.limits
    order: dict[str, Any] = {
        "directory": str(directory),
        "where": where,
        "trusted_types": list(loading.trusted_types),
        "allow_pickle": loading.allow_pickle,
        "rows": None,
        "memory_bytes": limits.memory_megabytes * MEGABYTE,
        "cpu_seconds": limits.cpu_seconds,
    }
    with tempfile.TemporaryDirectory(prefix="mlops-trial-") as folder:
        if rows is not None:
            order["rows"] = str(Path(folder) / "rows")
            rows.to_pickle(order["rows"])
        before = _cpu_seconds()
        done = _run(order, limits, where)
        cpu_seconds = _cpu_seconds() - before
    if done.returncode == 0 and done.stdout.endswith(DONE):
        return
    # Files may ignore SIGXCPU; the kernel then kills, a second later.
    if -done.returncode in FROM_OUTSIDE and cpu_seconds < limits.cpu_seconds:
        raise OutageError(
            f"{where}: the process that loads and tries it was killed from outside "
            f"({signal.Signals(-done.returncode).name}), as the kernel does when the machine or the container runs out "
            "of memory; nothing is known of the model and nothing was changed. A retry may succeed. Hint: give the "
            f"worker more memory; the limits of the trial ({limits.memory_megabytes} MB) were not passed."
        )
    said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    raise InputError(_why(done.returncode, said[0], limits, where))


def _cpu_seconds() -> float:
    """Return the processor time of the children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(order: dict[str, Any], limits: TrialLimits, where: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    # One thread: each reserves address space, which is limited.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # The DAG's folder may hold the types that the user vouches for.
    path = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    try:
        return subprocess.run(
            [sys.executable, "-B", "-m", "airflow_mlops_provider.registry.trial_process"],
            input=json.dumps(order),
            env={**kept, **threads, **path},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limits.wall_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OutageError(
            f"{where}: loading and trying it took more than {limits.wall_seconds} seconds by the clock, without "
            "passing its limit of processor time: the machine is busy, or its files wait for something. Nothing was "
            "changed. A retry may succeed. Hint: if it never does, do not trust its files and choose another version."
        ) from None


_HINT = "Hint: raise the operator's trial limits if the model is that large; else do not trust its files."


def _why(code: int, said: str, limits: TrialLimits, where: str) -> str:
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return f"{where}: loading and trying it took more than {limits.cpu_seconds} seconds of processor time. {_HINT}"
    if code < 0:
        return f"{where}: its files crash the process that loads them ({signal.Signals(-code).name}). {_HINT}"
    if code == 0:
        return f"{where}: its files end the process that loads them. {_HINT}"
    if said.startswith("MemoryError"):
        return f"{where}: loading and trying it needs more than {limits.memory_megabytes} MB. {_HINT}"
    return said.removeprefix("InputError: ")
