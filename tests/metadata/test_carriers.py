"""Carriers on their own: values are read with their meaning, whatever the byte order, encoding or damage."""

import struct
import zlib

import pytest

from cloak.metadata import Fact, Kind, carriers, read
from cloak.metadata.deflate import inflate
from cloak.metadata.listing import MAX_NOTES, MAX_TILES, Full, Listing, Span, clean
from tests import plant
from tests.plant_parts import Tiff, box, exif, jpeg

PLAIN = jpeg(plant.picture(64, 48))


def with_segment(code: int, payload: bytes) -> bytes:
    return PLAIN[:2] + plant.segment(code, payload) + PLAIN[2:]


def facts(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in read(data).parts:
        for fact in part.facts:
            found.setdefault(fact.label, fact.value)
    return found


def test_values_lose_control_characters_and_length() -> None:
    assert clean(b"a\0b\x1b[31mc\r\nd") == "a b [31mc d"
    assert clean("evil\u202egpj.exe") == "evil gpj.exe"
    assert clean("x" * 500) == "x" * 199 + "…"
    assert clean("é".encode() * 1000).startswith("éé")
    assert clean("Müller".encode("latin-1")) == "Müller"
    assert clean(b"\0\0 ") == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_read_in_both_byte_orders(order: str) -> None:
    block, _ = exif("X", order)
    found = facts(with_segment(0xE1, b"Exif\0\0" + block))
    assert found["GPS position"] == "48.858333, -2.350000"
    assert found["serial number"] == "LEAK_X_BodySerial_X"
    assert found["comment"] == "LEAK_X_UserComment_X"
    assert found["date taken"] == "2021:03:04 05:06:07"
    assert found["maker note"].startswith("28 bytes")


@pytest.mark.parametrize(("order", "codec"), [("<", "utf-16-le"), (">", "utf-16-be")])
def test_wide_comments_follow_the_byte_order(order: str, codec: str) -> None:
    tiff = Tiff(order)
    inner = tiff.directory([(0x9286, 7, b"UNICODE\0" + "Grüße".encode(codec))], linked=False)
    tiff.directory([tiff.pointer(0x8769, inner), (0x9C9D, 1, "Zoë".encode("utf-16-le") + b"\0\0")])
    found = facts(with_segment(0xE1, b"Exif\0\0" + bytes(tiff.data)))
    assert found["comment"] == "Grüße"
    assert found["author"] == "Zoë"


def test_a_position_with_zero_denominators_is_no_crash() -> None:
    tiff = Tiff()
    gps = tiff.directory([(1, 2, b"N\0"), (2, 5, bytes(24)), (3, 2, b"E\0"), (4, 5, bytes(24))], linked=False)
    tiff.directory([tiff.pointer(0x8825, gps)])
    assert facts(with_segment(0xE1, b"Exif\0\0" + bytes(tiff.data)))["GPS position"] == "0.000000, 0.000000"


def test_exif_that_is_none_is_unknown() -> None:
    contents = read(with_segment(0xE1, b"Exif\0\0garbage that is no TIFF"))
    assert [(part.name, part.kind) for part in contents.parts if part.inside] == [("EXIF damaged", Kind.UNKNOWN)]


def test_a_malformed_packet_is_searched_by_its_look() -> None:
    packet = b'<x:xmpmeta><broken dc:creator="Somebody" <photoshop:City>Paris</photoshop:City> foo:bar="no"'
    found = facts(with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))
    assert found == {"creator": "Somebody", "city": "Paris"}


def test_wide_packets_are_read() -> None:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<r:Description xmlns:anything="http://purl.org/dc/elements/1.1/" anything:creator="Zoë"/></r:RDF></x:xmpmeta>'
    )
    found = facts(with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode("utf-16")))
    assert found == {"creator": "Zoë"}


def test_extended_iptc_lengths_are_followed() -> None:
    datasets = b"\x1c\x02\x78\x80\x04" + struct.pack(">I", 7) + b"Caption" + b"\x1c\x02\x50\0\x02Me"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(datasets)) + datasets
    found = facts(with_segment(0xED, b"Photoshop 3.0\0" + resource))
    assert (found["caption"], found["creator"]) == ("Caption", "Me")


def test_bytes_between_datasets_and_resources_are_unknown() -> None:
    datasets = b"\x1c\x02\x50\0\x02Mewords"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(datasets)) + datasets + b"\0more words here"
    names = {part.name: part.kind for part in read(with_segment(0xED, b"Photoshop 3.0\0" + resource)).parts}
    assert names["IPTC unknown bytes"] == names["8BIM unknown bytes"] == Kind.UNKNOWN


def test_a_manifest_is_told_even_if_damaged() -> None:
    found = facts(with_segment(0xEB, b"JP\0\1\0\0\0\1" + box(b"jumb", b"not a box at all")))
    assert found["manifest"] == "a C2PA or other JUMBF box"


def test_carriers_are_those_of_the_picture_and_not_of_its_thumbnail() -> None:
    data, _ = plant.PLANTED["jpeg"]()
    kinds = [kind for kind, _ in carriers(data)]
    assert sorted(kinds) == ["exif", "exif", "icc", "resources", "xmp", "xmp"]


def test_a_listing_tiles_whatever_is_claimed() -> None:
    listing = Listing(bytes(20))
    listing.tile("b", Kind.METADATA, 4, 12)
    listing.tile("a", Kind.PIXELS, 8, 30)
    contents = listing.finish("tiff", "gap")
    top = [(part.name, part.offset, part.length) for part in contents.parts if not part.inside]
    assert top == [("gap", 0, 4), ("b", 4, 8), ("a", 12, 8)]
    assert [(part.name, part.inside) for part in contents.parts if part.inside] == [("a", "b")]
    assert contents.fault == "parts overlap"


def test_a_listing_refuses_more_than_it_can_hold() -> None:
    listing = Listing(bytes(100_000))
    span = Span(listing.data, 0, 1)
    for at in range(MAX_TILES):
        listing.tile("x", Kind.UNKNOWN, at, at + 1)
    with pytest.raises(Full):
        listing.tile("x", Kind.UNKNOWN, MAX_TILES, MAX_TILES + 1)
    for _ in range(MAX_NOTES):
        listing.note("x", Kind.UNKNOWN, span, "", (Fact("a", "b"),))
    with pytest.raises(Full):
        listing.note("x", Kind.UNKNOWN, span, "")


def test_numbers_outside_a_span_are_zero() -> None:
    span = Span(b"\1\2\3\4", 1, 3)
    assert (span.number(1, 2), span.number(1, 2, "little")) == (0x0203, 0x0302)
    assert (span.number(0, 2), span.number(2, 2)) == (0, 0)


def test_inflating_stops_at_its_limit() -> None:
    packed = zlib.compress(bytes(1 << 20)) + b"behind"
    assert inflate(packed, 100) == (bytes(100), b"")
    assert inflate(packed, 0) == (b"", b"")
    assert inflate(packed, 1 << 21) == (bytes(1 << 20), b"behind")
    assert inflate(b"no stream", 100) == (b"", b"")
