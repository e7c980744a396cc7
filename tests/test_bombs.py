"""Small files that promise much: refused on their headers, or ended from outside when a decoder swells."""

import io
import json
import resource
import struct
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image

from cloak.errors import Corrupt, TooLarge, Withheld
from cloak.metadata import read
from cloak.photo import Limits, open_photo
from tests.photo.making import avif, gradient, heic, picture, saved
from tests.plant import chunk, riff_chunk
from tests.plant_parts import box, full_box

SECONDS = 10.0  # of the processor; alone each takes well under three


def poked(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    out = bytearray(data)
    for at, value in changes:
        out[at : at + len(value)] = value
    return bytes(out)


def png(*chunks: bytes, side: int = 64) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(64 * 193)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(compression: str) -> bytes:
    out = bytearray(saved(picture(), "TIFF", compression=compression))
    (start,) = struct.unpack_from("<I", out, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", out, start)[0], 12):
        if struct.unpack_from("<H", out, at)[0] in (256, 257):  # ImageWidth, ImageLength
            struct.pack_into("<HII", out, at + 2, 4, 1, 65535)
    return bytes(out)


def webp(canvas: bytes) -> bytes:
    whole = saved(picture("RGBA"), "WEBP")
    assert whole[12:16] == b"VP8X"
    return poked(whole, (24, canvas))


def jpeg(marker: int) -> bytes:
    whole = saved(picture(), "JPEG", progressive=marker == 0xC2)
    return poked(whole, (whole.find(bytes((0xFF, marker))) + 5, b"\xff\xff\xff\xff"))


def extent(whole: bytes) -> bytes:
    return poked(whole, (whole.find(b"ispe") + 8, struct.pack(">II", 65535, 65535)))


SIDE = struct.pack("<HH", 65535, 65535)
HEADERS = {
    "jpeg": lambda: jpeg(0xC0),
    "progressive jpeg": lambda: jpeg(0xC2),
    "png": lambda: png(side=65535),
    "webp": lambda: webp(b"\xfe\xff\0\xfe\xff\0"),
    "webp 16 million": lambda: webp(b"\xff" * 6),
    "tiff": lambda: tiff("raw"),
    "tiff lzw": lambda: tiff("tiff_lzw"),
    "tiff deflate": lambda: tiff("tiff_deflate"),
    "tiff jpeg": lambda: tiff("jpeg"),
    "gif": lambda: poked(saved(picture("P"), "GIF"), (6, SIDE)),
    "bmp": lambda: poked(saved(picture(), "BMP"), (18, struct.pack("<ii", 65535, 65535))),
    "bmp upside down": lambda: poked(saved(picture(), "BMP"), (18, struct.pack("<ii", 65535, -65535))),
    "heic": lambda: extent(heic(gradient(), "RGB")),
    "avif": lambda: extent(avif(gradient(), 8)),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_of_65535_by_65535_is_refused_before_anything_is_decoded(name):
    data = HEADERS[name]()
    before = time.process_time()
    with pytest.raises(TooLarge, match="pixels"):
        open_photo(data)
    assert time.process_time() - before < 1.0


def webp_holding(side: int) -> bytes:
    inside = saved(Image.new("RGB", (side, side)), "WEBP", lossless=True)[12:]
    body = b"WEBP" + saved(picture("RGBA"), "WEBP")[12:30] + inside
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heic_holding(side: int) -> bytes:
    whole = heic(gradient(side, side), "RGB", quality=10)
    return poked(whole, (whole.find(b"ispe") + 8, struct.pack(">II", 97, 61)))


def tiff_holding(side: int) -> bytes:
    """A page of 97 x 61 whose strip is a JPEG that says it is larger."""
    jpeg = saved(picture(), "JPEG")
    jpeg = poked(jpeg, (jpeg.find(b"\xff\xc0") + 5, struct.pack(">HH", side, side)))
    out = bytearray(saved(picture(), "TIFF", compression="jpeg"))
    (start,) = struct.unpack_from("<I", out, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", out, start)[0], 12):
        tag = struct.unpack_from("<H", out, at)[0]
        if tag == 273:  # StripOffsets
            struct.pack_into("<HII", out, at + 2, 4, 1, len(out))
        elif tag == 279:  # StripByteCounts
            struct.pack_into("<HII", out, at + 2, 4, 1, len(jpeg))
        elif tag == 347:  # JPEGTables: none
            struct.pack_into("<H", out, at, 0xC000)
    return bytes(out) + jpeg


LARGER = {
    "webp": lambda: webp_holding(900),
    "heic": lambda: heic_holding(300),
    "tiff jpeg": lambda: tiff_holding(12_000),
    "gif": lambda: poked(saved(Image.new("P", (900, 900)), "GIF"), (6, struct.pack("<HH", 97, 61))),
}


@pytest.mark.parametrize("name", LARGER)
def test_a_picture_that_is_larger_than_its_container_says_is_refused(name):
    """The limit is checked on the container's word: what is decoded must keep it."""
    data = LARGER[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Corrupt):
        open_photo(data, Limits(pixels=50_000)).preview()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def tiff_of_parts(size: tuple[int, int], tile: tuple[int, int] | None, coded: bytes, compression: int) -> bytes:
    """A grey TIFF whose tiles, or strips of one row, all lie at the same bytes."""
    wide, high = tile or (size[0], 1)
    count = -(-size[0] // wide) * -(-size[1] // high)
    entries = {256: size[0], 257: size[1], 258: 8, 259: compression, 262: 1, 277: 1}
    entries |= {322: wide, 323: high, 324: 0, 325: 0} if tile else {273: 0, 278: 1, 279: 0}
    places, counts = (324, 325) if tile else (273, 279)
    lists = 8 + 2 + 12 * len(entries) + 4
    start = lists + 8 * count
    entries |= {places: lists, counts: lists + 4 * count} if count > 1 else {places: start, counts: len(coded)}
    out = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        out += struct.pack("<HHII", tag, 4, count if tag in (places, counts) else 1, value)
    return out + bytes(4) + struct.pack(f"<{2 * count}I", *[start] * count, *[len(coded)] * count) + coded


@pytest.mark.parametrize(("size", "tile"), [((1, 4096 * 100 - 1), (4096, 4096)), ((1, 100_000), (4097, 104_096))])
def test_tiles_that_stick_out_of_a_tiff_count_against_the_limit_of_pixels(size, tile):
    """Each is decoded in full, however little of it the picture shows."""
    with pytest.raises(TooLarge, match="pixels"):
        open_photo(tiff_of_parts(size, tile, zlib.compress(b"\0"), 8))


@pytest.mark.parametrize("tile", [(16, 16), None])
def test_parts_of_a_tiff_that_lie_over_each_other_are_refused(tile):
    """Read once for each of thousands of parts, a few kilobytes of no operations take hours."""
    with pytest.raises(Corrupt, match="overlap"):
        open_photo(tiff_of_parts((1, 2_000), tile, b"\x80" * 5_000 + b"\0\x50", 32773))


def test_a_tile_larger_than_a_small_picture_is_read():
    photo = open_photo(tiff_of_parts((3, 5), (256, 256), zlib.compress(bytes(256 * 256)), 8))
    assert photo.preview().shape == (5, 3, 3)


@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT", b"prVt"])
def test_a_million_chunks_are_walked_in_time(kind):
    data = png(chunk(kind, b"") * 1_000_000)
    before = time.process_time()
    photo = open_photo(data)
    assert photo.preview().shape == (64, 64, 3)
    contents = read(data)
    assert contents.fault == "more parts than can be listed"
    assert time.process_time() - before < SECONDS


@pytest.mark.parametrize("filling", [b"\xff\x00", b"\xff\xd0", b"\xff\xff", b"\x00\xff\x01\xff\x01"])
def test_a_hundred_megabytes_between_a_jpegs_segments_or_at_a_scans_end_are_stepped_over_in_time(filling):
    whole = saved(picture(), "JPEG")
    for at in (20, len(whole) - 2):
        data = whole[:at] + filling * (100_000_000 // len(filling)) + whole[at:]
        before = time.process_time()
        open_photo(data)
        read(data)
        assert time.process_time() - before < SECONDS


def test_boxes_in_boxes_and_directories_in_circles_are_refused():
    deep = b""
    for _ in range(3_000):
        deep = full_box(b"meta", 0, 0, deep)
    loop = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 330, 4, 1, 8) + struct.pack("<I", 8)
    frames = riff_chunk(b"ANMF", bytes(16)) * 100_000
    body = b"WEBP" + riff_chunk(b"VP8X", b"\2\0\0\0" + bytes(6)) + frames
    for data in (
        box(b"ftyp", b"heic\0\0\0\0mif1heic") + deep,
        loop,
        b"RIFF" + struct.pack("<I", len(body)) + body,
        b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + bytes(6) + b"\x2c" + bytes(9) + b"\2\0" * 100_000,
    ):
        before = time.process_time()
        with pytest.raises(Withheld):
            open_photo(data).preview()
        assert time.process_time() - before < SECONDS


def test_scans_without_end_are_refused():
    whole = saved(Image.new("L", (2_000, 2_000), 128), "JPEG", progressive=True)
    scan = whole[whole.rfind(b"\xff\xda") : -2]
    with pytest.raises(TooLarge, match="scans"):
        open_photo(whole[:-2] + scan * 500 + b"\xff\xd9")


def test_a_photo_that_takes_too_much_memory_is_withheld_and_the_run_goes_on(tmp_path, jpeg_of_a_face):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (12_000, 12_000)).save(photos / "bomb.png")
    (photos / "face.jpg").write_bytes(jpeg_of_a_face)
    command = [sys.executable, "-m", "cloak.cli", "run", photos, "--out", tmp_path / "out", "--jobs", "1"]
    command += ["--recall", "fast", "--report", "-", "--max-memory", "400"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    rows = {row["source"].rsplit("/")[-1]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["face.jpg"]["status"] == "concealed"
    assert (rows["bomb.png"]["status"], rows["bomb.png"]["reason"]) == ("withheld", "too-large")
    assert rows["bomb.png"]["message"] == "it took more than 400 MB of memory"
    assert "--max-memory" in rows["bomb.png"]["next"]
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["face.jpg"]


@pytest.fixture
def jpeg_of_a_face(portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
