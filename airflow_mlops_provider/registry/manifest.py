"""What the files of a model are: their names, sizes and SHA-256, so that a later change of any of them is seen.

It looks at files and never into them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_mlops_provider.core.errors import InputError

# MLflow writes it into every local copy of a registered model.
IGNORED = frozenset({"registered_model_meta"})
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of one model.

    Parameters
    ----------
    files : mapping of str to (str, int)
        Path relative to the model's directory, with ``/``, to SHA-256 and size in bytes.
    """

    files: Mapping[str, tuple[str, int]]

    def to_text(self) -> str:
        """Return the manifest as one line of JSON, the same for the same files."""
        return json.dumps(
            {path: list(self.files[path]) for path in sorted(self.files)}, separators=(",", ":"), ensure_ascii=True
        )

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Return the manifest that a text stands for.

        Raises
        ------
        InputError
            It stands for none.
        """
        try:
            values = json.loads(text)
            return cls(files={str(path): (str(one[0]), int(one[1])) for path, one in values.items()})
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"A list of a model's files cannot be read: {error!r} in {text[:200]!r}.") from error

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest's text, which stands for all the files."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(size for _, size in self.files.values())

    def differences(self, found: Manifest) -> list[str]:
        """Return what is other in `found`, a phrase per file."""
        phrases = []
        for path in sorted({*self.files, *found.files}):
            recorded, present = self.files.get(path), found.files.get(path)
            if present is None:
                phrases.append(f"{path} is missing")
            elif recorded is None:
                phrases.append(f"{path} was added")
            elif recorded[1] != present[1]:
                phrases.append(f"{path} has {present[1]} bytes instead of {recorded[1]}")
            elif recorded != present:
                phrases.append(f"{path} has another content")
        return phrases


def manifest_of(directory: Path) -> Manifest:
    """Return the manifest of a local model directory.

    Parameters
    ----------
    directory : Path
        With plain files and directories only.

    Raises
    ------
    InputError
        It holds a link or a device: what such a thing leads to can change without the directory changing.
    """
    files: dict[str, tuple[str, int]] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(directory).as_posix()
            if relative in IGNORED:
                continue
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise InputError(f"A model's directory must hold plain files only; {relative!r} is none.")
            files[relative] = _digest(path)
    return Manifest(files=files)


def _digest(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
