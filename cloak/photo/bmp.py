"""BMP: palettes, 16, 24 and 32 bits, bit fields, run-length coding; written with the plainest header that serves.

Layouts are those of Microsoft's "Bitmap Storage" (BITMAPINFOHEADER, BITMAPV4HEADER, BITMAPV5HEADER).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloak.errors import Corrupt, Unsupported
from cloak.geometry import Size
from cloak.photo.base import Limits
from cloak.photo.pixels import Alpha, Frame, full_range, indexed, reduced
from cloak.photo.raster import Carry, RasterPhoto, check
from cloak.photo.tiff_write import packed

_CORE, _INFO, _V2, _V3, _V4, _V5 = 12, 40, 52, 56, 108, 124
_RGB, _RLE8, _RLE4, _BITFIELDS, _ALPHABITFIELDS = 0, 1, 2, 3, 6
_SRGB, _WINDOWS, _CALIBRATED, _LINKED, _EMBEDDED = 0x73524742, 0x57696E20, 0, 0x4C494E4B, 0x4D424544
_STANDARD = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: (0, 0, 0, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_SIXTEEN = {(5, 5, 5, 0): _STANDARD[16], (5, 6, 5, 0): (0xF800, 0x7E0, 0x1F, 0)}
_RLE_RUNS = 3_000_000  # some five seconds
_MAX_PROFILE = 4_000_000

PALETTE_LEFT = "The concealed picture has more than 256 colours: it is stored as RGB instead of a palette."
DEPTH_LEFT = "The concealed picture needs more colours: it is stored with 8 bits a pixel."
FIELDS_LEFT = "The unusual bit fields were replaced by 8 bits a channel."

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Bmp:
    """An opened BMP.

    Attributes:
        bits: of a pixel.
        masks: red, green, blue and alpha bits of a pixel of 16 or 32 bits; alpha 0: none.
        start: of the pixels in the file.
        palette: (N, 3) uint8, RGB.
    """

    data: bytes
    size: Size
    bits: int
    compression: int
    top_down: bool
    masks: tuple[int, int, int, int]
    start: int
    palette: U8
    profile: bytes
    format: str = "bmp"
    frames: int = 1
    embeds: bool = False  # profiles came with the fifth header, which hardly anything reads
    exact: bool = True

    def decode(self, index: int) -> Frame:  # noqa: ARG002 - a still
        if self.bits <= 8:
            indices = self._indices()
            if int(indices.max()) >= len(self.palette):
                raise Corrupt("a pixel's colour is not in the palette")
            return Frame(self._upright(self.palette[indices]), None, self.profile)
        rows = self._rows()
        if self.bits == 24:
            colours = rows.reshape(self.size.height, self.size.width, 3)[..., ::-1]
            return Frame(self._upright(colours), None, self.profile)
        words = rows.view(np.dtype("<u2") if self.bits == 16 else np.dtype("<u4"))
        channels = [self._upright(_field(words, mask)) for mask in self.masks if mask]
        alpha = channels.pop() if self.masks[3] else None
        if alpha is not None and not alpha.any():
            alpha = None  # written by programs that know of none, and shown opaque
        return Frame(np.stack(channels, axis=2), alpha, self.profile)

    def _indices(self) -> U8:
        return self._run_lengths() if self.compression in (_RLE8, _RLE4) else self._levels()

    def indexed(self, index: int) -> tuple[U8, U8] | None:  # noqa: ARG002 - a still
        return (self._indices(), self.palette) if self.bits <= 8 else None

    def encode(
        self,
        frames: Iterator[Frame],
        carry: Carry,  # noqa: ARG002 - the format has no place for it
    ) -> tuple[bytes, Sequence[str]]:
        frame = next(frames)
        pixels: U8 = frame.pixels.astype(np.uint8, copy=False)
        size = Size(pixels.shape[1], pixels.shape[0])
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        if self.bits <= 8:
            picture = indexed(pixels, None)
            if picture is None:
                return _file(size, 24, _bottom_up(pixels[..., ::-1])), [PALETTE_LEFT]
            bits = self.bits if len(picture.palette) <= 1 << self.bits and self.bits != 2 else 8
            palette = np.zeros((len(picture.palette), 4), np.uint8)
            palette[:, :3] = picture.palette[:, 2::-1]
            levels = picture.indices[..., None]
            body = levels if bits == 8 else np.frombuffer(packed(levels, bits), np.uint8)
            notes = [] if bits == self.bits else [DEPTH_LEFT]
            return _file(size, bits, _bottom_up(body.reshape(size.height, -1)), palette.tobytes()), notes
        if self.bits == 24:
            return _file(size, 24, _bottom_up(pixels[..., ::-1])), []
        return self._fields(pixels, frame.alpha)

    def _fields(self, pixels: U8, alpha: Alpha | None) -> tuple[bytes, list[str]]:
        """16 or 32 bits a pixel, by bit fields that every reader knows."""
        notes: list[str] = []
        widths = tuple(mask.bit_count() for mask in self.masks)
        masks, bits = (*_STANDARD[32][:3], 0xFF000000 if alpha is not None else 0), 32
        if self.bits == 16 and widths in _SIXTEEN:
            masks, bits = _SIXTEEN[widths], 16
        elif self.bits == 16 or max(widths) > 8:
            notes.append(FIELDS_LEFT)
        words = np.zeros(pixels.shape[:2], np.uint32)
        for channel, mask in enumerate(masks):
            if mask:
                values = pixels[..., channel] if channel < 3 else alpha
                assert values is not None
                words |= reduced(values, mask.bit_count()).astype(np.uint32) << ((mask & -mask).bit_length() - 1)
        rows = _bottom_up(words.astype("<u2" if bits == 16 else "<u4").view(np.uint8))
        size = Size(pixels.shape[1], pixels.shape[0])
        return _file(size, bits, rows, masks=None if masks == _STANDARD[bits] else masks), notes

    def _upright(self, rows: U8) -> U8:
        return np.ascontiguousarray(rows if self.top_down else rows[::-1])

    def _rows(self) -> U8:
        """(H, bytes of a row without its padding), as stored."""
        used = -(-self.size.width * self.bits // 8)
        stride = -(-used // 4) * 4
        if self.start + stride * (self.size.height - 1) + used > len(self.data):
            raise Corrupt("the BMP is cut off")
        whole = stride * self.size.height
        raw = np.frombuffer(self.data, np.uint8, min(whole, len(self.data) - self.start), self.start)
        if raw.size < whole:  # the last row's padding may be absent
            raw = np.concatenate((raw, np.zeros(whole - raw.size, np.uint8)))
        return np.ascontiguousarray(raw.reshape(self.size.height, stride)[:, :used])

    def _levels(self) -> U8:
        rows, per_byte = self._rows(), 8 // self.bits
        out = np.empty((rows.shape[0], rows.shape[1] * per_byte), np.uint8)
        for i in range(per_byte):
            out[:, i::per_byte] = rows >> (8 - self.bits * (i + 1)) & ((1 << self.bits) - 1)
        return out[:, : self.size.width]

    def _run_lengths(self) -> U8:
        """Decode RLE8 or RLE4. Pixels that the code skips are colour 0; an end without its mark is `Corrupt`."""
        data, place, nibbles = self.data, self.start, self.compression == _RLE4
        width, height = self.size.width, self.size.height
        out = np.zeros((height, width), np.uint8)
        x = y = 0
        for _ in range(_RLE_RUNS):
            count, value = data[place], data[place + 1]
            place += 2
            if count:
                run = np.array((value >> 4, value & 15) if nibbles else (value,), np.uint8)
                x = _put(out, x, y, np.resize(run, count))
            elif value == 0:
                x, y = 0, y + 1
            elif value == 1:
                return out
            elif value == 2:
                x, y = x + data[place], y + data[place + 1]
                place += 2
            else:
                length = -(-value // 2) if nibbles else value
                raw = np.frombuffer(data, np.uint8, length, place)
                if nibbles:
                    raw = np.stack((raw >> 4, raw & 15), axis=1).ravel()
                x = _put(out, x, y, raw[:value])
                place += length + length % 2
        raise Unsupported("the run-length coded BMP has too many runs")


def _put(out: U8, x: int, y: int, run: U8) -> int:
    """Write a run; it must lie within its row. Returns the column behind it."""
    if y >= out.shape[0] or x + run.size > out.shape[1]:
        raise Corrupt("a run of the BMP leaves the picture")
    out[y, x : x + run.size] = run
    return x + run.size


def _field(words: npt.NDArray[np.generic], mask: int) -> U8:
    shift = (mask & -mask).bit_length() - 1
    bits = mask.bit_count()
    values = (words.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift)
    if bits > 8:
        values >>= np.uint32(bits - 8)
    return full_range(values.astype(np.uint8), min(bits, 8)).astype(np.uint8, copy=False)


def _bottom_up(rows: npt.NDArray[np.uint8]) -> bytes:
    """Rows from the last to the first, each padded to whole words of four bytes."""
    flat = rows.reshape(rows.shape[0], -1)[::-1]
    out = np.zeros((flat.shape[0], -(-flat.shape[1] // 4) * 4), np.uint8)
    out[:, : flat.shape[1]] = flat
    return out.tobytes()


def _file(
    size: Size, bits: int, pixels: bytes, palette: bytes = b"", masks: tuple[int, int, int, int] | None = None
) -> bytes:
    """A BMP. With `masks` it has the fourth header, which holds them and says sRGB; else the first."""
    header = _V4 if masks else _INFO
    start = 14 + header + len(palette)
    compression = _BITFIELDS if masks else _RGB
    colours = len(palette) // 4
    head = struct.pack("<2sIII", b"BM", start + len(pixels), 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", header, size.width, size.height, 1, bits, compression, len(pixels), 0, 0, colours, 0
    )
    if masks:
        info += struct.pack("<5I", *masks, _SRGB) + bytes(48)
    return b"".join((head, info, palette, pixels))


def open_bmp(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the headers of a BMP; raises `Corrupt`, `TooLarge`, `Unsupported` or `NotAnImage`."""
    start, header = struct.unpack_from("<II", data, 10)
    if header not in (_CORE, _INFO, _V2, _V3, _V4, _V5) or len(data) < 14 + header:
        raise Unsupported("BMP headers of this kind are not supported")
    compression = colours = 0
    if header == _CORE:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46)
    check(Size(width, abs(height)), 1, limits)
    if planes != 1:
        raise Corrupt("the BMP header is broken")
    allowed = {1: (_RGB,), 2: (_RGB,), 4: (_RGB, _RLE4), 8: (_RGB, _RLE8), 24: (_RGB,)}
    allowed |= dict.fromkeys((16, 32), (_RGB, _BITFIELDS, _ALPHABITFIELDS))
    if bits not in allowed or compression not in allowed[bits]:
        raise Unsupported(f"BMP compression {compression} with {bits} bits a pixel is not supported")
    masks, behind = _masks(data, header, compression, bits)
    entry = 3 if header == _CORE else 4
    palette = np.zeros((0, 3), np.uint8)
    if bits <= 8:
        count = min(colours or 1 << bits, 1 << bits, max(start - behind, 0) // entry)
        if not count or behind + count * entry > len(data):
            raise Corrupt("the BMP has no palette")
        raw = np.frombuffer(data, np.uint8, count * entry, behind).reshape(count, entry)
        palette = np.ascontiguousarray(raw[:, 2::-1])
    if not behind <= start < len(data):
        raise Corrupt("the BMP has no pixels")
    size = Size(width, abs(height))
    if compression not in (_RLE8, _RLE4) and start + -(-width * bits // 8) * size.height > len(data):
        raise Corrupt("the BMP is cut off")
    profile = _profile(data, header)
    return RasterPhoto(Bmp(data, size, bits, compression, height < 0, masks, start, palette, profile))


def _masks(data: bytes, header: int, compression: int, bits: int) -> tuple[tuple[int, int, int, int], int]:
    """The bit fields, and where the header ends."""
    behind = 14 + header
    if compression not in (_BITFIELDS, _ALPHABITFIELDS):
        return _STANDARD.get(bits, _STANDARD[24]), behind
    count = 4 if compression == _ALPHABITFIELDS or header >= _V3 else 3
    if header == _INFO:
        behind += 4 * count
    if len(data) < 54 + 4 * count:
        raise Corrupt("the BMP is cut off")
    values = (*struct.unpack_from(f"<{count}I", data, 54), 0)[:4]
    red, green, blue, alpha = values
    used = 0
    for mask in values:
        low = mask & -mask
        if mask & used or mask >> bits or (mask and (mask // low) & (mask // low + 1)):
            raise Corrupt("the BMP's bit fields are broken")
        used |= mask
    if not (red and green and blue):
        raise Corrupt("the BMP's bit fields are broken")
    return (red, green, blue, alpha), behind


def _profile(data: bytes, header: int) -> bytes:
    """The embedded ICC profile of a fifth header; colour spaces by numbers or by a path are not known."""
    if header not in (_V4, _V5):
        return b""
    (space,) = struct.unpack_from("<I", data, 70)
    if space == _LINKED:
        raise Unsupported("the BMP's colour profile is a link to another file")
    if space != _EMBEDDED or header != _V5:
        return b""
    offset, length = struct.unpack_from("<II", data, 126)
    place = 14 + offset
    return data[place : place + length] if length <= _MAX_PROFILE and place + length <= len(data) else b""
