"""Profiling and checking a Parquet file: speed over decoding alone and over other tools, and memory.

Everything runs in processes of its own, on the same files, in one run. This process stays small, because Linux counts
the memory of a parent as that of its children. ``BENCH_PEERS=1`` also runs Evidently and
NannyML, each in an environment that is made once in the user's cache folder; ``BENCH_ROWS`` sets the sizes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

RATIO_BUDGET = 3.0
MEGABYTES_BUDGET = 300
GROWTH_BUDGET = 1.2
CHECK_SECONDS_BUDGET = 1.0
ROWS = (100_000, 1_000_000, 10_000_000)
# Evidently takes two minutes for a million rows.
PEER_ROWS = 1_000_000
_HERE = Path(__file__).parent
_PEERS = {
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "nannyml": ("nannyml==0.13.1", "pandas<3", "pyarrow", "statsmodels"),
}


def run(*arguments: object, python: str | Path = sys.executable) -> dict[str, float]:
    """Run a script in a process of its own; return what it prints, with the seconds of the whole process."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(python), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=_HERE.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    if done.returncode:
        raise RuntimeError(f"{arguments} failed: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"process_s": time.perf_counter() - began, **found}


def peer_python(name: str) -> Path | None:
    """Return the interpreter of a tool's environment, made if need be; None when it cannot be installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "airflow-mlops-provider-benchmarks" / name
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"profile: installing {_PEERS[name][0]} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *_PEERS[name]], capture_output=True, text=True
        )
        if done.returncode:
            print(f"profile: {name} is left out, it could not be installed: {done.stderr.strip()[-300:]}")
            return None
        ready.touch()
    return python


def _write(path: Path, n_rows: int, *, seed: int, shift: float = 0.0) -> None:
    run("-m", "benchmarks.profile_data", path, n_rows, seed, shift)


def main() -> bool:
    """Print all figures; return whether those that have a budget keep it."""
    sizes = [int(n) for n in os.environ.get("BENCH_ROWS", "").split(",") if n] or list(ROWS)
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as name:
        folder = Path(name)
        reference = folder / "reference.parquet"
        _write(reference, min(1_000_000, max(sizes)), seed=1)
        stored = folder / "reference.json"
        made = run("-m", "benchmarks.profile_probe", "reference", reference, stored)
        print(
            f"profile: {stored.stat().st_size / 1000:.0f} kB; a reference of {min(1_000_000, max(sizes)):,} rows takes "
            f"{made['seconds']:.2f} s in two passes, {made['megabytes']:.0f} MB"
        )
        passed, megabytes = True, {}
        for n_rows in sizes:
            current = folder / f"current_{n_rows}.parquet"
            _write(current, n_rows, seed=2, shift=0.05)
            passed &= _compare_with_decoding(current, stored, n_rows, megabytes)
            if n_rows <= PEER_ROWS:
                passed &= _compare_with_peers(folder, current, stored, n_rows)
            current.unlink()
    if {1_000_000, 10_000_000} <= set(megabytes):
        growth = megabytes[10_000_000] / megabytes[1_000_000]
        passed &= _keeps("peak memory at 10M rows over 1M", growth, GROWTH_BUDGET)
    return passed


def _compare_with_decoding(current: Path, stored: Path, n_rows: int, megabytes: dict[int, float]) -> bool:
    alone = run("-m", "benchmarks.profile_probe", "profile", current, stored)
    both = run("-m", "benchmarks.profile_probe", "ratio", current, stored)
    megabytes[n_rows] = alone["megabytes"]
    print(
        f"profile: {n_rows:>10,} rows, decoding {both['decode_s']:.3f} s, profile {both['profile_s']:.3f} s, "
        f"{both['ratio']:.2f} x by the clock; {alone['megabytes']:.0f} MB"
    )
    # The clock is unfair to the longer of two on a machine that others use, so the budget is on CPU time.
    if n_rows < 1_000_000:
        # There the fixed costs of 37 columns are what is measured.
        return True
    return _keeps("CPU time over decoding", both["cpu_ratio"], RATIO_BUDGET) & _keeps(
        "peak memory, MB", alone["megabytes"], MEGABYTES_BUDGET
    )


def _compare_with_peers(folder: Path, current: Path, stored: Path, n_rows: int) -> bool:
    reference = folder / f"reference_{n_rows}.parquet"
    _write(reference, n_rows, seed=1)
    tries = [run("-m", "benchmarks.profile_probe", "check", current, stored) for _ in range(5)]
    ours = min(tries, key=lambda one: one["process_s"])
    print(
        f"check: {n_rows:>10,} rows, ours, whole process {ours['process_s']:.2f} s (profile {ours['profile_s']:.2f}, "
        f"decision {ours['decide_s']:.2f}), {ours['megabytes']:.0f} MB"
    )
    passed = _keeps("check, s", ours["process_s"], CHECK_SECONDS_BUDGET)
    pythons: dict[str, Path | None] = {"scipy": Path(sys.executable)}
    if os.environ.get("BENCH_PEERS"):
        pythons |= {name: peer_python(name) for name in _PEERS}
    else:
        print("check: Evidently and NannyML are left out. Hint: BENCH_PEERS=1 make bench")
    for name, python in pythons.items():
        if python is None:
            continue
        theirs = run(_HERE / "peers" / f"run_{name}.py", reference, current, python=python)
        print(
            f"check: {n_rows:>10,} rows, {name}, both sides, whole process {theirs['process_s']:.2f} s (computing "
            f"{theirs['seconds']:.2f}), {theirs['megabytes']:.0f} MB: {theirs['process_s'] / ours['process_s']:.1f} x"
        )
    reference.unlink()
    return passed


def _keeps(what: str, value: float, budget: float) -> bool:
    passed = value <= budget
    print(f"    {what}: {value:.2f}, budget {budget:g}: {'ok' if passed else 'OVER'}")
    return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
