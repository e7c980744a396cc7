"""AVIF's container written by hand around what the encoder made: no name, time or box but those that decoding needs.

ISO/IEC 23008-12 (HEIF) items; AV1 in it: AOM's AV1 Image File Format 1.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cloak.errors import ConcealmentFailed
from cloak.photo.raster import Carry

_PROPERTIES = (b"ispe", b"pixi", b"av1C", b"auxC")
_ROLES = ("primary", "alpha")
_ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"

UNSPECIFIED = 2
_PRIMARIES = (1, *range(4, 13), 22)  # H.273, table 2
_TRANSFERS = (1, *range(4, 19))  # table 3


@dataclass(frozen=True, slots=True)
class Colours:
    """What the decoded numbers mean (ITU-T H.273): colour primaries, transfer, matrix, full range."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = 6
    full_range: int = 1

    @classmethod
    def stated(cls, primaries: int, transfer: int) -> "Colours":
        """What a file states; numbers that the standard does not define mean nothing, and could be a message."""
        return cls(
            primaries if primaries in _PRIMARIES else UNSPECIFIED, transfer if transfer in _TRANSFERS else UNSPECIFIED
        )


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
    """The coded picture, and its alpha, of a file that libavif wrote.

    Its layout is known, so that these few lines do instead of the reader that will verify what comes of them.
    """
    try:
        return _parsed(coded)
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise ConcealmentFailed("the AVIF encoder made a file that is not understood") from error


def _parsed(coded: bytes) -> list[_Coded]:
    meta = dict(_boxes(dict(_boxes(coded))[b"meta"][4:]))
    properties = [_box(kind, body) for kind, body in _boxes(dict(_boxes(meta[b"iprp"]))[b"ipco"])]
    own = _associations(dict(_boxes(meta[b"iprp"]))[b"ipma"])
    (primary,) = struct.unpack_from(">H", meta[b"pitm"], 4)
    kinds = {struct.unpack_from(">H", body, 4)[0]: body[8:12] for _, body in _boxes(meta[b"iinf"][6:])}
    # A reference: from one item, to a number of others.
    references = [(kind, *struct.unpack_from(">HHH", body)) for kind, body in _boxes(meta.get(b"iref", bytes(4))[4:])]
    alphas = [source for kind, source, count, to in references if (kind, count, to) == (b"auxl", 1, primary)]
    wanted = [("primary", primary), *(("alpha", number) for number in alphas)]
    if len(wanted) > len(_ROLES) or {kinds[number] for _, number in wanted} != {b"av01"}:
        raise ValueError
    places = _places(meta[b"iloc"])
    pictures = []
    for role, number in wanted:
        kept = tuple(properties[i - 1] for i in own[number] if properties[i - 1][4:8] in _PROPERTIES)
        if role == "alpha" and not any(_ALPHA in box for box in kept):
            raise ValueError
        offset, length = places[number]
        if offset + length > len(coded):
            raise ValueError
        pictures.append(_Coded(role, coded[offset : offset + length], kept))
    return pictures


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, body) of each box."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if not 8 <= size <= len(data) - at:
            raise ValueError
        yield kind, data[at + 8 : at + size]
        at += size


def _associations(ipma: bytes) -> dict[int, list[int]]:
    """Numbers of each item's properties, from 1 on; version 0, one byte each."""
    version, count = struct.unpack_from(">II", ipma)
    found, at = {}, 8
    for _ in range(count):
        item, number = struct.unpack_from(">HB", ipma, at)
        found[item] = [value & 0x7F for value in ipma[at + 3 : at + 3 + number]]
        at += 3 + number
    if version:
        raise ValueError
    return found


def _places(iloc: bytes) -> dict[int, tuple[int, int]]:
    """Offset and length of each item, in one run each; version 0, offsets and lengths of four bytes."""
    version, sizes, count = struct.unpack_from(">IHH", iloc)
    found = {}
    for number in range(count):
        item, _, extents, offset, length = struct.unpack_from(">HHHII", iloc, 8 + 14 * number)
        if extents != 1:
            raise ValueError
        found[item] = offset, length
    if version or sizes != 0x4400:
        raise ValueError
    return found


def _entry(number: int, kind: bytes, extra: bytes = b"") -> bytes:
    hidden = 0 if kind == b"av01" else 1
    return _box(b"infe", struct.pack(">BBHHH", 2, 0, hidden, number, 0) + kind + b"\0" + extra)


def _reference(kind: bytes, source: int, target: int) -> bytes:
    return _box(kind, struct.pack(">HHH", source, 1, target))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body
