"""EXIF: the TIFF block that JPEG, PNG, WebP and HEIF carry (Exif 3.0, CIPA DC-008-2023)."""

from cloak.metadata import tags
from cloak.metadata.base import Fact, Kind
from cloak.metadata.ifd import Block, Directory, Entry, Walk, open_block
from cloak.metadata.listing import OTHER, PERSON, PLACE, Listing, Span, fact
from cloak.metadata.peek import picture_fact

_COLOUR = {0x012D, 0x013E, 0x013F, 0x0211, 0x0214, 0xA001, 0xA500, 0x8773}
_UTF16 = {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
_PLUMBING = {0x8769, 0x8825, 0xA005, 0x014A, 0x0201, 0x0202, 0x0111, 0x0117, 0xEA1C}
_CHARSETS = (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", b"\0" * 8)
_WITH_CHARSET = {0x9286, 0x001B, 0x001C}  # UserComment, GPSProcessingMethod, GPSAreaInformation


def read_exif(listing: Listing, span: Span, inside: str) -> None:
    """Note every field of an EXIF block, its thumbnail, and the bytes that no field refers to."""
    block = open_block(span)
    if block is None:
        listing.note("EXIF damaged", Kind.UNKNOWN, span, inside)
        return
    listing.note("EXIF header", Kind.STRUCTURE, span.cut(span.start, span.start + block.header), inside)
    used = [(span.start, span.start + block.header)]
    walk = Walk(block)
    for group, directory in walk:
        listing.note(f"EXIF {group}", Kind.METADATA, directory.span, inside, directory_facts(block, group, directory))
        used.append((directory.span.start, directory.span.end))
        for entry in directory.entries:
            note_field(listing, block, group, entry, "EXIF", inside)
            used.append((entry.value.start, entry.value.end))
        used += _thumbnail(listing, block, group, directory, inside)
    if not walk.complete:
        listing.note("EXIF incomplete", Kind.UNKNOWN, span, inside)
    note_gaps(listing, span, used, "EXIF gap", inside)


def note_gaps(listing: Listing, span: Span, used: list[tuple[int, int]], name: str, inside: str, pad: int = 1) -> None:
    """Note the bytes of a span that none of the runs cover; up to `pad` zeros count as alignment."""
    at = span.start
    for start, end in sorted([*used, (span.end, span.end)]):
        if start > at:
            gap = span.cut(at, start)
            if len(gap) > pad or any(gap.raw()):
                listing.note(name, Kind.UNKNOWN, gap, inside)
        at = max(at, end)


def note_field(listing: Listing, block: Block, group: str, entry: Entry, prefix: str, inside: str) -> None:
    """Note one field and read the carriers that it may hold."""
    name = f"{prefix} {tags.name(group, entry.tag)}"
    kind = Kind.COLOUR if entry.tag in _COLOUR and group not in ("GPS", "Interop") else Kind.METADATA
    listing.note(name, kind, entry.value, inside, field_facts(block, group, entry))
    nest_field(listing, group, entry, name)


def nest_field(listing: Listing, group: str, entry: Entry, name: str) -> None:
    """Have XMP, IPTC, Photoshop resources or a colour profile read that a field holds."""
    if group in ("GPS", "Interop", "MPF"):
        return
    reader = {0x02BC: "xmp", 0x83BB: "iptc", 0x8649: "resources", 0x8773: "icc", 0xCD41: "jumbf"}.get(entry.tag)
    if reader is not None:
        listing.nest(reader, entry.value, name)


def _thumbnail(listing: Listing, block: Block, group: str, directory: Directory, inside: str) -> list[tuple[int, int]]:
    where, length = directory.find(0x0201), directory.find(0x0202)
    runs = []
    if where is not None and length is not None:
        starts, sizes = block.integers(where, 1), block.integers(length, 1)
        start = block.at(starts[0]) if starts else 0
        if start and sizes:
            runs.append(block.span.cut(start, start + sizes[0]))
    strips, counts = directory.find(0x0111), directory.find(0x0117)
    if strips is not None and counts is not None:
        for offset, size in zip(block.integers(strips, 1000), block.integers(counts, 1000), strict=False):
            start = block.at(offset)
            if start:
                runs.append(block.span.cut(start, start + size))
    for run in runs:
        name = f"EXIF {group} thumbnail"
        listing.note(name, Kind.IMAGE, run, inside, picture_fact("thumbnail", run))
        if run.startswith(b"\xff\xd8\xff"):
            listing.nest("jpeg", run, name)
    return [(run.start, run.end) for run in runs]


def directory_facts(block: Block, group: str, directory: Directory) -> tuple[Fact, ...]:
    """The place that a GPS directory tells."""
    if group != "GPS":
        return ()
    place = []
    for reference, tag, negative in ((1, 2, b"S"), (3, 4, b"W")):
        value, sign = directory.find(tag), directory.find(reference)
        parts = block.rationals(value, 3) if value is not None else []
        if not parts:
            return ()
        degrees = sum(part / 60**i for i, part in enumerate(parts))
        if sign is not None and sign.value.raw(1).upper() == negative:
            degrees = -degrees
        place.append(f"{degrees:.6f}")
    return (Fact("GPS position", ", ".join(place), PLACE),)


def field_facts(block: Block, group: str, entry: Entry) -> tuple[Fact, ...]:
    """What one field says, under a plain label where it has one."""
    if group == "Interop" or (group != "GPS" and entry.tag in (0x02BC, 0x83BB, 0x8649, 0x8773, 0x935C)):
        return ()
    if group != "GPS" and entry.tag in _PLUMBING:
        return ()
    known = tags.GPS_FACTS.get(entry.tag) if group == "GPS" else tags.FACTS.get(entry.tag)
    label, rank = known or (tags.name(group, entry.tag).split(" ")[-1], OTHER)
    if group == "GPS" and not known:
        rank = PLACE if entry.tag in (2, 4, 6) else OTHER
    if group != "GPS" and entry.tag == 0x927C:
        return (Fact("maker note", f"{entry.count} bytes, may name serial numbers, faces and places", PERSON),)
    raw = entry.value.raw(1600)
    if group != "GPS" and entry.tag in _UTF16:
        return fact(label, raw.decode("utf-16-le", "replace"), rank)
    if entry.tag in _WITH_CHARSET and raw.startswith(_CHARSETS):
        charset, text = raw[:8], raw[8:]
        if charset.startswith(b"UNICODE"):
            return fact(label, text.decode("utf-16-be" if block.order == "big" else "utf-16-le", "replace"), rank)
        return fact(label, text, rank)
    if entry.type in (2, 129):
        return fact(label, raw, rank)
    if entry.type in (5, 10):
        return fact(label, " ".join(f"{number:g}" for number in block.rationals(entry, 8)), rank)
    numbers = block.integers(entry, 16)
    if entry.type in (1, 7) and entry.count > 4:
        printable = sum(32 <= byte < 127 for byte in raw) > len(raw) * 0.7
        return fact(label, raw if printable or known else f"{entry.count} bytes", rank)
    return fact(label, " ".join(map(str, numbers)), rank)
