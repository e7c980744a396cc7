"""TIFF and BigTIFF files (TIFF 6.0, 1992): every directory, field, strip and gap."""

from cloak.metadata import tags
from cloak.metadata.base import Kind
from cloak.metadata.exif import directory_facts, field_facts, nest_field
from cloak.metadata.ifd import MAX_DIRECTORIES, Block, Directory, Entry, Walk, first, is_page, open_block
from cloak.metadata.jpeg import read_jpeg
from cloak.metadata.listing import Listing, Span
from cloak.metadata.peek import picture_fact

MAX_STRIPS = 300_000
"""Strips or tiles that are followed, of all directories together."""

_ONE = {
    *(0x00FE, 0x00FF, 0x0100, 0x0101, 0x0103, 0x0106, 0x010A, 0x0115, 0x0116, 0x011A, 0x011B, 0x011C, 0x0124, 0x0125),
    *(0x0128, 0x013D, 0x0142, 0x0143, 0x014C, 0x014E, 0x0213, 0x0200, 0x0201, 0x0202, 0x0203, 0x80E3),
}
_TWO = {0x0129, 0x0212}
_PER_SAMPLE = {0x0102, 0x0152, 0x0153}
_STRIPS, _TILES = {0x0111, 0x0117}, {0x0144, 0x0145}
_OLD_TABLES = {0x0207, 0x0208, 0x0209}
_COLOUR_MAP, _SUB_DIRECTORIES, _JPEG_TABLES = 0x0140, 0x014A, 0x015B
_ANY = {*_STRIPS, *_TILES, *_OLD_TABLES, _COLOUR_MAP, _SUB_DIRECTORIES, _JPEG_TABLES}
_WHOLE = {1, 3, 4, 13, 16, 18}
"""Types of whole numbers."""
_COLOUR = {0x012D, 0x013E, 0x013F, 0x0211, 0x0214, 0x8773, 0x0122, 0x0123, 0xA001}
_MAX_SAMPLES = 16
_UNCOMPRESSED, _OLD_JPEG, _JPEG = 1, 6, 7


def read_tiff(listing: Listing) -> None:
    """Name the header, every directory and field, every strip and tile; what is left is a gap."""
    block = open_block(listing.whole)
    listing.tile("TIFF header", Kind.STRUCTURE, 0, block.header if block else 8)
    if block is None:
        listing.complain("the header makes no sense")
        return
    walk = Walk(block)
    pages, strips = 0, MAX_STRIPS
    for group, directory in walk:
        page = group.startswith("IFD") and is_page(block, directory)
        pages += page
        listing.tile(f"TIFF {group}", Kind.STRUCTURE, directory.span.start, directory.span.end)
        for fact in directory_facts(block, group, directory):
            listing.note(f"TIFF {group} position", Kind.METADATA, directory.span, f"TIFF {group}", (fact,))
        seen: set[int] = set()
        for entry in directory.entries:
            _field(listing, block, group, directory, entry, again=entry.tag in seen)
            seen.add(entry.tag)
        strips -= _strips(listing, block, group, directory, Kind.PIXELS if page else Kind.IMAGE, strips)
    if not walk.complete:
        listing.complain("a directory is damaged, or refers to itself")
    listing.frames = max(pages, 1)


def _field(listing: Listing, block: Block, group: str, directory: Directory, entry: Entry, *, again: bool) -> None:
    name = f"TIFF {tags.name(group, entry.tag)}"
    kind = Kind.UNKNOWN if again else _kind(block, group, directory, entry)  # the second of a tag is read by nobody
    facts = () if kind in (Kind.STRUCTURE, Kind.COLOUR) else field_facts(block, group, entry)
    if not entry.whole:
        kind = Kind.UNKNOWN
        listing.complain("a field's value lies outside the file")
    if entry.inline:
        listing.note(name, kind, entry.value, f"TIFF {group}", facts)
        spare = directory.span.cut(entry.value.end, entry.value.start + (8 if block.wide else 4))
        if any(spare.raw()):
            listing.note(f"{name} spare bytes", Kind.UNKNOWN, spare, f"TIFF {group}")
    elif len(entry.value):
        listing.tile(name, kind, entry.value.start, entry.value.end, facts)
    else:
        listing.note(name, kind, entry.value, f"TIFF {group}", facts)
    nest_field(listing, group, entry, name)
    if entry.tag == _JPEG_TABLES and listing.spend(len(entry.value)):
        read_jpeg(listing, entry.value, name, strip=True)


def _kind(block: Block, group: str, directory: Directory, entry: Entry) -> Kind:
    """A field is structure only if it holds no more values than the standard gives it."""
    tag, count = entry.tag, entry.count
    if group in ("ExifIFD", "GPS", "Interop", "GlobalIFD"):
        return Kind.METADATA
    if tag in _COLOUR:
        return Kind.COLOUR
    if tag in (0x8769, 0x8825, 0xA005, 0x0190):
        return Kind.METADATA
    if tag == 0x0112:  # an upright picture needs no orientation
        return Kind.STRUCTURE if count == 1 and block.integers(entry, 1) == [1] else Kind.METADATA
    if tag in _ONE:
        resolution = tag in (0x011A, 0x011B) and entry.type == 5
        return Kind.STRUCTURE if count == 1 and (entry.type in _WHOLE or resolution) else Kind.UNKNOWN
    if tag in _TWO:
        return Kind.STRUCTURE if count == 2 and entry.type in _WHOLE else Kind.UNKNOWN
    if tag in _PER_SAMPLE:
        return Kind.STRUCTURE if count <= _MAX_SAMPLES and entry.type == 3 else Kind.UNKNOWN
    if tag in _ANY:
        return Kind.STRUCTURE if _decodes(block, directory, entry) else Kind.UNKNOWN
    return Kind.METADATA if tag in tags.MAIN else Kind.UNKNOWN


