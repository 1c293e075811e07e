"""Profiling and checking a Parquet file: speed over decoding alone and over other tools, and memory.

Everything runs in processes of its own, on the same files, in one run. This process stays small, because Linux counts
the memory of a parent as that of its children. Evidently, NannyML and plain SciPy each have an environment, made once
in the user's cache folder; one that needs more time (``BENCH_PEER_SECONDS``) or memory (what is free) than it may is
said to. All peers together may take hours at ten million rows: each figure is kept as soon as it is there, and
``BENCH_RESUME=1`` goes on from those. ``BENCH_PEERS=scipy`` names the peers to run, ``BENCH_PEERS=none`` runs none;
``BENCH_ROWS`` sets the sizes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

RATIO_BUDGET = 3.0
MEGABYTES_BUDGET = 300
GROWTH_BUDGET = 1.2
CHECK_SECONDS_BUDGET = 1.0
# How many times faster than each at a million rows; a peer without figures breaks no budget, and is said.
PEER_BUDGETS = {"evidently": 100.0, "nannyml": 5.0, "scipy": 5.0}
ROWS = (100_000, 1_000_000, 10_000_000)
# Evidently takes two minutes for a million rows.
PEER_SECONDS = 1800
_HERE = Path(__file__).parent
_PEERS = {
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "nannyml": ("nannyml==0.13.1", "pandas<3", "pyarrow", "statsmodels"),
    "scipy": ("scipy==1.17.1", "pandas<3", "pyarrow"),
}


class PeerFailedError(RuntimeError):
    """A process that did not come to its end, and why."""


def run(
    *arguments: object, python: str | Path = sys.executable, seconds: float | None = None, memory: int | None = None
) -> dict[str, float]:
    """Run a script in a process of its own; return what it prints, with the seconds of the whole process.

    Parameters
    ----------
    *arguments : object
        Of the interpreter.
    python : str or pathlib.Path
        The interpreter.
    seconds : float, optional
        Most time by the clock.
    memory : int, optional
        Most bytes of address space.
    """

    def limit() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    began = time.perf_counter()
    try:
        done = subprocess.run(
            [str(python), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=_HERE.parent,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            timeout=seconds,
            preexec_fn=limit,
        )
    except subprocess.TimeoutExpired:
        raise PeerFailedError(f"more than {seconds:g} s") from None
    if done.returncode:
        raise PeerFailedError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"process_s": time.perf_counter() - began, **found}


def cache() -> Path:
    """Return the folder for what is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airflow-mlops-provider-benchmarks"


def peers() -> list[str]:
    """Return the names of the peers to run."""
    wanted = os.environ.get("BENCH_PEERS", "")
    if wanted in {"", "1", "all"}:
        return list(_PEERS)
    names = [] if wanted in {"0", "none"} else wanted.split(",")
    if unknown := set(names) - set(_PEERS):
        raise SystemExit(f"BENCH_PEERS must name some of {', '.join(_PEERS)}; got {', '.join(sorted(unknown))}.")
    return names


def peer_figures(name: str, n_rows: int, reference: Path, current: Path) -> dict[str, Any]:
    """Return the figures of a peer, or under ``failed`` why there are none; kept for a run that goes on."""
    kept = cache() / "peers.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    key = f"{_PEERS[name][0]} {n_rows}"
    if os.environ.get("BENCH_RESUME") and key in known:
        return {**known[key], "earlier": True}
    python = peer_python(name)
    if python is None:
        return {"failed": "it could not be installed"}
    seconds = float(os.environ.get("BENCH_PEER_SECONDS", PEER_SECONDS))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Address space, of which libraries reserve more than they use.
    memory = int(0.9 * free) + (4 << 30)
    try:
        found: dict[str, Any] = run(
            _HERE / "peers" / f"run_{name}.py", reference, current, python=python, seconds=seconds, memory=memory
        )
    except PeerFailedError as error:
        found = {"failed": str(error).splitlines()[-1]}
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({**known, key: found}, indent=1))
    part.replace(kept)
    return found


def peer_python(name: str) -> Path | None:
    """Return the interpreter of a tool's environment, made if need be; None when it cannot be installed."""
    folder = cache() / name
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"profile: installing {_PEERS[name][0]} into {folder}", file=sys.stderr)
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
    # The budget is for a million rows.
    passed = n_rows > 1_000_000 or _keeps("check, s", ours["process_s"], CHECK_SECONDS_BUDGET)
    for name in peers():
        theirs = peer_figures(name, n_rows, reference, current)
        if "failed" in theirs:
            print(f"check: {n_rows:>10,} rows, {name}: no figures, {theirs['failed']}")
            continue
        ratio = theirs["process_s"] / ours["process_s"]
        print(
            f"check: {n_rows:>10,} rows, {name}, both sides, whole process {theirs['process_s']:.2f} s (computing "
            f"{theirs['seconds']:.2f}), {theirs['megabytes']:.0f} MB: {ratio:.1f} x"
            f"{', of an earlier run' if theirs.get('earlier') else ''}"
        )
        if n_rows == 1_000_000:
            passed &= _keeps(f"speed over {name}", ratio, PEER_BUDGETS[name], at_least=True)
    reference.unlink()
    return passed


def _keeps(what: str, value: float, budget: float, *, at_least: bool = False) -> bool:
    passed = value >= budget if at_least else value <= budget
    print(f"    {what}: {value:.2f}, budget {budget:g}: {'ok' if passed else 'UNDER' if at_least else 'OVER'}")
    return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
