"""XMP packets (ISO 16684-1:2019), read without entities, document types or network."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn
from xml.parsers import expat

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import (
    DATE,
    DEVICE,
    DOCUMENT,
    HISTORY,
    MAX_VALUE,
    OTHER,
    PERSON,
    PLACE,
    SOFTWARE,
    TEXT,
    Listing,
    Span,
    clean,
    fact,
)
from cloak.metadata.listing import IMAGE as IMAGE_RANK

MAX_DEPTH = 64
MAX_PROPERTIES = 5_000
MAX_FACTS = 50  # a property

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"

PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/bj/": "xmpBJ",
    "http://ns.adobe.com/xap/1.0/t/pg/": "xmpTPg",
    "http://ns.adobe.com/xap/1.0/g/img/": "xmpGImg",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#": "stRef",
    "http://ns.adobe.com/xmp/sType/Area#": "stArea",
    "http://ns.adobe.com/xap/1.0/sType/Dimensions#": "stDim",
    "http://ns.adobe.com/xmp/1.0/DynamicMedia/": "xmpDM",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "hdrgm",
    "http://ns.adobe.com/pdf/1.3/": "pdf",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.useplus.org/ldf/xmp/1.0/": "plus",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://www.metadataworkinggroup.com/schemas/keywords/": "mwg-kw",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.2/": "MP",
    "http://ns.microsoft.com/photo/1.2/t/RegionInfo#": "MPRI",
    "http://ns.microsoft.com/photo/1.2/t/Region#": "MPReg",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://ns.acdsee.com/iptc/1.0/": "acdsee",
    "http://creativecommons.org/ns#": "cc",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
    "http://ns.google.com/photos/1.0/depthmap/": "GDepth",
    "http://ns.google.com/photos/1.0/image/": "GImage",
    "http://ns.google.com/photos/1.0/focus/": "GFocus",
    "http://ns.google.com/photos/1.0/audio/": "GAudio",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://ns.google.com/photos/1.0/container/": "Container",
    "http://ns.google.com/photos/1.0/container/item/": "Item",
    "http://ns.apple.com/faceinfo/1.0/": "apple-fi",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDRGainMap",
    "http://ns.apple.com/pixeldatainfo/1.0/": "apdi",
    "http://ns.apple.com/adjustment-settings/1.0/": "aas",
    "http://ns.attribution.com/ads/1.0/": "Attrib",
    "http://www.dji.com/drone-dji/1.0/": "drone-dji",
    "http://darktable.sf.net/": "darktable",
    "http://www.gettyimages.com/xsltExtension/1.0": "GettyImages",
    "http://www.gimp.org/xmp/": "GIMP",
    _RDF: "rdf",
    _XML: "xml",
    "adobe:ns:meta/": "x",
}
"""Names of parts use these words; a namespace that is none of them could carry anything in its name."""

_FACTS = {
    "dc:creator": ("creator", PERSON),
    "dc:contributor": ("contributor", PERSON),
    "dc:rights": ("copyright", PERSON),
    "dc:title": ("title", TEXT),
    "dc:description": ("caption", TEXT),
    "dc:subject": ("keywords", TEXT),
    "xmp:CreateDate": ("date taken", DATE),
    "xmp:ModifyDate": ("date modified", DATE),
    "xmp:MetadataDate": ("date modified", DATE),
    "xmp:CreatorTool": ("software", SOFTWARE),
    "xmpMM:DocumentID": ("document ID", DOCUMENT),
    "xmpMM:InstanceID": ("document ID", DOCUMENT),
    "xmpMM:OriginalDocumentID": ("document ID", DOCUMENT),
    "xmpMM:DerivedFrom": ("derived from", DOCUMENT),
    "xmpMM:Ingredients": ("derived from", DOCUMENT),
    "xmpMM:History": ("history", HISTORY),
    "xmpRights:Owner": ("owner", PERSON),
    "xmpRights:WebStatement": ("rights URL", PERSON),
    "xmpRights:UsageTerms": ("usage terms", OTHER),
    "photoshop:DateCreated": ("date taken", DATE),
    "photoshop:Credit": ("credit", PERSON),
    "photoshop:Source": ("source", PERSON),
    "photoshop:AuthorsPosition": ("creator's position", PERSON),
    "photoshop:CaptionWriter": ("caption writer", PERSON),
    "photoshop:City": ("city", PLACE),
    "photoshop:State": ("province", PLACE),
    "photoshop:Country": ("country", PLACE),
    "photoshop:Headline": ("headline", TEXT),
    "photoshop:History": ("history", HISTORY),
    "photoshop:DocumentAncestors": ("derived from", DOCUMENT),
    "tiff:Make": ("camera make", DEVICE),
    "tiff:Model": ("camera model", DEVICE),
    "tiff:Artist": ("artist", PERSON),
    "tiff:Software": ("software", SOFTWARE),
    "exif:GPSLatitude": ("GPS latitude", PLACE),
    "exif:GPSLongitude": ("GPS longitude", PLACE),
    "exif:GPSAltitude": ("GPS altitude", PLACE),
    "exif:DateTimeOriginal": ("date taken", DATE),
    "exif:UserComment": ("comment", TEXT),
    "exif:ImageUniqueID": ("image ID", DOCUMENT),
    "exifEX:BodySerialNumber": ("serial number", PERSON),
    "exifEX:LensSerialNumber": ("lens serial number", PERSON),
    "exifEX:CameraOwnerName": ("owner", PERSON),
    "exifEX:LensModel": ("lens model", DEVICE),
    "aux:SerialNumber": ("serial number", PERSON),
    "aux:LensSerialNumber": ("lens serial number", PERSON),
    "aux:OwnerName": ("owner", PERSON),
    "aux:ImageNumber": ("image number", DOCUMENT),
    "aux:Lens": ("lens model", DEVICE),
    "aux:Firmware": ("firmware", SOFTWARE),
    "crs:RawFileName": ("original file name", DOCUMENT),
    "Iptc4xmpCore:Location": ("place", PLACE),
    "Iptc4xmpCore:CreatorContactInfo": ("contact", PERSON),
    "Iptc4xmpExt:PersonInImage": ("person shown", PERSON),
    "Iptc4xmpExt:PersonInImageWDetails": ("person shown", PERSON),
    "Iptc4xmpExt:LocationCreated": ("place", PLACE),
    "Iptc4xmpExt:LocationShown": ("place", PLACE),
    "Iptc4xmpExt:ImageRegion": ("region", PERSON),
    "plus:Licensor": ("licensor", PERSON),
    "plus:ImageCreator": ("creator", PERSON),
    "plus:CopyrightOwner": ("owner", PERSON),
    "mwg-rs:Regions": ("face", PERSON),
    "MP:RegionInfo": ("face", PERSON),
    "apple-fi:Regions": ("face", PERSON),
    "digiKam:TagsList": ("keywords", TEXT),
    "lr:hierarchicalSubject": ("keywords", TEXT),
    "GDepth:Data": ("depth map", IMAGE_RANK),
    "GImage:Data": ("another picture", IMAGE_RANK),
    "GAudio:Data": ("sound", PERSON),
    "xmp:Thumbnails": ("thumbnail", IMAGE_RANK),
    "xmpDM:videoFrames": ("another picture", IMAGE_RANK),
    "drone-dji:GpsLatitude": ("GPS latitude", PLACE),
    "drone-dji:GpsLongitude": ("GPS longitude", PLACE),
    "drone-dji:GpsLongtitude": ("GPS longitude", PLACE),
    "drone-dji:CameraSerialNumber": ("serial number", PERSON),
    "drone-dji:DroneSerialNumber": ("serial number", PERSON),
}
_PICTURES = {"GDepth:Data", "GImage:Data", "xmp:Thumbnails"}
_REGIONS = {"mwg-rs:Regions", "MP:RegionInfo", "apple-fi:Regions", "Iptc4xmpExt:ImageRegion"}


@dataclass(slots=True)
class Property:
    """One property of the picture: its name ("dc:rights", or "other"), where it stands, and the texts in it."""

    name: str
    title: str
    start: int
    end: int = 0
    size: int = 0  # of its value, in characters or bytes
    leaves: list[tuple[str, str]] = field(default_factory=list)  # (name of the innermost element, text)
    groups: list[int] = field(default_factory=list)  # where each list item's leaves begin


class _Refused(Exception):
    pass


class _Reader:
    """Handlers of one parse; keeps only the head of every text."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.stack: list[str] = []
        self.found: list[Property] = []
        self.current: Property | None = None
        self.text: list[str] = []
        self.held = 0
        self.index: Callable[[], int] = lambda: 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.stack) >= MAX_DEPTH or len(self.found) >= MAX_PROPERTIES:
            raise _Refused
        parent = self.stack[-1] if self.stack else ""
        self.stack.append(tag)
        self.text, self.held = [], 0
        described = tag == _RDF + " Description"
        if described and self.current is None:
            for key, value in attributes.items():
                if not key.startswith((_RDF + " ", _XML + " ")) and " " in key:
                    prop = self._property(key)
                    prop.leaves.append((_local(key), value[: self.limit]))
                    prop.size = len(value)
                    self.found.append(prop)
            return
        if parent == _RDF + " Description" and self.current is None:
            self.current = self._property(tag)
            self.current_depth = len(self.stack)
            self.found.append(self.current)
        if self.current is not None:
            if tag == _RDF + " li":
                self.current.groups.append(len(self.current.leaves))
            for key, value in attributes.items():
                if not key.startswith(_XML + " ") and key != _RDF + " parseType":
                    self._leaf(_local(key), value)

    def characters(self, text: str) -> None:
        if self.current is not None and self.held < self.limit:
            self.text.append(text[: self.limit])
            self.held += len(text)

    def end(self, tag: str) -> None:
        if self.current is not None:
            text = "".join(self.text).strip()
            if text:
                self._leaf(_local(tag), text)
            if len(self.stack) == self.current_depth:
                self.current.end = self.index()
                self.current.size = self.current.end - self.current.start
                self.current = None
        self.text, self.held = [], 0
        self.stack.pop()

    def _leaf(self, name: str, value: str) -> None:
        assert self.current is not None
        if len(self.current.leaves) < 1_000:
            self.current.leaves.append((name, value[: self.limit]))

    def _property(self, tag: str) -> Property:
        uri, _, local = tag.rpartition(" ")
        prefix = PREFIXES.get(uri)
        at = self.index()
        if prefix is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,40}", local):
            return Property("other", clean(local), at, at)
        return Property(f"{prefix}:{local}", local, at, at)


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _refuse(*_: object) -> NoReturn:
    raise _Refused


