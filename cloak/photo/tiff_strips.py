"""The samples of a TIFF's page from its strips or tiles; section numbers are those of TIFF 6.0 (1992)."""

import zlib
from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt

from cloak.errors import Corrupt
from cloak.metadata.listing import Span
from cloak.metadata.peek import picture_size
from cloak.photo.tiff_page import GROUP4, JPEG, PACKBITS, YCBCR, Page
from cloak.photo.tiff_write import GREY, LZW, NONE, RGB, SEPARATED

_MAX_LENIENT = 10_000_000  # bytes; the loop below handles some five million a second
_MCU = 16  # pixels at most by which some writers fill a part up
_END_OF_FACSIMILE = f"{0x001001:024b}"  # EOFB, ITU-T T.6 section 2.4.1.1


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """Puts a page together from its strips or tiles, each of which must be there in full."""

    data: bytes
    order: str
    page: Page

    def samples(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """(H, W, S), as stored; below 8 bits the values are levels."""
        page = self.page
        dtype = np.uint16 if page.bits == 16 else np.uint8
        out = np.empty((page.size.height, page.size.width, page.samples), dtype)
        planes = page.samples if page.planar else 1
        depth = 1 if page.planar else page.samples
        across = -(-page.size.width // page.tile.width)
        down = -(-page.size.height // page.tile.height)
        for number in range(planes * across * down):
            plane, place = divmod(number, across * down)
            y, x = place // across * page.tile.height, place % across * page.tile.width
            rows = min(page.tile.height, page.size.height - y)
            # A tile is always whole; the last strip ends with the picture.
            height = rows if page.tile.width == page.size.width and across == 1 else page.tile.height
            segment = self._segment(number, height, rows, depth)
            area = segment[:rows, : min(page.tile.width, page.size.width - x)]
            out[y : y + rows, x : x + area.shape[1], plane : plane + depth] = area
        return out

    def _segment(self, number: int, height: int, rows: int, depth: int) -> npt.NDArray[np.uint8]:
        page = self.page
        start, count = page.offsets[number], page.counts[number]
        coded = self.data[start : start + count]
        if page.reversed_bits:
            coded = bytes(imagecodecs.bitorder_decode(coded))
        width = page.tile.width
        if page.compression == JPEG:
            return _jpeg(coded, page, rows, width, depth)
        if page.compression == GROUP4:
            if _END_OF_FACSIMILE not in "".join(f"{byte:08b}" for byte in coded[-8:]):
                raise Corrupt("the fax-coded picture has no end")
            return np.asarray(imagecodecs.ccittfax4_decode(coded, height=rows, width=width))[..., None]
        row = -(-width * depth * page.bits // 8)
        raw = self._inflated(coded, row * rows, row * height)
        if page.bits < 8:
            return _unpacked(np.frombuffer(raw, np.uint8)[: row * rows].reshape(rows, row), width, page.bits)
        dtype = np.dtype(np.uint16 if page.bits == 16 else np.uint8)
        dtype = dtype.newbyteorder("<") if self.order == "little" else dtype.newbyteorder(">")
        segment = np.frombuffer(raw, dtype)[: rows * width * depth].reshape(rows, width, depth)
        native = segment.astype(dtype.newbyteorder("="), copy=False)
        if page.predictor == 2:
            native = np.add.accumulate(native, axis=1, dtype=native.dtype)
        return native

    def _inflated(self, coded: bytes, least: int, most: int) -> bytes:
        """At least `least` bytes, or `Corrupt`; never more than `most` are made."""
        compression = self.page.compression
        if compression == NONE:
            raw = coded
        elif compression == LZW:
            raw = bytes(imagecodecs.lzw_decode(coded, out=most))
        elif compression == PACKBITS:
            raw = _unpackbits(coded, most)
        else:
            raw = zlib.decompressobj().decompress(coded, most)
        if len(raw) < least:
            raise Corrupt("a part of the TIFF's picture is cut off")
        return raw


def _jpeg(coded: bytes, page: Page, rows: int, width: int, depth: int) -> npt.NDArray[np.uint8]:
    if not coded.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise Corrupt("a JPEG part of the TIFF is cut off")
    # The limit on pixels was checked on the page: the decoder makes as many as the part's own header says.
    own = picture_size(Span(coded, 0, len(coded)))
    if own is None or own[0] > page.tile.width + _MCU or own[1] > page.tile.height + _MCU:
        raise Corrupt("a JPEG part of the TIFF has another size than its page says")
    space = {YCBCR: "YCBCR", RGB: "RGB", SEPARATED: "CMYK"}.get(page.photometric if depth > 1 else GREY, "GRAYSCALE")
    out = "RGB" if space == "YCBCR" else space
    tables = page.tables or None
    segment = np.asarray(imagecodecs.jpeg8_decode(coded, tables=tables, colorspace=space, outcolorspace=out))
    segment = segment if segment.ndim == 3 else segment[..., None]
    if segment.shape[0] < rows or segment.shape[1] < min(width, page.size.width) or segment.shape[2] != depth:
        raise Corrupt("a JPEG part of the TIFF has another size than its page says")
    return segment


def _unpackbits(coded: bytes, most: int) -> bytes:
    """PackBits (section 9), bounded; what a strict decoder refuses may still be whole, with padding behind it."""
    try:
        return bytes(imagecodecs.packbits_decode(coded, out=most))
    except imagecodecs.PackbitsError:
        if len(coded) > _MAX_LENIENT:
            raise
    out = bytearray()
    place = 0
    while place < len(coded) and len(out) < most:
        head = coded[place]
        if head < 128:
            out += coded[place + 1 : place + 2 + head]
            place += 2 + head
        else:
            if head > 128:
                out += coded[place + 1 : place + 2] * (257 - head)
                place += 1
            place += 1
    return bytes(out[:most])


def _unpacked(rows: npt.NDArray[np.uint8], width: int, bits: int) -> npt.NDArray[np.uint8]:
    """(H, width, 1) levels of samples of 1, 2 or 4 bits."""
    per_byte = 8 // bits
    out = np.empty((rows.shape[0], rows.shape[1] * per_byte), np.uint8)
    for i in range(per_byte):
        out[:, i::per_byte] = rows >> (8 - bits * (i + 1)) & ((1 << bits) - 1)
    return out[:, :width, None]
