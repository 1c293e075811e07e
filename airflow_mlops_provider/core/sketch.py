"""Estimates how many distinct values a column holds in a kilobyte; must give the same for any order and batching.

The registers of two sketches merge by their maximum, so a sketch of parts is the sketch of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Hashes: TypeAlias = npt.NDArray[np.uint64]

_INDEX_BITS = 10
N_REGISTERS = 1 << _INDEX_BITS
# Bytes of text hashed at once, which bounds the memory of the pass: some 50 times as much.
_BYTES_AT_ONCE = 1 << 18


class DistinctSketch:
    """HyperLogLog with 1,024 registers.

    References
    ----------
    Flajolet, Fusy, Gandouet, Meunier (2007), HyperLogLog, AofA, figure 3. The estimate is the one of Ertl (2017), New
    cardinality estimation algorithms for HyperLogLog sketches, arXiv:1702.01284, algorithm 6, which has no bias at
    either end. Its relative standard error is about 1.04 / sqrt(1024) = 3.3 %, and less below 1,000.

    Examples
    --------
    >>> import numpy as np
    >>> sketch = DistinctSketch()
    >>> sketch.add(hash_integers(np.arange(100_000)))
    >>> abs(sketch.estimate() / 100_000 - 1) < 0.1
    True
    """

    __slots__ = ("_registers",)

    def __init__(self, registers: bytes = bytes(N_REGISTERS)) -> None:
        import numpy as np

        self._registers = np.frombuffer(registers, dtype=np.uint8).copy()

    def add(self, hashes: Hashes) -> None:
        """Count values by their 64-bit hashes, which must be uniform."""
        import numpy as np

        index = (hashes >> np.uint64(64 - _INDEX_BITS)).astype(np.intp)
        # 53 of the remaining bits, which float64 holds exactly; frexp then gives the position of the first one.
        rest = ((hashes >> np.uint64(1)) & np.uint64((1 << 53) - 1)).astype(np.float64)
        rank = (54 - np.frexp(rest)[1]).astype(np.uint8)
        np.maximum.at(self._registers, index, rank)

    def to_bytes(self) -> bytes:
        """Return the registers."""
        return self._registers.tobytes()

    def estimate(self) -> float:
        """Return the estimated number of distinct values, 0 when none was added."""
        import math

        import numpy as np

        counts = np.bincount(self._registers, minlength=55).tolist()
        m, q = float(N_REGISTERS), 53
        z = m * _tau(1.0 - counts[q + 1] / m)
        for k in range(q, 0, -1):
            z = 0.5 * (z + counts[k])
        z += m * _sigma(counts[0] / m)
        return 0.0 if math.isinf(z) else m * m / (2.0 * math.log(2.0) * z)


def merge_registers(first: bytes, second: bytes) -> bytes:
    """Return the registers of the union."""
    import numpy as np

    return np.maximum(np.frombuffer(first, np.uint8), np.frombuffer(second, np.uint8)).tobytes()


def hash_integers(values: npt.NDArray[Any]) -> Hashes:
    """Hash integers of any width; equal numbers hash alike, whatever their type."""
    import numpy as np

    bits = values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)
    return _mix(bits)


def hash_floats(values: npt.NDArray[np.float64]) -> Hashes:
    """Hash finite floats; whole ones like the integers they equal."""
    import numpy as np

    whole = (values == np.floor(values)) & (np.abs(values) < 2.0**63)
    integers = np.where(whole, values, 0.0).astype(np.int64).view(np.uint64)
    return _mix(np.where(whole, integers, values.view(np.uint64)))


def hash_texts(texts: pa.Array) -> Hashes:
    """Hash texts without a Python object for each.

    The hash is ``mix(sum over bytes of mix(256 * position + byte))`` in 64-bit wrapping arithmetic, ``mix``
    being SplitMix64's finaliser: additive tabulation hashing with a table for each position; and BLAKE2b for the
    rare text longer than 256 KiB. It is not meant to resist chosen texts.

    Parameters
    ----------
    texts : pyarrow.LargeStringArray
        Without nulls.

    Returns
    -------
    uint64 array, shape (n,)
        Equal texts have equal hashes.
    """
    import numpy as np

    n = len(texts)
    hashes = np.zeros(n, dtype=np.uint64)
    if not n:
        return hashes
    _, offset_buffer, data = texts.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[texts.offset : texts.offset + n + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    start = 0
    while start < n:
        end = min(n, int(np.searchsorted(offsets, offsets[start] + _BYTES_AT_ONCE, side="right")) - 1)
        if end > start:
            hashes[start:end] = _hash_span(content, offsets[start : end + 1])
        else:
            end = start + 1
            hashes[start] = _hash_long(content[offsets[start] : offsets[end]].tobytes())
        start = end
    return hashes


def _hash_long(text: bytes) -> int:
    from hashlib import blake2b

    return int.from_bytes(blake2b(text, digest_size=8, person=b"sketch").digest(), "little")


def _hash_span(content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Hashes:
    import numpy as np

    first, last = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets)
    positions = np.arange(last - first, dtype=np.int64) - np.repeat(offsets[:-1] - first, lengths)
    keys = (positions << 8) | content[first:last]
    running = np.zeros(last - first + 1, dtype=np.uint64)
    np.cumsum(_mix(keys.view(np.uint64)), out=running[1:])
    sums = running[offsets[1:] - first] - running[offsets[:-1] - first]
    return _mix(sums)


def _mix(values: Hashes) -> Hashes:
    """Apply SplitMix64's finaliser (Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators)."""
    import numpy as np

    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _sigma(x: float) -> float:
    """Sum x + sum over k of x**(2**k) * 2**(k-1) (Ertl 2017, equation 13): registers never hit."""
    if x == 1.0:
        return float("inf")
    y, z, previous = 1.0, x, -1.0
    while z != previous:
        x *= x
        previous = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    """Sum (1 - x - sum over k of (1 - x**(2**-k))**2 * 2**-k) / 3 (Ertl 2017, equation 17): registers at their end."""
    if x in (0.0, 1.0):
        return 0.0
    y, z, previous = 1.0, 1.0 - x, -1.0
    while z != previous:
        x = x**0.5
        previous = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0
