"""BMP: headers, palette, pixels, profile (Microsoft, BITMAPFILEHEADER to BITMAPV5HEADER)."""

from functools import reduce
from operator import or_

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import DOCUMENT, Listing, Span, fact

_RGB, _RLE8, _RLE4, _BITFIELDS, _JPEG, _PNG, _ALPHAFIELDS = 0, 1, 2, 3, 4, 5, 6
_EMBEDDED, _LINKED = 0x4D424544, 0x4C494E4B  # "MBED" and "LINK", read as little-endian numbers


def read_bmp(listing: Listing) -> None:
    """Name headers, masks, palette, pixels and profile by the places that the headers give them."""
    span = listing.whole

    def number(at: int, size: int) -> int:
        return span.number(at, size, "little")

    listing.tile("BMP file header", Kind.STRUCTURE, 0, 14)
    size, start = number(14, 4), number(10, 4)
    listing.tile("BMP info header", Kind.STRUCTURE, 14, 14 + size)
    if 14 + size > span.end:
        listing.complain("the header is cut short")
        return
    if any(span.data[6:10]):
        listing.note("BMP reserved bytes", Kind.UNKNOWN, span.cut(6, 10), "BMP file header")
    if size == 12:
        width, height, depth, compression, colours, stored = number(18, 2), number(20, 2), number(24, 2), 0, 0, 0
    else:
        width, height, depth = number(18, 4), number(22, 4), number(28, 2)
        compression, stored, colours = (number(at, 4) if size >= 40 else 0 for at in (30, 34, 46))
    if width >> 31 or depth not in (1, 2, 4, 8, 16, 24, 32) or compression > _ALPHAFIELDS:
        listing.complain("the header makes no sense")
        return
    height = min(height, (1 << 32) - height)  # negative: rows from top to bottom
    at = 14 + size
    if size == 40 and compression in (_BITFIELDS, _ALPHAFIELDS):
        masks = 12 if compression == _BITFIELDS else 16
        listing.tile("BMP colour masks", Kind.STRUCTURE, at, at + masks)
        at += masks
    full = 1 << depth if depth <= 8 else 0
    entries = min(colours or full, full)  # of more colours the list is a hint for old screens, and a gap to us
    palette = span.cut(at, min(at + entries * (3 if size == 12 else 4), max(start, at)))
    listing.tile("BMP palette", Kind.STRUCTURE, palette.start, palette.end)
    if size > 12 and not _uniform(palette.raw()[3::4]):
        listing.note("BMP palette spare bytes", Kind.UNKNOWN, palette, "BMP palette")
    row = (width * depth + 31) // 32 * 4
    length = row * height if compression in (_RGB, _BITFIELDS, _ALPHAFIELDS) else stored
    listing.tile("BMP pixels", Kind.PIXELS, start, start + length)
    if start + length > span.end:
        listing.complain("the pixels are cut short")
    if compression in (_RGB, _BITFIELDS, _ALPHAFIELDS):
        _row_padding(listing, span.cut(start, start + length), (width * depth + 7) // 8, row)
        if depth in (16, 32):
            used = [number(54 + 4 * i, 4) for i in range(4 if size >= 56 or compression == _ALPHAFIELDS else 3)]
            standard = [0x7FFF if depth == 16 else 0xFFFFFF]
            _unused(listing, span.cut(start, start + length), depth, standard if compression == _RGB else used)
    if size >= 124:
        _profile(listing, span, number(14 + 56, 4), 14 + number(14 + 112, 4), number(14 + 116, 4))


def _uniform(spare: bytes) -> bool:
    """Whether bytes that nothing reads are all 0 or all 255, as encoders write them."""
    return not spare.strip(b"\0") or not spare.strip(b"\xff")


def _row_padding(listing: Listing, pixels: Span, used: int, row: int) -> None:
    """Rows end at a multiple of four bytes; what fills them up should be zeros."""
    for number in range(used, row):
        if any(pixels.data[pixels.start + number : pixels.end : row]):
            listing.note("BMP row padding", Kind.UNKNOWN, pixels, "BMP pixels")
            return


def _unused(listing: Listing, pixels: Span, depth: int, masks: list[int]) -> None:
    """Bits of a pixel that belong to no channel; rows are filled up with zeros."""
    for byte in range(depth // 8):
        spare = 0xFF & ~reduce(or_, masks) >> 8 * byte
        bits = pixels.raw()[byte :: depth // 8].translate(bytes(value & spare for value in range(256)))
        if bits.strip(b"\0") and bits.strip(bytes((spare,))):
            listing.note("BMP unused bits", Kind.UNKNOWN, pixels, "BMP pixels")
            return


def _profile(listing: Listing, span: Span, space: int, at: int, length: int) -> None:
    value = span.cut(at, at + length)
    if not length:
        return
    if space == _EMBEDDED:
        listing.tile("BMP ICC profile", Kind.COLOUR, value.start, value.end)
        listing.nest("icc", value, "BMP ICC profile")
    elif space == _LINKED:
        facts: tuple[Fact, ...] = fact("linked file", value.raw(800), DOCUMENT)
        listing.tile("BMP linked profile", Kind.METADATA, value.start, value.end, facts)
