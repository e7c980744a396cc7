"""What a published file may hold: the verifier's allow-list, over the parts that the readers name.

Kept fields are written from nothing, the same bytes for the same fields. So the check builds them again: a part that
holds fields must be, byte for byte and wrapper included, what comes of the fields that it may say.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator

from cloak.geometry import Size
from cloak.metadata import carriers, icc, tags
from cloak.metadata.base import Contents, Kind, Part
from cloak.metadata.fields import Fields
from cloak.metadata.ifd import Block, Directory, Entry, Walk, first, open_block
from cloak.metadata.listing import Span
from cloak.metadata.write import exif_payload, exif_texts, iptc_payload, photoshop_payload, xmp_packet

PROFILE = re.compile(r"APP2 ICC_PROFILE|PNG iCCP|PNG sRGB|ICCP|TIFF IFD\d+ 0x8773 ICCProfile|property colr")
"""Parts that hold a colour profile, or the number of a known one; each page of a TIFF has its own."""


def foreign(data: bytes, contents: Contents, fields: Fields) -> str:
    """The name of the first part that has no business in a published file, or "" if there is none.

    Args:
        data: the file.
        contents: its parts.
        fields: what it may say, in these words.
    """
    if contents.fault:
        return f"bytes that cannot be read ({contents.fault})"
    profiles = [profile.raw() for kind, profile in carriers(data) if kind == "icc"]
    segments = {segment for profile in profiles for segment in _profile_segments(profile)}
    packed = max((len(zlib.compress(profile, 9)) for profile in profiles), default=0)
    built = _built(data, contents, fields)
    end = -1  # of the last part that was found as it is built; what lies in it is known
    for part in contents.parts:
        stop = part.offset + part.length
        if part.kind in {Kind.STRUCTURE, Kind.PIXELS} or stop <= end:
            continue
        raw = data[part.offset : stop]
        if part.kind is Kind.COLOUR and _is_of_profile(part, raw, segments, packed):
            continue
        # Each stands there once: copies with other orientations would spell something.
        if part.kind is not Kind.METADATA or raw not in built.pop(part.name, ()):
            return part.name
        end = stop
    odd = next((part.name for part in contents.parts if not _is_plain(data, part)), "")
    if contents.format == "tiff":
        odd = odd or _odd_field(data)
    elif contents.format == "bmp" and not data.startswith(_bitmap_header(data)):
        odd = odd or "BMP info header"
    if odd:
        return f"numbers of {odd} in a form that could carry more"
    if not all(map(_is_known, profiles)):
        return "a colour profile that is none of the known ones"
    return ""


def _is_plain(data: bytes, part: Part) -> bool:
    """Whether numbers that a picture is shown by are such as it needs, where the container has room for others."""
    body = data[part.offset + 8 : part.offset + min(part.length, 64)]
    if part.name == "PNG acTL":
        return body[4:6] == b"\0\0"  # plays: up to 65,535
    if part.name == "PNG fcTL":
        # The delay: milliseconds over 1000, or seconds above 65. Frames replace: under one that is drawn over what is
        # there, or taken away before it is shown, colour can hide.
        plain = body[22:24] == b"\x03\xe8" or (body[22:24] == b"\0\1" and body[20:22] > b"\0\x41")
        return plain and body[24:26] == b"\0\0"
    if part.name == "ANMF":
        return body[15:16] == b"\2"  # the same
    if part.name == "property colr" and body.startswith(b"nclx"):
        codes = (int.from_bytes(body[at:end]) for at, end in ((4, 6), (6, 8), (8, 10), (10, 11)))
        return all(code in known for code, known in zip(codes, _CODES, strict=True))
    return True


_CODES = ({1, 2, *range(4, 13), 22}, {1, 2, *range(4, 19)}, {0, 1, 2, *range(4, 18)}, {0, 0x80})
"""Code points that ITU-T H.273 defines: colour primaries, transfer, matrix (tables 2 to 4), full range."""


_SHORT, _LONG = 3, 4
_FIELDS = {
    **dict.fromkeys((0x0100, 0x0101, 0x0111, 0x0116, 0x0117, 0x8769), _LONG),
    **dict.fromkeys((0x0102, 0x0103, 0x0106, 0x0115, 0x013D, 0x0140, 0x0152), _SHORT),
    **dict.fromkeys((0x010E, 0x013B, 0x8298, 0x9003), 2),
    **{0x02BC: 1, 0x8773: 7},
}
"""The fields of a TIFF and their types; none for tiles, previews or directories of other pictures."""
_VALUES = {0x0103: {1, 5, 8}, 0x0106: {1, 2, 3, 5}, 0x013D: {2}, 0x0152: {1, 2}}
"""Of compression, photometric kind, predictor, and what a further channel means (TIFF 6.0)."""
_CHANNELS = {1: 1, 2: 3, 3: 1, 5: 4}
"""Of each photometric kind."""


def _odd_field(data: bytes) -> str:
    """The first field of a TIFF that has another type, or more or other values, than it needs."""
    block = open_block(Span(data, 0, len(data)))
    if block is None:
        return "TIFF header"
    for group, directory in Walk(block):
        for entry in directory.entries:
            if entry.type != _FIELDS.get(entry.tag) or not _fits(block, directory, entry):
                return f"TIFF {tags.name(group, entry.tag)}"
    return ""


def _fits(block: Block, directory: Directory, entry: Entry) -> bool:
    """Whether a field has as many values as its picture needs, and such as it may have."""
    kind, height = first(block, directory, 0x0106, 0), first(block, directory, 0x0101, 0)
    samples, bits = first(block, directory, 0x0115, 1), first(block, directory, 0x0102, 1)
    values = block.integers(entry, 5)
    if entry.tag in (0x0111, 0x0117) or entry.type not in (_SHORT, _LONG):
        return True
    if entry.tag == 0x0102:
        return entry.count == samples == values.count(bits)
    if entry.tag == 0x0140:
        whole = all(value % 257 == 0 for value in block.integers(entry, 768))  # 8 bits, brought to 16
        return kind == 3 and bits <= 8 and entry.count == 3 << bits and whole
    if entry.tag == 0x0115:  # a channel without a meaning is shown by nobody
        return values == [_CHANNELS.get(kind, 0) + (directory.find(0x0152) is not None)]
    if entry.tag == 0x0116:
        return entry.count == 1 and values[0] <= height
    return entry.count == 1 and values[0] in _VALUES.get(entry.tag, values)


def _bitmap_header(data: bytes) -> bytes:
    """What a BMP begins with: of its own only the size, the depth, the number of colours and known bit fields."""
    header, width, height, _, bits = struct.unpack_from("<IIIHH", data, 14)
    start = struct.unpack_from("<I", data, 10)[0]
    masks = data[54:70] if header == 108 and data[54:70] in _BIT_FIELDS else b""
    size, colours = 108 if masks else 40, (start - 14 - header) // 4
    head = struct.pack("<2sIIIIII", b"BM", len(data), 0, start, size, width, height)
    info = struct.pack("<HHIIIIII", 1, bits, 3 if masks else 0, len(data) - start, 0, 0, max(colours, 0), 0)
    return head + info + (masks + b"BGRs" + bytes(48) if masks else b"")


_BIT_FIELDS = {
    struct.pack("<4I", *masks)
    for masks in (
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xF800, 0x7E0, 0x1F, 0),
        (0x7C00, 0x3E0, 0x1F, 0),
    )
}


def _is_known(profile: bytes) -> bool:
    """Byte for byte one of ours, or built anew from curves and colorants: building it again changes nothing."""
    return any(profile == known.data for known in icc.KNOWN.values()) or icc.canonical(profile) == profile


def _is_of_profile(part: Part, raw: bytes, segments: set[bytes], packed: int) -> bool:
    """`packed` is the length of the profile's zlib stream."""
    if part.name == "APP2 ICC_PROFILE":
        return raw in segments
    if part.name == "PNG iCCP":
        # Other builds of zlib need an eighth more or less; empty blocks could hold any number of bytes.
        return raw[4:].startswith(b"iCCPICC profile\0\0") and len(raw) <= 25 + packed * 9 // 8
    return bool(PROFILE.fullmatch(part.name) or PROFILE.fullmatch(part.inside))


