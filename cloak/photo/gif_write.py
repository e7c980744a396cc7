"""GIF89a written from pixels: header, loop count, frames with their own palettes, trailer; nothing else.

CompuServe's GIF89a specification (1990); the loop extension is Netscape's.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloak.errors import ConcealmentFailed
from cloak.photo.pixels import BAND, Frame, packed_colours, unpacked_colours

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

COLOURS_LEFT = "A frame has more colours than GIF holds: some were replaced by the nearest ones."
_OPAQUE = 255 << 24
_KEEP, _CLEAR = 1, 2  # disposal methods


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A frame's delay in hundredths of a second, and the colours it had before concealment (packed, sorted)."""

    delay: int
    colours: U32


def write(frames: Iterator[tuple[Still, Frame]], plays: int | None) -> tuple[bytes, Sequence[str]]:
    """A whole file; `plays` is Netscape's loop count, None for no loop extension.

    Opaque frames store only pixels that differ from the frame before; frames with transparency replace all of it.
    """
    parts: list[bytes] = []
    head = b""
    notes: list[str] = []
    shown: U32 | None = None
    for number, (still, frame) in enumerate(frames):
        packed = _flattened(frame)
        height, width = packed.shape
        if frame.alpha is None and shown is not None:
            new = packed != shown
            x, y, w, h = _bounds(new)
            area = slice(y, y + h), slice(x, x + w)
            wanted = np.where(new[area], packed[area], np.uint32(0))
            disposal = _KEEP
        else:
            x, y, w, h = 0, 0, width, height
            area, wanted = (slice(0, h), slice(0, w)), packed
            disposal = _KEEP if frame.alpha is None else _CLEAR
        indices, palette, exact = _by_palette(wanted, still.colours)
        if not exact and COLOURS_LEFT not in notes:
            notes.append(COLOURS_LEFT)
        if frame.alpha is None:
            # What the next frame is compared with is what a viewer sees, replaced colours included.
            shown = packed
            if not exact:
                written = palette[indices]
                shown[area] = np.where(written != 0, written, shown[area])
        bits = max(1, (len(palette) - 1).bit_length())
        table = np.zeros((1 << bits, 3), np.uint8)
        table[: len(palette)] = unpacked_colours(palette)[:, :3]
        transparent = int(palette[0] == 0)  # sorts first
        if number == 0:
            head = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF0 | bits - 1, 0, 0) + table.tobytes()
        parts.append(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | transparent, still.delay, 0, 0))
        parts.append(struct.pack("<BHHHHB", 0x2C, x, y, w, h, 0x80 | bits - 1 if number else 0))
        parts.append(table.tobytes() if number else b"")
        # Pillow's LZW coder always starts with codes of nine bits.
        parts.append(b"\x08" + Image.fromarray(indices).tobytes("gif", "L", 8, 0) + b"\0")
    if not head:
        raise ConcealmentFailed("there is no frame to write")
    loop = b"" if plays is None else b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", plays) + b"\0"
    return b"".join((head, loop, *parts, b"\x3b")), notes


def _flattened(frame: Frame) -> U32:
    """Packed colours; alpha becomes all or nothing, and 0 is what is transparent."""
    pixels: U8 = frame.pixels.astype(np.uint8, copy=False)
    packed = packed_colours(pixels, None)
    if frame.alpha is not None:
        packed[frame.alpha < 128] = 0
    return packed


def _bounds(new: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(new.any(axis=1)), np.flatnonzero(new.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y


def _by_palette(packed: U32, before: U32) -> tuple[U8, U32, bool]:
    """Indices, a sorted palette of at most 256 colours, and whether it holds every colour.

    If it cannot, colours that the unconcealed frame had stay as they are, and those of the effects give way.
    """
    colours, counts = _counted(packed)
    if colours.size <= 256:
        return _looked_up(packed, colours, np.arange(colours.size, dtype=np.uint8)), colours, True
    old = np.isin(colours, before) | (colours == 0)
    if old.sum() > 256:
        order = np.argsort(np.where(colours == 0, np.iinfo(np.int64).max, np.where(old, counts, -1)), kind="stable")
        old = np.zeros(colours.size, np.bool_)
        old[order[-256:]] = True
    kept, fresh = colours[old], colours[~old]
    room = 256 - kept.size
    added = _representatives(fresh, room) if room else np.empty(0, np.uint32)
    palette = np.union1d(kept, added)
    table = np.searchsorted(palette, colours)
    table[~old] = _nearest(fresh, palette)
    used, table = np.unique(table, return_inverse=True)
    return _looked_up(packed, colours, table.astype(np.uint8)), palette[used], False


def _counted(packed: U32) -> tuple[U32, npt.NDArray[np.int64]]:
    """Every colour, sorted, and how many pixels have it."""
    colours, counts = np.empty(0, np.uint32), np.empty(0, np.int64)
    for y in range(0, packed.shape[0], BAND):
        some, number = np.unique(packed[y : y + BAND], return_counts=True)
        merged = np.union1d(colours, some)
        total = np.zeros(merged.size, np.int64)
        total[np.searchsorted(merged, colours)] += counts
        total[np.searchsorted(merged, some)] += number
        colours, counts = merged, total
    return colours, counts


def _looked_up(packed: U32, colours: U32, table: U8) -> U8:
    """table[i] for every pixel that has colours[i]."""
    out = np.empty(packed.shape, np.uint8)
    for y in range(0, packed.shape[0], BAND):
        out[y : y + BAND] = table[np.searchsorted(colours, packed[y : y + BAND])]
    return out


def _representatives(colours: U32, most: int) -> U32:
    """Up to `most` colours that stand for many, by median cut."""
    strip = np.ascontiguousarray(unpacked_colours(colours)[None, :, :3])
    cut = Image.fromarray(strip).quantize(most, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    table = np.array(cut.getpalette("RGB"), np.uint8).reshape(1, -1, 3)
    return np.unique(packed_colours(table, None))


def _nearest(colours: U32, palette: U32) -> npt.NDArray[np.intp]:
    """Index of the nearest opaque entry of a palette for each colour."""
    table = unpacked_colours(palette)
    entries = table[:, :3].astype(np.int32)
    out = np.empty(colours.size, np.intp)
    for start in range(0, colours.size, 4096):
        some = unpacked_colours(colours[start : start + 4096])[:, :3].astype(np.int32)
        distance = ((some[:, None] - entries[None]) ** 2).sum(axis=2)
        distance[:, table[:, 3] == 0] = np.iinfo(np.int32).max
        out[start : start + 4096] = distance.argmin(axis=1)
    return out
