"""What `Photo.conceal` promises, whatever the format."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from cloak.errors import ConcealmentFailed, Corrupt, Unsupported
from cloak.geometry import Region
from cloak.masks import Mask
from cloak.metadata.fields import Fields
from cloak.photo import Limits, Output, open_photo
from cloak.photo.tiff_write import packed
from tests import plant
from tests.photo.making import REGION, concealed, gradient, masks_of, paint, picture, rgba, saved


@pytest.fixture
def photo():
    return open_photo(saved(picture(), "PNG"))


def test_masks_for_another_number_of_frames_are_refused(photo):
    for masks in ([], [[], []]):
        with pytest.raises(ConcealmentFailed, match="pictures"):
            photo.conceal(masks, paint, Output())


def test_a_mask_outside_the_picture_is_refused(photo):
    outside = Mask(90, 0, np.ones((20, 20), bool), np.ones((20, 20), np.float32), (REGION,))
    with pytest.raises(ConcealmentFailed, match="outside"):
        photo.conceal([[outside]], paint, Output())


@pytest.mark.parametrize(
    "wrong", [lambda p: p[:-1], lambda p: p.astype(np.uint16), lambda p: p[..., :1], lambda p: p.astype(float)]
)
def test_an_effect_that_returns_other_pixels_is_refused(photo, wrong):
    with pytest.raises(ConcealmentFailed, match="shape or depth"):
        photo.conceal(masks_of(photo), lambda pixels, mask, frame: wrong(pixels), Output())


def test_an_effect_that_raises_publishes_nothing(photo):
    def broken(pixels, mask, frame):
        raise ZeroDivisionError

    with pytest.raises(ConcealmentFailed, match="ZeroDivisionError"):
        photo.conceal(masks_of(photo), broken, Output())


def test_an_effect_may_write_into_the_window_it_is_given(photo):
    def greedy(pixels, mask, frame):
        pixels[:] = 3
        return pixels

    out = rgba(photo.conceal(masks_of(photo), greedy, Output()).data)
    assert np.array_equal(out[:, 70:, :3], gradient()[:, 70:])
    assert np.array_equal(photo.preview(), gradient())


def test_concealing_twice_gives_the_same_and_the_photo_stays(photo):
    once = photo.conceal(masks_of(photo), paint, Output())
    assert photo.conceal(masks_of(photo), paint, Output()) == once
    assert np.array_equal(photo.preview(), gradient())
    assert once.path == "re-encoded"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_concealing_twice_gives_the_same_in_other_formats(kind):
    other = open_photo(saved(picture(), kind))
    before = other.preview()
    assert other.conceal(masks_of(other), paint, Output()) == other.conceal(masks_of(other), paint, Output())
    assert np.array_equal(other.preview(), before)


def test_masks_that_overlap_are_painted_one_after_the_other(photo):
    from cloak.geometry import Ellipse

    regions = (REGION, Region(Ellipse(52, 30, 9, 12)))
    masks = [[mask for region in regions for mask in masks_of(photo, (region,))[0]]]
    out = rgba(photo.conceal(masks, paint, Output()).data)
    for mask in masks[0]:
        assert (out[mask.window()][mask.core][:, 0] == 85).all()


def test_a_preview_needs_a_known_reduction(photo):
    with pytest.raises(ValueError, match="reduction"):
        photo.preview(3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 9), (9, 1), (8, 8), (17, 33)])
def test_pictures_of_odd_sizes_pass(kind, width, height):
    data = saved(picture("RGB", width, height), kind, **({"lossless": True} if kind == "WEBP" else {}))
    opened = open_photo(data)
    for reduction in (1, 2, 4, 8):
        assert opened.preview(reduction).shape == (-(-height // reduction), -(-width // reduction), 3)
    assert np.array_equal(rgba(concealed(data, ()).data), rgba(data))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_kept_fields_have_their_place(kind, mode):
    fields = Fields(copyright="Zoë", date="2024-05-31")
    data = concealed(saved(picture(mode), kind), output=Output(fields=fields)).data
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif[33432].encode("latin-1", "replace") in (b"Zo\xc3\xab", b"Zo\xeb", b"Zo??") or "Zo" in exif[33432]
    assert "2024:05:31" in str(exif.get_ifd(34665)) or b"2024-05-31" in data


def test_interlaced_pngs_are_read():
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        data = _interlaced(picture(mode, 13, 11))
        assert np.array_equal(rgba(concealed(data, ()).data), rgba(data))
        for width, height in ((1, 1), (2, 5), (5, 2)):
            tiny = _interlaced(picture(mode, width, height))
            assert np.array_equal(rgba(concealed(tiny, ()).data), rgba(tiny))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("damage", ["filter", "code", "short"])
def test_the_decoder_never_sees_a_damaged_png(damage, interlaced, monkeypatch):
    """It loses the pixels and a reference to None each time that it stops: a worker would swell, or abort."""
    image = picture("RGB", 60, 50)
    whole = _interlaced(image) if interlaced else saved(image, "PNG")
    start = whole.index(b"IDAT")
    length = int.from_bytes(whole[start - 4 : start])
    raw = bytearray(zlib.decompress(whole[start + 4 : start + 4 + length]))
    raw[-1 - 3 * 60] = 5 if damage == "filter" else 0
    coded = bytearray(zlib.compress(raw[:-1] if damage == "short" else raw))
    if damage == "code":
        coded[len(coded) // 2 :] = b"\xff" * (len(coded) // 2)
    data = whole[: start - 4] + plant.chunk(b"IDAT", bytes(coded)) + plant.chunk(b"IEND", b"")
    decode = imagecodecs.png_decode

    def stopped(data: bytes) -> np.ndarray:
        try:
            return decode(data)
        except imagecodecs.PngError:
            pytest.fail("libpng stopped within a picture")

    monkeypatch.setattr(imagecodecs, "png_decode", stopped)
    with pytest.raises(Corrupt, match={"filter": "filter", "code": ".", "short": "short"}[damage]):
        open_photo(data).preview()


def _interlaced(image: Image.Image) -> bytes:
    """Adam7 by hand: the seven passes of the picture's own samples, unfiltered."""
    samples = np.asarray(image).astype(np.uint8)
    samples = samples.reshape(*samples.shape[:2], -1)
    depth = 1 if image.mode == "1" else 8
    raw = b""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        for row in part:
            if row.size:
                raw += b"\0" + (packed(row[None], 1) if depth == 1 else row.tobytes())
    colour = {"1": 0, "L": 0, "P": 3, "RGB": 2, "RGBA": 6}[image.mode]
    header = struct.pack(">IIBBBBB", image.width, image.height, depth, colour, 0, 0, 1)
    palette = plant.chunk(b"PLTE", bytes(image.getpalette("RGB"))) if image.mode == "P" else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + plant.chunk(b"IHDR", header)
        + palette
        + plant.chunk(b"IDAT", zlib.compress(raw))
        + plant.chunk(b"IEND", b"")
    )


