"""The kept fields as EXIF, XMP and IPTC-IIM: written from nothing, the same bytes for the same fields."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from html import escape as escape_html

import piexif

from cloak.geometry import Size
from cloak.metadata.fields import LENGTHS, Fields, cleaned

escape = partial(escape_html, quote=False)  # that of xml.sax.saxutils loads the whole of urllib


@dataclass(frozen=True, slots=True)
class Carriers:
    """Where a field may stand: EXIF tags, XMP properties by their usual prefixes, IPTC (record, dataset)."""

    exif: frozenset[int] = frozenset()
    xmp: frozenset[str] = frozenset()
    iptc: frozenset[tuple[int, int]] = frozenset()


def _at(exif: Iterable[int] = (), xmp: Iterable[str] = (), iptc: Iterable[tuple[int, int]] = ()) -> Carriers:
    return Carriers(frozenset(exif), frozenset(xmp), frozenset(iptc))


FIELD_CARRIERS: dict[str, Carriers] = {
    "copyright": _at([0x8298], ["dc:rights", "xmpRights:Marked"], [(2, 116)]),
    "creator": _at([0x013B], ["dc:creator"], [(2, 80)]),
    "credit": _at([], ["photoshop:Credit"], [(2, 110)]),
    "caption": _at([0x010E], ["dc:description"], [(2, 120)]),
    "headline": _at([], ["photoshop:Headline"], [(2, 105)]),
    "date": _at([0x8769, 0x9003], ["photoshop:DateCreated"], [(2, 55)]),
    "rights_url": _at([], ["xmpRights:WebStatement"]),
    "usage_terms": _at([], ["xmpRights:UsageTerms"]),
    "licensor": _at([], ["plus:Licensor"]),
    "licensor_url": _at([], ["plus:Licensor"]),
    "digital_source_type": _at([], ["Iptc4xmpExt:DigitalSourceType"]),
    "disclosure": _at([0x010E], ["dc:description"], [(2, 120)]),
}
"""All that each of `Fields` may bring into a file. Beside these: EXIF 0x0112 (Orientation) if it was asked for, and
the IPTC datasets of `IPTC_FRAME` with any other."""

IPTC_FRAME: frozenset[tuple[int, int]] = frozenset({(1, 90), (2, 0)})
"""CodedCharacterSet and RecordVersion."""


def caption_text(fields: Fields) -> str | None:
    """The caption with the disclosure behind it as a sentence of its own, once; in all no longer than a caption."""
    caption, disclosure = fields.caption, fields.disclosure
    if caption is None or disclosure is None or caption.endswith(disclosure):
        return caption or disclosure
    caption = caption[: LENGTHS["caption"] - len(disclosure) - 2].rstrip()
    return f"{caption}{'' if caption[-1] in '.!?…。' else '.'} {disclosure}"


def exif_texts(fields: Fields) -> dict[int, bytes]:
    """The texts of EXIF's fields, in UTF-8, by tag. A day without its time has blanks for it (Exif 3.0, 4.6.5.3)."""
    fields = cleaned(fields)
    day, _, time = (fields.date or "").partition("T")
    date = f"{day.replace('-', ':')} {time or '  :  :  '}" if day else None
    texts = {0x010E: caption_text(fields), 0x013B: fields.creator, 0x8298: fields.copyright, _DATE_TAKEN: date}
    return {tag: text.encode() for tag, text in texts.items() if text is not None}


def exif_payload(
    fields: Fields, orientation: int | None = None, size: Size | None = None, *, srgb: bool = True
) -> bytes:
    """A bare TIFF structure (no "Exif" header) with Copyright, Artist, ImageDescription and DateTimeOriginal.

    Args:
        fields: what to write; texts as UTF-8, which agencies read (Exif 3.0 has a type of its own for it, few do).
        orientation: 1 to 8 to write the Orientation tag.
        size: of a JPEG's stored picture, to write as well what the standard requires of one (CIPA DC-008, 4.6.8): the
            same in every file but for the size and, if not `srgb`, a colour space that the profile tells.

    Returns b"" if there is nothing to write.
    """
    fields = cleaned(fields)
    main: dict[int, object] = dict(exif_texts(fields))
    inner: dict[int, object] = {tag: main.pop(tag) for tag in [_DATE_TAKEN] if tag in main}
    if orientation is not None:
        if orientation not in range(1, 9):
            raise ValueError("an orientation is 1 to 8")
        main[0x0112] = orientation
    if not main and not inner:
        return b""
    if size is not None:
        main |= {0x011A: (72, 1), 0x011B: (72, 1), 0x0128: 2, 0x0213: 1}
    if size is not None and inner:
        inner |= {0x9000: b"0232", 0x9101: b"\1\2\3\0", 0xA000: b"0100", 0xA001: 1 if srgb else 0xFFFF}
        inner |= {0xA002: size.width, 0xA003: size.height}
    payload = bytes(piexif.dump({"0th": main, "Exif": inner})).removeprefix(b"Exif\0\0")
    if not inner:
        return payload
    # piexif lets the values of ExifIFD begin where the offset of the next directory belongs (1.1.3): make room for it.
    # The only value out of line is the date, and its entry the second, or the first where it is alone.
    entries, value = payload[:-_DATE_LENGTH], payload[-_DATE_LENGTH:]
    at = len(entries) - 12 * len(inner) + 12 * sorted(inner).index(_DATE_TAKEN) + 8
    return entries[:at] + struct.pack(">I", len(entries) + 4) + entries[at + 4 :] + bytes(4) + value


