"""GIF read: still and animated, interlaced, transparency, all disposal methods; every frame as it is shown."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloak.errors import Corrupt, TooLarge
from cloak.geometry import Size
from cloak.photo import gif_write
from cloak.photo.base import Limits
from cloak.photo.pixels import BAND, Frame, distinct
from cloak.photo.raster import Carry, RasterPhoto, check

U8 = npt.NDArray[np.uint8]
_CLEAR, _RESTORE = 2, 3  # disposal methods


@dataclass(frozen=True, slots=True)
class _Picture:
    """One frame as stored.

    Attributes:
        palette: RGB triples.
        transparent: index that lets the canvas through, or -1.
        start, end: of the LZW data in the file, behind its code size.
    """

    x: int
    y: int
    width: int
    height: int
    interlaced: bool
    palette: bytes
    transparent: int
    disposal: int
    delay: int
    bits: int
    start: int
    end: int


@dataclass(slots=True)
class _Canvas:
    """Where the composition stands: what the next frame is drawn on."""

    following: int
    pixels: U8  # (H, W, 4)


@dataclass(slots=True, eq=False)
class Gif:
    """An opened GIF."""

    data: bytes
    size: Size
    plays: int | None
    pictures: tuple[_Picture, ...]
    format: str = "gif"
    embeds: bool = False
    exact: bool = True
    _state: _Canvas | None = field(default=None, repr=False)
    _colours: dict[int, npt.NDArray[np.uint32]] = field(default_factory=dict, repr=False)

    @property
    def frames(self) -> int:
        return len(self.pictures)

    def decode(self, index: int) -> Frame:
        rgba = self._composed(index)
        pixels = np.ascontiguousarray(rgba[..., :3])
        colours = distinct(pixels, None)
        assert colours is not None
        self._colours[index] = colours
        return Frame(pixels, np.ascontiguousarray(rgba[..., 3]) if self._transparent() else None)

    def indexed(self, index: int) -> tuple[U8, U8]:
        picture = self.pictures[index]
        table = np.frombuffer(picture.palette, np.uint8).reshape(-1, 3)
        transparent = np.arange(len(table)) == picture.transparent
        return self._indices(picture), np.column_stack((table, transparent.astype(np.uint8)))

    def encode(
        self,
        frames: Iterator[Frame],
        carry: Carry,  # noqa: ARG002 - the format has no place for it
    ) -> tuple[bytes, Sequence[str]]:
        return gif_write.write(self._timed(frames), self.plays)

    def _timed(self, frames: Iterator[Frame]) -> Iterator[tuple[gif_write.Still, Frame]]:
        for index, frame in enumerate(frames):
            yield gif_write.Still(self.pictures[index].delay, self._colours[index]), frame

    def _transparent(self) -> bool:
        """Whether the empty canvas can show through; said once for all frames."""
        first = self.pictures[0]
        return (
            (first.x, first.y, first.width, first.height) != (0, 0, self.size.width, self.size.height)
            or first.transparent >= 0
            or first.disposal == _RESTORE
            or any(picture.disposal == _CLEAR for picture in self.pictures)
        )

    def _composed(self, index: int) -> U8:
        """(H, W, 4): the canvas as frame `index` shows it."""
        state, self._state = self._state, None
        if state is None or state.following > index:
            state = _Canvas(0, np.zeros((self.size.height, self.size.width, 4), np.uint8))
        while True:
            picture = self.pictures[state.following]
            view = state.pixels[picture.y : picture.y + picture.height, picture.x : picture.x + picture.width]
            before = view.copy() if picture.disposal == _RESTORE else None
            indices = self._indices(picture)
            colours = np.full((256, 4), 255, np.uint8)
            table = np.frombuffer(picture.palette, np.uint8).reshape(-1, 3)
            colours[: len(table), :3] = table
            colours[len(table) :, :3] = 0
            for y in range(0, picture.height, BAND):
                some = indices[y : y + BAND]
                np.copyto(view[y : y + BAND], colours[some], where=(some != picture.transparent)[..., None])
            if state.following == index == len(self.pictures) - 1:
                return state.pixels
            shown = state.pixels.copy() if state.following == index else None
            if picture.disposal == _CLEAR:
                view[:] = 0
            elif before is not None:
                view[:] = before
            state.following += 1
            if shown is not None:
                self._state = state
                return shown

    def _indices(self, picture: _Picture) -> U8:
        coded = self.data[picture.start : picture.end]
        size = (picture.width, picture.height)
        image = Image.frombytes("L", size, coded, "gif", picture.bits, int(picture.interlaced), -1)
        return np.asarray(image)


def open_gif(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the blocks of a GIF; raises `Corrupt`, `TooLarge` or `NotAnImage`."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    size = Size(width, height)
    check(size, 1, limits)
    place = 13
    palette, place = _table(data, place, flags)
    plays: int | None = None
    control = (0, 0, -1)  # disposal, delay, transparent index
    pictures: list[_Picture] = []
    while True:
        mark = data[place]
        if mark == 0x3B:
            break
        if mark == 0x21:
            label, body, place = data[place + 1], place + 2, _skip(data, place + 2)
            if label == 0xF9 and data[body] >= 4:
                bits, delay, index = struct.unpack_from("<BHB", data, body + 1)
                control = (bits >> 2 & 7, delay, index if bits & 1 else -1)
            elif label == 0xFF and data[body : body + 14] == b"\x0bNETSCAPE2.0\3\1":
                (plays,) = struct.unpack_from("<H", data, body + 14)
        elif mark == 0x2C:
            x, y, w, h, flags = struct.unpack_from("<HHHHB", data, place + 1)
            if not (0 < w <= width - x and 0 < h <= height - y):
                raise Corrupt("a frame leaves the canvas")
            own, place = _table(data, place + 10, flags)
            if not (own or palette):
                raise Corrupt("a frame has no palette")
            bits = data[place]
            if not 1 <= bits <= 8:
                raise Corrupt("a frame's compressed data are broken")
            end = _skip(data, place + 1)
            disposal, delay, transparent = control
            interlaced = bool(flags & 0x40)
            pictures.append(
                _Picture(x, y, w, h, interlaced, own or palette, transparent, disposal, delay, bits, place + 1, end)
            )
            control, place = (0, 0, -1), end
            if len(pictures) > limits.frames:
                raise TooLarge(f"more than {limits.frames} frames")
        else:
            raise Corrupt("the GIF holds a block that is not known")
    if not pictures:
        raise Corrupt("the GIF has no pixels")
    check(size, len(pictures), limits)
    return RasterPhoto(Gif(data, size, plays, tuple(pictures)))


def _table(data: bytes, place: int, flags: int) -> tuple[bytes, int]:
    if not flags & 0x80:
        return b"", place
    length = 3 << (flags & 7) + 1
    if place + length > len(data):
        raise Corrupt("the GIF is cut off")
    return data[place : place + length], place + length


def _skip(data: bytes, place: int) -> int:
    """Behind a chain of sub-blocks."""
    while data[place]:
        place += 1 + data[place]
    return place + 1
