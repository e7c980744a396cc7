"""What was removed is looked for in the bytes that are about to be published, wherever it may lie in them."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from cloak.metadata.base import Contents, Kind

RUN = 24
"""Bytes of the original's metadata that may not be in the published file in a row."""

_WORD, _PIECE = 8, 1 << 16  # bytes of a word; words that are looked at at a time
_BITS, _FACTOR = 24, np.uint64(0x9E3779B97F4A7C15)

Words = npt.NDArray[np.uint64]


def residue(before: Contents, source: bytes, published: bytes, after: Contents) -> str:
    """The name of an original part of which a distinctive run of bytes is found again, or ""."""
    # Kept fields may well stand in the original in the same words, and a thumbnail has the same standard tables; both
    # were written anew, and are checked part by part.
    ours = [part for part in after.parts if part.kind in {Kind.METADATA, Kind.STRUCTURE} and not part.inside]
    blank = bytearray(published)
    for part in ours:
        blank[part.offset : part.offset + part.length] = bytes(part.length)
    runs: dict[bytes, str] = {}
    for part in before.parts:
        if part.inside or part.kind in {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}:
            continue
        for run in _runs(source[part.offset : part.offset + part.length]):
            runs.setdefault(run, part.name)
    found = _found(runs, blank) if runs else set()
    if found:  # a layer or thumbnail without compression may hold rows of the picture itself, which is published
        pixels = [source[part.offset : part.offset + part.length] for part in before.parts if part.kind == Kind.PIXELS]
        found -= _found(found, b"".join(pixels))
    return next((name for run, name in runs.items() if run in found), "")


def _runs(data: bytes, most: int = 8) -> list[bytes]:
    """Up to `most` distinctive runs of `RUN` bytes, spread over the data."""
    step = max(len(data) // most, RUN)
    runs = (data[start : start + RUN] for start in range(0, max(len(data) - RUN + 1, 0), step))
    return [run for run in runs if len(set(run)) > RUN // 2]


def _found(runs: Collection[bytes], data: bytes | bytearray) -> set[bytes]:
    """Those of the runs that lie anywhere in the data.

    All are looked for at once, in time that grows with their number plus the data's length: wherever a run lies, two
    whole words of the data (8 bytes, at multiples of 8) lie within it. What ten thousands of comments cost must not be
    multiplied by the size of the photo.
    """
    wanted, found = set(runs), set()
    sieve = _sieve(wanted)
    words = np.frombuffer(data, np.uint64, len(data) // _WORD)
    for start in range(0, len(words) - 1, _PIECE):
        piece = words[start : start + _PIECE + 1]
        seen = set()
        for hit in np.flatnonzero(sieve[_hashed(piece[:-1], piece[1:])]).tolist():
            place = _WORD * (start + hit)
            seen |= wanted.intersection(bytes(data[at : at + RUN]) for at in range(place, place - _WORD, -1))
        if seen:  # a pattern would have them found again all over the picture
            found |= seen
            wanted -= seen
            if not wanted:
                break
            sieve = _sieve(wanted)
    return found


def _sieve(runs: Collection[bytes]) -> npt.NDArray[np.bool_]:
    """What two words hash to, for any two that may lie in one of the runs."""
    each = np.frombuffer(b"".join(runs), np.uint8).reshape(len(runs), RUN)
    sieve = np.zeros(1 << _BITS, np.bool_)
    for shift in range(_WORD):
        words = np.ascontiguousarray(each[:, shift : shift + 2 * _WORD]).view(np.uint64)
        sieve[_hashed(words[:, 0], words[:, 1])] = True
    return sieve


def _hashed(first: Words, second: Words) -> Words:
    """`_BITS` bits for each two words (Knuth, volume 3, section 6.4)."""
    return (first * _FACTOR + second) >> np.uint64(64 - _BITS)
