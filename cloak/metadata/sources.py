"""The raw values of a file's EXIF, XMP and IPTC, as far as `cloak.metadata.fields` asks for them."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cloak.metadata import carriers
from cloak.metadata.ifd import Block, open_block
from cloak.metadata.iptc import read_iptc, read_resources
from cloak.metadata.listing import Listing, Span
from cloak.metadata.xmp import parse

MAX_TEXT = 32_768
"""Bytes or characters of a value that are looked at; `cloak.metadata.fields.LENGTHS` is far below."""

MAX_PACKET = 16_000_000
"""Larger XMP packets hold pictures, and are not read for fields."""

Leaf = tuple[str, str]
"""The local name of an innermost XMP element, and its text."""


@dataclass(slots=True)
class Sources:
    """Values by where they stand; of several carriers of a kind, the first that has a value counts.

    Attributes:
        exif: by tag, of the first directory and its ExifIFD.
        xmp: the texts of each property, by its name ("dc:rights").
        iptc: the values of each dataset, by (record, dataset).
        iptc_newer: the IPTC was changed by a program that did not know of the XMP: Photoshop's digest of it, which is
            written with the XMP, is another one's (Metadata Working Group 2010, chapter 5).
    """

    exif: dict[int, bytes] = field(default_factory=dict)
    xmp: dict[str, list[Leaf]] = field(default_factory=dict)
    iptc: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)
    iptc_newer: bool = False


def gather(data: bytes) -> Sources:
    """The values of the picture itself, not those of its thumbnails and further pictures. Never raises."""
    sources = Sources()
    for kind, span in carriers(data):
        reader = _READERS.get(kind)
        if reader is None:
            continue
        try:
            reader(sources, span)
        except (ArithmeticError, LookupError, RecursionError, ValueError):
            continue  # a carrier that cannot be read has no values
    return sources


def _read_exif(sources: Sources, span: Span) -> None:
    block = open_block(span)
    if block is None:
        return
    main = _values(sources, block, block.first)
    if main:
        _values(sources, block, block.at(main))


def _values(sources: Sources, block: Block, place: int) -> int:
    """Take over a directory's texts; returns the offset of its ExifIFD, 0 if it has none."""
    directory = block.directory(place)
    inner = 0
    for entry in directory.entries if directory else ():
        if entry.tag == 0x8769:
            inner = next(iter(block.integers(entry, 1)), 0)
        elif entry.type in _TEXT_TYPES and len(entry.value):
            sources.exif.setdefault(entry.tag, entry.value.raw(MAX_TEXT))
    return inner


_TEXT_TYPES = (1, 2, 7, 129)
"""ASCII, UTF-8 (Exif 3.0), and the bytes that some writers use instead."""


def _read_xmp(sources: Sources, span: Span) -> None:
    if len(span) > MAX_PACKET:
        return
    properties, _ = parse(span.raw().strip(b"\0"), MAX_TEXT)
    for found in properties:
        sources.xmp.setdefault(found.name, found.leaves)


def _read_resources(sources: Sources, span: Span) -> None:
    found: dict[str, Span] = {}
    for name, value in _notes(read_resources, span):
        if not name.endswith(" title"):
            found.setdefault(name[:11], value)
    iptc, digest = found.get("8BIM 0x0404"), found.get("8BIM 0x0425")
    if iptc is not None:
        _read_iptc(sources, iptc)
    if iptc is not None and digest is not None and any(digest.raw(16)):
        sources.iptc_newer = digest.raw(16) != hashlib.md5(iptc.raw(), usedforsecurity=False).digest()


def _read_iptc(sources: Sources, span: Span) -> None:
    found: dict[tuple[int, int], list[bytes]] = {}
    for name, value in _notes(read_iptc, span):
        record, _, number = name.removeprefix("IPTC ").split(" ")[0].partition(":")
        if record.isdigit() and number.isdigit():
            found.setdefault((int(record), int(number)), []).append(value.raw(MAX_TEXT))
    for key, values in found.items():
        sources.iptc.setdefault(key, values)


def _notes(reader: Callable[[Listing, Span, str], None], span: Span) -> Iterator[tuple[str, Span]]:
    """The names and values that one of the carriers' readers notes."""
    listing = Listing(span.raw())
    reader(listing, listing.whole, "")
    for part in listing.finish("").parts:
        yield part.name, listing.whole.cut(part.offset, part.offset + part.length)


_READERS = {"exif": _read_exif, "xmp": _read_xmp, "resources": _read_resources, "iptc": _read_iptc}
