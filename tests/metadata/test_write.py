"""The kept fields as EXIF, XMP and IPTC: minimal, deterministic, escaped, and read alike by strangers."""

import io
import json
import shutil
import struct
import subprocess
from dataclasses import fields as names_of
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cloak.metadata import read
from cloak.metadata.fields import LENGTHS, Fields, cleaned, read_all
from cloak.metadata.ifd import Walk, open_block
from cloak.metadata.listing import Listing
from cloak.metadata.write import (
    FIELD_CARRIERS,
    IPTC_FRAME,
    Carriers,
    caption_text,
    exif_payload,
    iptc_payload,
    photoshop_payload,
    xmp_packet,
)

FULL = Fields(
    copyright="© 2024 Zoë Müller",
    creator="Zoë Müller; Jo Ng",
    credit="Müller & <ACME>",
    caption='A <crowd> & a dog, "quoted"',
    headline="Crowd & dog <3",
    date="2024-05-31T12:34:56",
    rights_url="https://example.org/rights",
    usage_terms="Editorial use only",
    licensor="ACME & Sons",
    licensor_url="https://example.org/licence",
    digital_source_type="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    disclosure="Faces in this photo have been concealed.",
)
NAMES = [field.name for field in names_of(Fields)]


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 120, 30)).save(out, "JPEG")
    return out.getvalue()


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data for code, data in segments)
    plain = picture()
    return plain[:2] + body + plain[2:]


def with_exif(payload: bytes) -> bytes:
    return jpeg((0xE1, b"Exif\0\0" + payload))


def with_xmp(packet: bytes) -> bytes:
    return jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))


def with_iptc(payload: bytes) -> bytes:
    return jpeg((0xED, photoshop_payload(payload)))


def tags_in(payload: bytes) -> set[int]:
    block = open_block(Listing(payload).whole)
    assert block is not None
    return {entry.tag for _, directory in Walk(block) for entry in directory.entries}


def codes_in(data: bytes) -> set[str]:
    """Of every XMP property and IPTC dataset that the walker finds."""
    names = [part.name for part in read(data).parts]
    return {name.split(" ")[1] for name in names if name.startswith(("XMP ", "IPTC "))}


# Nothing but what was asked for


def test_nothing_to_write_is_no_payload() -> None:
    assert exif_payload(Fields()) == xmp_packet(Fields()) == iptc_payload(Fields()) == photoshop_payload(b"") == b""


@pytest.mark.parametrize("name", NAMES)
def test_each_field_brings_only_what_is_declared_for_it(name: str) -> None:
    one = Fields(**{name: getattr(FULL, name)})
    places = FIELD_CARRIERS[name]
    exif, xmp, iptc = exif_payload(one), xmp_packet(one), iptc_payload(one)
    assert (tags_in(exif) if exif else set()) == places.exif
    assert codes_in(with_xmp(xmp)) == places.xmp
    datasets = {f"{record}:{number:03d}" for record, number in places.iptc}
    frame = {f"{record}:{number:03d}" for record, number in IPTC_FRAME}
    assert (codes_in(with_iptc(iptc)) if iptc else set()) == (datasets | frame if datasets else set())


def test_every_field_is_declared() -> None:
    assert set(FIELD_CARRIERS) == set(NAMES)
    assert all(places != Carriers() for places in FIELD_CARRIERS.values())


@pytest.mark.parametrize(
    "data", [with_exif(exif_payload(FULL, 3)), with_xmp(xmp_packet(FULL)), with_iptc(iptc_payload(FULL))]
)
def test_no_byte_of_a_payload_is_unaccounted_for(data: bytes) -> None:
    contents = read(data)
    assert contents.fault == ""
    assert [part.name for part in contents.parts if part.kind == "unknown"] == []


def test_a_packet_holds_no_toolkit_no_padding_and_no_identifiers() -> None:
    packet = xmp_packet(FULL).decode()
    for word in ("xmptk", "InstanceID", "DocumentID", "uuid", "    ", "\n", "MetadataDate", "CreatorTool"):
        assert word not in packet
    assert packet.endswith('<?xpacket end="r"?>')


def test_a_packet_declares_only_the_namespaces_that_it_uses() -> None:
    packet = xmp_packet(Fields(credit="ACME")).decode()
    assert "photoshop" in packet
    for prefix in ("dc", "xmpRights", "plus", "Iptc4xmpExt"):
        assert f"xmlns:{prefix}=" not in packet


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_written_when_asked_for(orientation: int) -> None:
    with Image.open(io.BytesIO(with_exif(exif_payload(Fields(), orientation)))) as image:
        assert image.getexif() == {0x0112: orientation}


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_an_orientation_that_is_none_is_an_error(orientation: int) -> None:
    with pytest.raises(ValueError, match="1 to 8"):
        exif_payload(Fields(), orientation)


