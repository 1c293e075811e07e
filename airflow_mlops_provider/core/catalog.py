"""Finds gates and drift methods by listing their folders, so that a new file is a new one; only it uses ``importlib``.

Listing must never import what it lists: DAG files check literal names at each parse.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any

from airflow_mlops_provider.core.errors import InputError

# Folder of `core` -> the name under which each of its modules exports its one thing.
_EXPORTS = {"drift": "METHOD", "gates": "GATE"}
# What one of them is called in messages.
_NOUNS = {"drift": "drift method", "gates": "gate"}


@cache
def names(kind: str) -> tuple[str, ...]:
    """List the keys of one kind, which are its file names, without importing them.

    Parameters
    ----------
    kind : str
        Folder of ``core``: ``"drift"`` or ``"gates"``.

    Returns
    -------
    tuple of str
        Sorted.

    Raises
    ------
    InputError
        There is no such folder.

    Examples
    --------
    >>> "min_metric" in names("gates")
    True
    """
    if kind not in _EXPORTS:
        raise unknown("kind", kind, _EXPORTS)
    folder = importlib.import_module(f"airflow_mlops_provider.core.{kind}")
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")))


def load(kind: str, name: str) -> Any:
    """Import one thing by its key.

    Parameters
    ----------
    kind : str
        As for :func:`names`.
    name : str
        One of ``names(kind)``.

    Returns
    -------
    object
        What the module exports: for a gate or a method its class.

    Raises
    ------
    InputError
        There is none of that name; the message lists the known ones.

    Examples
    --------
    >>> load("gates", "min_rows").__name__
    'MinRows'
    """
    known = names(kind)
    if name not in known:
        raise unknown(_NOUNS[kind], name, known)
    return getattr(importlib.import_module(f"airflow_mlops_provider.core.{kind}.{name}"), _EXPORTS[kind])


def unknown(what: str, got: object, known: Iterable[str]) -> InputError:
    """Build the error for a name that does not exist, with the known ones and the closest of them.

    Parameters
    ----------
    what : str
        What the name should have named, e.g. ``"gate"``.
    got : object
        The name as the user wrote it.
    known : iterable of str
        The names that exist.

    Examples
    --------
    >>> print(unknown("metric", "roc-auc", ["rmse", "roc_auc"]))
    Unknown metric 'roc-auc'. Known: rmse, roc_auc. Hint: did you mean 'roc_auc'?
    """
    known = sorted(known)
    if not known:
        return InputError(f"Unknown {what} {got!r}. There are none.")
    close = difflib.get_close_matches(str(got), known, n=1)
    hint = f" Hint: did you mean {close[0]!r}?" if close else " Hint: use one of the known ones."
    return InputError(f"Unknown {what} {got!r}. Known: {', '.join(known)}.{hint}")
