"""JPEG (ITU-T T.81 annex B): markers, segments, entropy-coded data, and what lies behind the end."""

import re
from dataclasses import dataclass, field

from cloak.metadata.base import Fact, Kind
from cloak.metadata.jpegtables import DHT, DQT, Usage, tables
from cloak.metadata.listing import HISTORY, IMAGE, Listing, Span, fact
from cloak.metadata.mpf import read_mpf
from cloak.metadata.trailer import read_trailer

_FRAMES = {code: f"SOF{code - 0xC0}" for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC)}
_NAMES = {
    **_FRAMES,
    0x01: "TEM",
    0xC4: "DHT",
    0xC8: "JPG",
    0xCC: "DAC",
    0xD8: "SOI",
    0xD9: "EOI",
    0xDA: "SOS",
    0xDB: "DQT",
    0xDC: "DNL",
    0xDD: "DRI",
    0xDE: "DHP",
    0xDF: "EXP",
    0xFE: "COM",
}
_ALONE = {0x01, *range(0xD0, 0xDA)}
_STRUCTURE = {*_FRAMES, 0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD}
_ONCE = {"APP0 JFIF", "APP14 Adobe", "DRI", "DNL"}
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}

_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""In entropy-coded data FF 00 is a stuffed byte and FF D0..D7 a restart; anything else ends the scan."""

_RUN = re.compile(rb"\xff*")

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"

_APPLICATIONS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"JFIF\0", "JFIF"),
    (0, b"JFXX\0", "JFXX"),
    (0, b"AVI1", "AVI1"),
    (0, b"OCAD", "Ocad"),
    (1, b"Exif\0", "Exif"),
    (1, _XMP, "XMP"),
    (1, _XMP_EXTENSION, "extended XMP"),
    (1, b"FLIR\0", "FLIR"),
    (1, b"PARROT\0", "Parrot"),
    (2, b"ICC_PROFILE\0", "ICC_PROFILE"),
    (2, b"MPF\0", "MPF"),
    (2, b"FPXR\0", "FPXR"),
    (2, b"urn:iso:std:iso:ts:21496", "ISO gain map"),
    (3, b"Meta\0", "Meta"),
    (3, b"META\0", "Meta"),
    (3, b"Stim\0", "Stim"),
    (5, b"RMETA\0", "RMETA"),
    (6, b"EPPIM\0", "EPPIM"),
    (6, b"NITF\0", "NITF"),
    (6, b"GoPro\0", "GoPro"),
    (6, b"TDHD\x01", "TDHD"),
    (7, b"PENTAX \0", "Pentax"),
    (7, b"HUAWEI\0", "Huawei"),
    (7, b"Qualcomm", "Qualcomm"),
    (8, b"SPIFF\0", "SPIFF"),
    (9, b"Media Jukebox\0", "Media Jukebox"),
    (10, b"UNICODE\0", "comment"),
    (11, b"JP", "JUMBF"),
    (11, b"HDR_RI", "HDR_RI"),
    (12, b"Ducky", "Ducky"),
    (12, b"Picture Info", "picture info"),
    (12, b"[picture info]", "picture info"),
    (13, b"Photoshop 3.0\0", "Photoshop"),
    (13, b"Adobe_CM", "Adobe_CM"),
    (14, b"Adobe", "Adobe"),
    (15, b"Q ", "GraphicConverter"),
)
"""Applications by segment number and signature. A signature outside this list is not repeated in a part's name."""


@dataclass(slots=True)
class _State:
    """What one picture's segments have said so far."""

    inside: str
    frame: int = 0
    usage: Usage = field(default_factory=Usage)
    scanned: set[int] = field(default_factory=set)
    spoiled: bool = False  # the next scan belongs to another picture
    quiet: bool = False  # a strip of a larger picture: only what is no part of the picture is told
    once: set[str] = field(default_factory=set)  # segments that a decoder has read and reads no second time
    profile: list[Span] = field(default_factory=list)
    resources: list[Span] = field(default_factory=list)
    manifests: dict[int, list[tuple[int, Span]]] = field(default_factory=dict)
    extended: dict[bytes, list[tuple[int, Span]]] = field(default_factory=dict)
    pictures: dict[int, int] = field(default_factory=dict)  # MPF: start -> end


