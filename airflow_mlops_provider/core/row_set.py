"""Remembers which rows a model was trained on, in two bytes a row; must never forget one it was given.

Evaluation asks it which rows to leave out. An answer of "seen" for a new row costs that row; an answer of "new" for
a training row would flatter the model, and cannot happen.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import blake2b
from math import exp
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

_MAGIC = b"ROWSET"
_VERSION = 1
# Magic, version, number of probes, distinct rows, checksum of the bits.
_HEADER = struct.Struct("<6sBBQ16s")
_N_PROBES = 11
_BYTES_PER_ROW = 2
# Probes coincide on a handful of bits; the header and this floor together stay within 64 bytes.
_MIN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSet:
    """A Bloom filter over row hashes: 16 bits a distinct row, 11 probes, no false negatives.

    Probe i of hash h is bit ``(mix1(h) + i * mix2(h) + (i**3 - i) / 6) mod m`` (enhanced double hashing). A row that
    was never added is reported as contained with probability about ``(1 - exp(-k * n / m))**k``, which is 0.00046
    when k = 11 and m = 16 n, assuming that the hashes are uniform, as those of ``core.row_hash`` are. Sets of fewer
    than about 100 rows err up to 0.001.

    Parameters
    ----------
    n_rows : int
        Number of distinct rows in the set.
    bits : bytes
        The filter, least significant bit first.

    References
    ----------
    Bloom (1970), Space/time trade-offs in hash coding with allowable errors, CACM 13(7). Kirsch and Mitzenmacher
    (2006), Less hashing, same performance: building a better Bloom filter, ESA, sections 3 and 5; the cubic term is of
    Dillinger and Manolios (2004), Bloom filters in probabilistic verification, FMCAD.

    Examples
    --------
    >>> import numpy as np
    >>> rows = RowSet.of(np.array([3, 5, 3], dtype=np.uint64))
    >>> rows.n_rows, rows.contains(np.array([5, 6], dtype=np.uint64)).tolist()
    (2, [True, False])
    """

    n_rows: int
    bits: bytes = field(repr=False)

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64]) -> RowSet:
        """Build the set of these row hashes.

        Parameters
        ----------
        hashes : uint64 array, shape (n,)
            Hashes of rows in any order; repetitions take no space.

        Returns
        -------
        RowSet
            Contains each of `hashes`.

        Raises
        ------
        InputError
            `hashes` is not a one-dimensional uint64 array.
        """
        import numpy as np

        distinct = np.unique(_checked(hashes))
        if not len(distinct):
            return cls(n_rows=0, bits=b"")
        n_bytes = max(_MIN_BYTES, _BYTES_PER_ROW * len(distinct))
        is_set = np.zeros(8 * n_bytes, dtype=np.bool_)
        for positions in _probes(distinct, n_bits=8 * n_bytes):
            is_set[positions] = True
        return cls(n_rows=len(distinct), bits=np.packbits(is_set, bitorder="little").tobytes())

    def contains(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Tell for each hash whether its row may be in the set.

        Parameters
        ----------
        hashes : uint64 array, shape (n,)
            Hashes of rows.

        Returns
        -------
        bool array, shape (n,)
            True for every row of the set, and for others at `false_positive_rate`.

        Raises
        ------
        InputError
            `hashes` is not a one-dimensional uint64 array.
        """
        import numpy as np

        hashes = _checked(hashes)
        if not self.n_rows:
            return np.zeros(len(hashes), dtype=np.bool_)
        packed = np.frombuffer(self.bits, dtype=np.uint8)
        found = np.ones(len(hashes), dtype=np.bool_)
        for positions in _probes(hashes, n_bits=8 * len(packed)):
            byte = packed[positions >> np.uint64(3)]
            found &= (byte >> (positions & np.uint64(7)).astype(np.uint8)) & np.uint8(1) == 1
        return found

    @property
    def false_positive_rate(self) -> float:
        """Expected share of unseen rows that `contains` takes for members, by the formula above."""
        if not self.n_rows:
            return 0.0
        return float((1 - exp(-_N_PROBES * self.n_rows / (8 * len(self.bits)))) ** _N_PROBES)

    def to_bytes(self) -> bytes:
        """Return at most ``64 + 2 * n_rows`` bytes that `from_bytes` reads."""
        return _HEADER.pack(_MAGIC, _VERSION, _N_PROBES, self.n_rows, _checksum(self.n_rows, self.bits)) + self.bits

    @classmethod
    def from_bytes(cls, stored: bytes) -> RowSet:
        """Read what `to_bytes` wrote.

        Parameters
        ----------
        stored : bytes
            The whole stored set.

        Returns
        -------
        RowSet
            Equal to the one that was written.

        Raises
        ------
        InputError
            The bytes are not a row set, are of an unknown version, truncated or damaged.
        """
        if len(stored) < _HEADER.size or not stored.startswith(_MAGIC):
            raise InputError(f"The {len(stored)} bytes are not a stored row set. Hint: log the model version again.")
        _, version, n_probes, n_rows, checksum = _HEADER.unpack_from(stored)
        if (version, n_probes) != (_VERSION, _N_PROBES):
            raise InputError(
                f"The row set is of version {version} with {n_probes} probes; this release reads version {_VERSION} "
                f"with {_N_PROBES}. Hint: use the release that trained the model, or train it again."
            )
        bits = bytes(stored[_HEADER.size :])
        if checksum != _checksum(n_rows, bits):
            raise InputError(
                f"The row set of {n_rows} rows is truncated or damaged: its checksum does not match its {len(bits)} "
                "bytes. Hint: restore the model version's files, or train again."
            )
        return cls(n_rows=n_rows, bits=bits)


def _checksum(n_rows: int, bits: bytes) -> bytes:
    return blake2b(bits, digest_size=16, salt=n_rows.to_bytes(16, "little")).digest()


def _checked(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    import numpy as np

    if not isinstance(hashes, np.ndarray) or hashes.dtype != np.uint64 or hashes.ndim != 1:
        got = f"{hashes.dtype} of shape {hashes.shape}" if isinstance(hashes, np.ndarray) else type(hashes).__name__
        raise InputError(f"Row hashes must be a one-dimensional uint64 array; got {got}. Hint: use hash_rows.")
    return hashes


def _probes(hashes: npt.NDArray[np.uint64], *, n_bits: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the bit positions of each probe; the two hashes are two odd multiples, folded, of the given one."""
    import numpy as np

    first = hashes * np.uint64(0x9E3779B97F4A7C15)
    first ^= first >> np.uint64(32)
    # Odd, so that the probes of a row differ where the number of bits is a power of two.
    step = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    step = (step ^ (step >> np.uint64(32))) | np.uint64(1)
    for i in range(_N_PROBES):
        yield first % np.uint64(n_bits)
        first = first + step
        # Without it, a step that shares a factor with the number of bits would revisit few bits.
        step = step + np.uint64(i + 1)