# Values


def test_the_disclosure_ends_the_caption_as_its_own_sentence() -> None:
    hidden = "Faces were concealed."
    assert caption_text(Fields(caption="A crowd", disclosure=hidden)) == "A crowd. Faces were concealed."
    assert caption_text(Fields(caption="A crowd!", disclosure=hidden)) == "A crowd! Faces were concealed."
    assert caption_text(Fields(disclosure=hidden)) == hidden
    assert caption_text(Fields(caption="A crowd")) == "A crowd"
    assert caption_text(Fields()) is None


def test_the_disclosure_is_not_repeated_when_a_photo_passes_twice() -> None:
    once = read_all(with_xmp(xmp_packet(FULL)))
    twice = read_all(with_xmp(xmp_packet(replace(once, disclosure=FULL.disclosure))))
    assert once.caption == twice.caption
    assert str(twice.caption).count(str(FULL.disclosure)) == 1


def test_a_day_without_its_time_has_blanks_for_the_time() -> None:
    assert b"2024:05:31   :  :  \0" in exif_payload(Fields(date="2024-05-31"))
    assert b"2024:05:31 12:34:56\0" in exif_payload(FULL)
    assert "<photoshop:DateCreated>2024-05-31</photoshop:DateCreated>" in xmp_packet(Fields(date="2024-05-31")).decode()


def test_iptc_states_its_encoding_first_and_keeps_its_lengths() -> None:
    long = replace(FULL, caption="aü" * 2000, creator="é€" * 99, copyright="aß" * 99, credit="aø" * 99)
    payload = iptc_payload(long)
    assert payload.startswith(b"\x1c\x01\x5a\x00\x03\x1b%G\x1c\x02\x00\x00\x02\x00\x04")
    at, found = 0, []
    while at < len(payload):
        mark, record, number, length = struct.unpack_from(">BBBH", payload, at)
        assert mark == 0x1C
        value = payload[at + 5 : at + 5 + length]
        if (record, number) not in IPTC_FRAME:
            value.decode()
        found.append((record, number, length))
        at += 5 + length
    assert found == sorted(found, key=lambda item: item[:2])
    most = {80: 32, 105: 256, 110: 32, 116: 128, 120: 2000, 55: 8}
    assert all(length <= most[number] for record, number, length in found if (record, number) not in IPTC_FRAME)
    assert {number for _, number, _ in found} >= set(most)


def test_the_photoshop_resource_has_an_even_length() -> None:
    for text in ("a", "ab"):
        payload = photoshop_payload(iptc_payload(Fields(headline=text)))
        assert payload.startswith(b"Photoshop 3.0\x008BIM\x04\x04\0\0")
        assert (len(payload) - len(b"Photoshop 3.0\0")) % 2 == 0


def test_the_same_fields_give_the_same_bytes() -> None:
    for write in (exif_payload, xmp_packet, iptc_payload):
        assert write(FULL) == write(Fields(**{name: getattr(FULL, name) for name in NAMES}))


def test_fields_that_nobody_cleaned_are_cleaned_before_they_are_written() -> None:
    dirty = Fields(
        caption="a\0b\u202egnp.exe\x1b[2J\ud800",
        rights_url="https://user:secret@example.org/?session=1",
        copyright="\u200b",
    )
    for payload in (exif_payload(dirty), xmp_packet(dirty), iptc_payload(dirty)):
        for word in ("secret", "session", "\u202e", "\x1b[", "\u200b"):
            assert word.encode() not in payload
    ElementTree.fromstring(xmp_packet(dirty).decode().split("?>", 1)[1].rsplit("<?", 1)[0])


@pytest.mark.parametrize("character", ["&", "<", "'", '"', "\U0001f600", "ü"])
def test_the_longest_fields_fit_into_one_jpeg_segment(character: str) -> None:
    longest = replace(FULL, **{name: character * length for name, length in LENGTHS.items()})
    assert len(xmp_packet(longest)) < 65_000
    assert len(exif_payload(longest)) < 65_000
    assert len(photoshop_payload(iptc_payload(longest))) < 65_000


# Round trips


@given(st.text(max_size=60), st.sampled_from(["copyright", "creator", "caption"]))
def test_any_text_reads_back_from_exif_as_it_was_cleaned(text: str, name: str) -> None:
    wanted = cleaned(Fields(**{name: text}))
    payload = exif_payload(Fields(**{name: text}))
    if payload:
        assert getattr(read_all(with_exif(payload)), name) in (getattr(wanted, name), None)


