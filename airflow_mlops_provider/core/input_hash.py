"""One hash for everything that decides what a training makes, so that a later try can tell whether it is the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

# Where an object lies in memory differs from process to process and says nothing about it.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def input_sha256(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal digits, of named values.

    Parameters
    ----------
    parts : mapping of str to any
        Plain values, mappings, sequences and sets of them count by their content, in an order that does not depend on
        the process; of everything else the representation counts, without memory addresses.

    Examples
    --------
    >>> input_sha256({"seed": 0, "data": "ab"}) == input_sha256({"data": "ab", "seed": 0})
    True
    >>> input_sha256({"seed": 0}) == input_sha256({"seed": 1})
    False
    """
    return hashlib.sha256(_text(parts).encode()).hexdigest()


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(key)}:{_text(one)}" for key, one in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(map(_text, value))) + ">"
    return f"({type(value).__qualname__} {json.dumps(_ADDRESS.sub('', repr(value)))})"
