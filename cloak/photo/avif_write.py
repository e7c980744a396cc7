"""AVIF's container written by hand around what the encoder made: no name, time or box but those that decoding needs.

ISO/IEC 23008-12 (HEIF) items; AV1 in it: AOM's AV1 Image File Format 1.1.
"""

import struct
from dataclasses import dataclass

from cloak.errors import ConcealmentFailed
from cloak.metadata.items import Box, Item, Meta, boxes, parse_meta
from cloak.metadata.listing import Span
from cloak.photo.raster import Carry

_PROPERTIES = (b"ispe", b"pixi", b"av1C", b"auxC")
_ROLES = ("primary", "alpha")


@dataclass(frozen=True, slots=True)
class Colours:
    """What the decoded numbers mean (ITU-T H.273): colour primaries, transfer, matrix, full range."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 6
    full_range: int = 1


@dataclass(frozen=True, slots=True)
class _Coded:
    """One coded picture, with its property boxes."""

    role: str
    body: bytes
    properties: tuple[bytes, ...]


def rewrap(coded: bytes, colours: Colours, profile: bytes, carry: Carry) -> bytes:
    """An AVIF of the same coded picture (and alpha), with our colour properties and kept fields only.

    Args:
        coded: a file that the encoder made from concealed pixels.
        colours: written beside the profile, as decoders need the matrix.
        profile: an ICC profile, or b"".
        carry: kept fields.
    """
    pictures = _pictures(coded)
    numbers = (colours.primaries, colours.transfer, colours.matrix, colours.full_range << 7)
    colour = _box(b"colr", b"nclx" + struct.pack(">HHHB", *numbers))
    shared = [colour]
    if profile:
        shared.insert(0, _box(b"colr", b"prof" + profile))
    container: list[bytes] = []
    associations = b""
    for number, picture in enumerate(pictures, 1):
        own = [*picture.properties, *(shared if picture.role == "primary" else ())]
        entries = []
        for box in own:
            if box not in container:
                container.append(box)
            essential = 0x80 if box[4:8] == b"av1C" else 0
            entries.append(container.index(box) + 1 | essential)
        associations += struct.pack(f">HB{len(entries)}B", number, len(entries), *entries)
    items = [(picture.body, _entry(number, b"av01")) for number, picture in enumerate(pictures, 1)]
    references = b"".join(_reference(b"auxl", n, 1) for n, p in enumerate(pictures, 1) if p.role == "alpha")
    for kind, body in ((b"Exif", carry.exif), (b"mime", carry.xmp)):
        if body:
            number = len(items) + 1
            extra = b"application/rdf+xml\0" if kind == b"mime" else b""
            # An Exif item begins with the distance to its TIFF header (23008-12, Annex A.2.1).
            items.append((bytes(4) + body if kind == b"Exif" else body, _entry(number, kind, extra)))
            references += _reference(b"cdsc", number, 1)

    def meta(start: int) -> bytes:
        places, offset = b"", start
        for number, (body, _) in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, offset, len(body))
            offset += len(body)
        return _box(
            b"meta",
            bytes(4)
            + _box(b"hdlr", bytes(8) + b"pict" + bytes(13))
            + _box(b"pitm", bytes(4) + struct.pack(">H", 1))
            + _box(b"iloc", bytes(4) + struct.pack(">HH", 0x4400, len(items)) + places)
            + _box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + b"".join(entry for _, entry in items))
            + (_box(b"iref", bytes(4) + references) if references else b"")
            + _box(
                b"iprp",
                _box(b"ipco", b"".join(container))
                + _box(b"ipma", bytes(4) + struct.pack(">I", len(pictures)) + associations),
            ),
        )

    head = _box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", b"".join(body for body, _ in items))


def _pictures(coded: bytes) -> list[_Coded]:
    meta = meta_of(coded)
    found = [item for role in _ROLES for item in meta.items.values() if item.role == role and item.type == b"av01"]
    if not found or found[0].role != "primary" or len(found) > len(_ROLES):
        raise ConcealmentFailed("the AVIF encoder made a file that is not understood")
    pictures = []
    for item in found:
        own = [meta.properties[index - 1] for index in item.properties if 0 < index <= len(meta.properties)]
        kept = tuple(raw(box) for box in own if box.type in _PROPERTIES)
        pictures.append(_Coded(item.role, _body(coded, item), kept))
    return pictures


def meta_of(data: bytes) -> Meta:
    """The items of a file; an empty table if it has none."""
    box = next((box for box in boxes(Span(data, 0, len(data))) if box.type == b"meta"), None)
    return parse_meta(box.content) if box else Meta()


def raw(box: Box) -> bytes:
    """A whole box."""
    return box.span.raw()


def _body(data: bytes, item: Item) -> bytes:
    if item.method != 0 or not item.extents:
        raise ConcealmentFailed("the AVIF encoder made a file that is not understood")
    return b"".join(data[offset : offset + length] for offset, length in item.extents)


def _entry(number: int, kind: bytes, extra: bytes = b"") -> bytes:
    hidden = 0 if kind == b"av01" else 1
    return _box(b"infe", struct.pack(">BBHHH", 2, 0, hidden, number, 0) + kind + b"\0" + extra)


def _reference(kind: bytes, source: int, target: int) -> bytes:
    return _box(kind, struct.pack(">HHH", source, 1, target))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body
