"""Random legal parts at random legal places: each is named, and the file stays tiled."""

import io
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloak.metadata import Kind, read
from tests import plant
from tests.metadata.test_readers import assert_tiles

FAST = settings(max_examples=60, deadline=None)
HARMLESS = {Kind.STRUCTURE, Kind.PIXELS}


def plain(format: str, **options: object) -> bytes:
    out = io.BytesIO()
    plant.picture(40, 30).save(out, format, **options)
    return out.getvalue()


PLAIN = {name: plain(name.upper()) for name in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")}


payloads = st.binary(min_size=1, max_size=300)


def insert(data: bytes, place: int, extra: bytes) -> bytes:
    return data[:place] + extra + data[place:]


def assert_found(data: bytes, place: int, extra: bytes, *, kinds: set[Kind] | None = None) -> None:
    contents = read(data)
    assert_tiles(data, contents)
    touched = [
        part
        for part in contents.parts
        if part.offset < place + len(extra) and place < part.offset + part.length and part.kind not in HARMLESS
    ]
    assert touched, "the injected bytes pass for structure or pixels"
    if kinds:
        assert {part.kind for part in touched} <= kinds


@FAST
@given(st.data(), st.sampled_from([*range(0xE0, 0xF0), 0xFE, *range(0xF0, 0xFE)]), payloads)
def test_a_segment_anywhere_in_a_jpeg_is_named(data: st.DataObject, code: int, payload: bytes) -> None:
    places = [part.offset for part in read(PLAIN["jpeg"]).parts if not part.inside and part.offset]
    places = [place for place in places if PLAIN["jpeg"][place] == 0xFF]
    place = data.draw(st.sampled_from(places))
    extra = plant.segment(code, payload)
    assert_found(insert(PLAIN["jpeg"], place, extra), place, extra)


@FAST
@given(
    st.data(),
    st.sampled_from(b"tEXt zTXt iTXt eXIf prVt caBX sPLT tIME pHYs dSIG IDAT".split()),
    payloads,
)
def test_a_chunk_anywhere_in_a_png_is_named(data: st.DataObject, kind: bytes, payload: bytes) -> None:
    places = [part.offset for part in read(PLAIN["png"]).parts if part.offset >= 33 and not part.inside]
    if kind == b"IDAT":
        places = [part.offset for part in read(PLAIN["png"]).parts if part.name == "PNG IEND"]
    place = data.draw(st.sampled_from(places))
    extra = plant.chunk(kind, payload)
    assert_found(insert(PLAIN["png"], place, extra), place, extra)


@FAST
@given(st.data(), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4), payloads)
def test_a_chunk_anywhere_in_a_webp_is_named(data: st.DataObject, kind: str, payload: bytes) -> None:
    if kind in {"ALPH", "ANIM", "ANMF"}:
        return
    body = PLAIN["webp"]
    place = data.draw(st.sampled_from([12, len(body)]))
    extra = plant.riff_chunk(kind.encode(), payload)
    changed = bytearray(insert(body, place, extra))
    changed[4:8] = struct.pack("<I", len(changed) - 8)
    assert_found(bytes(changed), place, extra)


@FAST
@given(st.data(), st.sampled_from([0xFE, 0x01, 0xFF, 0xCE, 0x00]), payloads)
def test_an_extension_anywhere_in_a_gif_is_named(data: st.DataObject, label: int, payload: bytes) -> None:
    contents = read(PLAIN["gif"])
    names = {"GIF image descriptor", "GIF trailer"}
    place = data.draw(st.sampled_from([part.offset for part in contents.parts if part.name in names]))
    blocks = b"".join(bytes([len(payload[i : i + 255])]) + payload[i : i + 255] for i in range(0, len(payload), 255))
    extra = bytes([0x21, label]) + blocks + b"\0"
    assert_found(insert(PLAIN["gif"], place, extra), place, extra)


@FAST
@given(st.sampled_from([b"free", b"skip", b"uuid", b"udta", b"acme", b"mdat", b"meta"]), payloads)
def test_a_box_behind_an_avif_is_named(kind: bytes, payload: bytes) -> None:
    extra = plant.box(kind, payload)
    data = PLAIN["avif"] + extra
    assert_found(data, len(PLAIN["avif"]) + 8, payload)


@pytest.mark.parametrize("name", sorted(PLAIN))
@FAST
@given(payload=payloads)
def test_bytes_behind_the_end_are_unknown_or_another_picture(name: str, payload: bytes) -> None:
    data = PLAIN[name] + b"x" + payload + b"x"
    assert_found(data, len(PLAIN[name]), payload)


@FAST
@given(payload=payloads)
def test_bytes_in_a_gap_of_a_tiff_are_unknown(payload: bytes) -> None:
    gap = b"x" + payload + b"x"
    moved = plant.Tiff()
    place = moved.append(gap)
    rows = plant.picture(40, 30).tobytes()
    strip = moved.append(rows)
    moved.directory(
        [
            (0x0100, 4, moved.pack("I", 40)),
            (0x0101, 4, moved.pack("I", 30)),
            (0x0102, 3, moved.pack("HHH", 8, 8, 8)),
            (0x0103, 3, moved.pack("H", 1)),
            (0x0106, 3, moved.pack("H", 2)),
            moved.pointer(0x0111, strip),
            (0x0115, 3, moved.pack("H", 3)),
            (0x0117, 4, moved.pack("I", len(rows))),
        ]
    )
    assert_found(bytes(moved.data), place, gap, kinds={Kind.UNKNOWN})


@pytest.mark.parametrize("name", sorted(plant.PLANTED))
def test_truncated_files_are_tiled(name: str) -> None:
    data, _ = plant.PLANTED[name]()
    for cut in range(0, len(data), max(len(data) // 150, 1)):
        assert_tiles(data[:cut], read(data[:cut]))


@pytest.mark.parametrize("name", sorted(plant.PLANTED))
def test_no_internal_error_ends_a_walk_of_mutated_files(name: str) -> None:
    data, _ = plant.PLANTED[name]()

    change = st.tuples(st.integers(0, len(data) - 1), st.binary(min_size=1, max_size=8))

    @settings(max_examples=80, deadline=None)
    @given(st.lists(change, min_size=1, max_size=12))
    def mutated(changes: list[tuple[int, bytes]]) -> None:
        broken = bytearray(data)
        for place, value in changes:
            broken[place : place + len(value)] = value
        before = time.process_time()
        contents = read(bytes(broken))
        assert time.process_time() - before < 1.0
        assert_tiles(bytes(broken), contents)
        assert "stopped" not in contents.fault

    mutated()


SIGNATURES = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBP",
    b"II*\0\x08\0\0\0",
    b"MM\0+\0\x08\0\0",
    b"BM" + bytes(12) + b"\x28\0\0\0",
    b"\0\0\0\x14ftypavif\0\0\0\0mif1",
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=400))
def test_garbage_behind_any_signature_is_tiled(signature: bytes, garbage: bytes) -> None:
    data = signature + garbage
    contents = read(data)
    assert contents.format
    assert_tiles(data, contents)
    assert "stopped" not in contents.fault
