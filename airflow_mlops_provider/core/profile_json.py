"""Writes profiles as JSON and reads them back as equal ones; must refuse whatever it would not have written itself.

The text is canonical: equal profiles give equal texts. Integers and floats in great number are packed (zlib, base64),
the rest can be read by people.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import AsinhGrid, CategoryGrid, Grid, NoGrid, ValueGrid
from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops_provider.core.sketch import N_REGISTERS

FORMAT = "airflow-mlops-provider/profile"
VERSION = 1

_GRIDS: dict[str, type[Any]] = {"asinh": AsinhGrid, "values": ValueGrid, "categories": CategoryGrid, "none": NoGrid}
_GRID_NAMES = {grid: name for name, grid in _GRIDS.items()}
_COUNTS = ("rows", "nulls", "nans", "positive_infinities", "negative_infinities", "mistyped", "other")
# No profile is near it; a damaged or hostile text must not fill the memory.
_MAX_PACKED_BYTES = 1 << 24


def write(profile: DatasetProfile) -> str:
    """Return the profile as JSON text."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "rows": profile.rows,
        "columns": [_column_to_json(column) for column in profile.columns],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(text: str | bytes) -> DatasetProfile:
    """Return the profile that `write` wrote.

    Raises
    ------
    InputError
        It is no profile, a damaged one, or one of another version.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"This is no profile but broken JSON: {error}. Hint: profile the data again.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"This JSON is no profile: its format is not {FORMAT!r}.")
    if document.get("version") != VERSION:
        raise InputError(
            f"The profile is of version {document.get('version')!r}, this package reads {VERSION}. "
            "Hint: profile the data again, or use the version of this package that wrote it."
        )
    try:
        columns = tuple(_column_from_json(column) for column in document["columns"])
        profile = DatasetProfile(rows=_count(document["rows"]), columns=columns)
        for column in columns:
            _check(column, profile)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, OverflowError) as error:
        raise InputError(f"The profile is damaged: {error!r}. Hint: profile the data again.") from error
    return profile


def _column_to_json(column: ColumnProfile) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "grid": _grid_to_json(column.grid),
        "types": list(column.types),
        "kinds": list(column.kinds),
        "rows": column.rows,
    }
    found |= {name: getattr(column, name) for name in _COUNTS[1:] if getattr(column, name)}
    if column.cells:
        gaps = [after - before for before, after in itertools.pairwise((0, *column.cells))]
        found["cells"] = _pack_integers([*gaps, *column.counts])
    if column.other_examples:
        found["other_examples"] = list(column.other_examples)
    if column.minimum is not None:
        found["minimum"], found["maximum"] = column.minimum, column.maximum
    if column.registers is not None:
        found["registers"] = _pack(column.registers)
    return found


def _column_from_json(found: dict[str, Any]) -> ColumnProfile:
    packed = _unpack_integers(found["cells"]) if "cells" in found else []
    half = len(packed) // 2
    return ColumnProfile(
        name=_text(found["name"]),
        grid=_grid_from_json(found["grid"]),
        types=tuple(_text(name) for name in found["types"]),
        kinds=tuple(found["kinds"]),
        **{name: _count(found.get(name, 0)) for name in _COUNTS},
        cells=tuple(itertools.accumulate(packed[:half])),
        counts=tuple(packed[half:]),
        other_examples=tuple(_text(name) for name in found.get("other_examples", ())),
        minimum=found.get("minimum"),
        maximum=found.get("maximum"),
        registers=_unpack(found["registers"]) if "registers" in found else None,
    )


def _grid_to_json(grid: Grid) -> dict[str, Any]:
    found: dict[str, Any] = {"type": _GRID_NAMES[type(grid)]}
    if isinstance(grid, AsinhGrid):
        found |= {"kind": grid.kind, "centre": grid.centre, "scale": grid.scale, "whole": grid.whole}
        found |= {"splits": _pack_floats(grid.splits)} if grid.splits else {}
    elif isinstance(grid, ValueGrid):
        found |= {"kind": grid.kind, "values": list(grid.values)}
    elif isinstance(grid, CategoryGrid):
        found |= {"kind": grid.kind, "categories": list(grid.categories), "complete": grid.complete}
    return found


def _grid_from_json(found: dict[str, Any]) -> Grid:
    fields = {name: value for name, value in found.items() if name != "type"}
    for name in ("values", "categories"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if "splits" in fields:
        fields["splits"] = _unpack_floats(fields["splits"])
    grid: Grid = _GRIDS[found["type"]](**fields)
    return grid


def _check(column: ColumnProfile, profile: DatasetProfile) -> None:
    """Check what a sound profile always fulfils."""
    accounted = (
        column.nulls
        + column.nans
        + column.positive_infinities
        + column.negative_infinities
        + column.mistyped
        + column.n_counted
    )
    sound = (
        column.rows <= profile.rows
        and (accounted <= column.rows if isinstance(column.grid, NoGrid) else accounted == column.rows)
        and len(column.cells) == len(column.counts)
        and all(0 <= cell < column.grid.n_cells for cell in column.cells)
        and all(before < after for before, after in itertools.pairwise(column.cells))
        and all(count > 0 for count in column.counts)
        and (column.registers is None or len(column.registers) == N_REGISTERS)
        and _is_range(column.minimum, column.maximum)
    )
    if not sound:
        raise ValueError(f"the counts of column {column.name!r} contradict each other")


def _is_range(low: float | int | None, high: float | int | None) -> bool:
    if low is None or high is None:
        return low is high
    return low <= high


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _pack(content: bytes) -> str:
    return b64encode(zlib.compress(content, 9)).decode("ascii")


def _unpack(text: str) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(b64decode(text, validate=True), _MAX_PACKED_BYTES)
    if not unpacker.eof:
        raise ValueError("packed numbers are cut off or too many")
    return content


def _pack_integers(values: Sequence[int]) -> str:
    """Pack integers from 0 in groups of 7 bits, the lowest first, the top bit set on all but the last of each."""
    content = bytearray()
    for value in values:
        while value > 127:
            content.append(value & 127 | 128)
            value >>= 7
        content.append(value)
    return _pack(bytes(content))


def _unpack_integers(text: str) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in _unpack(text):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    if shift or len(found) % 2:
        raise ValueError("packed counts are cut off")
    return found


def _pack_floats(values: Sequence[float]) -> str:
    return _pack(struct.pack(f"<{len(values)}d", *values))


def _unpack_floats(text: str) -> tuple[float, ...]:
    content = _unpack(text)
    return struct.unpack(f"<{len(content) // 8}d", content)
