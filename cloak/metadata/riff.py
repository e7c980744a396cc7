"""WebP: RIFF chunks (RFC 9649)."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import HISTORY, IMAGE, Listing, Span
from cloak.metadata.trailer import read_trailer

_KINDS = {
    b"VP8X": Kind.STRUCTURE,
    b"ANIM": Kind.STRUCTURE,
    b"VP8 ": Kind.PIXELS,
    b"VP8L": Kind.PIXELS,
    b"ALPH": Kind.PIXELS,
    b"ANMF": Kind.PIXELS,
    b"ICCP": Kind.COLOUR,
    b"EXIF": Kind.METADATA,
    b"XMP ": Kind.METADATA,
    b"C2PA": Kind.METADATA,
}
_NESTED = {b"ICCP": "icc", b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "jumbf"}
_LENGTHS = {b"VP8X": 10, b"ANIM": 6}
_FRAME_HEADER = 16
_ONCE = {b"VP8X", b"ANIM", b"ICCP"}
_ANIMATION, _ALPHA = 2, 16


def read_webp(listing: Listing) -> None:
    """Name every chunk, and what lies behind the RIFF."""
    span = listing.whole
    listing.tile("RIFF header", Kind.STRUCTURE, 0, 12)
    end = 8 + span.number(4, 4, "little")
    if end > span.end:
        listing.complain("the RIFF is cut short")
    body = span.cut(12, end)
    # The flags of VP8X: without one of them, what belongs to it is shown by nobody.
    flags = span.data[20] if body.startswith(b"VP8X") and len(body) > 8 else 0
    frames = _chunks(listing, body, "", flags)
    listing.frames = max(frames, 1)
    read_trailer(listing, span.cut(body.end, span.end), "", behind="after RIFF")


def _declares_alpha(body: Span) -> bool:
    """What a lossless bitstream says of itself behind a signature and its size (RFC 9649, section 3.4)."""
    return bool(body.number(body.start, 5, "little") >> 36 & 1)


def _chunks(listing: Listing, span: Span, inside: str, flags: int) -> int:
    """Name chunks; returns how many animation frames were among them."""
    at, frames = span.start, 0
    pictures = int(not inside and bool(flags & _ANIMATION))  # the pictures of an animation lie in its frames
    seen: set[bytes] = set()
    while at < span.end:
        word = span.data[at : at + 4]
        if at + 8 > span.end:
            listing.put("unknown bytes", Kind.UNKNOWN, span.cut(at, span.end), inside)
            listing.complain("a chunk is cut short")
            break
        size = span.number(at + 4, 4, "little")
        chunk, body = span.cut(at, at + 8 + size + (size & 1)), span.cut(at + 8, at + 8 + size)
        kind = _KINDS.get(word, Kind.UNKNOWN)
        plain = all(65 <= byte <= 90 or 97 <= byte <= 122 or byte in b" 0123456789" for byte in word)
        name = word.decode("ascii") if plain else "unnamed chunk"
        facts: tuple[Fact, ...] = ()
        if word in (b"VP8 ", b"VP8L"):
            pictures += 1
            if pictures > 1:
                kind, facts = Kind.IMAGE, (Fact("another picture", f"{size} bytes", IMAGE),)
            if word == b"VP8L" and (inside or b"VP8X" in seen) and not flags & _ALPHA and _declares_alpha(body):
                listing.note("VP8L alpha", Kind.IMAGE, body, name)  # which some viewers show, and others do not
        elif word == b"ALPH" and not (flags & _ALPHA and span.cut(chunk.end, span.end).startswith(b"VP8 ")):
            kind, facts = Kind.IMAGE, (Fact("another picture", f"{size} bytes", IMAGE),)
        elif (word == b"ANMF" and (inside or not flags & _ANIMATION)) or (word in _ONCE and word in seen):
            kind = Kind.UNKNOWN
        elif word == b"C2PA":
            facts = (Fact("manifest", "a C2PA manifest", HISTORY),)
        seen.add(word)
        listing.put(name, kind, chunk, inside, facts)
        if len(body) < size:
            listing.complain("a chunk is cut short")
        if word in _LENGTHS and size > _LENGTHS[word]:
            listing.note(f"{name} slack", Kind.UNKNOWN, body.cut(body.start + _LENGTHS[word], body.end), name)
        if size & 1 and any(span.data[body.end : chunk.end]):
            listing.note(f"{name} pad byte", Kind.UNKNOWN, span.cut(body.end, chunk.end), name)
        if word in _NESTED:
            # Some writers put JPEG's signature before the TIFF block.
            start = body.start + (6 if word == b"EXIF" and body.startswith(b"Exif\0\0") else 0)
            listing.nest(_NESTED[word], body.cut(start, body.end), name)
        elif word == b"ANMF" and not inside:
            frames += bool(flags & _ANIMATION)
            _chunks(listing, body.cut(body.start + _FRAME_HEADER, body.end), "ANMF", flags)
        at = chunk.end
    return frames
