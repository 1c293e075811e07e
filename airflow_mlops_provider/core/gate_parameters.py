"""Checks of gates' parameters, made when a gate is constructed, which is when the DAG file is parsed.

It must never import more than the standard library and the table of metrics.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from airflow_mlops_provider.core.errors import InputError


def check_number(gate: str, name: str, value: Any, *, low: float = -inf, high: float = inf) -> None:
    """Raise :class:`InputError` unless the parameter is a finite number in [low, high].

    Examples
    --------
    >>> check_number("min_metric", "threshold", float("nan"))
    Traceback (most recent call last):
        ...
    airflow_mlops_provider.core.errors.InputError: threshold of gate 'min_metric' must be a finite number; got nan.
    """
    # True is an int to Python, and never meant as a number here.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InputError(f"{name} of gate {gate!r} must be a finite number; got {value!r}.")
    if not low <= value <= high:
        wanted = f"at least {low:g}" if high == inf else f"from {low:g} to {high:g}"
        raise InputError(f"{name} of gate {gate!r} must be {wanted}; got {value!r}.")


def check_count(gate: str, name: str, value: Any) -> None:
    """Raise :class:`InputError` unless the parameter is a whole number, at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} of gate {gate!r} must be a whole number, at least 1; got {value!r}.")


def check_flag(gate: str, name: str, value: Any) -> None:
    """Raise :class:`InputError` unless the parameter is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} of gate {gate!r} must be True or False; got {value!r}.")
