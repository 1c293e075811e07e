"""Runs every benchmark, each in a process of its own, and fails when one of them is over its budget.

A benchmark is a module beside this one with a function ``main`` that prints its numbers and returns whether its budget
is kept. What they print is kept in ``results/bench.txt``. ``calibration`` has a target of its own in the Makefile,
because it takes much longer.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results" / "bench.txt"
APART = {"__main__", "calibration"}
NAMED = ("pyarrow", "numpy", "scikit-learn", "apache-airflow")


def is_benchmark(path: Path) -> bool:
    """Tell whether a module has a function ``main``, without importing it."""
    return any(isinstance(one, ast.FunctionDef) and one.name == "main" for one in ast.parse(path.read_text()).body)


def run(name: str, kept: list[str]) -> bool:
    """Run one, show its lines as they come and keep them; whether it kept its budgets."""
    command = [sys.executable, "-u", "-m", f"benchmarks.{name}"]
    with subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            kept.append(line)
    return process.returncode == 0


def main() -> int:
    """Run them one after another; 1 when any failed."""
    names = [module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in APART]
    libraries = ", ".join(f"{name} {version(name)}" for name in NAMED)
    kept = [f"{os.cpu_count()} cores, Python {platform.python_version()}, {libraries}\n"]
    failed = [name for name in names if is_benchmark(FOLDER / f"{name}.py") and not run(name, kept)]
    RESULTS.write_text("".join(kept))
    if failed:
        print(f"over budget or failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
