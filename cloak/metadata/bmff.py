"""HEIF and AVIF files: boxes, items, properties, tracks (ISO/IEC 14496-12, 23008-12; AV1 Image File Format)."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.exif import note_gaps
from cloak.metadata.items import ALPHA, DERIVED, Box, Item, Meta, boxes, holds, parse_meta, shown
from cloak.metadata.jpeg import united
from cloak.metadata.listing import DATE, IMAGE, TEXT, Listing, Span, fact
from cloak.metadata.pictures import is_plain, note_picture, note_tables, own, size_of
from cloak.metadata.streams import note_stream
from cloak.metadata.tracks import read_movie

_BRANDS = set(
    b"avif avis avio mif1 mif2 mif3 msf1 miaf MiHA MiHB MiHE MiAB MiPr MiAC MA1A MA1B heic heix heim heis hevc hevx "
    b"hevm hevs iso3 iso4 iso5 iso6 iso8 isom mp41 mp42 1pic tmap geo1 unif pred rgn1 jpeg jpgs avci avcs vvic "
    b"vvis".split()
)
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF = {b"avif", b"avis"}

_TOP = {b"ftyp": Kind.STRUCTURE, b"meta": Kind.STRUCTURE, b"moov": Kind.STRUCTURE, b"uuid": Kind.METADATA}
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_META = {
    **dict.fromkeys(b"hdlr pitm iinf iloc iref iprp idat".split(), Kind.STRUCTURE),
    **dict.fromkeys(b"dinf grpl".split(), Kind.METADATA),  # where data lie, which pictures belong together
}
_HERE = bytes.fromhex("0000002464696e660000001c6472656600000000000000010000000c75726c2000000001")
"""The `dinf` box that says: in this file."""
_PROPERTIES = {
    **dict.fromkeys(b"ispe pixi hvcC av1C clap auxC".split(), Kind.STRUCTURE),
    **dict.fromkeys(b"colr clli mdcv cclv amve".split(), Kind.COLOUR),
    **dict.fromkeys(b"udes altt crtt mdft tols iscl cmin cmex wiff".split(), Kind.METADATA),
    # As an orientation: what cloak writes is upright, of square pixels and of one layer.
    **dict.fromkeys(b"irot imir pasp lsel a1op a1lx rloc".split(), Kind.METADATA),
}
_PIXELS = {"primary", "primary tile", "alpha", "alpha tile"}
_METADATA = {"Exif", "XMP", "document"}


def sniff_bmff(data: bytes) -> str:
    """ "heif", "avif" or "" by the brands of the first box."""
    size = int.from_bytes(data[:4], "big")
    if data[4:8] != b"ftyp" or size < 16:
        return ""
    major = data[8:12]
    brands = {data[at : at + 4] for at in range(16, min(size, len(data), 1024) - 3, 4)} | {major}
    if major in _AVIF:
        return "avif"
    if major in _HEIF:
        return "avif" if brands & _AVIF and not brands & (_HEIF - {b"mif1", b"msf1", b"mif2"}) else "heif"
    return ""


def read_bmff(listing: Listing) -> None:
    """Name every box, item, property and sample; bytes of mdat that nothing refers to are unknown."""
    media: list[Span] = []
    meta: Meta | None = None
    top = list(boxes(listing.whole))
    seen: set[bytes] = set()
    for box in top:
        if box.type == b"mdat":
            media.append(box.body)
            listing.tile("mdat header", Kind.STRUCTURE, box.span.start, box.body.start)
            continue
        if not box.type:
            listing.tile("unknown bytes", Kind.UNKNOWN, box.span.start, box.span.end)
            if len(box.span):
                listing.complain("a box is cut short, or there are too many")
            continue
        kind = _TOP.get(box.type, Kind.UNKNOWN)
        again = box.type in seen & {b"ftyp", b"meta"}
        seen.add(box.type)
        name = _name(box.type)
        listing.tile(name, Kind.UNKNOWN if again else kind, box.span.start, box.span.end)
        if box.type == b"ftyp":
            _brands(listing, box)
        elif box.type == b"meta" and meta is None:
            meta = parse_meta(box.content)
            _meta_boxes(listing, box, meta)
        elif box.type == b"uuid" and box.body.startswith(_C2PA):
            # Behind the identifier: version and flags, the purpose, an offset (C2PA 2.1, section A.5).
            purpose = box.body.cut(box.body.start + 20, box.body.end).raw(64).split(b"\0")[0]
            listing.nest("jumbf", box.body.cut(box.body.start + 20 + len(purpose) + 9, box.body.end), name)
    if meta is not None:
        _items(listing, meta, media)
        listing.frames = shown(meta)
        if not meta.complete:
            listing.complain("the item tables contradict themselves")
    else:
        listing.complain("no meta box")
    for box in top:
        if box.type == b"moov":
            listing.frames = max(listing.frames, read_movie(listing, box, media))


def _name(kind: bytes) -> str:
    plain = len(kind) == 4 and kind.replace(b" ", b"").isalnum() and kind.isascii()
    return kind.decode("ascii").strip() if plain else "unnamed box"


def _brands(listing: Listing, box: Box) -> None:
    seen: set[bytes] = set()
    for at in range(box.body.start, box.body.end, 4):
        brand = box.body.cut(at, at + 4)
        version = at == box.body.start + 4  # the minor version may be anything, and hides four bytes
        if version and any(brand.raw()):
            listing.note("ftyp minor version", Kind.UNKNOWN, brand, "ftyp")
        elif not version and brand.raw() not in _BRANDS:
            listing.note("ftyp unknown brand", Kind.UNKNOWN, brand, "ftyp")
        elif brand.raw() in seen:  # in many of them, their order could spell something
            listing.note("ftyp repeated brand", Kind.UNKNOWN, brand, "ftyp")
        elif at > box.body.start + 4:
            seen.add(brand.raw())


def _meta_boxes(listing: Listing, meta_box: Box, meta: Meta) -> None:
    used = {index for item in meta.items.values() for index in item.properties}
    for box in boxes(meta_box.content):
        name = _name(box.type) if box.type else "unknown bytes"
        kind = Kind.STRUCTURE if box.span.raw(64) == _HERE else _META.get(box.type, Kind.UNKNOWN)
        if not len(box.span):
            continue
        facts: tuple[Fact, ...] = ()
        if box.type == b"hdlr":
            _handler(listing, box)
        listing.note(name, kind, box.span, "meta", facts)
        if box.type == b"pitm" and len(box.content) > (2 if box.version == 0 else 4):
            listing.note("pitm slack", Kind.UNKNOWN, box.content, "pitm")
        elif box.type == b"iinf":
            _entry_names(listing, box)
        elif box.type == b"iprp":
            _property_boxes(listing, box, used)

    note_tables(listing, meta)
    for name, rest in meta.slack:
        if len(rest):
            listing.note(name, Kind.UNKNOWN, rest, "meta")


def _handler(listing: Listing, box: Box) -> None:
    title = box.content.cut(box.content.start + 20, box.content.end)
    reserved = box.body.cut(box.body.start, box.content.start + 20)
    if any(title.raw()):
        listing.note("hdlr name", Kind.METADATA, title, "hdlr", fact("handler name", title.raw(200)))
    if reserved.raw() != bytes(8) + b"pict" + bytes(12):
        listing.note("hdlr reserved bytes", Kind.UNKNOWN, reserved, "hdlr")


def _entry_names(listing: Listing, box: Box) -> None:
    content = box.content
    for entry in boxes(content.cut(content.start + (2 if box.version == 0 else 4), content.end)):
        if entry.type != b"infe":
            if len(entry.span):
                listing.note("iinf unknown bytes", Kind.UNKNOWN, entry.span, "iinf")
            continue
        at = entry.content.start + (4 if entry.version >= 3 else 2) + 6
        typed = entry.body.data[at - 4 : at] in (b"mime", b"uri ")
        where = entry.body.cut(at, entry.body.end)
        words = where.raw().split(b"\0", 4)
        for word in words:
            if word not in (b"", b"Exif", b"XMP", b"Color", b"Alpha", b"application/rdf+xml"):
                listing.note("item name", Kind.METADATA, where, "iinf", fact("item name", word))
        # A name; behind it only what has a content type tells it, and maybe an encoding. Before it, the mark of what is
        # hidden, and no protection.
        if len(words) > (4 if typed else 2) or entry.flags > 1 or entry.body.number(at - 6, 2):
            listing.note("infe slack", Kind.UNKNOWN, where, "iinf")


def _property_boxes(listing: Listing, iprp: Box, used: set[int]) -> None:
    for part in boxes(iprp.body):
        if part.type not in (b"ipco", b"ipma"):
            if len(part.span):
                listing.note("iprp unknown bytes", Kind.UNKNOWN, part.span, "iprp")
            continue
        if part.type == b"ipma":
            listing.note("ipma", Kind.STRUCTURE, part.span, "iprp")
            continue
        listing.note("ipco", Kind.STRUCTURE, part.span, "iprp")
        for index, box in enumerate(boxes(part.body), 1):
            if len(box.span):
                _property(listing, box, index in used)


def _property(listing: Listing, box: Box, used: bool) -> None:
    kind = _PROPERTIES.get(box.type, Kind.METADATA if box.type == b"uuid" else Kind.UNKNOWN)
    name = f"property {_name(box.type)}" if box.type else "ipco unknown bytes"
    facts: tuple[Fact, ...] = ()
    if box.type == b"udes":
        words = box.content.raw(1600).split(b"\0")
        for word in words[1:4]:
            facts += fact("description", word, TEXT)
    elif box.type == b"altt":
        facts = fact("description", box.content.raw(1600).split(b"\0")[0], TEXT)
    elif box.type in (b"crtt", b"mdft"):
        facts = (Fact("date", f"{box.content.number(box.content.start, 8)} microseconds since 1904", DATE),)
    elif box.type == b"colr":
        profile = box.body.cut(box.body.start + 4, box.body.end)
        if box.body.startswith((b"prof", b"rICC")):
            listing.nest("icc", profile, name)
        elif not box.body.startswith(b"nclx"):
            kind = Kind.UNKNOWN
    elif box.type == b"auxC":
        subtype = box.content.cut(box.content.start + len(box.content.raw(400).split(b"\0")[0]) + 1, box.body.end)
        if box.content.raw(64) not in ALPHA:
            kind = Kind.METADATA
        if len(subtype):
            listing.note(f"{name} subtype", Kind.UNKNOWN, subtype, name)
    elif box.type in (b"hvcC", b"av1C"):
        note_stream(listing, box.type, box.body, name)
    if not used:
        kind = Kind.UNKNOWN
    listing.note(name, kind, box.span, "ipco", facts)
    if kind in {Kind.STRUCTURE, Kind.COLOUR} and not is_plain(box):
        listing.note(f"{name} slack", Kind.UNKNOWN, box.body, name)


def _items(listing: Listing, meta: Meta, media: list[Span]) -> None:
    inner: list[tuple[int, int]] = []
    for item in meta.items.values():
        name = f"item {item.role}"
        kind = _kind(item)
        runs = []
        for offset, length in item.extents:
            base = meta.idat if item.method == 1 else listing.whole
            if base is None or item.method > 1:
                listing.complain("an item lies in a place that cannot be followed")
                continue
            start = base.start + offset
            runs.append(base.cut(start, start + length if length else base.end))
            if len(runs[-1]) < length:
                listing.complain("an item is cut short")
        for run in runs:
            facts = (Fact(item.role, f"{len(run)} bytes", IMAGE),) if kind == Kind.IMAGE else ()
            if item.method == 0 and holds(media, run.start, run.end):
                listing.tile(name, kind, run.start, run.end, facts)
                continue
            listing.note(name, kind, run, "idat" if item.method == 1 else "meta", facts)
            inner.append((run.start, run.end))
            if item.method == 0 and len(run):
                listing.complain("an item lies outside the media data")
        if not runs and item.type != b"iden":
            listing.note(f"{name} without data", Kind.UNKNOWN, listing.whole.cut(0, 0), "meta")
        if runs and listing.spend(sum(map(len, runs))):
            _content(listing, meta, item, united(runs), name)
            if kind in {Kind.PIXELS, Kind.STRUCTURE}:
                note_picture(listing, meta, item, united(runs), name)
    if meta.idat is not None:
        note_gaps(listing, meta.idat, inner, "idat gap", "idat", pad=0)


def _kind(item: Item) -> Kind:
    # A further picture that viewers show is one more page, counted in `frames`; a hidden one is another picture's.
    if item.role in _PIXELS or (item.role == "further image" and not item.hidden):
        if item.type in DERIVED:  # layers of an overlay cover each other; cloak writes grids
            return Kind.STRUCTURE if item.type == b"grid" else Kind.UNKNOWN
        return Kind.PIXELS
    if item.role in _METADATA:
        return Kind.METADATA
    return Kind.UNKNOWN if item.role == "unknown" else Kind.IMAGE


def _content(listing: Listing, meta: Meta, item: Item, run: Span, name: str) -> None:
    if item.role == "Exif":
        start = run.start + 4 + run.number(run.start, 4)
        block = run.cut(start, run.end)
        lead = run.cut(run.start + 4, start)
        if len(lead) and lead.raw() != b"Exif\0\0":
            listing.note("item Exif lead", Kind.UNKNOWN, lead, name)
        listing.nest("exif", block.cut(block.start + 6, block.end) if block.startswith(b"Exif\0\0") else block, name)
    elif item.role == "XMP":
        listing.nest("xmp", run, name)
    elif item.type in (b"hvc1", b"hev1", b"av01"):
        size = next((box.body.number(box.body.start + 21, 1) & 3 for box in own(meta, item) if box.type == b"hvcC"), 3)
        note_stream(listing, item.type, run, name, size + 1, size_of(meta, item))
    elif run.startswith(b"\xff\xd8\xff"):
        listing.nest("jpeg", run, name)
