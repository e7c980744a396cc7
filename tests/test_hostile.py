"""Whole files that mean harm, through the whole of cloak, each in a process of its own."""

import random
import struct
import subprocess
import sys
import zlib

import pytest

from tests.conftest import ROOT
from tests.photo.test_bad import SEEDS
from tests.plant import PLANTED, chunk


def broken(seed: bytes, chance: random.Random) -> bytes:
    out = bytearray(seed)
    for _ in range(chance.choice((1, 3, 9))):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out[: chance.choice((len(out), chance.randrange(len(out))))])


def png(width: int, height: int, stream: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    """Small files that ask for much memory or time."""
    flat = zlib.compressobj(9)
    row = flat.compress(bytes(3 * 60_000 + 1))
    packed = row + b"".join(flat.compress(bytes(3 * 60_000 + 1)) for _ in range(99)) + flat.flush()
    text = zlib.compress(bytes(200_000_000), 9)
    small = zlib.compress(bytes(64 * 193))
    kept = chunk(b"zTXt", b"Copyright\0\0" + text) + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + text)
    nested = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b"<a>" * 100_000
    gif = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1\xff\xd9"
    return {
        "size.png": png(60_000, 60_000, packed),
        "ratio.png": png(60_000, 100, packed),
        "text.png": png(64, 64, small).replace(chunk(b"IEND", b""), kept + chunk(b"IEND", b"")),
        "nested.png": png(64, 64, small).replace(
            chunk(b"IEND", b""), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + nested) + chunk(b"IEND", b"")
        ),
        "canvas.gif": gif + (b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * 400 + b";",
        "size.jpg": jpeg,
        "loop.tif": b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 256, 4, 1, 64, 8),
        "empty.jpg": b"",
        "text.jpg": b"no image at all",
    }


@pytest.mark.slow
def test_hostile_files_end_in_a_clean_output_or_a_reason_within_time_and_memory(tmp_path):
    planted = {f"planted {name}": lambda make=make: make()[0] for name, make in PLANTED.items()}
    for name, seed in {**SEEDS, **planted}.items():
        chance = random.Random(name)
        for number in range(2):
            (tmp_path / f"{name} {number}").write_bytes(broken(seed(), chance))
    for name, data in bombs().items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-m", "benchmarks.hostile", str(tmp_path), "--slowest", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 bad" in done.stdout
    # The run did work: some were published, and the bombs met their limits.
    assert "no-face" in done.stdout
    assert "too-large" in done.stdout
    assert "corrupt" in done.stdout
