"""Units inside coded pictures that carry words instead of pixels: SEI messages, metadata and padding.

HEVC: ITU-T H.265, 7.4.2.2. AV1: bitstream specification, 5.3 and 6.2.
"""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import IMAGE, Listing, Span, fact

MAX_UNITS = 2_000

_SEI = {39, 40}
_HEVC_PLAIN = {*range(0, 10), *range(16, 22), 32, 33, 34, 35, 36, 37}
_HEVC_SLICES = {*range(0, 10), *range(16, 22)}
_HEVC_LENGTHS = {35: 3, 36: 2, 37: 2}
"""Bytes of a delimiter, of the end of a sequence and of a stream, with their headers."""

_OBU_SEQUENCE, _OBU_DELIMITER, _OBU_METADATA = 1, 2, 5
_OBU_FRAMES = {3, 6}
_OBU_PLAIN = {_OBU_SEQUENCE, _OBU_DELIMITER, 4, *_OBU_FRAMES}


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
    elif len(unit) > _HEVC_LENGTHS.get(number, len(unit)):
        listing.note("HEVC unit slack", Kind.UNKNOWN, unit, inside)


def _units(listing: Listing, span: Span, inside: str, size: int) -> None:
    at, pictures = span.start, 0
    for _ in range(MAX_UNITS):
        if at + size > span.end:
            break
        length = span.number(at, size)
        if length < 2 or at + size + length > span.end:
            break
        unit = span.cut(at + size, at + size + length)
        _unit(listing, unit, inside)
        # The first bit behind a slice's header: it begins a picture.
        if unit.number(unit.start, 1) >> 1 & 63 in _HEVC_SLICES and unit.number(unit.start + 2, 1) & 0x80:
            pictures += 1
            if pictures > 1:
                facts = (Fact("another picture", f"{len(unit)} bytes", IMAGE),)
                listing.note("HEVC second picture", Kind.IMAGE, unit, inside, facts)
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
    at, sequences, frames = span.start, 0, 0
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
        elif number == _OBU_DELIMITER and length:
            listing.note("AV1 delimiter slack", Kind.UNKNOWN, span.cut(at, start + length), inside)
        elif number in _OBU_FRAMES and frames:
            facts = (Fact("another picture", f"{length} bytes", IMAGE),)
            listing.note("AV1 second frame", Kind.IMAGE, span.cut(at, start + length), inside, facts)
        elif number == _OBU_SEQUENCE and sequences:
            listing.note("AV1 second sequence header", Kind.UNKNOWN, span.cut(at, start + length), inside)
        sequences += number == _OBU_SEQUENCE
        frames += number in _OBU_FRAMES
        at = start + length
    if at < span.end:
        listing.note("AV1 unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)
