"""PNG and APNG written from pixels: IHDR, iCCP, acTL, PLTE, tRNS, eXIf, iTXt, fcTL, IDAT, fdAT, IEND; nothing else.

W3C PNG Third Edition (2025); chunk names and layouts are those of its section 11.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np
import numpy.typing as npt

from cloak.errors import ConcealmentFailed
from cloak.geometry import Pixels
from cloak.photo.pixels import Alpha, Frame, Indexed, changed, full_range, indexed, reduced, to_8bit, with_alpha
from cloak.photo.raster import Carry

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_LEVEL = 6
_LONGEST = 0xFFFF  # milliseconds that are written as such, and plays that are counted

PALETTE_LEFT = "The concealed picture has more than 256 colours: it is stored as RGB instead of a palette."
DEPTH_LEFT = "The concealed picture needs shades: it is stored with 8 bits a pixel."
KEY_LEFT = "The transparent colour was replaced by an alpha channel."


@dataclass(frozen=True, slots=True)
class Layout:
    """How pixels are stored: IHDR's bit depth and colour type."""

    depth: int
    colour: int


def still(frame: Frame, source: Layout, carry: Carry) -> tuple[bytes, list[str]]:
    """One picture in the source's layout, or in the nearest that holds it (and a note)."""
    height, width = frame.pixels.shape[:2]
    notes: list[str] = []
    if source.colour == PALETTE and frame.pixels.dtype == np.uint8:
        by_palette = indexed(to_8bit(frame.pixels), None if frame.alpha is None else to_8bit(frame.alpha))
        if by_palette is not None:
            return _palette_file(by_palette, source.depth, frame.profile, carry), notes
        notes.append(PALETTE_LEFT)
    if source.colour == GREY and source.depth < 8 and frame.alpha is None and frame.pixels.shape[2] == 1:
        levels = reduced(frame.pixels, source.depth)
        # Two levels cannot show an effect; four and sixteen can.
        if source.depth > 1 or np.array_equal(full_range(levels, source.depth), frame.pixels):
            layout = Layout(source.depth, GREY)
            stream = zlib.compress(_packed(levels[..., 0], source.depth), _LEVEL)
            return _file(width, height, layout, frame.profile, carry, [chunk(b"IDAT", stream)]), notes
        notes.append(DEPTH_LEFT)
    if frame.alpha is not None and source.colour in (GREY, RGB):
        notes.append(KEY_LEFT)
    layout, stream = _direct(frame.pixels, frame.alpha)
    return _file(width, height, layout, frame.profile, carry, [chunk(b"IDAT", stream)]), notes


def animation(
    frames: Iterator[Frame], count: int, delays: Sequence[int], plays: int, source: Layout, carry: Carry
) -> tuple[bytes, list[str]]:
    """Frames that replace what they change and leave the rest; the first is also the still picture.

    Args:
        count: how many frames come.
        delays: of each, in milliseconds.
        plays: how often it is shown, 0 for ever.
    """
    parts: list[bytes] = []
    sequence = 0
    first: Frame | None = None
    previous: Frame | None = None
    layout = Layout(8, RGB)
    for delay, frame in zip(delays, frames, strict=True):
        if previous is None:
            first = frame
            x, y, (height, width) = 0, 0, frame.pixels.shape[:2]
        else:
            x, y, width, height = changed(previous, frame)
        area = slice(y, y + height), slice(x, x + width)
        kept, stream = _direct(frame.pixels[area], None if frame.alpha is None else frame.alpha[area])
        if previous is not None and kept != layout:
            raise ConcealmentFailed("the frames differ in colour or depth")
        layout = kept
        # One form for each delay: a fraction of any two numbers could carry others.
        fraction = (delay, 1000) if delay <= _LONGEST else (round(delay / 1000), 1)
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, width, height, x, y, *fraction, 0, 0)))
        sequence += 1
        if previous is None:
            parts.append(chunk(b"IDAT", stream))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", sequence) + stream))
            sequence += 1
        previous = frame
    if first is None:
        raise ConcealmentFailed("there is no frame to write")
    notes = []
    if source.colour == PALETTE:
        notes.append("The animation is stored as RGB instead of a palette.")
    elif source.depth < 8:
        notes.append(DEPTH_LEFT)
    height, width = first.pixels.shape[:2]
    control = chunk(b"acTL", struct.pack(">II", count, plays if plays <= _LONGEST else 0))
    return _file(width, height, layout, first.profile, carry, parts, control=control), notes


def _palette_file(picture: Indexed, depth: int, profile: bytes, carry: Carry) -> bytes:
    height, width = picture.indices.shape
    colours = len(picture.palette)
    while 1 << depth < colours:
        depth *= 2
    opaque = int((picture.palette[:, 3] < 255).sum())  # transparent ones sort first
    body = [chunk(b"PLTE", picture.palette[:, :3].tobytes())]
    if opaque:
        body.append(chunk(b"tRNS", picture.palette[:opaque, 3].tobytes()))
    body.append(chunk(b"IDAT", zlib.compress(_packed(picture.indices, depth), _LEVEL)))
    return _file(width, height, Layout(depth, PALETTE), profile, carry, body)


def _packed(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], depth: int) -> bytes:
    """Rows of samples of 1-8 bits, each behind the filter byte 0 (None), which suits palettes and low depths."""
    height, width = values.shape
    per_byte = 8 // depth
    padded = np.zeros((height, -(-width // per_byte) * per_byte), np.uint8)
    padded[:, :width] = values
    packed = np.zeros((height, 1 + padded.shape[1] // per_byte), np.uint8)
    for i in range(per_byte):
        packed[:, 1:] |= padded[:, i::per_byte] << (8 - depth * (i + 1))
    return packed.tobytes()


def _direct(pixels: Pixels, alpha: Alpha | None) -> tuple[Layout, bytes]:
    """8 or 16 bits a sample, and their zlib stream."""
    colour = {1: GREY, 3: RGB}.get(pixels.shape[2])
    if colour is None:
        raise ConcealmentFailed("PNG stores grey and RGB only")
    colour += 4 if alpha is not None else 0
    samples = with_alpha(pixels, alpha)
    shape = samples.shape if samples.shape[2] > 1 else samples.shape[:2]
    if 1 in samples.shape:
        # The coder looks at strides, and those along an axis of length 1 say nothing.
        samples = cast(Pixels, np.frombuffer(samples.tobytes(), samples.dtype).reshape(shape))
    coded = bytes(imagecodecs.png_encode(np.ascontiguousarray(samples), level=_LEVEL))
    return Layout(8 * samples.dtype.itemsize, colour), b"".join(
        coded[start : start + length] for name, start, length in chunks(coded) if name == b"IDAT"
    )


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the body, its length) of each chunk that lies in full within the file, up to IEND."""
    offset = len(SIGNATURE)
    while offset + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        if offset + 12 + length > len(data):
            return
        yield name, offset + 8, length
        if name == b"IEND":
            return
        offset += 12 + length


def _file(
    width: int,
    height: int,
    layout: Layout,
    profile: bytes,
    carry: Carry,
    body: Sequence[bytes],
    *,
    control: bytes = b"",
) -> bytes:
    parts = [
        SIGNATURE,
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, layout.depth, layout.colour, 0, 0, 0)),
    ]
    if profile:
        parts.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile, 9)))
    if carry.exif:
        parts.append(chunk(b"eXIf", carry.exif))
    if carry.xmp:
        parts.append(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + carry.xmp))
    return b"".join((*parts, control, *body, chunk(b"IEND", b"")))


def chunk(name: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))))
