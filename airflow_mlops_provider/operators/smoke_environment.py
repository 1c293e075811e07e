"""The interpreter in which a version is tried: a clean environment of its recorded requirements, or the worker's own.

Nothing of the worker's packages is visible in a clean environment but the code of this one, which is linked into it.
It is made for one trial and removed afterwards; the worker's own environment is never changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import airflow_mlops_provider
from airflow_mlops_provider.core.errors import InputError

Environment = Literal["recorded", "current"]
# Rows reach the process as Arrow, which no model requires.
BESIDE_THE_MODEL = ("pyarrow",)
_LAST_CHARACTERS = 300
_NOT_VOUCHED_FOR = (
    "nobody wrote down the hash of the recorded requirements, so they are not installed; train the model again to have "
    "them tried, or ask for environment='current'"
)
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.+!_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that can load a model and run this package's code.

    Parameters
    ----------
    python : str
        Path of the interpreter.
    search_path : str
        Value of its ``PYTHONPATH``.
    environment : {"recorded", "current"}
        Which packages it sees.
    note : str or None
        Why it is not the one that was wanted.
    """

    python: str
    search_path: str
    environment: Environment
    note: str | None = None


def check_environment(wanted: str) -> None:
    """Refuse a name of an environment that there is not."""
    if wanted not in get_args(Environment):
        raise InputError(
            f"environment of SmokeTestModelOperator must be one of {', '.join(get_args(Environment))}; got {wanted!r}."
        )


def check_pinned(requirements: Sequence[object]) -> None:
    """Refuse requirements that are more than a name and a version: pip takes options, addresses and paths as well."""
    for one in requirements:
        if not isinstance(one, str) or not _PINNED.fullmatch(one):
            raise InputError(
                f"A recorded requirement must be like 'scikit-learn==1.9.0'; got {one!r}, and nothing was installed. "
                "Hint: find out who wrote it; use environment='current' until the model is trained again."
            )


@contextmanager
def interpreter(wanted: str, *, requirements: Sequence[str] | None, timeout_seconds: float) -> Iterator[Interpreter]:
    """Make an interpreter ready, and remove it afterwards.

    Parameters
    ----------
    wanted : {"recorded", "current"}
        A clean environment of the requirements, or the worker's. When the packages cannot be had, the worker's serves
        and the note says why.
    requirements : sequence of str or None
        Such as ``scikit-learn==1.9.0``; None when nobody can tell whether they are those of training.
    timeout_seconds : float
        After which installing is given up.

    Raises
    ------
    InputError
        A requirement is not a name and a version.
    """
    if wanted == "current":
        yield _current()
        return
    if requirements is None:
        yield _current(note=_NOT_VOUCHED_FOR)
        return
    check_pinned(requirements)
    with tempfile.TemporaryDirectory(prefix="mlops-environment-") as folder:
        why = _install(Path(folder), requirements, timeout_seconds)
        if why is not None:
            yield _current(note=why)
            return
        code = Path(folder) / "code"
        code.mkdir()
        package = Path(airflow_mlops_provider.__file__).parent
        (code / package.name).symlink_to(package, target_is_directory=True)
        yield Interpreter(python=str(_python(Path(folder))), search_path=str(code), environment="recorded")


def _current(note: str | None = None) -> Interpreter:
    # The DAG's folder may hold the types that the user vouches for.
    path = os.pathsep.join(one for one in sys.path if one)
    return Interpreter(python=sys.executable, search_path=path, environment="current", note=note)


def _python(folder: Path) -> Path:
    return folder / "environment" / "bin" / "python"


def _install(folder: Path, requirements: Sequence[str], timeout_seconds: float) -> str | None:
    """Install requirements into an environment below a folder; return why it did not succeed, or None."""
    beside = [f"{name}=={version(name)}" for name in BESIDE_THE_MODEL]
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]
    for command in (
        [sys.executable, "-m", "venv", str(folder / "environment")],
        [str(_python(folder)), *install, "--", *requirements, *beside],
    ):
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and requirements are names with versions, after all options
                command, env=_variables(), capture_output=True, text=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return f"the recorded requirements were not installed within {timeout_seconds:g} s"
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-_LAST_CHARACTERS:]
            return f"the recorded requirements cannot be installed: {said}"
    return None


def _variables() -> dict[str, str]:
    """Return the worker's variables, by which pip finds its index, without those that show the worker's packages."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
