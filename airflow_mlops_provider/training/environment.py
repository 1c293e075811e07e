"""What else a model depends on: pinned packages, Python, commit; reads the machine, never changes it."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

GIT_TIMEOUT_SECONDS = 10
# What any model saved by this package needs to be loaded and fed; top-level package to distribution.
ALWAYS = {"numpy": "numpy", "pandas": "pandas", "sklearn": "scikit-learn", "scipy": "scipy", "skops": "skops"}


def requirements_of(model: Any) -> list[str]:
    """Return the pinned requirements of what a fitted model imports.

    Parameters
    ----------
    model : fitted estimator
        Its parts are visited through ``get_params``.

    Returns
    -------
    list of str
        ``name==version``, sorted.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> [line.partition("==")[0] for line in requirements_of(LogisticRegression())]
    ['numpy', 'pandas', 'scikit-learn', 'scipy', 'skops']
    """
    roots = {type(part).__module__.partition(".")[0] for part in (model, *model.get_params(deep=True).values())}
    others = roots - set(ALWAYS) - set(sys.stdlib_module_names)
    names = set(ALWAYS.values())
    if others:
        # It reads the file list of every installed distribution, which takes a second.
        distributions = packages_distributions()
        names |= {name for root in others for name in distributions.get(root, ())}
    return [f"{name}=={version(name)}" for name in sorted(names)]


def python_version() -> str:
    """Return the running Python's version, such as ``3.11.7``."""
    return platform.python_version()


def git_commit(folder: Path) -> str | None:
    """Return the commit that `folder` is checked out at, with ``-dirty`` when files differ; None without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - whichever git the worker has
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