def test_every_picture_of_a_heic_is_concealed():
    book = pillow_heif.HeifFile()
    for turn in (0, 180):
        book.add_from_pillow(picture().rotate(turn))
    buffer = io.BytesIO()
    book.save(buffer, quality=95, chroma=444)
    photo = open_photo(buffer.getvalue())
    assert photo.frames == 2
    out = open_photo(concealed(buffer.getvalue()).data)
    assert out.frames == 2
    for frame in range(2):
        assert np.abs(out.preview(1, frame)[25:35, 35:45].astype(int) - 85).max() < 12
        before, after = photo.preview(1, frame).astype(int), out.preview(1, frame)
        assert np.abs(before - after)[:, 60:].mean() < 3


def test_pictures_of_a_heic_that_differ_in_size_are_withheld():
    book = pillow_heif.HeifFile()
    book.add_from_pillow(picture())
    book.add_from_pillow(picture("RGB", 64, 64))
    buffer = io.BytesIO()
    book.save(buffer)
    with pytest.raises(Unsupported, match="differ in size"):
        open_photo(buffer.getvalue())


def test_a_large_heic_is_stored_in_tiles_and_read_back():
    image = picture("RGB", 2600, 1700)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=60, enc_params={"preset": "ultrafast"})
    out = concealed(buffer.getvalue()).data
    assert b"grid" in out
    before = open_photo(buffer.getvalue(), Limits()).preview(4).astype(int)
    assert np.abs(open_photo(out).preview(4) - before)[:, 40:].mean() < 2
