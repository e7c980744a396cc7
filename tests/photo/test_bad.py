"""Hostile files: a clean output or a reason, never a crash, never a hang."""

import io
import random
import signal
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cloak.errors import Corrupt, TooLarge, Unsupported, Withheld
from cloak.metadata import Kind, read
from cloak.photo import Limits, Output, open_photo
from cloak.photo.raster import Decoding
from tests.photo.making import gradient, heic, picture, saved, tiff

SECONDS = 10
# Real photos of 33 MP: HEVC takes its time for each of them, here and on a busy machine.
LARGE = 20_000_000


@contextmanager
def alarm(seconds: int):
    def ring(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survive(data: bytes) -> str:
    """Open, look and write within the time; "" for clean bytes, else the reason."""
    try:
        with alarm(SECONDS):
            photo = open_photo(data, Limits(pixels=LARGE))
            for frame in range(photo.frames):
                photo.preview(4, frame)
            encoded = photo.conceal([[]] * photo.frames, lambda pixels, mask, frame: pixels, Output())
    except Withheld as error:
        return error.slug
    assert open_photo(encoded.data).size == photo.size
    contents = read(encoded.data)
    assert contents.fault == ""
    assert not [p.name for p in contents.parts if p.kind in (Kind.UNKNOWN, Kind.METADATA, Kind.IMAGE)]
    return ""


def test_every_bad_file_of_the_corpus_is_clean_or_withheld(data):
    files = [file for file in sorted((data / "bad").rglob("*")) if file.is_file()]
    others = [file for file in files if not file.read_bytes().startswith(b"\xff\xd8\xff")]
    reasons = [survive(file.read_bytes()) for file in others]
    assert len(reasons) > 200
    assert {"corrupt", "unsupported", "not-an-image", "too-large", ""} <= set(reasons)


SEEDS = {
    "png": lambda: saved(picture("RGBA"), "PNG"),
    "png palette": lambda: saved(picture("P"), "PNG"),
    "apng": lambda: saved(picture(), "PNG", save_all=True, append_images=[picture().rotate(9)]),
    "webp": lambda: saved(picture(), "WEBP"),
    "webp animation": lambda: saved(picture("RGBA"), "WEBP", save_all=True, append_images=[picture("RGBA").rotate(9)]),
    "tiff": lambda: saved(picture(), "TIFF", compression="tiff_lzw"),
    "tiff tiles": lambda: tiff(gradient(), tile=(32, 32), compression="zlib", predictor=True),
    "tiff fax": lambda: saved(picture("1"), "TIFF", compression="group4"),
    "tiff jpeg": lambda: saved(picture(), "TIFF", compression="jpeg"),
    "gif": lambda: saved(picture("P"), "GIF", save_all=True, append_images=[picture("L").rotate(9)]),
    "bmp": lambda: saved(picture("P"), "BMP"),
    "heic": lambda: heic(gradient(), "RGB"),
    "avif": lambda: saved(picture(), "AVIF"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_broken_bytes_are_survived(name):
    seed = SEEDS[name]()
    chance = random.Random(name)
    for _ in range(40):
        out = bytearray(seed)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.randrange(min(len(out), chance.choice((64, 512, len(out)))))
            out[place] = chance.choice((0, 255, 128, chance.randrange(256)))
        if chance.random() < 0.3:
            start = chance.randrange(len(out))
            del out[start : start + chance.randrange(1, 40)]
        survive(bytes(out))


LARGER = {
    "png": lambda: saved(picture("RGB", 1000, 800), "PNG"),
    "webp": lambda: saved(picture("RGB", 1000, 800), "WEBP"),
    "webp lossless": lambda: saved(picture("RGBA", 1000, 800), "WEBP", lossless=True),
    "tiff lzw": lambda: saved(picture("RGB", 1000, 800), "TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: saved(picture("RGB", 1000, 800), "TIFF", compression="tiff_adobe_deflate"),
    "gif": lambda: saved(picture("P", 1000, 800), "GIF"),
    "avif": lambda: saved(picture("RGB", 1000, 800), "AVIF", speed=10),
    "jpeg": lambda: saved(picture("RGB", 1000, 800), "JPEG"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", LARGER)
def test_no_decoder_loses_the_pixels_of_a_damaged_file(name):
    """Libraries that jump out of a decoder forget what they have allocated; a service meets many such files."""

    def refused(data: bytes) -> bool:
        try:
            open_photo(data).preview()
        except Withheld:
            return True
        return False

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    whole, chance, files = LARGER[name](), random.Random(name), []
    for _ in range(200):
        out = bytearray(whole)
        for _ in range(20):
            out[chance.randrange(len(out) // 2, len(out) - 20)] ^= 1 << chance.randrange(8)
        damaged = checked(bytes(out)) if name == "png" else bytes(out)
        files += [damaged] if refused(damaged) else []
        if len(files) == 4:
            break
    assert files
    before = resident()
    for _ in range(5):
        assert all(map(refused, files))
    assert resident() - before < 4 * 1000 * 800 * 3


def checked(png: bytes) -> bytes:
    """With true checksums."""
    out, at = bytearray(png), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4])
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(out)


def test_a_run_length_coded_bmp_is_decoded_or_refused():
    width, height = 20, 6
    pixels = np.repeat(np.arange(height, dtype=np.uint8)[:, None], width, axis=1)
    code = b"".join(bytes([width, y]) + b"\0\0" for y in reversed(range(height))) + b"\0\1"
    data = _rle(width, height, code)
    image = open_photo(data).preview()
    assert np.array_equal(image[..., 0], pixels * 20)
    for broken in (code[:-2], bytes([width + 1, 0]) + code, b"\0\2\xff\xff" + code):
        assert survive(_rle(width, height, broken)) == "corrupt"
    assert survive(data) == ""


def _rle(width: int, height: int, code: bytes) -> bytes:
    import struct

    palette = b"".join(bytes([i * 20, i * 20, i * 20, 0]) for i in range(8))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(code), 0, 0, 8, 0)
    start = 14 + 40 + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(code), 0, 0, start) + head + palette + code


@pytest.mark.parametrize(("bits", "masks"), [(16, None), (16, (0xF800, 0x7E0, 0x1F)), (32, (0xFF, 0xFF00, 0xFF0000))])
def test_bit_fields_of_a_bmp_are_kept(bits, masks):
    import struct

    rng = np.random.default_rng(3)
    words = rng.integers(0, 1 << 15 if bits == 16 else 1 << 24, (6, 8)).astype("<u2" if bits == 16 else "<u4")
    body = words[::-1].tobytes()
    extra = struct.pack("<3I", *masks) if masks else b""
    head = struct.pack("<IiiHHIIiiII", 40, 8, 6, 1, bits, 3 if masks else 0, len(body), 0, 0, 0, 0)
    start = 14 + 40 + len(extra)
    data = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + extra + body
    photo = open_photo(data)
    out = photo.conceal([[]], lambda pixels, mask, frame: pixels, Output()).data
    assert struct.unpack_from("<H", out, 28)[0] == bits
    assert np.array_equal(open_photo(out).preview(), photo.preview())
    seen = np.asarray(Image.open(io.BytesIO(out)).convert("RGB")).astype(int)
    assert np.abs(seen - photo.preview()).max() <= (bits == 16)  # Pillow rounds five bits down
    if bits == 16:
        assert out[-len(body) :] == body


@pytest.mark.parametrize("alpha", [0, 1])
def test_a_bmp_whose_alpha_is_nothing_throughout_is_opaque(alpha):
    import struct

    pixels = np.dstack([gradient(8, 6), np.zeros((6, 8), np.uint8)])
    pixels[0, 0, 3] = alpha
    masks = struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 40, 8, -6, 1, 32, 6, pixels.size, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 70 + pixels.size, 0, 0, 70) + head + masks + pixels.tobytes()
    photo = open_photo(data)
    assert np.array_equal(photo.preview()[1:], pixels[1:, :, :3]) == (alpha == 0)
    out = photo.conceal([[]], lambda pixels, mask, frame: pixels, Output()).data
    assert np.array_equal(open_photo(out).preview(), photo.preview())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), TooLarge),
        (ValueError("Insufficient memory (case 4)"), TooLarge),
        (ValueError("Corrupt JPEG data"), Corrupt),
        (Unsupported("its own memory colours"), Unsupported),
    ],
)
def test_a_decoder_without_memory_does_not_call_the_file_corrupt(error, kind):
    with pytest.raises(kind), Decoding("jpeg"):
        raise error
