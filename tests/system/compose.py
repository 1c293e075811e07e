"""``docker-compose.yaml`` read, so that the topology of the tests is the one it describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parent.parent.parent / "docker-compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+):\?[^}]*\}")


def load() -> dict[str, Any]:
    """Return the file as it is."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def resolve(value: Any, *, variables: Mapping[str, str], places: Mapping[str, str]) -> Any:
    """Return a part of the file with variables put in, and addresses and paths of containers replaced by `places`."""
    if isinstance(value, dict):
        return {key: resolve(one, variables=variables, places=places) for key, one in value.items()}
    if isinstance(value, list):
        return [resolve(one, variables=variables, places=places) for one in value]
    text = VARIABLE.sub(lambda match: variables[match[1]], str(value))
    for container, here in places.items():
        text = text.replace(container, here)
    return text
