"""Runs every benchmark, each in a process of its own, and fails when one of them is over its budget.

A benchmark is a module beside this one with a function ``main`` that prints its numbers and returns whether its budget
is kept. ``calibration`` has a target of its own in the Makefile, because it takes much longer.
"""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
APART = {"__main__", "calibration"}


def is_benchmark(path: Path) -> bool:
    """Tell whether a module has a function ``main``, without importing it."""
    return any(isinstance(one, ast.FunctionDef) and one.name == "main" for one in ast.parse(path.read_text()).body)


def main() -> int:
    """Run them one after another; 1 when any failed."""
    names = [module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in APART]
    failed = [
        name
        for name in names
        if is_benchmark(FOLDER / f"{name}.py")
        and subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=FOLDER.parent, check=False).returncode
    ]
    if failed:
        print(f"over budget or failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
