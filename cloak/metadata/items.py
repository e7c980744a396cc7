"""Boxes and items of HEIF (ISO/IEC 14496-12 and 23008-12): what each item of a file is for."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from cloak.metadata.listing import Span

MAX_ITEMS = 20_000
MAX_EXTENTS = 40_000
MAX_BOXES = 20_000

CODED = {b"hvc1", b"hev1", b"av01", b"avc1", b"jpeg", b"j2k1", b"vvc1", b"unci", b"hvt1"}
DERIVED = {b"grid", b"iovl", b"iden", b"tmap"}

ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_AUXILIARY = (
    (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "alpha"),
    (b"urn:mpeg:hevc:2015:auxid:1", "alpha"),
    (b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth", "depth map"),
    (b"urn:mpeg:hevc:2015:auxid:2", "depth map"),
    (b"urn:com:apple:photo:2020:aux:hdrgainmap", "gain map"),
    (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "matte"),
    (b"urn:com:apple:photo:2019:aux:semantic", "matte"),
    (b"urn:com:apple:photo:2020:aux:semantic", "matte"),
    (b"urn:com:samsung", "auxiliary image"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its type, all of it, and what follows its header."""

    type: bytes
    span: Span
    body: Span

    @property
    def version(self) -> int:
        return self.body.number(self.body.start, 1)

    @property
    def flags(self) -> int:
        return self.body.number(self.body.start + 1, 3)

    @property
    def content(self) -> Span:
        """Behind the version and flags of a full box."""
        return self.body.cut(self.body.start + 4, self.body.end)


def boxes(span: Span) -> Iterator[Box]:
    """The boxes of a span; a last one of type b"" holds bytes that are no box."""
    at = span.start
    for _ in range(MAX_BOXES):
        if at >= span.end:
            return
        size, head = span.number(at, 4), 8
        if size == 1:
            size, head = span.number(at + 8, 8), 16
        elif size == 0:
            size = span.end - at
        if at + 8 > span.end or size < head or at + size > span.end:
            break
        yield Box(span.data[at + 4 : at + 8], span.cut(at, at + size), span.cut(at + head, at + size))
        at += size
    rest = span.cut(at, span.end)
    yield Box(b"", rest, rest)


@dataclass(slots=True)
class Item:
    """One item of a `meta` box."""

    id: int
    type: bytes = b""
    content_type: bytes = b""
    hidden: bool = False
    method: int = 0  # 0: places in the file, 1: in idat, 2: in another item
    extents: list[tuple[int, int]] = field(default_factory=list)  # (offset, length); length 0: to the end
    properties: list[int] = field(default_factory=list)  # indices into ipco, from 1
    role: str = ""


@dataclass(slots=True)
class Meta:
    """What a `meta` box says about its items."""

    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)
    idat: Span | None = None
    complete: bool = True
    slack: list[tuple[str, Span]] = field(default_factory=list)  # behind the last entry of a table
    left: int = MAX_EXTENTS  # extents, references and associations that may still be listed

    def item(self, number: int) -> Item:
        if number not in self.items and len(self.items) >= MAX_ITEMS:
            self.complete = False
            return Item(number)
        return self.items.setdefault(number, Item(number))


def parse_meta(content: Span) -> Meta:
    """Read the boxes that describe items; what contradicts itself leaves `complete` False."""
    meta = Meta()
    for box in boxes(content):
        start = box.content.start
        if box.type == b"pitm":
            meta.primary = box.body.number(start, 2 if box.version == 0 else 4)
        elif box.type == b"iinf":
            _entries(meta, box)
        elif box.type == b"iloc":
            _locations(meta, box)
        elif box.type == b"iref":
            _references(meta, box)
        elif box.type == b"iprp":
            _properties(meta, box)
        elif box.type == b"idat":
            meta.idat = box.body
    _assign(meta)
    return meta


def _entries(meta: Meta, box: Box) -> None:
    content = box.content
    for entry in boxes(content.cut(content.start + (2 if box.version == 0 else 4), content.end)):
        if entry.type != b"infe" or entry.version < 2:
            meta.complete &= entry.type == b"infe" or not len(entry.span)
            continue
        wide = 4 if entry.version >= 3 else 2
        body, at = entry.body, entry.content.start
        item = meta.item(body.number(at, wide))
        item.type = body.data[at + wide + 2 : min(at + wide + 6, body.end)]
        item.hidden = bool(entry.flags & 1)
        words = body.cut(at + wide + 6, body.end).raw(4096).split(b"\0")
        item.content_type = words[1] if item.type in (b"mime", b"uri ") and len(words) > 1 else b""


