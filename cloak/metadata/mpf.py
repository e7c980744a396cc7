"""Multi-Picture Format (CIPA DC-007-2009): the index of further pictures behind the first one."""

from cloak.metadata import tags
from cloak.metadata.base import Fact, Kind
from cloak.metadata.exif import field_facts
from cloak.metadata.ifd import Walk, open_block
from cloak.metadata.listing import IMAGE, Listing, Span

MAX_PICTURES = 1_000
_ENTRY = 16


def read_mpf(listing: Listing, span: Span, inside: str) -> dict[int, int]:
    """Note the index; returns where the further pictures start and end, in positions of the buffer."""
    block = open_block(span)
    if block is None:
        listing.note("MPF damaged", Kind.UNKNOWN, span, inside)
        return {}
    pictures: dict[int, int] = {}
    for _, directory in Walk(block):
        for entry in directory.entries:
            name = f"MPF {tags.name('MPF', entry.tag).removeprefix('MPF ')}"
            listing.note(name, Kind.METADATA, entry.value, inside, field_facts(block, "MPF", entry))
            if entry.tag != 0xB002:
                continue
            for i in range(min(len(entry.value) // _ENTRY, MAX_PICTURES)):
                at = entry.value.start + i * _ENTRY
                size, offset = (span.number(at + 4 * k, 4, block.order) for k in (1, 2))
                start, end = span.start + offset, span.start + offset + size
                if offset == 0 or start >= len(span.data):
                    continue  # the first picture, or one that is not there
                end = min(end, len(span.data))
                pictures[start] = end
                if span.home is None:
                    facts = (Fact("another picture", f"{end - start} bytes", IMAGE),)
                    listing.note(f"MPF image {i + 1}", Kind.IMAGE, Span(span.data, start, end), inside, facts)
    return pictures
