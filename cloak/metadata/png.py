"""PNG and APNG chunks (W3C, Portable Network Graphics, third edition), and the stream inside IDAT."""

import binascii
import zlib
from dataclasses import dataclass

from cloak.metadata.base import Fact, Kind
from cloak.metadata.deflate import MAX_PROFILE, MAX_TEXT, Meter, inflate
from cloak.metadata.listing import DATE, HISTORY, IMAGE, OTHER, PERSON, SOFTWARE, TEXT, Listing, Span, clean, fact
from cloak.metadata.trailer import read_trailer

_KINDS = {
    **dict.fromkeys((b"IHDR", b"PLTE", b"IEND", b"tRNS", b"acTL", b"fcTL"), Kind.STRUCTURE),
    **dict.fromkeys((b"IDAT", b"fdAT"), Kind.PIXELS),
    **dict.fromkeys((b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"), Kind.COLOUR),
    **dict.fromkeys(
        (
            b"tEXt zTXt iTXt eXIf zxIf exIf tIME caBX pHYs bKGD sBIT hIST sPLT oFFs pCAL sCAL sTER gIFg gIFx gIFt "
            b"dSIG iDOT vpAg caNv orNT meTa prVW mkBF mkBS mkBT mkTS"
        ).split(),
        Kind.METADATA,
    ),
}
_LENGTHS = {b"IHDR": 13, b"IEND": 0, b"acTL": 8, b"fcTL": 26, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_ONCE = {b"IHDR", b"PLTE", b"tRNS", b"acTL", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP"}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: (x, y, step x, step y) of each pass."""

MAX_STREAM = 1 << 30
"""Bytes of pixels, of all frames, that are decompressed to find the ends of streams."""

_KEYWORDS = {
    b"Author": PERSON,
    b"Artist": PERSON,
    b"Copyright": PERSON,
    b"Creation Time": DATE,
    b"date:create": DATE,
    b"date:modify": DATE,
    b"Software": SOFTWARE,
    b"Source": PERSON,
    b"Title": TEXT,
    b"Description": TEXT,
    b"Comment": TEXT,
    b"parameters": HISTORY,
    b"prompt": HISTORY,
    b"workflow": HISTORY,
}


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    bits: int  # a pixel
    colour: int
    interlaced: bool

    def longest(self, word: bytes) -> int | None:
        """Bytes that a chunk may have for this kind of picture; None if that is not limited."""
        if word == b"PLTE" and self.colour == _PALETTE:
            return 3 << min(self.bits, 8)
        if word == b"tRNS":
            return {0: 2, 2: 6, _PALETTE: 1 << min(self.bits, 8)}.get(self.colour, 0)
        return _LENGTHS.get(word)

    def length(self, width: int, height: int) -> int:
        """Bytes of a frame's filtered rows."""
        if not self.interlaced:
            return height * (1 + (width * self.bits + 7) // 8)
        total = 0
        for x, y, dx, dy in _PASSES:
            w, h = -(-(width - x) // dx), -(-(height - y) // dy)
            if w > 0 and h > 0:
                total += h * (1 + (w * self.bits + 7) // 8)
        return total


def read_png(listing: Listing) -> None:
    """Name every chunk, and what its stream holds beyond the picture."""
    span = listing.whole
    listing.tile("PNG signature", Kind.STRUCTURE, 0, 8)
    header: _Header | None = None
    meter: Meter | None = None
    controls, sequence, animated, still = 0, 0, False, span.cut(0, 0)
    seen: set[bytes] = set()
    left = MAX_STREAM
    at = 8
    while at + 12 <= span.end:
        length, word = span.number(at, 4), span.data[at + 4 : at + 8]
        stop = at + 12 + length
        name = f"PNG {word.decode('ascii')}" if word.isalpha() and word.isascii() else "PNG unnamed chunk"
        body = span.cut(at + 8, min(stop, span.end) - 4 if stop <= span.end else span.end)
        if stop > span.end:
            listing.tile(name, Kind.UNKNOWN, at, span.end)
            listing.complain("a chunk is cut short")
            return
        kind = Kind.UNKNOWN if word in seen else _KINDS.get(word, Kind.UNKNOWN)
        seen |= _ONCE & {word}
        if word == b"IHDR" and header is None and length >= 13:
            samples = _SAMPLES.get(body.data[body.start + 9], 1) * body.data[body.start + 8]
            colour, interlaced = body.data[body.start + 9], body.data[body.start + 12] == 1
            header = _Header(span.number(at + 8, 4), span.number(at + 12, 4), samples, colour, interlaced)
            meter = Meter(min(header.length(header.width, header.height), left))
        elif word == b"IHDR":
            kind = Kind.UNKNOWN
        elif word == b"acTL":
            animated = True
        elif word == b"PLTE" and header and header.colour != _PALETTE:
            kind = Kind.METADATA  # a suggestion for screens of few colours, as in sPLT
        elif word in (b"fcTL", b"fdAT") and not animated:
            kind = Kind.UNKNOWN
        elif word == b"fcTL":
            controls += 1
            if len(still):
                left -= _finish(listing, meter)
                width, height = span.number(at + 12, 4), span.number(at + 16, 4)
                meter = Meter(min(header.length(width, height), left)) if header else None
                if controls == 1:  # no frame: shown by programs that know no animation, and by no other
                    facts = (Fact("another picture", "shown instead of the animation", IMAGE),)
                    listing.note("PNG default image", Kind.IMAGE, still, "PNG IDAT", facts)
        elif word == b"IDAT":
            still = span.cut(still.start or at, stop)
        listing.tile(name, kind, at, stop, _facts(word, body), join=word in (b"IDAT", b"fdAT"))
        _inside(listing, word, name, body, meter)
        if zlib.crc32(span.data[at + 4 : stop - 4]) != span.number(stop - 4, 4):
            listing.note(f"{name} wrong CRC", Kind.UNKNOWN, span.cut(stop - 4, stop), name)
        if animated and word in (b"fcTL", b"fdAT"):
            if body.number(body.start, 4) != sequence:
                listing.note("PNG sequence number", Kind.UNKNOWN, body.cut(body.start, body.start + 4), name)
            sequence += 1
        longest = header.longest(word) if header else None
        if longest is not None and length > longest:
            listing.note(f"{name} slack", Kind.UNKNOWN, body.cut(body.start + longest, body.end), name)
        at = stop
        if word == b"IEND":
            _finish(listing, meter)
            listing.frames = max(1, controls)
            read_trailer(listing, span.cut(at, span.end), "", behind="after IEND")
            return
    listing.frames = max(1, controls)
    listing.complain("no IEND")


def _inside(listing: Listing, word: bytes, name: str, body: Span, meter: Meter | None) -> None:
    """What a chunk's body holds."""
    if word in (b"IDAT", b"fdAT") and meter is not None:
        run = body.cut(body.start + 4, body.end) if word == b"fdAT" else body
        over = meter.over
        behind = meter.feed(run.raw())
        if behind:
            rest = run.cut(run.end - behind, run.end)
            listing.note("PNG data behind the zlib stream", Kind.UNKNOWN, rest, name)
        if meter.over and not over:
            listing.note("PNG pixels beyond the picture", Kind.UNKNOWN, run, name)
    elif word in (b"eXIf", b"exIf"):
        listing.nest("exif", body, name)
    elif word == b"caBX":
        listing.nest("jumbf", body, name)
    elif word == b"iCCP":
        start = body.data.find(b"\0", body.start, body.end) + 2
        if start > 1:
            packed = body.cut(start, body.end)
            profile, surplus = inflate(packed.raw(), min(MAX_PROFILE, listing.budget))
            listing.spend(len(profile))
            if surplus:
                rest = packed.cut(packed.end - len(surplus), packed.end)
                listing.note("PNG data behind the zlib stream", Kind.UNKNOWN, rest, name)
            _nest(listing, "icc", profile, body, name)
    elif word in (b"tEXt", b"zTXt", b"iTXt"):
        keyword = body.raw(80).split(b"\0")[0]
        if keyword != b"XML:com.adobe.xmp" and not keyword.startswith(b"Raw profile type "):
            return
        text = _text(word, body, min(MAX_TEXT, listing.budget))
        listing.spend(len(text))
        if keyword == b"XML:com.adobe.xmp":
            _nest(listing, "xmp", text, body, name)
        else:
            reader = {b"exif": "exif", b"APP1": "exif", b"xmp": "xmp", b"icc": "icc", b"icm": "icc"}
            reader |= {b"iptc": "resources", b"8bim": "resources"}
            held = _raw_profile(text)
            which = reader.get(keyword[17:], "exif")
            if held.startswith(b"Exif\0\0"):
                held = held[6:]
            elif held.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                held, which = held[29:], "xmp"
            if held:
                _nest(listing, which, held, body, name)


def _finish(listing: Listing, meter: Meter | None) -> int:
    """Complain of a stream that does not fit its picture; returns how long it was."""
    if meter is None:
        return 0
    if meter.over:
        listing.complain("the compressed pixels are longer than the picture, or than can be read")
    elif meter.damaged or not meter.ended:
        listing.complain("the compressed pixels are damaged or cut short")
    return meter.length


def _nest(listing: Listing, reader: str, data: bytes, body: Span, name: str) -> None:
    listing.nest(reader, Span(data, 0, len(data), (body.start, len(body))), name)


def _text(word: bytes, body: Span, limit: int) -> bytes:
    """The text of a text chunk behind its keyword, decompressed within a limit."""
    _, _, rest = body.raw().partition(b"\0")
    if word == b"zTXt":
        return inflate(rest[1:], limit)[0]
    if word == b"iTXt":
        packed = rest[:1] == b"\1"
        _, _, rest = rest[2:].partition(b"\0")
        _, _, rest = rest.partition(b"\0")
        return inflate(rest, limit)[0] if packed else rest
    return rest


def _raw_profile(text: bytes) -> bytes:
    """ImageMagick's form of a binary profile: a name, a length, then hexadecimal lines."""
    lines = text.strip().split(b"\n", 2)
    if len(lines) < 3:
        return b""
    try:
        return binascii.unhexlify(lines[2].translate(None, b" \r\n\t"))
    except binascii.Error:
        return b""


def _facts(word: bytes, body: Span) -> tuple[Fact, ...]:
    if word in (b"tEXt", b"zTXt", b"iTXt"):
        keyword = body.raw(80).split(b"\0")[0]
        if keyword == b"XML:com.adobe.xmp" or keyword.startswith(b"Raw profile"):
            return ()
        return fact(clean(keyword) or "text", _text(word, body, 1600), _KEYWORDS.get(keyword, TEXT))
    if word == b"tIME" and len(body) == 7:
        year, rest = body.number(body.start, 2), body.raw()[2:]
        return (Fact("date modified", "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(year, *rest), DATE),)
    if word == b"iCCP":
        return fact("profile name", body.raw(80).split(b"\0")[0], OTHER)
    if word == b"sPLT":
        return fact("palette name", body.raw(80).split(b"\0")[0], OTHER)
    if word == b"caBX":
        return (Fact("manifest", "a C2PA manifest", HISTORY),)
    return ()
