"""What pictures of a HEIF file are made of: properties, tiles, alpha and crop, in the forms that show all of them.

ISO/IEC 23008-12, 6.5 (properties) and 6.6.2.3 (grids). A property, reference or tile that no decoder looks at could
hold anything; so could what a crop, a grid's edge or a smaller stated size leaves out of sight.
"""

import struct

from cloak.metadata.base import Fact, Kind
from cloak.metadata.coded import hevc_size
from cloak.metadata.items import ALPHA, CODED, DERIVED, Box, Item, Meta
from cloak.metadata.listing import IMAGE, Listing, Span

_CONFIGURATIONS = {b"hvc1": b"hvcC", b"hev1": b"hvcC", b"av01": b"av1C"}
_REFERENCES = {b"auxl", b"cdsc", b"dimg", b"thmb"}
_DEPTHS = {8, 10, 12}
_LEAST = 64
"""libheif codes no side of fewer pixels, and none of an odd number; a crop tells the picture's own size."""


def is_plain(box: Box) -> bool:
    """Whether a property holds its numbers and nothing else, behind them or where nobody reads."""
    body = box.body.raw(64)
    if box.type == b"ispe":
        return len(box.body) == 12 and not any(body[:4])
    if box.type == b"pixi":
        depths = body[5:]
        return not any(body[:4]) and 1 <= len(depths) <= 4 and body[4] == len(depths) and {*depths} <= _DEPTHS
    if box.type == b"auxC":
        return len(box.body) <= 64 and body[:4] == bytes(4) and body[4:] in ALPHA
    if box.type == b"av1C":
        return body[:1] == b"\x81" and body[3:4] == b"\0"
    if body.startswith(b"nclx"):
        return len(box.body) == 11
    return True


def own(meta: Meta, item: Item) -> list[Box]:
    """The property boxes of an item."""
    return [meta.properties[index - 1] for index in item.properties if 0 < index <= len(meta.properties)]


def size_of(meta: Meta, item: Item) -> tuple[int, int] | None:
    """Width and height that the container tells of an item, before turns and crops."""
    box = next((box for box in own(meta, item) if box.type == b"ispe"), None)
    return (box.body.number(box.body.start + 4, 4), box.body.number(box.body.start + 8, 4)) if box else None


def note_tables(listing: Listing, meta: Meta) -> None:
    """Note properties and references that nothing reads."""
    nowhere = listing.whole.cut(0, 0)
    for item in meta.items.values():
        boxes = own(meta, item)
        allowed = {b"ispe", b"pixi", b"colr", b"auxC", b"clap", _CONFIGURATIONS.get(item.type, b"")}
        known = [box for box in boxes if box.type in allowed]
        # Of colours there are two kinds: numbers, and a profile.
        once = {(box.type, box.body.raw(4) if box.type == b"colr" else b"") for box in known}
        strange = any(box.type in _CONFIGURATIONS.values() and box.type not in allowed for box in boxes)
        if (
            strange
            or len(once) < len(known)
            or len(boxes) < len(item.properties)
            or (boxes and item.type not in CODED | DERIVED)
        ):
            listing.note("ipma needless entries", Kind.UNKNOWN, nowhere, "meta")
    sources: set[tuple[bytes, int]] = set()
    for kind, source, targets in meta.references:
        there = all(number in meta.items and meta.items[number].type for number in (source, *targets))
        fits = len(targets) == 1 or (kind == b"dimg" and there and meta.items[source].type in DERIVED)
        if kind not in _REFERENCES or (kind, source) in sources or not there or not fits:
            listing.note("iref needless entries", Kind.UNKNOWN, nowhere, "meta")
        sources.add((kind, source))


def note_picture(listing: Listing, meta: Meta, item: Item, run: Span, name: str) -> None:
    """Note what a picture codes beyond what is shown of it.

    Args:
        listing: as for every reader.
        meta, item: whose data `run` is, called `name`.
    """
    size = size_of(meta, item)
    hidden = ""
    if item.type == b"grid":
        hidden = "" if _covered(meta, item, run) else "grid of other tiles than it shows"
    else:
        config = next((box for box in own(meta, item) if box.type == b"hvcC"), None)
        if size is None or (config is not None and hevc_size(config.body) != size):
            hidden = "coded picture of another size"
    if not hidden and not _whole(own(meta, item), size):
        hidden = "crop"
    targets = [to for kind, source, to in meta.references if (kind, source) == (b"auxl", item.id)]
    if item.role == "alpha" and not hidden and any(size_of(meta, meta.items[n]) != size for to in targets for n in to):
        hidden = "alpha of another size"
    if hidden:
        facts = (Fact("another picture", f"{len(run)} bytes", IMAGE),)
        listing.note(f"{name} {hidden}", Kind.IMAGE, run, name, facts)


def _covered(meta: Meta, item: Item, run: Span) -> bool:
    """Whether a grid shows something of all of its tiles, which are equal (23008-12, 6.6.2.3)."""
    wide = 4 if run.number(run.start + 1, 1) == 1 else 2
    if len(run) != 4 + 2 * wide or run.number(run.start, 1) or run.number(run.start + 1, 1) > 1:
        return False
    down, across = (run.number(run.start + at, 1) + 1 for at in (2, 3))
    width, height = (run.number(run.start + at, wide) for at in (4, 4 + wide))
    numbers = [n for kind, source, to in meta.references if (kind, source) == (b"dimg", item.id) for n in to]
    tiles = [meta.items[number] for number in dict.fromkeys(numbers) if number in meta.items]
    tile = size_of(meta, tiles[0]) if tiles else None
    return (
        len(tiles) == len(numbers) == down * across > 1
        and tile is not None
        and size_of(meta, item) == (width, height)
        and (across - 1) * tile[0] < width <= across * tile[0]
        and (down - 1) * tile[1] < height <= down * tile[1]
        and all(other.type in _CONFIGURATIONS and other.properties == tiles[0].properties for other in tiles)
    )


def _whole(boxes: list[Box], size: tuple[int, int] | None) -> bool:
    """Whether nothing is cropped but what the encoder adds to small and odd sizes."""
    crop = next((box.body for box in boxes if box.type == b"clap"), None)
    if crop is None or size is None:
        return crop is None
    width, height = (crop.number(crop.start + at, 4) for at in (0, 8))
    form = struct.pack(">4I", width, 1, height, 1) + struct.pack(">iIiI", width - size[0], 2, height - size[1], 2)
    return crop.raw() == form and size == (max(width + width % 2, _LEAST), max(height + height % 2, _LEAST))