def parse(packet: bytes, limit: int = 4 * MAX_VALUE) -> tuple[list[Property], str]:
    """The properties of a packet, each text cut to `limit` characters, and a fault, or "" if all was read."""
    reader = _Reader(limit)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    # No document type, hence no entities that could grow or point elsewhere.
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    reader.index = lambda: parser.CurrentByteIndex
    try:
        parser.Parse(packet, True)
    except expat.ExpatError:
        return reader.found, "XMP malformed"
    except _Refused:
        return reader.found, "XMP refused"
    except (ValueError, LookupError):  # encodings that Python does not know
        return reader.found, "XMP malformed"
    return reader.found, ""


def read_xmp(listing: Listing, span: Span, inside: str) -> None:
    """Note every property of a packet; what does not parse is searched for properties by their look."""
    packet = span.raw().strip(b"\0")
    begin = span.end - len(span.raw().lstrip(b"\0"))
    found, fault = parse(packet)
    if fault:
        listing.note(fault, Kind.UNKNOWN, span, inside)
        _search(listing, span, inside)
    for prop in found:
        where = span if prop.end <= prop.start else span.cut(begin + prop.start, begin + prop.end)
        kind = Kind.IMAGE if prop.name in _PICTURES else Kind.METADATA
        listing.note(f"XMP {prop.name}", kind, where, inside, _says(prop))


