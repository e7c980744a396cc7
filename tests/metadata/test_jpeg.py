"""What a JPEG can hide besides segments: slack, tables, further frames and scans, what follows its end."""

import struct

import pytest

from cloak.metadata import Kind, Part, read
from tests import plant
from tests.plant_parts import archive, jpeg, samsung, video

PLAIN = jpeg(plant.picture(64, 48))


def parts(data: bytes) -> dict[str, Part]:
    return {part.name: part for part in read(data).parts}


def before(name: str, extra: bytes, data: bytes = PLAIN) -> bytes:
    """The file with bytes put in before its first part of a name."""
    at = next(part.offset for part in read(data).parts if part.name == name)
    return data[:at] + extra + data[at:]


def stretched(name: str, extra: bytes) -> bytes:
    """The file with bytes added to the end of a segment."""
    part = parts(PLAIN)[name]
    length = struct.pack(">H", part.length - 2 + len(extra))
    at, end = part.offset, part.offset + part.length
    return PLAIN[: at + 2] + length + PLAIN[at + 4 : end] + extra + PLAIN[end:]


@pytest.mark.parametrize("name", ["SOF0", "SOS", "DHT", "DQT", "APP0 JFIF"])
def test_bytes_behind_what_a_segment_needs_are_unknown(name: str) -> None:
    slack = parts(stretched(name, b"hidden words"))[f"{name} slack"]
    assert slack.kind == Kind.UNKNOWN
    assert slack.length >= len(b"hidden words") - 1


def test_plain_segments_have_no_slack() -> None:
    assert not any(part.inside for part in read(PLAIN).parts)


def test_a_table_that_is_defined_twice_or_never_used_is_unknown() -> None:
    twice = before("SOF0", plant.segment(0xDB, b"\0" + bytes([7] * 64)))
    assert parts(twice)["DQT unused table"].kind == Kind.UNKNOWN
    idle = before("SOS", plant.segment(0xC4, b"\x13" + bytes(15) + b"\x04" + b"word"))
    assert parts(idle)["DHT unused table"].length == 21


def test_a_second_frame_before_the_end_is_another_image() -> None:
    inner = jpeg(plant.picture(32, 24))
    data = before("EOI", inner[2:-2])
    kinds = [(part.name, part.kind) for part in read(data).parts if part.name in {"SOF0", "scan"}]
    assert kinds == [("SOF0", Kind.STRUCTURE), ("scan", Kind.PIXELS), ("SOF0", Kind.IMAGE), ("scan", Kind.IMAGE)]


def test_a_repeated_scan_of_a_baseline_frame_is_another_image() -> None:
    found = parts(PLAIN)
    start = found["SOS"].offset
    data = before("EOI", PLAIN[start:-2])
    assert [part.kind for part in read(data).parts if part.name == "scan"] == [Kind.PIXELS, Kind.IMAGE]


def test_the_scans_of_a_progressive_picture_are_one_picture() -> None:
    contents = read(jpeg(plant.picture(64, 48), progressive=True))
    scans = [part.kind for part in contents.parts if part.name == "scan"]
    assert len(scans) > 2
    assert set(scans) == {Kind.PIXELS}
    assert contents.fault == ""


def test_fill_bytes_and_restart_markers_are_told_from_pixels() -> None:
    restarts = jpeg(plant.picture(64, 48), restart_marker_blocks=1)
    assert [part.name for part in read(restarts).parts].count("scan") == 1
    filled = parts(before("EOI", b"\xff\xff\xff"))
    assert (filled["fill bytes"].kind, filled["fill bytes"].length) == (Kind.UNKNOWN, 3)


@pytest.mark.parametrize(
    ("extra", "name", "kind"),
    [
        (bytes(40), "after EOI zeros", Kind.UNKNOWN),
        (video(b"moving"), "after EOI MP4", Kind.IMAGE),
        (archive(b"zipped"), "after EOI ZIP", Kind.UNKNOWN),
        (samsung(b"words"), "after EOI Samsung SEFT", Kind.METADATA),
        (jpeg(plant.picture(16, 16)), "after EOI JPEG", Kind.IMAGE),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "after EOI image", Kind.IMAGE),
        (b"%PDF-1.7 and so on", "after EOI archive", Kind.UNKNOWN),
        (b"anything", "after EOI", Kind.UNKNOWN),
    ],
)
def test_what_follows_the_end_is_recognised(extra: bytes, name: str, kind: Kind) -> None:
    part = parts(PLAIN + extra)[name]
    assert (part.kind, part.offset, part.length) == (kind, len(PLAIN), len(extra))


def test_what_follows_the_end_is_recognised_behind_other_bytes() -> None:
    data = PLAIN + b"some words" + video(b"moving") + samsung(b"words") + b"more"
    names = [part.name for part in read(data).parts if part.name.startswith("after")]
    assert names == ["after EOI", "after EOI MP4", "after EOI Samsung SEFT", "after EOI"]


def test_a_jpeg_that_stops_before_its_end_has_a_fault() -> None:
    assert read(PLAIN[:-2]).fault == "no end of image"
    assert read(PLAIN[:300]).fault


def test_the_metadata_of_a_second_picture_is_read_too() -> None:
    data, _ = plant.PLANTED["jpeg"]()
    creators = [part for part in read(data).parts if part.name == "XMP dc:creator"]
    assert {part.inside for part in creators} == {"APP1 XMP", "APP1 extended XMP"}
    assert any("LEAK_MPF_XMP_X" in fact.value for part in creators for fact in part.facts)


@pytest.mark.parametrize(
    ("code", "payload", "name", "kind"),
    [
        (0xE5, b"anything", "APP5 other", Kind.UNKNOWN),
        (0xE3, b"Meta\0\0and more", "APP3 Meta", Kind.METADATA),
        (0xE2, b"FPXR\0and more", "APP2 FPXR", Kind.METADATA),
        (0xE0, b"JFXX\0\x13and more", "APP0 JFXX", Kind.IMAGE),
        (0xEE, b"Adobe\0\x64\0\0\0\0\1", "APP14 Adobe", Kind.STRUCTURE),
        (0xFE, b"anything", "COM", Kind.METADATA),
        (0xF5, b"anything", "marker 0xF5", Kind.UNKNOWN),
        (0xDD, b"\0\0", "DRI", Kind.STRUCTURE),
    ],
)
def test_segments_are_named_by_signature(code: int, payload: bytes, name: str, kind: Kind) -> None:
    assert parts(before("DQT", plant.segment(code, payload)))[name].kind == kind
