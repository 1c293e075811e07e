"""One hash for everything that decides what a training makes, so that a later try can tell whether it is the same.

It must neither miss a difference nor see one where there is none: representations leave out what is long and name
places in memory, so objects are taken apart where it is known how.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

# Where an object lies in memory differs from process to process and says nothing about it.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Airflow puts a hash of a DAG file's path before the name of its module.
_DAG_PREFIX = re.compile(r"^unusual_prefix_[0-9a-f]+_")


def input_sha256(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal digits, of named values.

    Parameters
    ----------
    parts : mapping of str to any
        Plain values, mappings, sequences and sets of them count by their content, in an order that does not depend on
        the process; estimators by class and parameters, dataclasses by class and fields, arrays and tables by their
        values, distributions by their arguments, functions by name, code, defaults and enclosed values. Of everything
        else the representation counts, without memory addresses.

    Examples
    --------
    >>> input_sha256({"seed": 0, "data": "ab"}) == input_sha256({"data": "ab", "seed": 0})
    True
    >>> input_sha256({"seed": 0}) == input_sha256({"seed": 1})
    False
    """
    return hashlib.sha256(_text(parts).encode()).hexdigest()


def _text(value: Any, within: frozenset[int] = frozenset()) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(value)
    if id(value) in within:
        return "(itself)"
    within |= {id(value)}
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(key)}:{_text(one, within)}" for key, one in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text(one, within) for one in value) + "]"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(_text(one, within) for one in value)) + ">"
    parts = _parts(value)
    if parts is not None:
        return f"({_name(type(value))} {_text(parts, within)})"
    return f"({type(value).__qualname__} {json.dumps(_ADDRESS.sub('', repr(value)))})"


def _parts(value: Any) -> list[Any] | dict[str, Any] | None:
    """Return what an object consists of; None where only its representation tells."""
    if isinstance(value, type):
        return [_name(value)]
    if isinstance(value, FunctionType):
        enclosed = list(map(_content, value.__closure__ or ()))
        return [_name(value), value.__code__, value.__defaults__, value.__kwdefaults__, enclosed]
    if isinstance(value, CodeType):
        return [value.co_qualname, value.co_code.hex(), value.co_consts, value.co_names]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if callable(getattr(value, "get_params", None)):
        # One level: nested estimators are among the values, at whatever depth of lists.
        return dict(value.get_params(deep=False))
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        content = value.tolist() if value.dtype.hasobject else hashlib.sha256(value.tobytes()).hexdigest()
        return [str(value.dtype), value.shape, content]
    if hasattr(value, "to_numpy"):
        return [value.to_numpy(), *(axis.to_numpy() for axis in getattr(value, "axes", ()))]
    if all(hasattr(value, name) for name in ("rvs", "dist", "args", "kwds")):
        return [_name(type(value.dist)), value.args, value.kwds]
    return None


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing was ever put in
        return None


def _name(value: Any) -> str:
    return f"{_DAG_PREFIX.sub('', value.__module__ or '')}.{value.__qualname__}"
