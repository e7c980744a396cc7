"""Huffman tables of JPEG: for decoding, for encoding, and the best for given counts (ITU-T T.81, annex C)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cloak.photo.jpeg_header import Huffman


def lookup(table: Huffman) -> npt.NDArray[np.uint16]:
    """(65536,) uint16: for each 16 bits, length << 8 | symbol of the code that they begin with, 0 for none."""
    lengths = np.repeat(np.arange(1, 17), list(table.counts))
    entries = lengths.astype(np.uint16) << 8 | np.frombuffer(table.symbols, np.uint8)
    # Codes are assigned in rising order, so each takes the next 2^(16 - length) places.
    filled = np.repeat(entries, 1 << (16 - lengths))
    out = np.zeros(65536, np.uint16)
    out[: len(filled)] = filled
    return out


def codes(table: Huffman) -> npt.NDArray[np.uint32]:
    """(256,) uint32: length << 16 | code of each symbol, 0 for those that have none."""
    out = np.zeros(256, np.uint32)
    code = 0
    symbols = iter(table.symbols)
    for length, count in enumerate(table.counts, 1):
        for _ in range(count):
            out[next(symbols)] = length << 16 | code
            code += 1
        code <<= 1
    return out


def optimal(counts: Sequence[int]) -> Huffman:
    """The table that codes symbols of the given counts (256 of them) in the fewest bits, of 16 at most.

    Package-merge (Larmore and Hirschberg 1990). One more symbol that never occurs takes the longest code, because
    T.81 C.2 forbids a code of ones only.
    """
    leaves = sorted([(n, (s,)) for s, n in enumerate(counts) if n > 0] + [(0, (256,))])
    if len(leaves) == 1:
        leaves.append((1, (0,)))  # nothing is coded, yet a table needs a code
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(16):
        pairs = zip(packages[::2], packages[1::2], strict=False)
        packages = sorted(leaves + [(a[0] + b[0], a[1] + b[1]) for a, b in pairs])
    lengths = [0] * 257
    for _, symbols in packages[: 2 * len(leaves) - 2]:
        for s in symbols:
            lengths[s] += 1
    # Canonical order: by length, then by symbol; the reserved symbol last of the longest, so that it gets the ones.
    order = sorted((lengths[s], s) for s in range(257) if lengths[s])
    assert order[-1][1] == 256
    kept = order[:-1]
    return Huffman(bytes(sum(n == i for n, _ in kept) for i in range(1, 17)), bytes(s for _, s in kept))
