"""What is refused, when, and in which words."""

import io
import struct
import zlib

import pytest
from PIL import Image

from cloak.errors import Corrupt, NotAnImage, TooLarge, Unsupported
from cloak.photo import FORMATS, Limits, open_photo
from tests import plant
from tests.photo.making import gradient, heic, picture, saved, tiff

KINDS = ("PNG", "TIFF", "GIF", "BMP", "WEBP", "AVIF")


def test_a_file_is_known_by_its_content():
    for kind in KINDS:
        photo = open_photo(saved(picture(), kind))
        assert photo.format == kind.lower()
        assert (photo.size.width, photo.size.height) == (97, 61)
        assert photo.format in FORMATS
    assert open_photo(heic(gradient(), "RGB")).format == "heif"


def test_an_empty_file_is_no_image():
    with pytest.raises(NotAnImage, match="empty"):
        open_photo(b"")


def test_text_is_no_image():
    with pytest.raises(NotAnImage):
        open_photo(b"Dear reader, this is not a picture at all.")


OTHERS = [b"8BPS\0\1", b"\xff\x0a\xfa\x7f", b"\0\0\1\0\1\0", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"]


@pytest.mark.parametrize("head", OTHERS)
def test_other_kinds_of_image_are_named(head):
    with pytest.raises(Unsupported, match="not supported"):
        open_photo(head + bytes(100))


def test_too_many_bytes_are_refused():
    with pytest.raises(TooLarge, match="bytes"):
        open_photo(saved(picture(), "PNG"), Limits(bytes=100))


def test_too_many_pixels_are_refused_from_the_header_alone():
    def png(width, height):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n"
            + plant.chunk(b"IHDR", header)
            + plant.chunk(b"IDAT", zlib.compress(b""))
            + plant.chunk(b"IEND", b"")
        )

    bmp = bytearray(saved(picture(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    gif = bytearray(saved(picture("P"), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_000, 65_000)
    webp = bytearray(saved(picture("RGBA"), "WEBP", quality=80))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = b"\xff\xff\0\xff\xff\0"
    for data in (png(60_000, 60_000), bytes(bmp), bytes(gif), bytes(webp)):
        with pytest.raises(TooLarge, match="pixels"):
            open_photo(data)


@pytest.mark.parametrize("kind", [*KINDS, "HEIC"])
def test_the_limit_on_pixels_is_the_callers(kind):
    data = heic(gradient(96, 64), "RGB") if kind == "HEIC" else saved(picture("RGB", 96, 64), kind)
    open_photo(data, Limits(pixels=96 * 64))
    with pytest.raises(TooLarge, match="pixels"):
        open_photo(data, Limits(pixels=96 * 64 - 1))


def test_pillows_own_limit_does_not_interfere(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in KINDS:
        data = saved(picture(), kind)
        assert open_photo(data).preview().shape == (61, 97, 3)
    assert open_photo(saved(picture("P"), "GIF")).preview().shape == (61, 97, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "WEBP"])
def test_frames_count_against_both_limits(kind):
    frames = [picture().rotate(10 * i) for i in range(5)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert open_photo(data, Limits(frames=5)).frames == 5
    with pytest.raises(TooLarge):
        open_photo(data, Limits(frames=4))
    with pytest.raises(TooLarge, match="pixels"):
        open_photo(data, Limits(pixels=4 * 97 * 61))


def test_a_picture_without_pixels_is_refused():
    bmp = bytearray(saved(picture(), "BMP"))
    bmp[18:22] = bytes(4)
    with pytest.raises(NotAnImage, match="no pixels"):
        open_photo(bytes(bmp))
    gif = bytearray(saved(picture("P"), "GIF"))
    gif[6:8] = bytes(2)
    with pytest.raises(NotAnImage):
        open_photo(bytes(gif))


@pytest.mark.parametrize("kind", [*KINDS, "HEIC", "TIFF lzw", "TIFF fax", "WEBP lossless", "GIF animation"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.98])
def test_a_file_that_is_cut_off_is_corrupt_and_never_half_grey(kind, share):
    data = {
        "HEIC": lambda: heic(gradient(), "RGB"),
        "TIFF lzw": lambda: tiff(gradient(), compression="lzw", byteorder=">"),
        "TIFF fax": lambda: saved(picture("1"), "TIFF", compression="group4"),
        "WEBP lossless": lambda: saved(picture(), "WEBP", lossless=True),
        "GIF animation": lambda: saved(picture("P"), "GIF", save_all=True, append_images=[picture("L")]),
    }.get(kind, lambda: saved(picture("P" if kind == "GIF" else "RGB"), kind))()
    cut = data[: int(len(data) * share)]
    with pytest.raises((Corrupt, NotAnImage)):
        _look_at_all(cut)


def _look_at_all(data):
    photo = open_photo(data)
    for frame in range(photo.frames):
        photo.preview(1, frame)


def test_compressed_pixels_that_end_early_are_corrupt():
    raw = zlib.compress(bytes(61 * (1 + 3 * 97) - 400))
    data = saved(picture(), "PNG")
    start = data.index(b"IDAT") - 4
    broken = data[:start] + plant.chunk(b"IDAT", raw) + plant.chunk(b"IEND", b"")
    with pytest.raises(Corrupt):
        open_photo(broken).preview()


def test_a_wrong_checksum_is_corrupt():
    data = bytearray(saved(picture(), "PNG"))
    data[data.index(b"IDAT") + 10] ^= 1
    with pytest.raises(Corrupt, match="checksum"):
        open_photo(bytes(data))


def test_a_tiff_whose_pages_loop_is_corrupt():
    data = bytearray(saved(picture(), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    with pytest.raises(Corrupt, match="loop"):
        open_photo(bytes(data))


def test_pixels_that_are_no_whole_numbers_are_not_supported():
    with pytest.raises(Unsupported, match="whole numbers"):
        open_photo(tiff(gradient().astype("f4"), photometric="rgb"))
    with pytest.raises(Unsupported):
        open_photo(tiff(gradient().astype("u4"), photometric="rgb"))


def test_pages_of_different_sizes_are_not_supported():
    data = saved(picture(), "TIFF", save_all=True, append_images=[picture(width=50, height=40)])
    with pytest.raises(Unsupported, match="differ in size"):
        open_photo(data)


def test_image_sequences_are_not_supported():
    data = saved(picture(), "AVIF", save_all=True, append_images=[picture().rotate(9)])
    with pytest.raises(Unsupported, match="sequences"):
        open_photo(data)


def test_messages_hold_no_path_and_no_bytes_of_the_file():
    data = saved(picture(), "PNG", pnginfo=_text("secret"))
    with pytest.raises(Corrupt) as caught:
        open_photo(data[:-30]).preview()
    assert "secret" not in str(caught.value)
    assert "/" not in str(caught.value)


def _text(value: str):
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Author", value)
    return info


def test_the_file_that_was_opened_may_be_a_memory_stream_only():
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    assert open_photo(buffer.getvalue()).preview(8).shape == (8, 13, 3)
