"""Units inside coded pictures that carry words instead of pixels: SEI messages, metadata and padding.

HEVC: ITU-T H.265, 7.4.2.2. AV1: bitstream specification, 5.3 and 6.2.
"""

from collections.abc import Collection

from cloak.metadata.base import Fact, Kind
from cloak.metadata.coded import av1_size
from cloak.metadata.listing import IMAGE, Listing, Span, fact

MAX_UNITS = 2_000

_SEI = {39, 40}
_HEVC_SLICES = {*range(0, 10), *range(16, 22)}
_HEVC_SETS = {32: 64, 33: 128, 34: 64}
"""Bytes that a parameter set of a stream, a sequence and a picture may have, twice what encoders need: sets end in
extensions of any length, which decoders skip."""

_HEVC_MARKS = {35: 3, 36: 2, 37: 2}
"""Bytes of a delimiter, of the end of a sequence and of a stream, with their headers."""

_HEVC_LENGTHS = _HEVC_SETS | _HEVC_MARKS

_OBU_SEQUENCE, _OBU_DELIMITER, _OBU_METADATA = 1, 2, 5
_OBU_FRAMES = {3, 6}
_OBU_LONGEST = 48  # bytes of a sequence header with a few operating points
_OBU_PLAIN = {_OBU_SEQUENCE, _OBU_DELIMITER, 4, *_OBU_FRAMES}


def note_stream(
    listing: Listing, kind: bytes, span: Span, inside: str, size: int = 4, shown: tuple[int, int] | None = None
) -> None:
    """Note units that no picture needs, and an AV1 frame of another size than is shown.

    Args:
        listing, inside: as for every reader.
        kind: b"hvc1", b"hev1" or b"av01" for an item's data, b"hvcC" or b"av1C" for a configuration.
        span: the data.
        size: bytes of a unit's length in HEVC data.
        shown: width and height of an item.
    """
    if kind in (b"hvc1", b"hev1"):
        _units(listing, span, inside, size)
    elif kind == b"hvcC":
        _configuration(listing, span, inside)
    elif kind == b"av01":
        _obus(listing, span, inside, shown)
    else:
        _obus(listing, span.cut(span.start + 4, span.end), inside, None)


def _unit(listing: Listing, unit: Span, inside: str, plain: Collection[int]) -> None:
    number = unit.number(unit.start, 1) >> 1 & 63
    if number in _SEI:
        # The registered message (payload type 4 or 5) is text behind a UUID.
        text = unit.raw(400)
        words = max(text.split(b"\0"), key=len) if len(text) > 24 else b""
        listing.note("HEVC SEI", Kind.METADATA, unit, inside, fact("encoder's message", words[20:], 5))
    elif number not in plain:
        listing.note("HEVC unit in a place of others", Kind.UNKNOWN, unit, inside)
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
        _unit(listing, unit, inside, _HEVC_SLICES | _HEVC_MARKS.keys())
        # The first bit behind a slice's header: it begins a picture.
        if unit.number(unit.start, 1) >> 1 & 63 in _HEVC_SLICES and unit.number(unit.start + 2, 1) & 0x80:
            pictures += 1
            if pictures > 1:
                facts = (Fact("another picture", f"{len(unit)} bytes", IMAGE),)
                listing.note("HEVC second picture", Kind.IMAGE, unit, inside, facts)
        elif unit.number(unit.start, 1) >> 1 & 63 in _HEVC_SLICES:
            listing.note("HEVC further slice", Kind.UNKNOWN, unit, inside)
        at += size + length
    if at < span.end:
        listing.note("HEVC unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)


def _configuration(listing: Listing, span: Span, inside: str) -> None:
    at, kinds = span.start + 23, set[int]()
    for _ in range(span.number(span.start + 22, 1)):
        kind, count = span.number(at, 1) & 63, span.number(at + 1, 2)
        if count != 1 or kind in kinds:
            listing.note("HEVC needless parameter sets", Kind.UNKNOWN, span.cut(at, span.end), inside)
        kinds.add(kind)
        at += 3
        for _ in range(min(count, MAX_UNITS)):
            length = span.number(at, 2)
            if at + 2 > span.end:
                return
            _unit(listing, span.cut(at + 2, at + 2 + length), inside, {kind} & _HEVC_SETS.keys())
            at += 2 + length
    if at < span.end:
        listing.note("HEVC unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)


def _obus(listing: Listing, span: Span, inside: str, shown: tuple[int, int] | None) -> None:
    at, sequences, frames, header = span.start, 0, 0, b""
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
        elif number in _OBU_FRAMES and shown is not None:
            if av1_size(header, span.cut(start, start + length).raw(_OBU_LONGEST)) != shown:
                facts = (Fact("another picture", f"{length} bytes", IMAGE),)
                listing.note("AV1 frame of another size", Kind.IMAGE, span.cut(at, start + length), inside, facts)
        elif number == _OBU_SEQUENCE and sequences:
            listing.note("AV1 second sequence header", Kind.UNKNOWN, span.cut(at, start + length), inside)
        elif number == _OBU_SEQUENCE:
            header = span.cut(start, start + length).raw(_OBU_LONGEST)
            if length > _OBU_LONGEST:
                listing.note("AV1 sequence header slack", Kind.UNKNOWN, span.cut(at, start + length), inside)
        sequences += number == _OBU_SEQUENCE
        frames += number in _OBU_FRAMES
        at = start + length
    if at < span.end:
        listing.note("AV1 unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)
