"""Writes the segments of a JPEG anew; nothing is copied that is not needed to decode the picture."""

import struct
from collections.abc import Sequence

from cloak.errors import ConcealmentFailed
from cloak.geometry import Size
from cloak.photo.jpeg_header import Component, Header, Huffman, Scan

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    if len(body) > 65533:
        raise ConcealmentFailed("a field is too long for a JPEG")
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def start(
    colour: str, *, exif: bytes = b"", xmp: bytes = b"", icc: bytes | None = None, photoshop: bytes = b""
) -> bytes:
    """SOI and all that says how to read the colours, with the metadata that was asked for.

    Args:
        colour: as in `Header.colour`; grey and YCbCr get a JFIF segment, the others an Adobe one.
        exif: a bare TIFF structure, b"" for none. xmp: a packet, b"" for none.
        icc: a colour profile, None for none. photoshop: the body of an APP13 segment, b"" for none.
    """
    parts = [SOI]
    if colour in ("grey", "ycc"):
        # Version 1.01, no unit, square pixels: a resolution says something about the device.
        parts.append(segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"))
    if exif:
        parts.append(segment(0xE1, b"Exif\0\0" + exif))
    if xmp:
        parts.append(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    if icc:
        chunks = [icc[i : i + 65519] for i in range(0, len(icc), 65519)]
        parts += [segment(0xE2, b"ICC_PROFILE\0" + bytes((i + 1, len(chunks))) + c) for i, c in enumerate(chunks)]
    if photoshop:
        parts.append(segment(0xED, photoshop))
    if colour not in ("grey", "ycc"):
        parts.append(segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 2 if colour == "ycck" else 0)))
    return b"".join(parts)


def frame(marker: int, size: Size, components: Sequence[Component]) -> bytes:
    """DQT with each table once, and SOF; components are named 1, 2, 3, 4."""
    tables = list(dict.fromkeys(c.quant for c in components))
    body = b""
    for i, table in enumerate(tables):
        wide = max(table) > 255
        body += bytes((wide << 4 | i,)) + struct.pack(">64H" if wide else "64B", *table)
    sof = struct.pack(">BHHB", 8, size.height, size.width, len(components))
    for i, c in enumerate(components):
        sof += bytes((i + 1, c.h << 4 | c.v, tables.index(c.quant)))
    return segment(0xDB, body) + segment(marker, sof)


def sequential(components: Sequence[Component], tables: int = 2) -> int:
    """The SOF marker for sequential Huffman coding: baseline allows 8-bit quantisation and two tables a class only."""
    return 0xC0 if tables <= 2 and max(max(c.quant) for c in components) <= 255 else 0xC1


def huffman(tables: dict[int, Huffman]) -> bytes:
    """DHT; keys are class << 4 | number."""
    return segment(0xC4, b"".join(bytes((k,)) + t.counts + t.symbols for k, t in sorted(tables.items())))


def restart(interval: int) -> bytes:
    return segment(0xDD, struct.pack(">H", interval))


def scan(
    components: Sequence[int],
    tables: Sequence[tuple[int, int]],
    spectral: tuple[int, int] = (0, 63),
    approximation: tuple[int, int] = (0, 0),
) -> bytes:
    """SOS for the given components (indices) with their numbers of (DC, AC) tables."""
    body = bytes((len(components),))
    for c, (dc, ac) in zip(components, tables, strict=True):
        body += bytes((c + 1, dc << 4 | ac))
    return segment(0xDA, body + bytes((*spectral, approximation[0] << 4 | approximation[1])))


def normalised(data: bytes, header: Header) -> bytes:
    """The same picture behind a header of ours: what decoders get to see, so that they see what is published.

    No profile, no metadata, stored orientation.
    """
    marker = {"progressive": 0xC2, "arithmetic": 0xC9, "progressive arithmetic": 0xCA}.get(
        header.coding, sequential(header.components, 4 if header.coding == "extended" else 2)
    )
    parts = [start(header.colour), frame(marker, header.size, header.components)]
    interval = 0
    for s in header.scans:
        if s.restart != interval:
            parts.append(restart(s.restart))
            interval = s.restart
        parts += [_tables(s), scan(s.components, s.tables, s.spectral, s.approximation), data[s.start : s.end]]
    return b"".join([*parts, EOI])


def _tables(s: Scan) -> bytes:
    known = {dc: t for (dc, _), t in zip(s.tables, s.dc, strict=True) if t is not None}
    known |= {16 | ac: t for (_, ac), t in zip(s.tables, s.ac, strict=True) if t is not None}
    body = huffman(known) if known else b""
    if s.conditioning:
        body += segment(0xCC, bytes(x for pair in s.conditioning for x in pair))
    return body
