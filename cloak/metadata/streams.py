"""Units inside coded pictures that carry words instead of pixels: SEI messages, metadata and padding.

HEVC: ITU-T H.265, 7.4.2.2. AV1: bitstream specification, 5.3 and 6.2.
"""

from cloak.metadata.base import Kind
from cloak.metadata.listing import Listing, Span, fact

MAX_UNITS = 2_000

_SEI = {39, 40}
_HEVC_PLAIN = {*range(0, 10), *range(16, 22), 32, 33, 34, 35, 36, 37}
_OBU_PLAIN = {1, 2, 3, 4, 6, 7, 8}
_OBU_METADATA = 5


def note_stream(listing: Listing, kind: bytes, span: Span, inside: str, size: int = 4) -> None:
    """Note units that no picture needs.

    Args:
        listing, inside: as for every reader.
        kind: b"hvc1" or b"av01" for an item's data, b"hvcC" or b"av1C" for a configuration.
        span: the data.
        size: bytes of a unit's length in HEVC data.
    """
    if kind == b"hvc1":
        _units(listing, span, inside, size)
    elif kind == b"hvcC":
        _configuration(listing, span, inside)
    elif kind == b"av01":
        _obus(listing, span, inside)
    else:
        _obus(listing, span.cut(span.start + 4, span.end), inside)


def _unit(listing: Listing, unit: Span, inside: str) -> None:
    number = unit.number(unit.start, 1) >> 1 & 63
    if number in _SEI:
        # The registered message (payload type 4 or 5) is text behind a UUID.
        text = unit.raw(400)
        words = max(text.split(b"\0"), key=len) if len(text) > 24 else b""
        listing.note("HEVC SEI", Kind.METADATA, unit, inside, fact("encoder's message", words[20:], 5))
    elif number not in _HEVC_PLAIN:
        listing.note("HEVC reserved unit", Kind.UNKNOWN, unit, inside)


def _units(listing: Listing, span: Span, inside: str, size: int) -> None:
    at = span.start
    for _ in range(MAX_UNITS):
        if at + size > span.end:
            break
        length = span.number(at, size)
        if length < 2 or at + size + length > span.end:
            break
        _unit(listing, span.cut(at + size, at + size + length), inside)
        at += size + length
    if at < span.end:
        listing.note("HEVC unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)


def _configuration(listing: Listing, span: Span, inside: str) -> None:
    at = span.start + 23
    for _ in range(span.number(span.start + 22, 1)):
        count = span.number(at + 1, 2)
        at += 3
        for _ in range(min(count, MAX_UNITS)):
            length = span.number(at, 2)
            if at + 2 > span.end:
                return
            _unit(listing, span.cut(at + 2, at + 2 + length), inside)
            at += 2 + length
    if at < span.end:
        listing.note("HEVC unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)


def _obus(listing: Listing, span: Span, inside: str) -> None:
    at = span.start
    for _ in range(MAX_UNITS):
        if at >= span.end:
            return
        head = span.data[at]
        number, extended, sized = head >> 3 & 15, head >> 2 & 1, head >> 1 & 1
        start = at + 1 + extended
        length = span.end - start
        if sized:
            length = shift = 0
            while start < span.end and shift < 56:
                byte = span.data[start]
                start += 1
                length |= (byte & 127) << shift
                shift += 7
                if not byte & 128:
                    break
        if head & 128 or length < 0 or start + length > span.end:
            break
        if number == _OBU_METADATA:
            listing.note("AV1 metadata", Kind.METADATA, span.cut(at, start + length), inside)
        elif number not in _OBU_PLAIN:
            listing.note("AV1 padding or reserved unit", Kind.UNKNOWN, span.cut(at, start + length), inside)
        at = start + length
    if at < span.end:
        listing.note("AV1 unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)
