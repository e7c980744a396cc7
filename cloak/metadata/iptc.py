"""IPTC-IIM datasets (IIM 4.2) and the Photoshop image resources that hold them (Adobe, 2019)."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import DATE, DOCUMENT, HISTORY, OTHER, PERSON, PLACE, SOFTWARE, TEXT, Listing, Span, fact
from cloak.metadata.peek import picture_fact

DATASETS = {
    (1, 0): "ModelVersion",
    (1, 90): "CodedCharacterSet",
    (2, 0): "RecordVersion",
    (2, 3): "ObjectTypeReference",
    (2, 4): "ObjectAttributeReference",
    (2, 5): "ObjectName",
    (2, 7): "EditStatus",
    (2, 8): "EditorialUpdate",
    (2, 10): "Urgency",
    (2, 12): "SubjectReference",
    (2, 15): "Category",
    (2, 20): "SupplementalCategory",
    (2, 22): "FixtureIdentifier",
    (2, 25): "Keywords",
    (2, 26): "ContentLocationCode",
    (2, 27): "ContentLocationName",
    (2, 30): "ReleaseDate",
    (2, 35): "ReleaseTime",
    (2, 37): "ExpirationDate",
    (2, 38): "ExpirationTime",
    (2, 40): "SpecialInstructions",
    (2, 47): "ReferenceDate",
    (2, 55): "DateCreated",
    (2, 60): "TimeCreated",
    (2, 62): "DigitalCreationDate",
    (2, 63): "DigitalCreationTime",
    (2, 65): "OriginatingProgram",
    (2, 70): "ProgramVersion",
    (2, 80): "By-line",
    (2, 85): "By-lineTitle",
    (2, 90): "City",
    (2, 92): "Sub-location",
    (2, 95): "Province-State",
    (2, 100): "Country-PrimaryLocationCode",
    (2, 101): "Country-PrimaryLocationName",
    (2, 103): "OriginalTransmissionReference",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 115): "Source",
    (2, 116): "CopyrightNotice",
    (2, 118): "Contact",
    (2, 120): "Caption-Abstract",
    (2, 121): "LocalCaption",
    (2, 122): "Writer-Editor",
    (2, 202): "ObjectPreviewData",
}

_FACTS = {
    25: ("keyword", TEXT),
    27: ("place", PLACE),
    55: ("date taken", DATE),
    60: ("time taken", DATE),
    62: ("date digitised", DATE),
    65: ("software", SOFTWARE),
    5: ("title", TEXT),
    80: ("creator", PERSON),
    90: ("city", PLACE),
    92: ("place", PLACE),
    95: ("province", PLACE),
    101: ("country", PLACE),
    103: ("job", DOCUMENT),
    105: ("headline", TEXT),
    110: ("credit", PERSON),
    115: ("source", PERSON),
    116: ("copyright", PERSON),
    118: ("contact", PERSON),
    120: ("caption", TEXT),
    122: ("caption writer", PERSON),
}

RESOURCES = {
    0x03E9: "MacPrintInfo",
    0x03ED: "ResolutionInfo",
    0x03F3: "PrintFlags",
    0x03F5: "ColorHalftoning",
    0x0404: "IPTC",
    0x0406: "JPEGQuality",
    0x0408: "GridGuides",
    0x0409: "Thumbnail",
    0x040A: "CopyrightFlag",
    0x040B: "URL",
    0x040C: "Thumbnail",
    0x040D: "GlobalAngle",
    0x040F: "ICCProfile",
    0x0414: "DocumentIDs",
    0x0419: "GlobalAltitude",
    0x041A: "Slices",
    0x041B: "WorkflowURL",
    0x041E: "URLList",
    0x0421: "VersionInfo",
    0x0422: "Exif",
    0x0423: "Exif3",
    0x0424: "XMP",
    0x0425: "IPTCDigest",
    0x0426: "PrintScale",
    0x0428: "PixelAspectRatio",
    0x043A: "PrintInformation",
    0x043B: "PrintStyle",
    0x2710: "PrintFlagsInfo",
}
_NESTED = {0x0404: "iptc", 0x040F: "icc", 0x0422: "exif", 0x0423: "exif", 0x0424: "xmp"}
_SIGNATURES = (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa", b"8B64")
_THUMBNAIL_HEADER = 28


def read_iptc(listing: Listing, span: Span, inside: str) -> None:
    """Note every dataset; bytes between and behind them are unknown."""
    at, end = span.start, span.end
    while at < end:
        if span.data[at] != 0x1C or at + 5 > end:
            rest = span.cut(at, end)
            # Photoshop and TIFF (type LONG) fill up with zeros to an even or fourfold length.
            if len(rest) > 3 or any(rest.raw()):
                listing.note("IPTC unknown bytes", Kind.UNKNOWN, rest, inside)
            return
        record, dataset = span.data[at + 1], span.data[at + 2]
        length, head = span.number(at + 3, 2), 5
        if length & 0x8000:  # extended: the low bits tell how long the length is
            size = length & 0x7FFF
            if size > 8:
                listing.note("IPTC unknown bytes", Kind.UNKNOWN, span.cut(at, end), inside)
                return
            length, head = span.number(at + 5, size), 5 + size
        value = span.cut(at + head, at + head + length)
        word = DATASETS.get((record, dataset), "")
        label, rank = _FACTS.get(dataset, ("", OTHER)) if record == 2 else ("", OTHER)
        name = f"IPTC {record}:{dataset:03} {word}".rstrip()
        kind = Kind.IMAGE if (record, dataset) == (2, 202) else Kind.METADATA
        listing.note(name, kind, value, inside, fact(label or word or name, value.raw(800), rank))
        at += head + length


def read_resources(listing: Listing, span: Span, inside: str) -> None:
    """Note every Photoshop resource and read the carriers among them."""
    at, end = span.start, span.end
    while at < end:
        if at + 12 > end or span.data[at : at + 4] not in _SIGNATURES:
            rest = span.cut(at, end)
            if len(rest) > 1 or any(rest.raw()):
                listing.note("8BIM unknown bytes", Kind.UNKNOWN, rest, inside)
            return
        number = span.number(at + 4, 2)
        title = span.data[at + 6]
        field = at + 6 + (1 + title + 1) // 2 * 2
        start = field + 4
        value = span.cut(start, start + span.number(field, 4))
        name = f"8BIM 0x{number:04X} {RESOURCES.get(number, '')}".rstrip()
        if title:
            listing.note(f"{name} title", Kind.METADATA, span.cut(at + 7, at + 7 + title), inside)
        _resource(listing, number, name, value, inside)
        if value.end == end or start + span.number(field, 4) > end:
            return
        at = value.end + (len(value) & 1)


def _resource(listing: Listing, number: int, name: str, value: Span, inside: str) -> None:
    facts: tuple[Fact, ...] = ()
    kind = Kind.METADATA
    if number in (0x0409, 0x040C):
        kind = Kind.IMAGE
        picture = value.cut(value.start + _THUMBNAIL_HEADER, value.end)
        facts = picture_fact("thumbnail", picture)
        if picture.startswith(b"\xff\xd8\xff"):
            listing.nest("jpeg", picture, name)
    elif number == 0x040F:
        kind = Kind.COLOUR
    elif number in (0x040B, 0x041B):
        facts = fact("URL", value.raw(800), DOCUMENT)
    elif number == 0x0414:
        facts = fact("document ID", str(value.number(value.start, 4)), DOCUMENT)
    elif number == 0x0421:
        facts = (Fact("edited with", "Photoshop", HISTORY),)
    listing.note(name, kind, value, inside, facts)
    if number in _NESTED:
        listing.nest(_NESTED[number], value, name)
