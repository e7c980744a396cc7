"""Image sequences: the tracks of a `moov` box and the samples they place in the media data."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.items import Box, boxes, holds
from cloak.metadata.listing import IMAGE, PERSON, Listing, Span

MAX_SAMPLES = 20_000
_CONTAINERS = {b"trak", b"mdia", b"minf", b"stbl", b"edts"}
_KNOWN = set(
    b"mvhd tkhd mdhd hdlr vmhd dinf stsd stts stsc stsz stz2 stco co64 stss elst ctts sgpd sbgp nmhd tref".split()
)
_PICTURES = {b"pict", b"vide"}
MAX_DEPTH = 8


def read_movie(listing: Listing, movie: Box, media: list[Span]) -> int:
    """Note tracks and name their samples; returns how many pictures the longest track shows."""
    frames = 0
    left = MAX_SAMPLES
    for track in boxes(movie.body):
        if track.type != b"trak":
            if len(track.span) and track.type != b"mvhd":
                listing.note("moov unknown bytes", Kind.UNKNOWN, track.span, "moov")
            continue
        tables: dict[bytes, Box] = {}
        _collect(listing, track, tables, 0)
        handler = tables[b"hdlr"].content.raw(8)[4:] if b"hdlr" in tables else b""
        samples = _samples(tables, left)
        left -= len(samples)
        if handler in _PICTURES:
            name, kind = "sequence samples", Kind.PIXELS
            frames = max(frames, len(samples))
        elif handler == b"auxv":
            name, kind = "sequence auxiliary samples", Kind.PIXELS
        elif handler == b"soun":
            name, kind = "sound samples", Kind.METADATA
            listing.note("sound track", Kind.METADATA, track.span, "moov", (Fact("sound", "a sound track", PERSON),))
        else:
            name, kind = "track samples", Kind.METADATA
        facts = (Fact("track", f"{len(samples)} samples", IMAGE),)
        listing.note("trak", Kind.STRUCTURE, track.span, "moov", facts)
        for start, length in samples:
            if holds(media, start, start + length):
                listing.tile(name, kind, start, start + length)
            else:
                listing.complain("a sample lies outside the media data")
    if left <= 0:
        listing.complain("more samples than can be listed")
    return frames


def _collect(listing: Listing, box: Box, tables: dict[bytes, Box], depth: int) -> None:
    for child in boxes(box.body):
        if child.type in _CONTAINERS and depth < MAX_DEPTH:
            _collect(listing, child, tables, depth + 1)
        elif child.type in _KNOWN:
            tables.setdefault(child.type, child)
        elif len(child.span):
            listing.note("trak unknown bytes", Kind.UNKNOWN, child.span, "moov")


def _samples(tables: dict[bytes, Box], limit: int) -> list[tuple[int, int]]:
    """(offset, length) of a track's samples (ISO/IEC 14496-12, 8.7)."""
    sizes, chunks, runs = tables.get(b"stsz"), tables.get(b"stco") or tables.get(b"co64"), tables.get(b"stsc")
    if sizes is None or chunks is None or runs is None:
        return []
    table, places, plan = sizes.content, chunks.content, runs.content
    fixed, count = (table.number(table.start + at, 4) for at in (0, 4))
    count = min(count, limit)
    wide = 8 if chunks.type == b"co64" else 4
    steps = []
    for i in range(min(plan.number(plan.start, 4), limit)):
        at = plan.start + 4 + 12 * i
        if at + 12 > plan.end:
            break
        steps.append((plan.number(at, 4), plan.number(at + 4, 4)))
    found: list[tuple[int, int]] = []
    total = places.number(places.start, 4) if steps and count else 0
    step = 0
    for i in range(min(total, (len(places) - 4) // wide)):
        while step + 1 < len(steps) and steps[step + 1][0] <= i + 1:
            step += 1
        offset = places.number(places.start + 4 + wide * i, wide)
        for _ in range(steps[step][1]):
            at = table.start + 8 + 4 * len(found)
            if len(found) >= count or (not fixed and at + 4 > table.end):
                return found
            length = fixed or table.number(at, 4)
            found.append((offset, length))
            offset += length
    return found
