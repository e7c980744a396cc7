"""What lies behind the end of a picture: motion video, more pictures, archives, maker's trailers."""

import re
from bisect import bisect_left

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import IMAGE, OTHER, PERSON, Listing, Span
from cloak.metadata.peek import picture_fact

_START = re.compile(
    rb"\xff\xd8\xff|....ftyp|PK\x03\x04|\x89PNG\r\n\x1a\n|GIF8[79]a|%PDF-|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|RIFF....WEBP",
    re.DOTALL,
)
_LONGEST = 12  # bytes of such a start
_BOX_TYPES = set(b"ftyp moov mdat free skip wide uuid moof mfra meta udta mpvd".split())
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MAX_SEFT = 1_000

# Names of Samsung's trailer entries that tell of a picture or a sound.
_SEFT_NAMES = {
    0x0100: "sound",
    0x0A01: "UTC date",
    0x0A30: "motion video",
    0x0A41: "edit",
    0x0AB1: "depth map",
    0x0BA1: "original",
}
_SEFT_PICTURES = {0x0A30, 0x0AB1, 0x0BA1}


def read_trailer(
    listing: Listing, span: Span, inside: str, pictures: dict[int, int] | None = None, behind: str = "after EOI"
) -> None:
    """Name everything from the end of a picture to the end of the file.

    Args:
        listing, span, inside: as for every reader.
        pictures: starts and ends of pictures that an MPF index announces.
        behind: how parts are called: "after EOI", "after IEND", "after RIFF", ...
    """
    pictures = pictures or {}
    starts = sorted(pictures)
    end = _samsung(listing, span, inside, behind)
    at = span.start
    zeros = at + len(span.cut(at, end).raw().rstrip(b"\0"))
    while at < end:
        if at not in pictures and at >= zeros:
            listing.put(f"{behind} zeros", Kind.UNKNOWN, span.cut(at, end), inside)
            return
        stop, name, kind, facts = _recognise(span, at, end, pictures)
        if stop > at:
            part = span.cut(at, stop)
            listing.put(f"{behind} {name}", kind, part, inside, facts)
            if part.startswith(b"\xff\xd8\xff"):
                listing.nest("jpeg", part, f"{behind} {name}")
            at = stop
            continue
        following = _next(span, at + 1, end, starts)
        listing.put(behind, Kind.UNKNOWN, span.cut(at, following), inside)
        at = following


def _next(span: Span, at: int, end: int, starts: list[int]) -> int:
    announced = bisect_left(starts, at)
    stop = min([end, *starts[announced : announced + 1]])
    # Not beyond it: what is searched for every announced picture anew takes the size of the file times their number.
    match = _START.search(span.data, at, min(stop + _LONGEST, end))
    return min(match.start(), stop) if match else stop


def _recognise(span: Span, at: int, end: int, pictures: dict[int, int]) -> tuple[int, str, Kind, tuple[Fact, ...]]:
    """(end, name, kind, facts) of what starts at a position; an end of `at` says: nothing known."""
    data = span.data
    if at in pictures and pictures[at] > at:
        stop = min(pictures[at], end)
        return stop, "MPF image", Kind.IMAGE, picture_fact("another picture", span.cut(at, stop))
    if data.startswith(b"\xff\xd8\xff", at, end):
        stop = jpeg_end(span.cut(at, end))
        return stop, "JPEG", Kind.IMAGE, picture_fact("another picture", span.cut(at, stop))
    if data.startswith(b"ftyp", at + 4, end):
        stop = boxes_end(span.cut(at, end))
        if stop > at:
            facts = (Fact("video", f"{stop - at} bytes", IMAGE),)
            return stop, "MP4", Kind.IMAGE, facts
    if data.startswith(b"PK\x03\x04", at, end):
        directory = data.rfind(b"PK\x05\x06", at, end)
        stop = directory + 22 + span.number(directory + 20, 2, "little") if directory >= 0 else end
        return min(stop, end), "ZIP", Kind.UNKNOWN, (Fact("archive", f"{min(stop, end) - at} bytes", OTHER),)
    if data.startswith((b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF"), at, end) and _START.match(data, at, end):
        return end, "image", Kind.IMAGE, picture_fact("another picture", span.cut(at, end))
    if data.startswith((b"%PDF-", b"Rar!\x1a\x07", b"7z\xbc\xaf"), at, end):
        return end, "archive", Kind.UNKNOWN, (Fact("archive", f"{end - at} bytes", OTHER),)
    return at, "", Kind.UNKNOWN, ()


def jpeg_end(span: Span) -> int:
    """Where a JPEG ends that starts the span: behind its EOI, or where its segments stop making sense."""
    data, at, end = span.data, span.start + 2, span.end
    while at + 2 <= end and data[at] == 0xFF:
        code = data[at + 1]
        if code == 0xD9:
            return at + 2
        if code == 0xFF:
            at += 1
            continue
        if code in (0x00, 0x01) or 0xD0 <= code <= 0xD8:
            at += 2
            continue
        at += 2 + max(span.number(at + 2, 2), 2)
        if code == 0xDA:
            match = _NEXT_MARKER.search(data, at, end)
            at = match.start() if match else end
    return min(at, end)


def boxes_end(span: Span) -> int:
    """Where a run of MP4 boxes ends that starts the span."""
    at = span.start
    while at + 8 <= span.end and span.data[at + 4 : at + 8] in _BOX_TYPES:
        size = span.number(at, 4)
        if size == 1:
            size = span.number(at + 8, 8)
        if size == 0:
            return span.end
        if size < 8:
            break
        at = min(at + size, span.end)
    return at


def _samsung(listing: Listing, span: Span, inside: str, behind: str) -> int:
    """Claim Samsung's trailer at the end of the file; returns where it begins.

    Layout: blocks, then "SEFH", version, count, (type, distance back, size) each, then the directory's length, "SEFT".
    """
    # The trailer may itself be followed by bytes that somebody appended.
    tail = span.data.rfind(b"SEFT", span.start, span.end)
    if tail < 0 or tail - 4 < span.start:
        return span.end
    head = tail - 4 - span.number(tail - 4, 4, "little")
    if head < span.start or not span.data.startswith(b"SEFH", head, tail):
        return span.end
    start = head
    entries = []
    for i in range(min(span.number(head + 8, 4, "little"), _MAX_SEFT)):
        at = head + 12 + 12 * i
        if at + 12 > tail:
            break
        kind = span.number(at + 2, 2, "little")
        block = head - span.number(at + 4, 4, "little")
        size = span.number(at + 8, 4, "little")
        if span.start <= block < head:
            start = min(start, block)
            entries.append((kind, span.cut(block, min(block + size, head))))
    name = f"{behind} Samsung SEFT"
    for kind, entry in entries:
        word = _SEFT_NAMES.get(kind, "")
        what = Kind.IMAGE if kind in _SEFT_PICTURES else Kind.METADATA
        listing.note(f"SEFT 0x{kind:04X} {word}".rstrip(), what, entry, name)
    facts = (Fact("Samsung trailer", f"{len(entries)} entries", PERSON),)
    listing.put(name, Kind.METADATA, span.cut(start, tail + 4), inside, facts)
    if tail + 4 < span.end:
        listing.put(behind, Kind.UNKNOWN, span.cut(tail + 4, span.end), inside)
    return start
