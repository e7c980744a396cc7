"""A HEIF or AVIF file put together from coded pictures, with markers in every box and item that could carry one."""

import io
import struct

import pillow_heif
from PIL import Image

from tests.plant_parts import Markers, box, exif, full_box, icc, jumbf, mark, text, xmp


def _coded(image: Image.Image, kind: str) -> tuple[bytes, bytes, bytes]:
    """(type of item, configuration box, coded data) of a picture, out of a file that a library wrote."""
    out = io.BytesIO()
    if kind == "AVIF":
        image.convert("RGB").save(out, "AVIF", quality=80)
    else:
        pillow_heif.from_pillow(image.convert("RGB")).save(out, quality=80)
    data = out.getvalue()
    name, config = (b"av01", b"av1C") if kind == "AVIF" else (b"hvc1", b"hvcC")
    at = data.index(config) - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    start = data.index(b"mdat") + 4
    return name, data[at : at + size], data[start:]


def planted(image: Image.Image, kind: str) -> tuple[bytes, Markers]:
    """A primary picture, a thumbnail, gain map, depth map, matte, Exif, XMP, documents and unknown things."""
    code, config, coded = _coded(image, kind)
    _, small_config, small = _coded(image.resize((64, 64)), kind)
    block, found = exif(kind)
    packet, names = xmp(kind)
    profile, colours = icc(kind)
    found |= names | colours | {text(f"{kind}_XMP_Comment"): "item XMP"}

    def trace(name: str, part: str) -> bytes:
        found[text(f"{kind}_{name}")] = part
        return mark(f"{kind}_{name}")

    def picture_item(name: str, part: str) -> bytes:
        """A small picture with a marker in a unit that decoders skip: an SEI message, or an OBU of metadata."""
        marker = trace(name, part)
        if kind == "AVIF":
            return small + bytes([0x2A, len(marker)]) + marker
        unit = b"\x4e\x01\x05" + bytes([len(marker) + 16]) + bytes(16) + marker + b"\x80"
        return small + struct.pack(">I", len(unit)) + unit

    # (id, type, item name, more of infe, data, where: 0 in mdat, 1 in idat)
    items = [
        (1, code, b"", b"", coded, 0),
        (2, code, b"", b"", picture_item("Thumbnail", "item thumbnail"), 0),
        (3, code, b"", b"", picture_item("GainMap", "item gain map"), 0),
        (4, code, b"", b"", picture_item("Depth", "item depth map"), 0),
        (5, code, b"", b"", picture_item("Matte", "item matte"), 0),
        (6, b"Exif", trace("ItemName", "item name"), b"", bytes(4) + block, 0),
        (7, b"mime", b"", b"application/rdf+xml\0", packet, 0),
        (8, b"mime", b"", b"text/plain\0", trace("Document", "item document"), 0),
        (9, b"uri ", b"", b"https://example.org/\0", trace("URI", "item document"), 1),
        (10, b"acme", b"", b"", trace("UnknownItem", "item unknown"), 0),
    ]
    media = b"".join(data for *_, data, place in items if not place)
    idat = b"".join(data for *_, data, place in items if place) + trace("IdatGap", "idat gap")

    auxiliary = [
        b"urn:com:apple:photo:2020:aux:hdrgainmap\0" + trace("AuxSubtype", "property auxC subtype"),
        b"urn:mpeg:hevc:2015:auxid:2\0",
        b"urn:com:apple:photo:2018:aux:portraiteffectsmatte\0",
    ]
    properties = [
        config,
        full_box(b"ispe", 0, 0, struct.pack(">II", image.width, image.height)),
        box(b"colr", b"prof", profile),
        small_config,
        full_box(b"ispe", 0, 0, struct.pack(">II", 64, 64)),
        *(full_box(b"auxC", 0, 0, urn) for urn in auxiliary),
        full_box(b"udes", 0, 0, b"en\0", trace("Description", "property udes"), b"\0\0\0"),
        box(b"acme", trace("UnknownProperty", "property acme")),
    ]
    links = {1: (1, 2, 3, 9), 2: (4, 5), 3: (4, 5, 6), 4: (4, 5, 7), 5: (4, 5, 8)}
    ipma = struct.pack(">I", len(links))
    for item, indices in links.items():
        ipma += struct.pack(">HB", item, len(indices)) + bytes(indices)
    references = [(b"thmb", 2), (b"auxl", 3), (b"auxl", 4), (b"auxl", 5), (b"cdsc", 6), (b"cdsc", 7)]
    iref = b"".join(box(name, struct.pack(">HHH", item, 1, 1)) for name, item in references)
    entries = b"".join(
        full_box(b"infe", 2, 0, struct.pack(">HH4s", item, 0, name), words, b"\0", more)
        for item, name, words, more, *_ in items
    )

    def meta(media_at: int) -> bytes:
        rows, at, inner = b"", media_at, 0
        for item, *_, data, place in items:
            rows += struct.pack(">HHHHII", item, place, 0, 1, inner if place else at, len(data))
            inner, at = (inner + len(data), at) if place else (inner, at + len(data))
        return full_box(
            b"meta",
            0,
            0,
            full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"pict"), trace("Handler", "hdlr name"), b"\0"),
            full_box(b"pitm", 0, 0, struct.pack(">H", 1)),
            full_box(b"iinf", 0, 0, struct.pack(">H", len(items)), entries),
            full_box(b"iref", 0, 0, iref),
            box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", 0, 0, ipma)),
            full_box(b"iloc", 1, 0, struct.pack(">HH", 0x4400, len(items)), rows),
            box(b"idat", idat),
            box(b"free", trace("FreeInMeta", "free")),
        )

    brand = b"avif" if kind == "AVIF" else b"heic"
    head = box(b"ftyp", brand, bytes(4), b"mif1miaf", brand) + box(b"free", trace("Free", "free"))
    start = len(head) + len(meta(0)) + 8
    data = head + meta(start) + box(b"mdat", media, trace("MdatSlack", "unknown bytes"))
    data += box(b"mdat", trace("SecondMdat", "unknown bytes")) + box(b"skip", trace("Skip", "skip"))
    data += box(b"uuid", bytes(16), trace("UUID", "uuid")) + box(b"acme", trace("UnknownBox", "acme"))
    manifest, labels = jumbf(kind)
    c2pa = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    data += box(b"uuid", c2pa, bytes(4), b"manifest\0", bytes(8), manifest)
    found |= labels
    return data, found
