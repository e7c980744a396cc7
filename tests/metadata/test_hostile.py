"""Files made to hang, crash or exhaust a reader: an answer comes in time, tiled, with a fault."""

import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cloak.metadata import Kind, read
from tests import plant
from tests.metadata.test_readers import assert_tiles
from tests.plant_parts import Tiff, full_box

SECONDS = 10.0  # of the processor, and on a busy machine; alone each takes well under two
XMP = b"http://ns.adobe.com/xap/1.0/\0"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HUGE = plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 16, 6, 0, 0, 0))
SIZE = 2_000_000


def _loop() -> bytes:
    """A directory whose next one is itself, and which is its own sub-directory."""
    fields = struct.pack("<H", 2) + struct.pack("<HHII", 0x014A, 4, 1, 8) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + fields + struct.pack("<I", 8)


def _overlapping_directories() -> bytes:
    rows = b"".join(struct.pack("<HHII", 0x014A, 4, 800, 10 + i * 12) for i in range(65000))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 65000) + rows


def _overlapping_strips() -> bytes:
    out, strips = Tiff(), 5_000
    place, one = out.append(bytes(SIZE)), out.pack("I", 1)
    rows = [(tag, 4, one) for tag in (0x0100, 0x0103, 0x0115, 0x0116)] + [(0x0101, 4, out.pack("I", strips))]
    rows += [(0x0111, 4, out.pack("I", place) * strips), (0x0117, 4, out.pack("I", SIZE) * strips)]
    out.directory(sorted([*rows, (0x0102, 3, out.pack("H", 8))]))
    return bytes(out.data)


def _items(*boxes: bytes) -> bytes:
    head = plant.box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return head + full_box(b"meta", 0, 0, full_box(b"pitm", 0, 0, b"\0\1"), *boxes)


def _entries(count: int, kind: bytes) -> bytes:
    rows = b"".join(full_box(b"infe", 2, 0, struct.pack(">HH4s", i + 1, 0, kind), b"\0") for i in range(count))
    return full_box(b"iinf", 1, 0, struct.pack(">I", count), rows)


def _circular_grids() -> bytes:
    rows = b"".join(
        plant.box(b"dimg", struct.pack(">HH", i + 1, 30), *(struct.pack(">H", (i + j) % 500 + 1) for j in range(30)))
        for i in range(500)
    )
    return _items(_entries(500, b"grid"), full_box(b"iref", 0, 0, rows))


def _extents_of_the_whole_file() -> bytes:
    rows = struct.pack(">HHH", 1, 0, 20000) + struct.pack(">II", 0, 0) * 20000
    places = full_box(b"iloc", 0, 0, struct.pack(">HH", 0x4400, 1), rows)
    return _items(_entries(1, b"hvc1"), places) + plant.box(b"mdat", bytes(SIZE))


def _endless_samples() -> bytes:
    tables = full_box(b"stsz", 0, 0, struct.pack(">II", 1, 1 << 31))
    tables += full_box(b"stco", 0, 0, struct.pack(">I", 100000), bytes(400000))
    tables += full_box(b"stsc", 0, 0, struct.pack(">IIII", 1, 1, 1 << 30, 1))
    handler = full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"pict"), b"\0")
    track = plant.box(b"trak", plant.box(b"mdia", handler, plant.box(b"minf", plant.box(b"stbl", tables))))
    return plant.box(b"ftyp", b"heic\0\0\0\0mif1heic") + plant.box(b"moov", track * 10)


def _deep_boxes() -> bytes:
    inner = b""
    for _ in range(3000):
        inner = plant.box(b"trak", inner)
    return plant.box(b"ftyp", b"heic\0\0\0\0mif1heic") + plant.box(b"moov", inner)


def _bomb(size: int) -> bytes:
    return zlib.compress(bytes(size))