_DATE_TAKEN, _DATE_LENGTH = 0x9003, 20


_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def xmp_packet(fields: Fields) -> bytes:
    """A packet that holds the fields and nothing else: no toolkit, no identifiers, no padding; UTF-8.

    Returns b"" if there is nothing to write.
    """
    fields = cleaned(fields)
    body = "".join(
        [
            _property("dc:creator", _listed("Seq", (fields.creator or "").split("; "))) if fields.creator else "",
            _property("dc:description", _alternative(caption_text(fields))),
            _property("dc:rights", _alternative(fields.copyright)),
            _property("photoshop:Credit", _plain(fields.credit)),
            _property("photoshop:DateCreated", _plain(fields.date)),
            _property("photoshop:Headline", _plain(fields.headline)),
            _property("xmpRights:Marked", "True" if fields.copyright else ""),
            _property("xmpRights:UsageTerms", _alternative(fields.usage_terms)),
            _property("xmpRights:WebStatement", _plain(fields.rights_url)),
            _licensor(fields),
            _property("Iptc4xmpExt:DigitalSourceType", _plain(fields.digital_source_type)),
        ]
    )
    if not body:
        return b""
    used = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if f"<{prefix}:" in body)
    # The packet's id is the one constant that ISO 16684-1 (7.4.2) prescribes; end="r" needs no padding.
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{used}>{body}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _property(name: str, value: str) -> str:
    return f"<{name}>{value}</{name}>" if value else ""


def _plain(text: str | None) -> str:
    return escape(text or "")


def _listed(kind: str, texts: Iterable[str]) -> str:
    return f"<rdf:{kind}>{''.join(f'<rdf:li>{escape(text)}</rdf:li>' for text in texts)}</rdf:{kind}>"


def _alternative(text: str | None) -> str:
    return f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt>' if text else ""


def _licensor(fields: Fields) -> str:
    name = _property("plus:LicensorName", _plain(fields.licensor))
    url = _property("plus:LicensorURL", _plain(fields.licensor_url))
    if not name and not url:
        return ""
    item = f'<rdf:li rdf:parseType="Resource">{name}{url}</rdf:li>'
    return f"<plus:Licensor><rdf:Seq>{item}</rdf:Seq></plus:Licensor>"


_UTF8 = b"\x1b%G"
"""CodedCharacterSet's value for UTF-8 (IIM 4.2, dataset 1:90; ISO 2022)."""


def iptc_payload(fields: Fields) -> bytes:
    """IPTC-IIM datasets in UTF-8, in ascending order, each cut to IIM's length (4.2, chapter 6).

    Returns b"" if there is nothing to write. The time of day is left out: IIM has none without a time zone, and the
    zone is not kept.
    """
    fields = cleaned(fields)
    datasets: list[tuple[int, list[str | None], int]] = [
        (55, [(fields.date or "")[:10].replace("-", "")], 8),
        (80, [*(fields.creator or "").split("; ")], 32),
        (105, [fields.headline], 256),
        (110, [fields.credit], 32),
        (116, [fields.copyright], 128),
        (120, [caption_text(fields)], 2000),
    ]
    body = b"".join(_dataset(2, n, _cut(text, most)) for n, texts, most in datasets for text in texts if text)
    return _dataset(1, 90, _UTF8) + _dataset(2, 0, b"\0\4") + body if body else b""


def photoshop_payload(iptc: bytes) -> bytes:
    """The body of a JPEG's APP13 segment that holds IPTC-IIM: Photoshop's resource 0x0404, and no other."""
    if not iptc:
        return b""
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def _dataset(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def _cut(text: str, most: int) -> bytes:
    """UTF-8 of at most so many bytes, never half a character."""
    return text.encode()[:most].decode(errors="ignore").encode()
