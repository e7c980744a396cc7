"""Carriers with marker strings in them: EXIF, XMP, IPTC, Photoshop resources, ICC, JUMBF, video, archives.

Each function returns the carrier's bytes and {marker: name of the part that holds it}. All is made here, from nothing.
"""

import io
import struct
import zipfile
from collections.abc import Sequence

from PIL import Image, ImageCms, ImageDraw

Markers = dict[str, str]


def mark(name: str) -> bytes:
    """A marker that a raw search finds."""
    return f"LEAK_{name}_X".encode()


def text(name: str) -> str:
    return mark(name).decode()


def picture(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """A picture with edges, gradients and noise-free areas; no face."""
    ramp = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (ramp, ramp.rotate(90).resize((width, height)), ramp.rotate(180)))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 4, height // 4, width // 2, height // 2), fill=(200, 60, 30))
    draw.rectangle((width // 2, height // 3, width - 2, height - 2), outline=(10, 240, 90), width=5)
    return image.convert(mode)


def jpeg(image: Image.Image, comment: bytes = b"", **options: object) -> bytes:
    """A plain JPEG, with a comment if given."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    data = out.getvalue()
    return data[:2] + (segment(0xFE, comment) if comment else b"") + data[2:]


def segment(code: int, payload: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(payload) + 2) + payload


# TIFF blocks

Field = tuple[int, int, bytes]
"""(tag, type, value)."""
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8}


class Tiff:
    """Writes directories and values one after the other, and knows where everything lies."""

    def __init__(self, order: str = "<", big: bool = False) -> None:
        self.order, self.big = order, big
        head = b"II" if order == "<" else b"MM"
        if big:
            self.data = bytearray(head + struct.pack(order + "HHHQ", 43, 8, 0, 0))
        else:
            self.data = bytearray(head + struct.pack(order + "HI", 42, 0))
        self._link = 8 if big else 4

    def pack(self, code: str, *values: int) -> bytes:
        return struct.pack(self.order + code, *values)

    def offset(self, value: int) -> bytes:
        return self.pack("Q" if self.big else "I", value)

    def append(self, data: bytes) -> int:
        """Put bytes at an even place; returns where."""
        self.data += b"\0" * (len(self.data) & 1)
        at = len(self.data)
        self.data += data
        return at

    def directory(self, fields: Sequence[Field], linked: bool = True) -> int:
        """Write a directory; `linked` hangs it on the chain of pages. Returns where it lies."""
        room, head = (8, 8) if self.big else (4, 2)
        rows = b""
        for tag, kind, value in sorted(fields):
            count = len(value) // _SIZE[kind]
            field = value.ljust(room, b"\0") if len(value) <= room else self.offset(self.append(value))
            rows += self.pack("HH", tag, kind) + self.offset(count) + field
        at = self.append(self.pack("Q" if head == 8 else "H", len(fields)) + rows + self.offset(0))
        if linked:
            self.data[self._link : self._link + room] = self.offset(at)
            self._link = len(self.data) - room
        return at

    def pointer(self, tag: int, *places: int) -> Field:
        return tag, 16 if self.big else 4, b"".join(self.offset(place) for place in places)


def exif_fields(tiff: Tiff, prefix: str, group: str = "EXIF") -> tuple[list[Field], Markers]:
    """The fields of a first directory, with ExifIFD, GPS and Interop written into the block."""
    found: Markers = {}

    def ascii_field(tag: int, name: str, part: str) -> Field:
        found[text(f"{prefix}_{name}")] = f"{group} {part}"
        return tag, 2, mark(f"{prefix}_{name}") + b"\0"

    def blob(tag: int, name: str, part: str, lead: bytes = b"") -> Field:
        found[text(f"{prefix}_{name}")] = f"{group} {part}"
        return tag, 7, lead + mark(f"{prefix}_{name}")

    interop = tiff.directory(
        [(1, 2, b"R98\0"), ascii_field(0x1000, "Interop", "Interop 0x1000 RelatedImageFileFormat")], False
    )
    exif = tiff.directory(
        [
            (0x9003, 2, b"2021:03:04 05:06:07\0"),
            (0xA001, 3, tiff.pack("H", 1)),
            blob(0x927C, "MakerNote", "ExifIFD 0x927C MakerNote", b"ACMENOTE\0\0"),
            blob(0x9286, "UserComment", "ExifIFD 0x9286 UserComment", b"ASCII\0\0\0"),
            ascii_field(0xA420, "UniqueID", "ExifIFD 0xA420 ImageUniqueID"),
            ascii_field(0xA430, "Owner", "ExifIFD 0xA430 CameraOwnerName"),
            ascii_field(0xA431, "BodySerial", "ExifIFD 0xA431 BodySerialNumber"),
            ascii_field(0xA435, "LensSerial", "ExifIFD 0xA435 LensSerialNumber"),
            tiff.pointer(0xA005, interop),
        ],
        False,
    )
    degrees = tiff.pack("6I", 48, 1, 51, 1, 30, 1), tiff.pack("6I", 2, 1, 21, 1, 0, 1)
    gps = tiff.directory(
        [
            (1, 2, b"N\0"),
            (2, 5, degrees[0]),
            (3, 2, b"W\0"),
            (4, 5, degrees[1]),
            ascii_field(0x12, "GPSDatum", "GPS 0x0012 GPSMapDatum"),
            blob(0x1B, "GPSMethod", "GPS 0x001B GPSProcessingMethod", b"ASCII\0\0\0"),
            blob(0x1C, "GPSArea", "GPS 0x001C GPSAreaInformation", b"ASCII\0\0\0"),
        ],
        False,
    )
    main = [
        ascii_field(0x010E, "Description", "IFD0 0x010E ImageDescription"),
        ascii_field(0x010F, "Make", "IFD0 0x010F Make"),
        ascii_field(0x0131, "Software", "IFD0 0x0131 Software"),
        ascii_field(0x013B, "Artist", "IFD0 0x013B Artist"),
        ascii_field(0x013C, "Host", "IFD0 0x013C HostComputer"),
        ascii_field(0x8298, "Copyright", "IFD0 0x8298 Copyright"),
        blob(0xC4A5, "PrintIM", "IFD0 0xC4A5 PrintIM"),
        blob(0xFEED, "Private", "IFD0 0xFEED"),
        tiff.pointer(0x8769, exif),
        tiff.pointer(0x8825, gps),
    ]
    return main, found


def exif(prefix: str, order: str = "<") -> tuple[bytes, Markers]:
    """A TIFF block with every directory, a thumbnail, and bytes that nothing refers to."""
    tiff = Tiff(order)
    main, found = exif_fields(tiff, prefix)
    tiff.directory([*main, (0x0112, 3, tiff.pack("H", 1))])
    thumbnail = tiff.append(jpeg(picture(160, 120), mark(f"{prefix}_IFD1Thumb")))
    size = len(tiff.data) - thumbnail
    found[text(f"{prefix}_IFD1Thumb")] = "EXIF IFD1 thumbnail"
    found[text(f"{prefix}_IFD1Artist")] = "EXIF IFD1 0x013B Artist"
    tiff.directory(
        [
            (0x0103, 3, tiff.pack("H", 6)),
            (0x013B, 2, mark(f"{prefix}_IFD1Artist") + b"\0"),
            tiff.pointer(0x0201, thumbnail),
            (0x0202, 4, tiff.pack("I", size)),
        ]
    )
    tiff.append(mark(f"{prefix}_Gap"))
    found[text(f"{prefix}_Gap")] = "EXIF gap"
    return bytes(tiff.data), found


# XMP

_HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" '
    'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" '
    'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
    'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:acme="http://acme.example/ns/" '
)
_TAIL = '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'


def xmp(prefix: str, guid: str = "") -> tuple[bytes, Markers]:
    """A packet with a property for each kind of trace."""
    t = {
        name: text(f"{prefix}_XMP_{name}")
        for name in "DocID City Creator History Face Thumb Person Private Comment".split()
    }
    note = f'xmpNote:HasExtendedXMP="{guid}" ' if guid else ""
    packet = (
        f'{_HEAD}{note}xmpMM:DocumentID="{t["DocID"]}" photoshop:City="{t["City"]}">'
        f"<!-- {t['Comment']} -->"
        f"<dc:creator><rdf:Seq><rdf:li>{t['Creator']}</rdf:li></rdf:Seq></dc:creator>"
        f'<xmpMM:History><rdf:Seq><rdf:li stEvt:action="saved" stEvt:softwareAgent="{t["History"]}"/></rdf:Seq>'
        "</xmpMM:History>"
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description '
        f'mwg-rs:Name="{t["Face"]}" mwg-rs:Type="Face"><mwg-rs:Area stArea:x="0.5" stArea:y="0.4" stArea:w="0.1" '
        'stArea:h="0.2" stArea:unit="normalized"/></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>'
        "</mwg-rs:Regions>"
        f"<xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:format='JPEG' xmpGImg:image='{t['Thumb']}'/></rdf:Alt>"
        "</xmp:Thumbnails>"
        f"<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>{t['Person']}</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"
        f"<acme:secret>{t['Private']}</acme:secret>{_TAIL}"
    )
    names = {
        "DocID": "XMP xmpMM:DocumentID",
        "City": "XMP photoshop:City",
        "Creator": "XMP dc:creator",
        "History": "XMP xmpMM:History",
        "Face": "XMP mwg-rs:Regions",
        "Thumb": "XMP xmp:Thumbnails",
        "Person": "XMP Iptc4xmpExt:PersonInImage",
        "Private": "XMP other",
    }
    return packet.encode(), {t[key]: name for key, name in names.items()}


def small_xmp(marker: bytes) -> bytes:
    """A packet with nothing but a creator."""
    return f"{_HEAD}><dc:creator><rdf:Seq><rdf:li>{marker.decode()}</rdf:li></rdf:Seq></dc:creator>{_TAIL}".encode()


# IPTC, Photoshop, ICC, JUMBF


def iptc(prefix: str) -> tuple[bytes, Markers]:
    """Datasets, one of them a preview and one unheard of."""
    sets = {
        (2, 25): ("Keyword", "IPTC 2:025 Keywords"),
        (2, 80): ("Byline", "IPTC 2:080 By-line"),
        (2, 90): ("City", "IPTC 2:090 City"),
        (2, 120): ("Caption", "IPTC 2:120 Caption-Abstract"),
        (2, 202): ("Preview", "IPTC 2:202 ObjectPreviewData"),
        (9, 77): ("Unheard", "IPTC 9:077"),
    }
    data, found = b"", {}
    for (record, number), (name, part) in sets.items():
        value = mark(f"{prefix}_IPTC_{name}")
        data += struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        found[value.decode()] = part
    return data, found


def resource(number: int, data: bytes, title: bytes = b"") -> bytes:
    name = bytes([len(title)]) + title
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + name
        + b"\0" * (len(name) & 1)
        + struct.pack(">I", len(data))
        + data
        + b"\0" * (len(data) & 1)
    )


def resources(prefix: str) -> tuple[bytes, Markers]:
    """Photoshop resources: IPTC, thumbnail, URL, a title, one of a plug-in."""
    datasets, found = iptc(f"{prefix}_8BIM")
    thumbnail = jpeg(picture(160, 120), mark(f"{prefix}_8BIM_Thumb"))
    header = struct.pack(">IIIIIIHH", 1, 160, 120, 480, 57600, len(thumbnail), 24, 1)
    found |= {
        text(f"{prefix}_8BIM_Thumb"): "8BIM 0x040C Thumbnail",
        text(f"{prefix}_8BIM_URL"): "8BIM 0x040B URL",
        text(f"{prefix}_8BIM_Title"): "8BIM 0x0FA0 title",
        text(f"{prefix}_8BIM_Plugin"): "8BIM 0x0FA0",
    }
    return (
        resource(0x0404, datasets)
        + resource(0x040C, header + thumbnail)
        + resource(0x040B, mark(f"{prefix}_8BIM_URL"))
        + resource(0x0FA0, mark(f"{prefix}_8BIM_Plugin"), mark(f"{prefix}_8BIM_Title"))
    ), found


def icc(prefix: str) -> tuple[bytes, Markers]:
    """A working sRGB profile with a device's name, a private tag and a gap."""
    base = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = struct.unpack(">I", base[128:132])[0]
    rows = [struct.unpack(">4sII", base[132 + 12 * i : 144 + 12 * i]) for i in range(count)]
    tags = [(name, base[at : at + size]) for name, at, size in rows]
    device = mark(f"{prefix}_ICC_Device")
    tags.append((b"dmnd", b"desc\0\0\0\0" + struct.pack(">I", len(device) + 1) + device + b"\0" + bytes(78)))
    tags.append((b"LeAk", b"text\0\0\0\0" + mark(f"{prefix}_ICC_Private") + b"\0"))
    start = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, value in tags:
        body += b"\0" * (-(start + len(body)) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value
    body += mark(f"{prefix}_ICC_Gap")
    profile = bytearray(base[:128] + struct.pack(">I", len(tags)) + table + body)
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile), {
        text(f"{prefix}_ICC_Device"): "ICC dmnd",
        text(f"{prefix}_ICC_Private"): "ICC private tag",
        text(f"{prefix}_ICC_Gap"): "ICC gap",
    }


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def jumbf(prefix: str) -> tuple[bytes, Markers]:
    """A C2PA-like manifest store with a label, a JSON assertion and a thumbnail."""
    uuid = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
    data = box(
        b"jumb",
        box(b"jumd", uuid, b"\x03", mark(f"{prefix}_C2PA_Label"), b"\0"),
        box(b"json", mark(f"{prefix}_C2PA_Assertion")),
        box(b"bidb", jpeg(picture(64, 48), mark(f"{prefix}_C2PA_Thumb"))),
    )
    return data, {
        text(f"{prefix}_C2PA_Label"): "JUMBF jumd",
        text(f"{prefix}_C2PA_Assertion"): "JUMBF json",
        text(f"{prefix}_C2PA_Thumb"): "JUMBF bidb",
    }


# What follows a picture


def video(marker: bytes) -> bytes:
    return box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"mdat", marker)


def archive(marker: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("note.txt"), marker)
    return out.getvalue()


def samsung(marker: bytes) -> bytes:
    block = struct.pack("<HHI", 0, 0x0A01, 14) + b"Image_UTC_Data" + marker
    head = b"SEFH" + struct.pack("<II", 107, 1) + struct.pack("<HHII", 0, 0x0A01, len(block), len(block))
    return block + head + struct.pack("<I", len(head)) + b"SEFT"
