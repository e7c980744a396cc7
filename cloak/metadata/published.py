"""What a published file may hold: the verifier's allow-list, over the parts that the readers name."""

import re
from collections.abc import Mapping

from cloak.metadata import carriers, icc
from cloak.metadata.base import Contents, Kind, Part
from cloak.metadata.fields import Fields, cleaned, read_all
from cloak.metadata.write import FIELD_CARRIERS, IPTC_FRAME

CONTAINERS = frozenset(
    {
        *("APP1 Exif", "APP1 XMP", "APP13 Photoshop", "PNG eXIf", "PNG iTXt", "EXIF", "XMP ", "item Exif", "item XMP"),
        *("EXIF IFD0", "EXIF ExifIFD", "TIFF IFD0 0x02BC XMP", "TIFF IFD0 ExifIFD", "8BIM 0x0404 IPTC"),
    }
)
"""Parts that hold nothing but fields; each must have parts inside that are fields."""

PROFILES = frozenset(
    {"APP2 ICC_PROFILE", "PNG iCCP", "PNG sRGB", "ICCP", "TIFF IFD0 0x8773 ICCProfile", "property colr"}
)
"""Parts that hold a colour profile, or the number of a known one."""

ORIENTATION = 0x0112

_CONSTANT = {
    0x011A: (b"\0\0\0\x48\0\0\0\1",),  # XResolution: 72, which stands for unknown
    0x011B: (b"\0\0\0\x48\0\0\0\1",),  # YResolution
    0x0128: (b"\0\2",),  # ResolutionUnit: inches
    0x0213: (b"\0\1",),  # YCbCrPositioning: centred, as JFIF has it
    0x9000: (b"0232",),  # ExifVersion
    0x9101: (b"\1\2\3\0",),  # ComponentsConfiguration: Y, Cb, Cr
    0xA000: (b"0100",),  # FlashpixVersion
    0xA001: (b"\0\1", b"\xff\xff"),  # ColorSpace: sRGB, or what the profile says
}
"""What the standard requires of a JPEG with EXIF (CIPA DC-008, 4.6.8), in words that say nothing."""


def foreign(data: bytes, contents: Contents, fields: Fields) -> str:
    """The name of the first part that has no business in a published file, or "" if there is none.

    Args:
        data: the file.
        contents: its parts.
        fields: what it may say, in these words.
    """
    if contents.fault:
        return f"bytes that cannot be read ({contents.fault})"
    allowed = _allowed(fields)
    holding = {part.inside for part in contents.parts}
    required = _required(data, contents)
    for part in contents.parts:
        if not _may_stay(part, allowed, holding) and not _says_nothing(data, part, required):
            return part.name
    if not all(_is_plain(data, part) for part in contents.parts):
        return "a time of an animation in a form that could carry more"
    if not all(_is_known(profile.raw()) for kind, profile in carriers(data) if kind == "icc"):
        return "a colour profile that is none of the known ones"
    said, fields = read_all(data), cleaned(fields)
    for name in FIELD_CARRIERS:
        value = getattr(said, name, None)
        if value is not None and not _as_intended(name, value, fields):
            return f"the field {name!r} in other words than intended"
    return ""


def _as_intended(name: str, value: str, fields: Fields) -> bool:
    if name == "caption":
        # The disclosure ends the caption: read back, they are one text.
        return value in {fields.caption, fields.disclosure} or (
            bool(fields.caption and fields.disclosure)
            and value.startswith(str(fields.caption))
            and value.endswith(str(fields.disclosure))
        )
    return bool(value == getattr(fields, name))


def _is_plain(data: bytes, part: Part) -> bool:
    """Whether an APNG's part says times in one form only: milliseconds, seconds above 65, and plays up to 65,535."""
    body = data[part.offset + 8 : part.offset + part.length - 4]
    if part.name == "PNG acTL":
        return body[4:6] == b"\0\0"
    if part.name == "PNG fcTL":
        return body[22:24] == b"\x03\xe8" or (body[22:24] == b"\0\1" and body[20:22] > b"\0\x41")
    return True


def _is_known(profile: bytes) -> bool:
    """Byte for byte one of ours, or built anew from curves and colorants: building it again changes nothing."""
    return any(profile == known.data for known in icc.KNOWN.values()) or icc.canonical(profile) == profile


def _required(data: bytes, contents: Contents) -> Mapping[int, tuple[bytes, ...]]:
    """The values that a JPEG may have in the fields that the standard requires of one with EXIF, by tag."""
    frame = next((part.offset for part in contents.parts if part.name.startswith("SOF")), None)
    if contents.format != "jpeg" or frame is None:
        return {}
    height, width = (b"\0\0" + data[frame + i : frame + i + 2] for i in (5, 7))
    return {**_CONSTANT, 0xA002: (width,), 0xA003: (height,)}


def _says_nothing(data: bytes, part: Part, required: Mapping[int, tuple[bytes, ...]]) -> bool:
    field = _FIELD.fullmatch(part.name)
    if part.kind is Kind.UNKNOWN or field is None or not field[1]:
        return False
    return data[part.offset : part.offset + part.length] in required.get(int(field[1], 16), ())


def _allowed(fields: Fields) -> frozenset[str]:
    """Codes of tags, properties and datasets that the fields may bring: "0x8298", "dc:rights", "2:116"."""
    codes = {f"0x{ORIENTATION:04X}"}
    for name, places in FIELD_CARRIERS.items():
        if getattr(fields, name) is not None:
            codes |= {f"0x{tag:04X}" for tag in places.exif} | places.xmp
            codes |= {f"{record}:{dataset:03d}" for record, dataset in places.iptc | IPTC_FRAME}
    return frozenset(codes)


_FIELD = re.compile(r"(?:(?:EXIF|TIFF) (?:IFD0|ExifIFD) (0x[0-9A-F]{4})|XMP (\S+)|IPTC (\d+:\d+))\b.*")


def _may_stay(part: Part, allowed: frozenset[str], holding: set[str]) -> bool:
    if part.kind in {Kind.STRUCTURE, Kind.PIXELS}:
        return True
    if part.kind is Kind.COLOUR:
        return part.name in PROFILES or part.inside in PROFILES
    if part.kind is not Kind.METADATA:
        return False
    if part.name in CONTAINERS:
        return part.name in holding or part.inside in CONTAINERS
    field = _FIELD.fullmatch(part.name)
    return field is not None and next(filter(None, field.groups())) in allowed