def _entities() -> bytes:
    rows = "".join(f'<!ENTITY e{i} "{"&e" + str(i - 1) + ";"}{"&e" + str(i - 1) + ";"}">' for i in range(1, 60))
    packet = f'<!DOCTYPE x [<!ENTITY e0 "LEAK">{rows}]><x>&e59;</x>'
    return b"\xff\xd8" + plant.segment(0xE1, XMP + packet.encode()) + b"\xff\xd9"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "tiny segments": lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * (SIZE // 4),
    "fill bytes": lambda: b"\xff\xd8" + b"\xff" * SIZE,
    "starts of JPEGs": lambda: b"\xff\xd8\xff\xd9" + b"\xff\xd8\xff" * (SIZE // 3),
    "starts of archives": lambda: b"\xff\xd8\xff\xd9" + b"PK\3\4" * (SIZE // 4) + b"PK\5\6",
    "starts of videos": lambda: b"\xff\xd8\xff\xd9" + b"abcdftyp" * (SIZE // 8),
    "starts of empty boxes": lambda: b"\xff\xd8\xff\xd9" + b"\0\0\0\4ftyp" * 25_000 + b"x" * (2 * SIZE),
    "strips that lie over each other": _overlapping_strips,
    "unclosed elements": lambda: b"\xff\xd8" + plant.segment(0xE1, XMP + b"<a>" * 20000) * 20,
    "words that might be XMP": lambda: b"\xff\xd8" + plant.segment(0xE1, XMP + b"a" * 65000) * 20,
    "entities": _entities,
    "directory loop": _loop,
    "overlapping directories": _overlapping_directories,
    "text bombs": lambda: SIGNATURE + HUGE + plant.chunk(b"zTXt", b"Comment\0\0" + _bomb(16 << 20)) * 60,
    "packet bombs": lambda: (
        SIGNATURE + HUGE + plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _bomb(16 << 20)) * 60
    ),
    "profile bombs": lambda: SIGNATURE + HUGE + plant.chunk(b"iCCP", b"x\0\0" + _bomb(16 << 20)) * 60,
    "pixel bomb": lambda: SIGNATURE + HUGE + plant.chunk(b"IDAT", _bomb(1 << 27)),
    "tiny chunks": lambda: SIGNATURE + HUGE + plant.chunk(b"tEXt", b"") * (SIZE // 12),
    "tiny data chunks": lambda: SIGNATURE + HUGE + plant.chunk(b"IDAT", b"") * (SIZE // 12),
    "tiny extensions": lambda: b"GIF89a" + bytes(7) + b"!\xfe\0" * (SIZE // 3),
    "tiny blocks": lambda: b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * (SIZE // 2),
    "tiny RIFF chunks": lambda: b"RIFF" + struct.pack("<I", SIZE) + b"WEBP" + b"ABCD\0\0\0\0" * (SIZE // 8),
    "tiny boxes": lambda: _items() + b"\0\0\0\x08free" * (SIZE // 8),
    "circular grids": _circular_grids,
    "extents of the whole file": _extents_of_the_whole_file,
    "endless samples": _endless_samples,
    "deep boxes": _deep_boxes,
    "huge bitmap": lambda: b"BM" + struct.pack("<IHHIIIIHHI", 0, 0, 0, 54, 40, 2**31 - 1, 2**31, 1, 24, 0),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_get_an_answer_in_time(name: str) -> None:
    data = HOSTILE[name]()
    before = time.process_time()
    contents = read(data)
    assert time.process_time() - before < SECONDS
    assert_tiles(data, contents)
    assert len(contents.parts) <= 110_000
    assert "stopped" not in contents.fault
    if name != "entities":  # a whole file with an odd packet in it
        assert contents.fault


def test_entities_are_refused_and_not_expanded() -> None:
    contents = read(_entities())
    assert [part.name for part in contents.parts if part.inside] == ["XMP refused"]
    assert len(str(contents)) < 2_000


def test_more_parts_than_can_be_listed_end_in_one_unknown_part() -> None:
    contents = read(HOSTILE["tiny segments"]())
    last = contents.parts[-1]
    assert last.kind == Kind.UNKNOWN
    assert last.length > SIZE // 2
    assert contents.fault == "more parts than can be listed"


def test_a_field_that_points_outside_is_unknown() -> None:
    tiff = Tiff()
    tiff.directory([(0x0100, 4, tiff.pack("I", 9)), (0x013B, 2, b"a name, much longer than its place\0")])
    data = bytes(tiff.data)
    at = data.index(struct.pack("<HHI", 0x013B, 2, 35)) + 8
    data = data[:at] + struct.pack("<I", 0xFFFFFF00) + data[at + 4 :]
    contents = read(data)
    assert contents.fault == "a field's value lies outside the file"
    artist = next(part for part in contents.parts if "Artist" in part.name)
    assert artist.kind == Kind.UNKNOWN


def test_the_reader_survives_its_own_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    import cloak.metadata as metadata

    def broken(*_: object) -> None:
        raise ZeroDivisionError("personal")

    monkeypatch.setitem(metadata._READERS, "gif", broken)
    data, _ = plant.PLANTED["gif"]()
    contents = read(data)
    assert contents.fault == "the reader stopped (ZeroDivisionError)"
    assert [part.kind for part in contents.parts] == [Kind.UNKNOWN]


def _sample(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_broken_files_of_public_suites_get_an_answer_within_a_second(data: Path) -> None:
    for path in _sample(data / "bad"):
        content = path.read_bytes()
        before = time.process_time()
        contents = read(content)
        assert time.process_time() - before < 1.0, path.name
        assert_tiles(content, contents)
        assert "stopped" not in contents.fault, path.name


def test_mutated_and_cut_real_files_get_an_answer_within_a_second(data: Path) -> None:
    chance = random.Random(4)
    paths = [*_sample(data / "bad"), *_sample(data / "leaks"), *_sample(data / "photos")[::3]]
    for path in paths:
        content = bytearray(path.read_bytes())
        for _ in range(3):
            broken = bytearray(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.3 else content)
            for _ in range(chance.randrange(1, 30) if broken else 0):
                # Headers are where damage matters: half of it goes to the first kilobyte.
                at = chance.randrange(min(len(broken), 1024) if chance.random() < 0.5 else len(broken))
                broken[at] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
            before = time.process_time()
            contents = read(bytes(broken))
            assert time.process_time() - before < 1.0, path.name
            assert_tiles(bytes(broken), contents)
            assert "stopped" not in contents.fault, path.name