def _decodes(block: Block, directory: Directory, entry: Entry) -> bool:
    """Whether a field of many values is of the type and of the kind of picture that a decoder looks for it in."""
    tag, compression = entry.tag, first(block, directory, 0x0103, _UNCOMPRESSED)
    if tag == _JPEG_TABLES:
        return compression == _JPEG and entry.type in (1, 7) and entry.value.startswith(b"\xff\xd8")
    if tag == _COLOUR_MAP:
        colours = 1 << min(first(block, directory, 0x0102, 1), 16)
        return first(block, directory, 0x0106, 0) == 3 and entry.type == 3 and entry.count == 3 * colours
    if tag in _STRIPS | _TILES and (tag in _TILES) != (directory.find(0x0142) is not None):
        return False
    if tag == _SUB_DIRECTORIES and entry.count > MAX_DIRECTORIES:  # those behind them are read by nobody
        return False
    return entry.type in _WHOLE and (tag not in _OLD_TABLES or compression == _OLD_JPEG)


def _strips(listing: Listing, block: Block, group: str, directory: Directory, kind: Kind, limit: int) -> int:
    """Claim a directory's coded pixels; returns how many strips there were."""
    seen, page = 0, kind
    compression = first(block, directory, 0x0103, _UNCOMPRESSED)
    shown = "tiles" if directory.find(0x0142) else "strips"
    for offsets, sizes, word in ((0x0111, 0x0117, "strips"), (0x0144, 0x0145, "tiles"), (0x0201, 0x0202, "JPEG")):
        where, length = directory.find(offsets), directory.find(sizes)
        if where is None or length is None:
            continue
        starts, lengths = block.integers(where, limit), block.integers(length, limit)
        seen += len(starts)
        if len(starts) < where.count or len(lengths) < len(starts):
            listing.complain("strips or tiles are missing")
        name = f"TIFF {group} {word}"
        # A stream beside strips, and strips beside tiles, are read by nobody who reads the others.
        kind = page if word == shown or compression == _OLD_JPEG else Kind.IMAGE
        runs = sorted((block.span.start + start, size) for start, size in zip(starts, lengths, strict=False) if size)
        # One claim for each run of strips that touch: a large picture has tens of thousands.
        merged: list[tuple[int, int]] = []
        for start, size in runs:
            if merged and start == merged[-1][1]:
                merged[-1] = (merged[-1][0], start + size)
            else:
                merged.append((start, start + size))
        if kind == Kind.PIXELS and compression == _UNCOMPRESSED:
            _slack(listing, block, directory, list(zip(starts, lengths, strict=False)), name)
        if kind == Kind.PIXELS and compression == _JPEG:
            for start, size in runs:
                run = listing.whole.cut(start, start + size)
                if listing.spend(size):
                    read_jpeg(listing, run, name, strip=True)
        for number, (start, end) in enumerate(merged):
            run = Span(listing.data, min(start, len(listing.data)), min(end, len(listing.data)))
            facts = picture_fact("another picture", run) if kind == Kind.IMAGE and number == 0 else ()
            listing.tile(name, kind, start, end, facts)
            if end > len(listing.data):
                listing.complain("the pixels are cut short")
    return seen


def _slack(listing: Listing, block: Block, directory: Directory, runs: list[tuple[int, int]], name: str) -> None:
    """Note what an uncompressed strip or tile holds behind its rows; zeros may fill it up."""
    width, height, across = (first(block, directory, tag, 0) for tag in (0x0100, 0x0101, 0x0142))
    depths, depth = directory.find(0x0102), first(block, directory, 0x0102, 1)
    samples = first(block, directory, 0x0115, 1)
    if first(block, directory, 0x011C, 1) == 2:
        bits = depth
    elif depths and depths.count == samples:
        bits = sum(block.integers(depths, _MAX_SAMPLES))
    else:
        bits = depth * samples
    rows = (
        first(block, directory, 0x0143, 0) if across else max(1, min(first(block, directory, 0x0116, height), height))
    )
    down = -(-height // max(rows, 1))
    row = ((across or width) * bits + 7) // 8
    for number, (start, size) in enumerate(runs):
        here = rows if across else min(rows, height - number % max(down, 1) * rows)
        rest = block.span.cut(block.span.start + start + row * here, block.span.start + start + size)
        if size <= row * here:
            continue
        if not listing.spend(len(rest)):  # strips may lie over each other
            return
        if any(rest.raw()):
            listing.note(f"{name} slack", Kind.UNKNOWN, rest, name)
            return