def read_jpeg(listing: Listing, span: Span, inside: str = "", *, strip: bool = False) -> None:
    """Name every byte of a JPEG, or of one that lies inside a part: another picture, or a strip of the picture."""
    data, at, end = span.data, span.start, span.end
    state = _State(inside, spoiled=bool(inside) and not strip, quiet=strip)

    def put(name: str, kind: Kind, start: int, stop: int, facts: tuple[Fact, ...] = ()) -> None:
        if not (strip and kind in (Kind.STRUCTURE, Kind.PIXELS)):
            listing.put(name, kind, span.cut(start, stop), inside, facts)

    def fault(text: str) -> None:
        if not inside:
            listing.complain(text)

    put("SOI", Kind.STRUCTURE, at, at + 2)
    at += 2
    while at < end:
        if data[at] != 0xFF:
            stop = data.find(b"\xff", at, end)
            stop = end if stop < 0 else stop
            put("unknown bytes", Kind.UNKNOWN, at, stop)
            fault("bytes between segments")
            at = stop
            continue
        code_at = run.end() if (run := _RUN.match(data, at, end)) else at + 1
        if code_at > at + 1:
            put("fill bytes", Kind.UNKNOWN, at, code_at - 1)
            at = code_at - 1
        if code_at >= end:
            put("unknown bytes", Kind.UNKNOWN, at, end)
            break
        code = data[code_at]
        if code == 0xD9:
            put("EOI", Kind.STRUCTURE, at, at + 2)
            _assemble(listing, state)
            read_trailer(listing, span.cut(at + 2, end), inside, state.pictures)
            return
        if code in _ALONE or code == 0:
            name = _NAMES.get(code) or (f"RST{code - 0xD0}" if code else "unknown bytes")
            put(name, Kind.UNKNOWN, at, at + 2)
            at += 2
            continue
        length = span.number(at + 2, 2)
        stop = at + 2 + length
        if length < 2 or stop > end:
            put(_name(code, span.cut(at + 4, end)), Kind.UNKNOWN, at, end)
            fault("a segment is cut short")
            at = end
            break
        _segment(listing, state, code, span.cut(at, stop))
        at = stop
        if code == 0xDA:
            match = _NEXT_MARKER.search(data, at, end)
            stop = match.start() if match else end
            if match and data[stop - 1] == 0xFF:  # fill bytes before the marker
                stop = at + len(data[at:stop].rstrip(b"\xff"))
            put("scan", Kind.IMAGE if state.spoiled else Kind.PIXELS, at, stop)
            at = stop
    _assemble(listing, state)
    fault("no end of image")


def _name(code: int, payload: Span) -> str:
    if not 0xE0 <= code <= 0xEF:
        return _NAMES.get(code, f"marker 0x{code:02X}")
    for number, signature, word in _APPLICATIONS:
        if code == 0xE0 + number and payload.startswith(signature):
            return f"APP{number} {word}"
    return f"APP{code - 0xE0} other"


def _segment(listing: Listing, state: _State, code: int, span: Span) -> None:
    payload = span.cut(span.start + 4, span.end)
    name = _name(code, payload)
    kind = Kind.STRUCTURE if code in _STRUCTURE else Kind.METADATA
    facts: tuple[Fact, ...] = ()
    if code in _FRAMES:
        if state.frame:
            kind, state.spoiled, facts = Kind.IMAGE, True, (Fact("another picture", "a second frame", IMAGE),)
        else:
            state.frame = code
            state.usage.frame(payload)
    elif code == 0xDA:
        scanned = set(payload.raw()[1::2][: span.number(payload.start, 1)])
        if state.frame not in _PROGRESSIVE and scanned & state.scanned:
            state.spoiled = True
        state.scanned |= scanned
        state.usage.scan(payload, state.frame in _PROGRESSIVE)
        kind = Kind.IMAGE if state.spoiled else kind
    elif code in (DQT, DHT):
        state.usage.define(code, payload)
    elif code == 0xFE:
        facts = fact("comment", payload.raw(800), 3)
    elif name.startswith("marker") or name.endswith(" other") or code in (0xC8, 0xDE, 0xDF):
        kind = Kind.UNKNOWN
    elif name in ("APP0 JFIF", "APP14 Adobe"):
        kind = Kind.STRUCTURE
    elif name == "APP0 JFXX":
        kind, facts = Kind.IMAGE, (Fact("thumbnail", f"{len(payload)} bytes", IMAGE),)
    elif name == "APP2 ICC_PROFILE":
        kind = Kind.COLOUR
    elif name == "APP11 JUMBF":
        facts = (Fact("manifest", "a C2PA or other JUMBF box", HISTORY),)
    elif name == "APP2 FPXR":
        facts = fact("FlashPix", f"{len(payload)} bytes")
    elif code == 0xCC and state.frame not in _ARITHMETIC:
        kind = Kind.UNKNOWN
    if name in _ONCE and name in state.once:
        kind = Kind.UNKNOWN
    # Restart intervals may differ from scan to scan.
    state.once = state.once - {"DRI"} if code == 0xDA else state.once | {name}
    if not (state.quiet and kind is Kind.STRUCTURE):
        listing.put(name, kind, span, state.inside, facts)
    _slack(listing, code, name, payload)
    _carrier(listing, state, name, payload)


