"""PNG and APNG read: every depth, palette, transparency, interlacing, animation."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import imagecodecs
import numpy as np
import numpy.typing as npt

from cloak.errors import Corrupt, TooLarge, Unsupported
from cloak.geometry import Size
from cloak.photo import exif, png_colour, png_write
from cloak.photo.base import Limits
from cloak.photo.pixels import Frame, reduced, swaps, upright
from cloak.photo.png_write import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, SIGNATURE, Layout
from cloak.photo.raster import Carry, RasterPhoto, check

_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
Samples = npt.NDArray[Any]

_MAX_RATIO = 1032  # of deflate, in the best case (zlib's technical notes)
_PIECE, _INFLATED = 1 << 16, 1 << 20  # bytes of a stream, and of what they hold, at a time
_FEW = 1 << 18  # pixels that are composed at a time: in floating point each takes 130 bytes
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes of interlacing: left, top, step across, step down (PNG section 8)."""

_NONE, _BACKGROUND, _PREVIOUS = 0, 1, 2  # APNG's dispose_op


@dataclass(frozen=True, slots=True)
class _Picture:
    """One frame: its place on the canvas and its zlib stream, in pieces (offset, length) of the file."""

    x: int
    y: int
    width: int
    height: int
    delay: int  # in milliseconds
    dispose: int
    overlaid: bool
    pieces: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Canvas:
    """Where the composition of an animation stands: what the next frame is drawn on."""

    following: int
    pixels: Samples  # (H, W, C + 1), alpha last


