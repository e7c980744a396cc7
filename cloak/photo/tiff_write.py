"""TIFF written from pixels: directories first, then strips, without a gap; no tag but those that decoding needs,
the colour profile, and kept fields.

TIFF 6.0 (1992); predictor: its section 14; deflate and ICC tags: Adobe's technical notes and ICC.1 Annex B.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt
import piexif

from cloak.errors import ConcealmentFailed

_SHORT, _LONG, _ASCII, _BYTE, _UNDEFINED = 3, 4, 2, 1, 7
_STRIP = 1 << 18  # bytes of a strip before compression: few enough strips, and little to hold at a time

NONE, LZW, DEFLATE = 1, 5, 8
GREY, RGB, PALETTE, SEPARATED = 1, 2, 3, 5
ASSOCIATED, UNASSOCIATED = 1, 2

_KEPT = (270, 315, 33432)  # ImageDescription, Artist, Copyright
_EXIF_POINTER, _DATE_TAKEN = 34665, 36867


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One picture ready to be stored.

    Attributes:
        samples: (H, W, S) uint8 or uint16; alpha is the last of them if `extra` says so. Below 8 bits: levels.
        bits: of a sample.
        photometric: GREY, RGB, PALETTE or SEPARATED (CMYK).
        compression: NONE, LZW or DEFLATE.
        palette: (2^bits, 3) uint8, for PALETTE.
        extra: ASSOCIATED, UNASSOCIATED, or 0 for no alpha.
        profile: an ICC profile, or b"".
    """

    samples: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    bits: int
    photometric: int
    compression: int
    palette: npt.NDArray[np.uint8] | None = None
    extra: int = 0
    profile: bytes = b""


@dataclass(frozen=True, slots=True)
class Stored:
    """A page's strips, compressed, and its fields without their offsets."""

    strips: tuple[bytes, ...]
    fields: tuple["_Field", ...]


@dataclass(frozen=True, slots=True)
class _Field:
    tag: int
    kind: int
    count: int
    value: bytes


def store(page: Page) -> Stored:
    """Compress a page, so that its pixels need not be held until the file is written."""
    height, width, count = page.samples.shape
    row = -(-width * count * page.bits // 8)
    rows = max(1, min(height, _STRIP // max(row, 1)))
    predicted = page.compression != NONE and page.bits >= 8 and page.photometric != PALETTE
    strips = tuple(
        _COMPRESS[page.compression](_strip(page.samples[y : y + rows], page.bits, predicted))
        for y in range(0, height, rows)
    )
    fields = [
        _longs(256, [width]),
        _longs(257, [height]),
        _shorts(258, [page.bits] * count),
        _shorts(259, [page.compression]),
        _shorts(262, [page.photometric]),
        _shorts(277, [count]),
        _longs(278, [rows]),
        _longs(279, [len(strip) for strip in strips]),
    ]
    if predicted:
        fields.append(_shorts(317, [2]))
    if page.palette is not None:
        entries = np.zeros((1 << page.bits, 3), np.uint16)
        entries[: len(page.palette)] = page.palette
        fields.append(_shorts(320, (entries.T * 257).ravel().tolist()))
    if page.extra:
        fields.append(_shorts(338, [page.extra]))
    if page.profile:
        fields.append(_Field(34675, _UNDEFINED, len(page.profile), page.profile))
    return Stored(strips, tuple(fields))


def assemble(pages: Sequence[Stored], exif: bytes, xmp: bytes) -> bytes:
    """The whole file. `exif` is a bare TIFF structure whose kept fields the first page gets."""
    directories: list[list[_Field]] = []
    for number, page in enumerate(pages):
        fields = [*page.fields, _longs(273, [0] * len(page.strips))]
        if number == 0:
            if xmp:
                even = xmp + b" " * (len(xmp) % 2)
                fields.append(_Field(700, _BYTE, len(even), even))
            fields += _kept(exif, "0th", _KEPT)
        directories.append(fields)
    taken = _kept(exif, "Exif", (_DATE_TAKEN,))
    if taken:
        directories[0].append(_longs(_EXIF_POINTER, [0]))

    # All lengths are even, so that every directory starts on a word boundary without padding.
    starts, place = [], 8
    for fields in [*directories, taken] if taken else directories:
        starts.append(place)
        place += 2 + 12 * len(fields) + 4 + sum(len(f.value) for f in fields if len(f.value) > 4)
    out = [struct.pack("<2sHI", b"II", 42, 8)]
    for number, (page, fields) in enumerate(zip(pages, directories, strict=True)):
        offsets = []
        for strip in page.strips:
            offsets.append(place)
            place += len(strip)
        final = {273: offsets, _EXIF_POINTER: starts[-1:]}
        fields = [_longs(f.tag, final[f.tag]) if f.tag in final else f for f in fields]
        following = starts[number + 1] if number + 1 < len(pages) else 0
        out.append(_directory(fields, starts[number], following))
    if taken:
        out.append(_directory(taken, starts[-1], 0))
    if place >= 1 << 32:
        raise ConcealmentFailed("the pictures are too large for a TIFF")
    return b"".join((*out, *(strip for page in pages for strip in page.strips)))


def _directory(fields: Sequence[_Field], start: int, following: int) -> bytes:
    entries, values = [], []
    place = start + 2 + 12 * len(fields) + 4
    for field in sorted(fields, key=lambda field: field.tag):
        head = struct.pack("<HHI", field.tag, field.kind, field.count)
        if len(field.value) <= 4:
            entries.append(head + field.value.ljust(4, b"\0"))
        else:
            entries.append(head + struct.pack("<I", place))
            values.append(field.value)
            place += len(field.value)
    return b"".join((struct.pack("<H", len(fields)), *entries, struct.pack("<I", following), *values))


def _shorts(tag: int, values: Sequence[int]) -> _Field:
    return _Field(tag, _SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def _longs(tag: int, values: Sequence[int]) -> _Field:
    return _Field(tag, _LONG, len(values), struct.pack(f"<{len(values)}I", *values))


def _kept(exif: bytes, group: str, tags: Sequence[int]) -> list[_Field]:
    """Text fields of an EXIF structure that cloak wrote by piexif, read by piexif: the verifier's reader is another."""
    values = piexif.load(exif)[group] if exif else {}
    fields = []
    for tag in tags:
        if isinstance(values.get(tag), bytes):
            text = values[tag].rstrip(b"\0")
            text += b"\0" * (2 - len(text) % 2)
            fields.append(_Field(tag, _ASCII, len(text), text))
    return fields


def _strip(samples: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int, predicted: bool) -> bytes:
    if bits < 8:
        return packed(samples, bits)
    if predicted:
        before = samples
        samples = samples.copy()
        samples[:, 1:] -= before[:, :-1]
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def packed(samples: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int) -> bytes:
    """(H, W, 1) samples of 1, 2 or 4 bits, the first in the highest bits, each row in whole bytes."""
    height, width = samples.shape[:2]
    per_byte = 8 // bits
    padded = np.zeros((height, -(-width // per_byte) * per_byte), np.uint8)
    padded[:, :width] = samples[..., 0]
    out = np.zeros((height, padded.shape[1] // per_byte), np.uint8)
    for i in range(per_byte):
        out |= padded[:, i::per_byte] << (8 - bits * (i + 1))
    return out.tobytes()


_COMPRESS: dict[int, Callable[[bytes], bytes]] = {
    NONE: lambda data: data,
    LZW: lambda data: bytes(imagecodecs.lzw_encode(data)),
    DEFLATE: lambda data: zlib.compress(data, 6),
}