def _locations(meta: Meta, box: Box) -> None:
    body, at = box.body, box.content.start
    sizes = body.number(at, 2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if box.version in (1, 2) else 0
    at += 2
    wide = 2 if box.version < 2 else 4
    count = body.number(at, wide)
    at += wide
    for _ in range(count):
        meta.left -= 1
        known = {offset_size, length_size, base_size, index_size} <= {0, 4, 8}
        if at + wide + 4 > body.end or meta.left < 0 or not known:
            meta.complete = False
            return
        item = meta.item(body.number(at, wide))
        entry = body.cut(at, body.end)
        at += wide
        if box.version in (1, 2):
            item.method = body.number(at, 2) & 15
            at += 2
        reference = body.number(at, 2)
        base = body.number(at + 2, base_size)
        at += 2 + base_size
        extents = body.number(at, 2)
        at += 2
        if extents != 1 or index_size:  # lengths of many pieces, and numbers beside them, could spell something
            meta.slack.append(("iloc needless entries", entry))
        if reference:  # the data lies in another file
            meta.complete = False
        for _ in range(extents):
            meta.left -= 1
            if at + index_size + offset_size + length_size > body.end or meta.left < 0:
                meta.complete = False
                return
            offset = base + body.number(at + index_size, offset_size)
            length = body.number(at + index_size + offset_size, length_size)
            at += index_size + offset_size + length_size
            item.extents.append((offset, length))
    meta.slack.append(("iloc slack", body.cut(at, body.end)))


def _references(meta: Meta, box: Box) -> None:
    wide = 2 if box.version == 0 else 4
    for entry in boxes(box.content):
        at = entry.body.start
        count = entry.body.number(at + wide, 2)
        fits = min(count, max(len(entry.body) - wide - 2, 0) // wide, max(meta.left, 0))
        meta.left -= fits
        meta.complete &= fits == count
        targets = tuple(entry.body.number(at + wide + 2 + i * wide, wide) for i in range(fits))
        meta.slack.append(("iref slack", entry.body.cut(at + wide + 2 + fits * wide, entry.body.end)))
        if entry.type:
            meta.references.append((entry.type, entry.body.number(at, wide), targets))


def _properties(meta: Meta, box: Box) -> None:
    for part in boxes(box.body):
        if part.type == b"ipco":
            meta.properties = [prop for prop in boxes(part.body) if prop.type]
        elif part.type == b"ipma":
            body, at = part.body, part.content.start
            wide, narrow = (2 if part.version == 0 else 4), (2 if part.flags & 1 else 1)
            count = body.number(at, 4)
            at += 4
            for _ in range(count):
                if at + wide + 1 > body.end or meta.left <= 0:
                    meta.complete = False
                    return
                meta.left -= 1
                item = meta.item(body.number(at, wide))
                number = body.number(at + wide, 1)
                at += wide + 1
                for _ in range(number):
                    item.properties.append(body.number(at, narrow) & (0x7FFF if narrow == 2 else 0x7F))
                    at += narrow
                    meta.left -= 1
            meta.slack.append(("ipma slack", body.cut(at, body.end)))


def _auxiliary(meta: Meta, item: Item) -> str:
    for index in item.properties:
        if 0 < index <= len(meta.properties) and meta.properties[index - 1].type == b"auxC":
            urn = meta.properties[index - 1].content.raw(200)
            return next((role for prefix, role in _AUXILIARY if urn.startswith(prefix)), "auxiliary image")
    return "auxiliary image"


def _assign(meta: Meta) -> None:
    """Give every item its role."""
    by_source: dict[tuple[bytes, int], list[int]] = {}
    for kind, source, targets in meta.references:
        by_source.setdefault((kind, source), []).extend(targets)

    def spread(number: int, role: str) -> None:
        """The role of an item, and of those that it is put together from."""
        item = meta.items.get(number)
        if item is None or item.role:
            return
        item.role = role
        tile = role if role.endswith(" tile") else f"{role} tile"
        pending = list(by_source.get((b"dimg", number), ())) if item.type in DERIVED else []
        if item.type == b"tmap" and len(pending) > 1:
            gain = meta.items.get(pending.pop(1))
            if gain is not None:
                gain.role = gain.role or "gain map"
        for other in pending:
            inner = meta.items.get(other)
            if inner is not None and not inner.role:
                inner.role = tile
                if inner.type in DERIVED:
                    inner.role = ""
                    queue.append((other, tile))

    queue = [(meta.primary, "primary")]
    pictures: set[int] = set()

    def drain() -> None:
        while queue:
            spread(*queue.pop())

    drain()
    pictures = {number for number, item in meta.items.items() if item.role.startswith("primary")}
    for kind, source, targets in meta.references:
        item = meta.items.get(source)
        if item is None or item.role:
            continue
        if kind == b"thmb":
            queue.append((source, "thumbnail"))
        elif kind == b"auxl":
            role = _auxiliary(meta, item)
            if role == "alpha" and not pictures & set(targets):  # nobody's, or one more than a picture has
                role = "auxiliary image"
            elif role == "alpha":
                pictures -= set(targets)
            queue.append((source, role))
        drain()
    for number, item in meta.items.items():
        if item.type == b"tmap" and not item.role:
            queue.append((number, "tone map"))
            drain()
    for number, item in meta.items.items():
        if item.role:
            continue
        if item.type == b"Exif":
            item.role = "Exif"
        elif item.type == b"mime":
            item.role = "XMP" if item.content_type == b"application/rdf+xml" else "document"
        elif item.type == b"uri ":
            item.role = "document"
        elif item.type in CODED | DERIVED:
            queue.append((number, "further image"))
            drain()
        else:
            item.role = "unknown"


def shown(meta: Meta) -> int:
    """How many pictures a viewer would show."""
    roles = ("primary", "further image")
    return max(1, sum(item.role in roles and not item.hidden for item in meta.items.values()))


def holds(media: list[Span], start: int, end: int) -> bool:
    """Whether one of the media boxes' contents, given in the order of the file, holds a run of bytes."""
    number = bisect_right(media, start, key=lambda span: span.start) - 1
    return number >= 0 and end <= media[number].end