def _profile_segments(profile: bytes) -> Iterator[bytes]:
    pieces = [profile[i : i + 65519] for i in range(0, len(profile), 65519)]
    for number, piece in enumerate(pieces, 1):
        if len(pieces) < 256:
            yield _segment(0xE2, b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece)


def _built(data: bytes, contents: Contents, fields: Fields) -> dict[str, set[bytes]]:
    """What the parts that hold fields may be, by their names, in any format."""
    xmp, photoshop = xmp_packet(fields), photoshop_payload(iptc_payload(fields))
    built: dict[str, Iterable[bytes]] = {}
    if contents.format == "jpeg":
        built["APP1 Exif"] = [
            _segment(0xE1, b"Exif\0\0" + exif) for exif in _exif_of_jpeg(data, contents, fields) if exif
        ]
    elif exif := exif_payload(fields):
        built |= {"PNG eXIf": [_chunk(b"eXIf", exif)], "EXIF": [_riff(b"EXIF", exif)]}
        # HEIF: the distance to the TIFF header comes first, and libheif keeps JPEG's signature.
        built["item Exif"] = [bytes(4) + exif, b"\0\0\0\6Exif\0\0" + exif]
        built |= dict(_tiff_fields(contents, fields))
    if xmp:
        built["APP1 XMP"] = [_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)]
        built["PNG iTXt"] = [_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)]
        built |= {"XMP ": [_riff(b"XMP ", xmp)], "item XMP": [xmp]}
        built["TIFF IFD0 0x02BC XMP"] = [xmp + b" " * (len(xmp) % 2)]
    if photoshop:
        built["APP13 Photoshop"] = [_segment(0xED, photoshop)]
    return {name: set(ways) for name, ways in built.items()}


def _exif_of_jpeg(data: bytes, contents: Contents, fields: Fields) -> Iterator[bytes]:
    """With what the standard requires of a JPEG and the orientation that is there, with a profile or without."""
    frame = next((part.offset for part in contents.parts if part.name.startswith("SOF")), 0)
    height, width = struct.unpack_from(">HH", data, frame + 5)
    turned = next((part.offset for part in contents.parts if part.name == "EXIF IFD0 0x0112 Orientation"), 0)
    orientation = int.from_bytes(data[turned : turned + 2], "big") if turned else None
    if orientation in (None, *range(1, 9)):
        for srgb in (True, False):
            yield exif_payload(fields, orientation, Size(width, height), srgb=srgb)


def _tiff_fields(contents: Contents, fields: Fields) -> Iterator[tuple[str, list[bytes]]]:
    """A TIFF's directories hold the texts themselves, of even length, and point to the one that holds the date."""
    for tag, text in exif_texts(fields).items():
        inner = tag == 0x9003
        yield f"TIFF {tags.name('ExifIFD' if inner else 'IFD0', tag)}", [text + b"\0" * (2 - len(text) % 2)]
        if inner:
            places = [part.offset for part in contents.parts if part.name == "TIFF ExifIFD"]
            yield "TIFF IFD0 0x8769 ExifIFD", [place.to_bytes(4, "little") for place in places]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def _riff(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + bytes(len(body) % 2)
