"""GIF blocks (GIF89a, CompuServe 1990)."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import OTHER, TEXT, Listing, Span, fact
from cloak.metadata.trailer import read_trailer

_EXTENSIONS = {0xF9: "GIF graphic control", 0xFE: "GIF comment", 0x01: "GIF plain text", 0xFF: "GIF application"}
_APPLICATIONS = {
    b"NETSCAPE2.0": ("loop", Kind.STRUCTURE),
    b"ANIMEXTS1.0": ("loop", Kind.STRUCTURE),
    b"XMP DataXMP": ("XMP", Kind.METADATA),
    b"ICCRGBG1012": ("ICC", Kind.COLOUR),
    b"MGK8BIM0000": ("8BIM", Kind.METADATA),
    b"MGKIPTC0000": ("IPTC", Kind.METADATA),
    b"ImageMagick": ("ImageMagick", Kind.METADATA),
    b"C2PA_GIF\x01\x00\x00": ("C2PA", Kind.METADATA),
}
_NESTED = {"ICC": "icc", "8BIM": "resources", "IPTC": "iptc", "C2PA": "jumbf"}
_XMP_TRAILER = 258
"""Bytes behind a packet that let it pass for sub-blocks (XMP specification, part 3, 1.1.2), and the terminator."""


def read_gif(listing: Listing) -> None:
    """Name every block."""
    span, data = listing.whole, listing.data
    listing.tile("GIF header", Kind.STRUCTURE, 0, 6)
    if len(data) < 13:
        listing.complain("the header is cut short")
        return
    listing.tile("GIF logical screen", Kind.STRUCTURE, 6, 13)
    at = 13 + _table(data[10])
    listing.tile("GIF global colour table", Kind.STRUCTURE, 13, at)
    frames = 0
    seen: set[str] = set()  # extensions that stand once: in the file, or before a picture
    while at < span.end:
        lead = data[at]
        if lead == 0x3B:
            listing.tile("GIF trailer", Kind.STRUCTURE, at, at + 1)
            listing.frames = max(frames, 1)
            read_trailer(listing, span.cut(at + 1, span.end), "", behind="after trailer")
            return
        if lead == 0x21 and at + 2 <= span.end:
            at = _extension(listing, span, at, seen)
        elif lead == 0x2C and at + 10 <= span.end:
            frames += 1
            seen.discard(_EXTENSIONS[0xF9])
            listing.tile("GIF image descriptor", Kind.STRUCTURE, at, at + 10)
            start = at + 10 + _table(data[at + 9])
            listing.tile("GIF local colour table", Kind.STRUCTURE, at + 10, start)
            stop, whole = _blocks(data, start + 1)
            listing.tile("GIF image data", Kind.PIXELS, start, stop)
            if not whole:
                listing.complain("a block is cut short")
            at = stop
        else:
            listing.tile("unknown bytes", Kind.UNKNOWN, at, span.end)
            listing.complain("bytes between blocks")
            at = span.end
    listing.frames = max(frames, 1)
    listing.complain("no trailer")


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> tuple[int, bool]:
    """(where a chain of sub-blocks ends, whether its terminator was there)."""
    while at < len(data):
        size = data[at]
        at += 1 + size
        if size == 0:
            return at, True
    return len(data), False


def _joined(data: bytes, at: int, end: int) -> bytes:
    pieces = []
    while at < end and data[at]:
        pieces.append(data[at + 1 : min(at + 1 + data[at], end)])
        at += 1 + data[at]
    return b"".join(pieces)


def _extension(listing: Listing, span: Span, at: int, seen: set[str]) -> int:
    data, label = span.data, span.data[at + 1]
    stop, whole = _blocks(data, at + 2)
    stop = min(stop, span.end)
    name = _EXTENSIONS.get(label, "GIF unknown extension")
    kind = {0xF9: Kind.STRUCTURE, 0xFE: Kind.METADATA, 0x01: Kind.METADATA}.get(label, Kind.UNKNOWN)
    facts: tuple[Fact, ...] = ()
    word = ""
    if not whole:
        listing.complain("a block is cut short")
    if label == 0xFE:
        facts = fact("comment", _joined(data, at + 2, stop)[:1600], TEXT)
    elif label == 0x01:
        first = data[at + 2] if at + 2 < stop else 0
        facts = fact("text", _joined(data, at + 3 + first, stop)[:1600], TEXT)
    elif label == 0xFF:
        word, kind = _APPLICATIONS.get(data[at + 3 : at + 14], ("other", Kind.METADATA))
        name = f"GIF application {word}"
        if word == "other":
            facts = fact("application", data[at + 3 : at + 14], OTHER)
    if kind is Kind.STRUCTURE:
        kind = Kind.UNKNOWN if name in seen else kind
        seen.add(name)
    listing.tile(name, kind, at, stop, facts)
    if label == 0xF9 and stop - at > 8:
        listing.note("GIF graphic control slack", Kind.UNKNOWN, span.cut(at + 7, stop), name)
    if word == "loop" and stop - at > 19:
        listing.note("GIF application loop slack", Kind.UNKNOWN, span.cut(at + 18, stop), name)
    if word == "XMP":
        listing.nest("xmp", span.cut(at + 14, max(stop - _XMP_TRAILER, at + 14)), name)
    elif word in _NESTED:
        body = _joined(data, at + 14, stop)
        listing.nest(_NESTED[word], Span(body, 0, len(body), (at, stop - at)), name)
    return stop