def _slack(listing: Listing, code: int, name: str, payload: Span) -> None:
    """Bytes that a decoder never looks at, at the end of a segment that it needs."""
    at, end = payload.start, payload.end
    if code in (DQT, DHT):
        at = max((table.end for _, table in tables(code, payload)), default=at)
    elif code in _FRAMES:
        at += 6 + 3 * payload.number(at + 5, 1)
    elif code == 0xDA:
        at += 4 + 2 * payload.number(at, 1)
    elif code in (0xDC, 0xDD):
        at += 2
    elif name == "APP14 Adobe":
        at += 12
    elif name == "APP0 JFIF":
        size = 3 * payload.number(at + 12, 1) * payload.number(at + 13, 1)
        if size:
            thumbnail = payload.cut(at + 14, at + 14 + size)
            listing.note("JFIF thumbnail", Kind.IMAGE, thumbnail, name, fact("thumbnail", f"{size} bytes", IMAGE))
        at += 14 + size
    else:
        return
    if at < end:
        listing.note(f"{name} slack", Kind.UNKNOWN, payload.cut(at, end), name)


def _carrier(listing: Listing, state: _State, name: str, payload: Span) -> None:
    start, end = payload.start, payload.end
    if name == "APP1 Exif":
        listing.nest("exif", payload.cut(start + 6, end), name)
    elif name == "APP1 XMP":
        listing.nest("xmp", payload.cut(start + len(_XMP), end), name)
    elif name == "APP1 extended XMP" and len(payload) >= len(_XMP_EXTENSION) + 40:
        head = start + len(_XMP_EXTENSION)
        guid = payload.data[head : head + 32]
        state.extended.setdefault(guid, []).append((payload.number(head + 36, 4), payload.cut(head + 40, end)))
    elif name == "APP2 ICC_PROFILE":
        state.profile.append(payload.cut(start + 14, end))
    elif name == "APP2 MPF":
        state.pictures.update(read_mpf(listing, payload.cut(start + 4, end), name))
    elif name == "APP11 JUMBF" and len(payload) >= 16:
        sequence, header = payload.number(start + 4, 4), 8
        # Segments after the first repeat the box's length and type (JPEG systems, ISO/IEC 19566-5, annex D).
        body = payload.cut(start + 8 + (header if sequence > 1 else 0), end)
        state.manifests.setdefault(payload.number(start + 2, 2), []).append((sequence, body))
    elif name == "APP13 Photoshop":
        state.resources.append(payload.cut(start + 14, end))
    elif name == "APP0 JFXX" and payload.data[start + 5 : start + 6] == b"\x10":
        listing.nest("jpeg", payload.cut(start + 6, end), name)


def _assemble(listing: Listing, state: _State) -> None:
    """Read the carriers that are spread over several segments, and tell of tables that nothing used."""
    if not state.inside:
        state.usage.report(listing)
    if state.profile:
        listing.nest("icc", united(state.profile), "APP2 ICC_PROFILE")
    if state.resources:
        listing.nest("resources", united(state.resources), "APP13 Photoshop")
    for pieces in state.extended.values():
        listing.nest("xmp", united([span for _, span in sorted(pieces, key=_place)]), "APP1 extended XMP")
    for pieces in state.manifests.values():
        listing.nest("jumbf", united([span for _, span in sorted(pieces, key=_place)]), "APP11 JUMBF")


def _place(piece: tuple[int, Span]) -> int:
    return piece[0]


def united(spans: list[Span]) -> Span:
    """Pieces put together; what is found in them is said to lie where they lie."""
    if len(spans) == 1:
        return spans[0]
    homes = [span.home or (span.start, len(span)) for span in spans]
    first = min(offset for offset, _ in homes)
    last = max(offset + length for offset, length in homes)
    data = b"".join(span.raw() for span in spans)
    return Span(data, 0, len(data), (first, last - first))