def _says(prop: Property) -> tuple[Fact, ...]:
    label, rank = _FACTS.get(prop.name, (prop.title if prop.name == "other" else prop.name, OTHER))
    if prop.name in _PICTURES:
        return (Fact(label, f"{prop.size} bytes", rank),)
    if prop.name in _REGIONS:
        return tuple(_face(label, group) for group in _grouped(prop) if group)[:MAX_FACTS]
    texts = [text for _, text in prop.leaves]
    if rank in (PERSON, PLACE) and prop.groups:
        found: tuple[Fact, ...] = ()
        for group in _grouped(prop)[:MAX_FACTS]:
            found += fact(label, ", ".join(text for _, text in group), rank)
        return found
    return fact(label, "; ".join(texts[:100]), rank)


def _grouped(prop: Property) -> list[list[tuple[str, str]]]:
    borders = [*prop.groups, len(prop.leaves)]
    if not prop.groups:
        return [prop.leaves]
    return [prop.leaves[a:b] for a, b in pairwise(borders)]


def _face(label: str, leaves: list[tuple[str, str]]) -> Fact:
    named = dict(reversed(leaves))
    who = named.get("Name") or named.get("PersonDisplayName") or "unnamed"
    where = named.get("Rectangle") or " ".join(f"{key}={named[key]}" for key in "xywh" if key in named)
    found = fact(label, f"{who} at {where}" if where else who, PERSON)
    return found[0] if found else Fact(label, "unnamed", PERSON)


_LOOKS = re.compile(
    rb"(?<![A-Za-z0-9-])([A-Za-z][A-Za-z0-9-]{0,30}):([A-Za-z][A-Za-z0-9]{0,40})"
    rb'(?:="([^"<>]{1,400})"|>([^<>]{1,400})<)'
)


def _search(listing: Listing, span: Span, inside: str) -> None:
    known = set(PREFIXES.values()) - {"rdf", "xml", "x"}
    for count, match in enumerate(_LOOKS.finditer(span.data, span.start, span.end)):
        if count >= MAX_PROPERTIES:
            return
        prefix, local, value = match[1].decode(), match[2].decode(), match[3] or match[4]
        if prefix in known and value.strip():
            name = f"{prefix}:{local}"
            label, rank = _FACTS.get(name, (name, OTHER))
            where = span.cut(match.start(), match.end())
            listing.note(f"XMP {name}", Kind.METADATA, where, inside, fact(label, value, rank))