@dataclass(slots=True, eq=False)
class Png:
    """An opened PNG."""

    data: bytes
    canvas: Size
    layout: Layout
    interlace: int
    palette: bytes
    transparency: bytes | None
    orientation: int
    profile: bytes
    plays: int
    animated: bool
    pictures: tuple[_Picture, ...]
    format: str = "png"
    embeds: bool = True
    exact: bool = True
    _state: _Canvas | None = field(default=None, repr=False)

    @property
    def size(self) -> Size:
        return Size(self.canvas.height, self.canvas.width) if swaps(self.orientation) else self.canvas

    @property
    def frames(self) -> int:
        return len(self.pictures)

    def decode(self, index: int) -> Frame:
        samples = self._composed(index) if self.animated else self._samples(self.pictures[0])
        return upright(self._frame(samples), self.orientation)

    def indexed(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        if self.layout.colour != PALETTE:
            return None
        # Decoders look colours up; indices are what they make of levels of grey.
        grey = replace(self, layout=Layout(self.layout.depth, GREY), transparency=None, _state=None)
        indices = reduced(grey._samples(self.pictures[index])[..., 0], self.layout.depth)
        alpha = np.frombuffer(self.transparency or b"", np.uint8)
        palette = np.zeros((max(len(self.palette) // 3, len(alpha)), 4), np.uint8)
        palette[: len(self.palette) // 3, :3] = np.frombuffer(self.palette, np.uint8).reshape(-1, 3)
        palette[: len(alpha), 3] = 255 - alpha
        return cast(npt.NDArray[np.uint8], indices), palette

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        if self.animated:
            delays = [picture.delay for picture in self.pictures]
            return png_write.animation(frames, self.frames, delays, self.plays, self.layout, carry)
        return png_write.still(next(frames), self.layout, carry)

    def _frame(self, samples: Samples) -> Frame:
        alpha = None
        if samples.shape[2] in (2, 4):
            samples, alpha = np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
        return Frame(samples, alpha, self.profile)

    def _samples(self, picture: _Picture) -> Samples:
        """(h, w, 1-4) of one frame, by a decoder that sees a file of pixels only."""
        stream = b"".join(self.data[start : start + length] for start, length in picture.pieces)
        if self._row(picture.width) * picture.height > _MAX_RATIO * len(stream) + 1024:
            raise Corrupt("the compressed pixels are too short for the picture")
        if self.interlace:
            return self._woven(picture, stream)
        return self._decoded(picture.width, picture.height, self._checked(picture, stream))

    def _checked(self, picture: _Picture, stream: bytes) -> bytes:
        """A stream at which the decoder does not stop; `Corrupt` unless every row is there, with a filter that exists.

        The decoder could tell as much, but it loses the array that it decodes into, and a reference to None, each time
        that libpng stops within a picture (imagecodecs 2026.3.6).
        """
        step = 1 + self._row(picture.width)
        whole, done = step * picture.height, 0
        inflater, pieces = zlib.decompressobj(), memoryview(stream)
        try:
            for start in range(0, len(pieces), _PIECE):
                rest: bytes | memoryview = pieces[start : start + _PIECE]
                while done <= whole and (out := inflater.decompress(rest, _INFLATED)):
                    _check_filters(out[: whole - done][-done % step :: step])
                    done += len(out)
                    rest = inflater.unconsumed_tail
        except zlib.error as error:
            raise Corrupt("the compressed pixels are damaged") from error
        if done < whole:
            raise Corrupt("the compressed pixels are too short for the picture")
        if done == whole and inflater.eof:
            return stream
        # It goes on behind the last row, or has no end: decoders show its rows, but some stop where it is read ahead.
        return zlib.compress(zlib.decompressobj().decompress(stream, whole), 1)

    def _row(self, width: int) -> int:
        """Bytes of a row, without its filter byte."""
        return -(-width * _CHANNELS[self.layout.colour] * self.layout.depth // 8)

    def _woven(self, picture: _Picture, stream: bytes) -> Samples:
        """An interlaced frame: seven small pictures, one after the other in one stream."""
        passes = [
            (x, y, dx, dy, -(-(picture.width - x) // dx), -(-(picture.height - y) // dy))
            for x, y, dx, dy in _ADAM7
            if x < picture.width and y < picture.height
        ]
        lengths = [(1 + self._row(width)) * height for *_, width, height in passes]
        raw = memoryview(zlib.decompressobj().decompress(stream, sum(lengths)))
        if len(raw) < sum(lengths):
            raise Corrupt("the compressed pixels are too short for the picture")
        out: Samples | None = None
        start = 0
        for (x, y, dx, dy, width, height), length in zip(passes, lengths, strict=True):
            _check_filters(bytes(raw[start : start + length : length // height]))
            part = self._decoded(width, height, zlib.compress(raw[start : start + length], 1))
            start += length
            if out is None:
                out = np.empty((picture.height, picture.width, part.shape[2]), part.dtype)
            out[y::dy, x::dx] = part
        assert out is not None
        return out

    def _decoded(self, width: int, height: int, stream: bytes) -> Samples:
        header = struct.pack(">IIBBBBB", width, height, self.layout.depth, self.layout.colour, 0, 0, 0)
        parts = [SIGNATURE, png_write.chunk(b"IHDR", header)]
        if self.layout.colour == PALETTE:
            parts.append(png_write.chunk(b"PLTE", self.palette))
        if self.transparency is not None:
            parts.append(png_write.chunk(b"tRNS", self.transparency))
        parts += [png_write.chunk(b"IDAT", stream), png_write.chunk(b"IEND", b"")]
        samples = imagecodecs.png_decode(b"".join(parts))
        if samples.shape[:2] != (height, width):
            raise Corrupt("the picture's size is not what its header says")
        return samples if samples.ndim == 3 else samples[..., None]

    def _composed(self, index: int) -> Samples:
        """The canvas as frame `index` shows it (APNG: dispose_op, blend_op)."""
        state = self._state
        self._state = None
        if state is None or state.following > index:
            state = None
        for i in range(state.following if state else 0, index + 1):
            picture = self.pictures[i]
            patch = _with_alpha(self._samples(picture))
            if state is None:
                state = _Canvas(0, np.zeros((self.canvas.height, self.canvas.width, patch.shape[2]), patch.dtype))
            area = slice(picture.y, picture.y + picture.height), slice(picture.x, picture.x + picture.width)
            before = state.pixels[area].copy() if picture.dispose == _PREVIOUS else None
            if picture.overlaid:
                _draw_over(patch, state.pixels[area])
            else:
                state.pixels[area] = patch
            shown = state.pixels.copy() if i == index else None
            if picture.dispose == _BACKGROUND or (picture.dispose == _PREVIOUS and i == 0):
                state.pixels[area] = 0
            elif before is not None:
                state.pixels[area] = before
            state.following = i + 1
        self._state = state
        assert shown is not None
        return shown if self._transparent() else shown[..., :-1]

    def _transparent(self) -> bool:
        """Whether any frame can let the empty canvas through; said once for all frames, which share one IHDR."""
        whole = (0, 0, self.canvas.width, self.canvas.height)
        return (
            self.layout.colour in (GREY_ALPHA, RGB_ALPHA)
            or self.transparency is not None
            or any((p.x, p.y, p.width, p.height) != whole for p in self.pictures[:1])
            or any(p.dispose != _NONE for p in self.pictures)
        )


def open_png(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the structure of a PNG; raises `Corrupt`, `TooLarge`, `Unsupported` or `NotAnImage`."""
    reader = _Reader(data, limits)
    for name, start, length in png_write.chunks(data):
        reader.take(name, start, length)
    return RasterPhoto(reader.finish())


class _Reader:
    """Collects the chunks that matter for pixels; each of these must have its checksum right."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data, self.limits = data, limits
        self.header: tuple[int, ...] = ()
        self.bodies: dict[bytes, bytes] = {}
        self.ended = False
        self.controls: list[tuple[int, ...]] = []
        self.pieces: list[list[tuple[int, int]]] = []
        self.still: list[tuple[int, int]] = []
        self.still_is_frame = False

    def take(self, name: bytes, start: int, length: int) -> None:
        if not self.header and name != b"IHDR":
            raise Unsupported("this PNG is Apple's private variant" if name == b"CgBI" else "the PNG has no header")
        body = memoryview(self.data)[start : start + length]
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"IEND"):
            (stored,) = struct.unpack_from(">I", self.data, start + length)
            if zlib.crc32(body, zlib.crc32(name)) != stored:
                raise Corrupt("a PNG chunk has a wrong checksum")
        if name == b"IHDR":
            self._header(bytes(body))
        elif name == b"IDAT":
            self.still.append((start, length))
        elif name == b"fcTL":
            self._control(bytes(body))
        elif name == b"fdAT":
            if not self.pieces or length < 4:
                raise Corrupt("the animation's parts are out of order")
            self.pieces[-1].append((start + 4, length - 4))
        elif name == b"IEND":
            self.ended = True
        elif name in (b"PLTE", b"tRNS", b"acTL", b"eXIf", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"iCCP"):
            self.bodies.setdefault(name, bytes(body[: png_colour.MAX_PROFILE + 100]))
        elif not name[0] & 32:
            raise Unsupported("the PNG has a critical chunk that is not known")

    def _header(self, body: bytes) -> None:
        if self.header or len(body) != 13:
            raise Corrupt("the PNG header is broken")
        self.header = struct.unpack(">IIBBBBB", body)
        width, height, depth, colour, compression, filtering, interlace = self.header
        check(Size(width, height), 1, self.limits)
        if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
            raise Corrupt("the PNG header is broken")

    def _control(self, body: bytes) -> None:
        if b"acTL" not in self.bodies:
            return
        if len(body) != 26:
            raise Corrupt("the animation's parts are broken")
        control = struct.unpack(">IIIIIHHBB", body)
        _, width, height, x, y, *_, dispose, blend = control
        fits = 0 < width <= self.header[0] - x and 0 < height <= self.header[1] - y
        if not fits or dispose > 2 or blend > 1:
            raise Corrupt("the animation's parts are broken")
        if not self.still:
            self.still_is_frame = True
        elif self.still_is_frame and len(self.controls) == 1 and not self.pieces[0]:
            self.pieces[0] = self.still
        self.controls.append(control)
        self.pieces.append([])
        if len(self.controls) > self.limits.frames:
            raise TooLarge(f"more than {self.limits.frames} frames")

    def finish(self) -> Png:
        if not self.header or not self.ended:
            raise Corrupt("the PNG is cut off")
        if not self.still:
            raise Corrupt("the PNG has no pixels")
        width, height, depth, colour, _, _, interlace = self.header
        entries, rest = divmod(len(self.bodies.get(b"PLTE", b"")), 3)
        if colour == PALETTE and (rest or not 1 <= entries <= 256):
            raise Corrupt("the PNG has no palette")
        canvas = Size(width, height)
        if self.still_is_frame:
            self.pieces[0] = self.still
        pictures = tuple(
            _Picture(c[3], c[4], c[1], c[2], round(1000 * c[5] / (c[6] or 100)), c[7], bool(c[8]), tuple(pieces))
            for c, pieces in zip(self.controls, self.pieces, strict=True)
        )
        animated = bool(pictures)
        if not animated:
            pictures = (_Picture(0, 0, width, height, 0, 0, False, tuple(self.still)),)
        if not all(picture.pieces for picture in pictures):
            raise Corrupt("the animation misses pixels")
        check(canvas, len(pictures), self.limits)
        control = self.bodies.get(b"acTL", b"")
        return Png(
            data=self.data,
            canvas=canvas,
            layout=Layout(depth, colour),
            interlace=interlace,
            palette=self.bodies.get(b"PLTE", b""),
            transparency=self.bodies.get(b"tRNS") if colour in (GREY, RGB, PALETTE) else None,
            orientation=exif.orientation(self.bodies.get(b"eXIf", b"")),
            profile=png_colour.profile(self.bodies, grey=colour in (GREY, GREY_ALPHA)),
            plays=struct.unpack_from(">I", control, 4)[0] if len(control) == 8 else 0,
            animated=animated,
            pictures=pictures,
        )


def _check_filters(filters: bytes) -> None:
    """The first byte of each row (PNG section 9.2)."""
    if max(filters, default=0) > 4:
        raise Corrupt("a row of the PNG has a filter that does not exist")


def _with_alpha(samples: Samples) -> Samples:
    if samples.shape[2] in (2, 4):
        return samples
    opaque = np.full((*samples.shape[:2], 1), np.iinfo(samples.dtype).max, samples.dtype)
    return np.concatenate((samples, opaque), axis=2)


def _draw_over(front: Samples, back: Samples) -> None:
    """Porter and Duff's over, into `back`, on samples that are not premultiplied, alpha last."""
    if front.shape[1] > front.shape[0]:
        front, back = front.swapaxes(0, 1), back.swapaxes(0, 1)
    top = float(np.iinfo(front.dtype).max)
    few = max(_FEW // front.shape[1], 1)
    for start in range(0, len(front), few):
        some, under = front[start : start + few], back[start : start + few]
        a, b = some[..., -1:] / top, under[..., -1:] / top
        whole = a + b * (1 - a)
        colour = (some[..., :-1] * a + under[..., :-1] * b * (1 - a)) / np.where(whole > 0, whole, 1)
        under[..., :-1] = np.rint(colour)
        under[..., -1:] = np.rint(whole * top)