@given(st.text(max_size=60), st.sampled_from(["copyright", "credit", "caption", "headline", "usage_terms", "licensor"]))
def test_any_text_reads_back_from_xmp_as_it_was_cleaned(text: str, name: str) -> None:
    wanted = cleaned(Fields(**{name: text}))
    packet = xmp_packet(Fields(**{name: text}))
    if packet:
        assert getattr(read_all(with_xmp(packet)), name) in (getattr(wanted, name), None)


def test_all_fields_read_back_from_each_payload() -> None:
    said = replace(FULL, disclosure=None, caption=caption_text(FULL))
    assert read_all(with_xmp(xmp_packet(FULL))) == said
    exif = read_all(with_exif(exif_payload(FULL)))
    assert exif == Fields(copyright=said.copyright, creator=said.creator, caption=said.caption, date=said.date)
    iptc = read_all(with_iptc(iptc_payload(FULL)))
    assert iptc == Fields(
        copyright=said.copyright,
        creator=said.creator,
        caption=said.caption,
        credit=said.credit,
        headline=said.headline,
        date="2024-05-31",
    )


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_no_fault_in_the_structures(tmp_path: Path) -> None:
    day = replace(FULL, date="2024-05-31", caption="odd")
    for fields in (FULL, day, Fields(date=FULL.date), Fields(creator="x")):
        payloads = {"exif": with_exif(exif_payload(fields, 1))}
        if fields.creator:
            payloads |= {"xmp": with_xmp(xmp_packet(fields)), "iptc": with_iptc(iptc_payload(fields))}
        for name, data in payloads.items():
            file = tmp_path / f"{name}.jpg"
            file.write_bytes(data)
            command = ["exiftool", "-s3", "-a", "-warning", "-error", "-validate", str(file)]
            run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            # Fields alone are no complete EXIF; piexif puts values at odd places; blanks for a time are rare but legal.
            faults = [line for line in run.stdout.splitlines() if not line.startswith(("Missing required", "[minor]"))]
            assert len(faults) == 1
            assert faults[0] == "OK" or faults[0].split(" ")[1] in {"Warning", "Warnings"}  # 13.55 says "1 Warning"


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_what_was_written(tmp_path: Path) -> None:
    payloads = {
        "exif": with_exif(exif_payload(FULL, 1)),
        "xmp": with_xmp(xmp_packet(FULL)),
        "iptc": with_iptc(iptc_payload(FULL)),
    }
    said = {}
    for name, data in payloads.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
        command = [
            "exiftool",
            "-validate",
            "-warning",
            "-a",
            "-j",
            "-struct",
            "-G1",
            "-all",
            str(tmp_path / f"{name}.jpg"),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        (said[name],) = json.loads(run.stdout)
        outside = ("SourceFile", "ExifTool:", "System:", "File:", "JFIF:", "Composite:", "Photoshop:")
        said[name] = {key: value for key, value in said[name].items() if not key.startswith(outside)}
    text = f"{FULL.caption}. {FULL.disclosure}"
    assert said["exif"] == {
        "IFD0:ImageDescription": text,
        "IFD0:Orientation": "Horizontal (normal)",
        "IFD0:Artist": FULL.creator,
        "IFD0:Copyright": FULL.copyright,
        "ExifIFD:DateTimeOriginal": "2024:05:31 12:34:56",
    }
    assert said["xmp"] == {
        "XMP-dc:Creator": ["Zoë Müller", "Jo Ng"],
        "XMP-dc:Description": text,
        "XMP-dc:Rights": FULL.copyright,
        "XMP-photoshop:Credit": FULL.credit,
        "XMP-photoshop:DateCreated": "2024:05:31 12:34:56",
        "XMP-photoshop:Headline": FULL.headline,
        "XMP-xmpRights:Marked": True,
        "XMP-xmpRights:UsageTerms": FULL.usage_terms,
        "XMP-xmpRights:WebStatement": FULL.rights_url,
        "XMP-plus:Licensor": [{"LicensorName": FULL.licensor, "LicensorURL": FULL.licensor_url}],
        "XMP-iptcExt:DigitalSourceType": FULL.digital_source_type,
    }
    assert said["iptc"] == {
        "IPTC:CodedCharacterSet": "UTF8",
        "IPTC:ApplicationRecordVersion": 4,
        "IPTC:DateCreated": "2024:05:31",
        "IPTC:By-line": ["Zoë Müller", "Jo Ng"],
        "IPTC:Headline": FULL.headline,
        "IPTC:Credit": FULL.credit,
        "IPTC:CopyrightNotice": FULL.copyright,
        "IPTC:Caption-Abstract": text,
    }
