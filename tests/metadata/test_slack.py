"""Bytes of structure that no decoder looks at are told, and encoders' own files hold none of them."""

import io
import struct
import zlib

import pytest

from cloak.metadata import Kind, read
from tests import plant
from tests.metadata.test_published import STILL, png


def strange(data: bytes) -> set[str]:
    return {part.name for part in read(data).parts if part.kind in {Kind.UNKNOWN, Kind.IMAGE}}


def saved(format: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    plant.picture(16, 12).convert(mode).save(out, format, **options)
    return out.getvalue()


# PNG


def test_a_palette_is_no_longer_than_its_depth_allows() -> None:
    rows = plant.chunk(b"IDAT", zlib.compress(bytes(4 * 2)))
    for colours, told in ((4, set()), (5, {"PNG PLTE slack"})):
        header = plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 2, 3, 0, 0, 0))
        chunks = header + plant.chunk(b"PLTE", bytes(3 * colours)) + plant.chunk(b"tRNS", bytes(4)) + rows
        assert strange(b"\x89PNG\r\n\x1a\n" + chunks + plant.chunk(b"IEND", b"")) == told


def test_a_palette_of_a_picture_without_one_is_metadata() -> None:
    parts = read(png(plant.chunk(b"PLTE", b"words!"), STILL)).parts
    assert [part.kind for part in parts if part.name == "PNG PLTE"] == [Kind.METADATA]


def test_chunks_that_stand_once_are_unknown_when_they_come_again() -> None:
    scale = plant.chunk(b"tRNS", b"\0\1")
    assert strange(png(scale, STILL)) == set()
    assert strange(png(scale, scale, STILL)) == {"PNG tRNS"}
    assert strange(png(plant.chunk(b"tRNS", b"\0\1words"), STILL)) == {"PNG tRNS slack"}


# GIF


def test_a_picture_of_a_gif_has_one_control_and_the_file_one_loop() -> None:
    data = saved("GIF", save_all=True, append_images=[plant.picture(16, 12).rotate(90)], duration=50, loop=0)
    assert strange(data) == set()
    control, loop = b"\x21\xf9\x04word\0", b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"
    at = data.index(b"\x21\xf9")
    assert strange(data[:at] + control + data[at:]) == {"GIF graphic control"}
    assert loop in data
    assert strange(data[:at] + loop + data[at:]) == {"GIF application loop"}


# BMP


def bitmap(depth: int, palette: bytes, pixels: bytes, colours: int) -> bytes:
    start = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, depth, 0, len(pixels), 0, 0, colours, 0)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + header + palette + pixels


def test_the_palette_of_a_bitmap_is_that_of_its_depth() -> None:
    assert strange(bitmap(8, bytes(1024), bytes(16), 256)) == set()
    assert strange(bitmap(8, bytes(1000) + b"word" * 106, bytes(16), 350)) == {"BMP gap", "BMP palette spare bytes"}
    assert strange(bitmap(24, b"word" * 8, bytes(48), 8)) == {"BMP gap"}


@pytest.mark.parametrize("spare", [b"\0", b"\xff"])
def test_the_unused_byte_of_a_pixel_says_nothing(spare: bytes) -> None:
    assert strange(bitmap(32, b"", (b"bgr" + spare) * 16, 0)) == set()
    assert strange(bitmap(32, b"", (b"bgr" + spare) * 15 + b"bgr!", 0)) == {"BMP unused bytes"}


# WebP


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended(flags: int) -> bytes:
    return plant.riff_chunk(b"VP8X", bytes((flags, 0, 0, 0, 3, 0, 0, 3, 0, 0)))


def test_an_alpha_plane_belongs_to_a_picture_that_says_so() -> None:
    still = saved("WEBP", "RGBA", quality=80)
    moving = saved("WEBP", "RGBA", quality=80, save_all=True, append_images=[plant.picture(16, 12).convert("RGBA")])
    assert strange(still) == strange(moving) == set()
    alpha, coded = plant.riff_chunk(b"ALPH", b"another!"), plant.riff_chunk(b"VP8 ", b"first!")
    assert strange(riff(extended(16), alpha, coded)) == set()
    assert strange(riff(extended(0), alpha, coded)) == {"ALPH"}
    assert strange(riff(extended(16), coded, alpha)) == {"ALPH"}
    assert strange(riff(extended(16), alpha, plant.riff_chunk(b"VP8L", b"first!"))) == {"ALPH"}


def test_frames_belong_to_an_animation_and_nothing_beside_them() -> None:
    coded = plant.riff_chunk(b"VP8 ", b"first!")
    frame = plant.riff_chunk(b"ANMF", bytes(16) + coded)
    assert strange(riff(extended(2), frame)) == set()
    assert strange(riff(extended(2), frame, coded)) == {"VP8 "}
    assert strange(riff(extended(0), coded, frame)) == {"ANMF"}
    assert read(riff(extended(0), coded, frame)).frames == 1
    assert strange(riff(extended(0), extended(0), coded)) == {"VP8X"}


# JPEG


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("APP0 JFIF", segment(0xE0, b"JFIF\0\1\1\0word\0\0")),
        ("APP14 Adobe", segment(0xEE, b"Adobe\0dword\0")),
        ("DRI", segment(0xDD, b"\0\7")),
    ],
)
def test_segments_that_stand_once_are_unknown_when_they_come_again(name: str, again: bytes) -> None:
    data = saved("JPEG")
    once = data if name == "APP0 JFIF" else data[:20] + again + data[20:]
    assert strange(once) == set()
    assert strange(once[:20] + again + once[20:]) == {name}


def test_restart_intervals_may_change_between_scans() -> None:
    data = saved("JPEG", progressive=True, restart_marker_blocks=1)
    at = data.rindex(b"\xff\xda")
    assert strange(data[:at] + segment(0xDD, b"\0\1") + data[at:]) == set()


def test_arithmetic_conditioning_without_arithmetic_coding_is_unknown() -> None:
    data = saved("JPEG")
    at = data.index(b"\xff\xda")
    assert strange(data[:at] + segment(0xCC, b"words") + data[at:]) == {"DAC"}
