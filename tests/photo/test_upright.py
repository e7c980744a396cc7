"""All eight orientations, in every format that has them; what comes out needs none."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from cloak.photo import exif, open_photo
from cloak.photo.pixels import Frame, upright
from tests.photo.making import concealed, core, gradient, masks_of, picture, rgba, saved, untouched

# How Pillow undoes each orientation.
UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _exif(orientation: int) -> bytes:
    info = Image.Exif()
    info[274] = orientation
    return info.tobytes()


def _upright(orientation: int) -> np.ndarray:
    image = picture()
    return np.asarray(image.transpose(UNDO[orientation]) if orientation in UNDO else image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_are_turned_as_pillow_turns_them(orientation):
    turned = upright(Frame(gradient(), gradient()[..., 0]), orientation)
    assert np.array_equal(turned.pixels, _upright(orientation))
    assert np.array_equal(turned.alpha, _upright(orientation)[..., 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "APNG", "WEBP", "TIFF", "TIFF 16 bit"])
def test_orientation_is_applied_and_then_gone(kind, orientation):
    if kind == "TIFF 16 bit":
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, gradient().astype("u2") * 257, extratags=[(274, 3, 1, orientation, True)])
        data = buffer.getvalue()
    elif kind == "APNG":
        frames = {"save_all": True, "append_images": [picture().rotate(90)], "exif": _exif(orientation)}
        data = saved(picture(), "PNG", **frames)
    elif kind == "TIFF":
        data = saved(picture(), kind, tiffinfo={274: orientation})
    else:
        data = saved(picture(), kind, exif=_exif(orientation), lossless=True)
    photo = open_photo(data)
    expected = _upright(orientation)
    assert (photo.size.height, photo.size.width) == expected.shape[:2]
    assert np.array_equal(photo.preview(), expected)
    masks = masks_of(photo)
    out = concealed(data).data
    kept = untouched(photo.size, masks[0])
    assert np.array_equal(rgba(out)[kept][:, :3], expected[kept])
    assert (rgba(out)[core(photo.size, masks[0])][:, 0] == 85).all()
    assert Image.open(io.BytesIO(out)).getexif().get(274, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_and_mirrors_of_avif_are_applied(orientation):
    data = saved(picture(), "AVIF", quality=100, subsampling="4:4:4", exif=_exif(orientation))
    assert (b"irot" in data or b"imir" in data) == (orientation != 1)
    shown = open_photo(data).preview().astype(int)
    assert shown.shape == _upright(orientation).shape
    assert np.abs(shown - _upright(orientation)).mean() < 2
    out = concealed(data, ()).data
    assert b"irot" not in out
    assert b"imir" not in out
    assert np.abs(rgba(out)[..., :3].astype(int) - _upright(orientation)).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_and_mirrors_of_heic_are_applied(orientation):
    buffer = io.BytesIO()
    image = pillow_heif.from_pillow(picture())
    image.save(buffer, quality=100, chroma=444, exif=_exif(orientation))
    shown = open_photo(buffer.getvalue()).preview().astype(int)
    assert shown.shape == _upright(orientation).shape
    assert np.abs(shown - _upright(orientation)).mean() < 3
    out = concealed(buffer.getvalue(), ()).data
    assert b"irot" not in out
    assert b"imir" not in out


def test_crops_of_avif_are_applied():
    data = bytearray(saved(picture(), "AVIF", quality=100, subsampling="4:4:4", exif=_exif(3)))
    place = data.index(b"irot")
    # The box is made a crop by hand: 41x31 pixels around a centre that lies 8 to the right and 4 up.
    crop = struct.pack(">8i", 41, 1, 31, 1, 8, 1, -4, 1)
    grown = _with_property(bytes(data), place, b"clap" + crop)
    photo = open_photo(grown)
    assert (photo.size.width, photo.size.height) == (41, 31)
    left, top = round((97 - 41) / 2 + 8), round((61 - 31) / 2 - 4)
    expected = gradient()[top : top + 31, left : left + 41].astype(int)
    assert np.abs(photo.preview() - expected).mean() < 2


def _with_property(data: bytes, place: int, box: bytes) -> bytes:
    """The file with the property box at `place` (of its type) replaced; sizes and offsets mended."""
    size = struct.unpack_from(">I", data, place - 4)[0]
    new = struct.pack(">I", 4 + len(box)) + box
    grown = len(new) - size
    out = bytearray(data[: place - 4] + new + data[place - 4 + size :])
    for name in (b"meta", b"iprp", b"ipco"):
        at = data.index(name) - 4
        struct.pack_into(">I", out, at, struct.unpack_from(">I", data, at)[0] + grown)
    at = data.index(b"iloc") + 4 + 4 + 2
    count = struct.unpack_from(">H", data, at)[0]
    for i in range(count):
        entry = at + 2 + i * 14 + 6
        struct.pack_into(">I", out, entry, struct.unpack_from(">I", data, entry)[0] + grown)
    return bytes(out)


@pytest.mark.parametrize("junk", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0", bytes(40)])
def test_an_unreadable_exif_block_means_upright(junk):
    assert exif.orientation(junk) == 1
