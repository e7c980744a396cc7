"""Carriers: what a file holds besides its picture, byte for byte.

`read` walks a whole file and names every part. It never raises; a file that it cannot follow gets a `fault`, and bytes
that it cannot name are `Kind.UNKNOWN`. Names of parts come from a closed vocabulary (the formats' own words, numbers,
four-letter chunk types), so they may stand in reports; what the file itself says is only in the facts.
"""

from collections.abc import Callable
from dataclasses import replace

from cloak.metadata.base import Contents, Fact, Kind, Part
from cloak.metadata.bmff import read_bmff, sniff_bmff
from cloak.metadata.bmp import read_bmp
from cloak.metadata.exif import read_exif
from cloak.metadata.gif import read_gif
from cloak.metadata.icctags import read_icc
from cloak.metadata.iptc import read_iptc, read_resources
from cloak.metadata.jpeg import read_jpeg
from cloak.metadata.jumbf import read_jumbf
from cloak.metadata.listing import Full, Listing, Span
from cloak.metadata.png import read_png
from cloak.metadata.riff import read_webp
from cloak.metadata.tiff import read_tiff
from cloak.metadata.xmp import read_xmp

__all__ = ["Contents", "Fact", "Kind", "Part", "carriers", "read", "sniff"]

_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}

_NESTED: dict[str, Callable[[Listing, Span, str], None]] = {
    "exif": read_exif,
    "icc": read_icc,
    "iptc": read_iptc,
    "jpeg": read_jpeg,
    "jumbf": read_jumbf,
    "resources": read_resources,
    "xmp": read_xmp,
}

_READERS: dict[str, Callable[[Listing], None]] = {
    "jpeg": lambda listing: read_jpeg(listing, listing.whole),
    "png": read_png,
    "webp": read_webp,
    "tiff": read_tiff,
    "gif": read_gif,
    "heif": read_bmff,
    "avif": read_bmff,
    "bmp": read_bmp,
}

_GAPS = {"tiff": ("TIFF gap", 15), "bmp": ("BMP gap", 3), "heif": ("unknown bytes", 0), "avif": ("unknown bytes", 0)}


def sniff(data: bytes) -> str:
    """The format that the first bytes tell: one of `Contents.format`, "" for none."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")):
        return "tiff"
    if data.startswith(b"BM") and len(data) >= 18 and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    return sniff_bmff(data)


def read(data: bytes) -> Contents:
    """Every part of a file, in time and memory bounded by its size.

    Never raises. Top-level parts tile the file; at most about 100,000 parts are listed, the rest is one unknown part
    and `fault` says so.
    """
    format = sniff(data)
    listing = Listing(data)
    if not format:
        listing.tile("unrecognised file", Kind.UNKNOWN, 0, len(data))
        listing.complain("not an image of a known format")
        return listing.finish("")
    try:
        _READERS[format](listing)
        while listing.pending:
            reader, span, inside = listing.pending.popleft()
            _NESTED[reader](listing, span, inside)
    except Full:
        listing.complain("more parts than can be listed")
    except Exception as error:  # a verifier must get an answer for any bytes, and a fault fails it
        listing.complain(f"the reader stopped ({type(error).__name__})")
    name, pad = _GAPS.get(format, ("unknown bytes", 0))
    contents = listing.finish(format, name, pad)
    if not contents.fault and not any(part.kind is Kind.PIXELS for part in contents.parts):
        return replace(contents, fault="no picture")
    return contents


def carriers(data: bytes) -> list[tuple[str, Span]]:
    """The EXIF, XMP, IPTC, Photoshop and ICC blocks of the picture itself, not those of pictures inside them.

    Pairs of "exif", "xmp", "iptc", "resources" or "icc" and the block, put together and decompressed, in the order in
    which a reader meets them. Never raises.
    """
    format = sniff(data)
    listing = Listing(data)
    try:
        if format:
            _READERS[format](listing)
    except Exception as error:  # as in `read`: what was met until then counts
        listing.complain(f"the reader stopped ({type(error).__name__})")
    found = [(kind, span) for kind, span, _ in listing.pending if kind in ("exif", "xmp", "iptc", "resources", "icc")]
    return [("exif", listing.whole), *found] if format == "tiff" else found
