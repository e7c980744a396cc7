"""Any small picture, any masks: lossless formats keep every pixel outside them."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cloak.geometry import Box, Ellipse, Region
from cloak.masks import draw
from cloak.photo import Output, open_photo
from cloak.photo.pixels import Frame, full_range, indexed, reduced, shown
from tests.photo.making import paint, saved, tiff, untouched

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
sides = st.integers(1, 24)
positions = st.floats(-10, 30)
lengths = st.floats(0.5, 20)
shapes = st.one_of(
    st.builds(Ellipse, positions, positions, lengths, lengths, st.floats(0, 180)),
    st.builds(Box, positions, positions, lengths, lengths),
)
regions = st.lists(st.builds(Region, shapes), max_size=3)


@st.composite
def samples(draw_, dtype, channels):
    height, width = draw_(sides), draw_(sides)
    few = draw_(st.booleans())
    top = np.iinfo(dtype).max
    elements = st.sampled_from([0, 1, top // 2, top]) if few else st.integers(0, top)
    return draw_(hnp.arrays(dtype, (height, width, channels), elements=elements))


def _kept(data, chosen, read):
    photo = open_photo(data)
    masks = [draw(chosen, photo.size, feather=0.3)]
    out = photo.conceal(masks, paint, Output()).data
    before, after = read(data), read(out)
    assert before.shape == after.shape
    assert before.dtype == after.dtype
    where = untouched(photo.size, masks[0])
    assert np.array_equal(before[where], after[where])
    assert not open_photo(out).surplus()
    assert open_photo(out).conceal(masks, lambda pixels, mask, frame: pixels, Output()).data == out


def _pillow(data):
    out = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).copy()
    out[out[..., 3] == 0] = 0
    return out


def _png(data):
    out = np.asarray(imagecodecs.png_decode(data)).copy()
    if out.ndim == 3 and out.shape[2] in (2, 4):
        out[out[..., -1] == 0] = 0
    return out


def _encoded(kind, pixels):
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    return saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP"])
@given(pixels=st.integers(3, 4).flatmap(lambda n: samples(np.uint8, n)), chosen=regions)
@SETTINGS
def test_eight_bit_pixels_outside_any_masks_stay(kind, pixels, chosen):
    _kept(_encoded(kind, pixels), chosen, _pillow)


@given(pixels=st.integers(1, 4).flatmap(lambda n: samples(np.uint16, n)), chosen=regions)
@SETTINGS
def test_sixteen_bit_png_pixels_outside_any_masks_stay(pixels, chosen):
    flat = pixels if pixels.shape[2] > 1 else pixels[..., 0]
    _kept(bytes(imagecodecs.png_encode(np.frombuffer(flat.tobytes(), flat.dtype).reshape(flat.shape))), chosen, _png)


@given(pixels=samples(np.uint16, 3), chosen=regions, packing=st.sampled_from([None, "lzw", "zlib"]))
@SETTINGS
def test_sixteen_bit_tiff_pixels_outside_any_masks_stay(pixels, chosen, packing):
    data = tiff(pixels, photometric="rgb", compression=packing)
    _kept(data, chosen, lambda file: tifffile.imread(io.BytesIO(file)).reshape(pixels.shape))


@given(pixels=samples(np.uint8, 1), chosen=regions, colours=st.integers(2, 256))
@SETTINGS
def test_gif_pixels_outside_any_masks_stay(pixels, chosen, colours):
    image = Image.fromarray((pixels[..., 0] % np.uint16(colours)).astype(np.uint8), "P")
    image.putpalette(np.random.default_rng(colours).integers(0, 256, 768).astype(np.uint8).tobytes())
    _kept(saved(image, "GIF"), chosen, _pillow)


@given(pixels=samples(np.uint16, 4))
@SETTINGS
def test_multiplied_alpha_comes_back_to_the_same_values(pixels):
    alpha = pixels[..., 3:]
    stored = np.concatenate((np.minimum(pixels[..., :3], alpha), alpha), axis=2)
    data = tiff(stored, photometric="rgb", extrasamples=["assocalpha"])
    photo = open_photo(data)
    out = photo.conceal([[]], paint, Output()).data
    assert np.array_equal(tifffile.imread(io.BytesIO(out)).reshape(stored.shape), stored)


@given(bits=st.integers(1, 16))
def test_levels_survive_the_way_to_the_full_range_and_back(bits):
    levels = np.arange(1 << bits, dtype=np.uint16 if bits > 8 else np.uint8)
    full = full_range(levels, bits)
    assert (full[0], full[-1]) == (0, np.iinfo(full.dtype).max)
    assert np.array_equal(reduced(full, bits), levels)


@given(pixels=samples(np.uint8, 3), reduction=st.sampled_from([1, 2, 4, 8]))
@SETTINGS
def test_a_reduced_preview_averages_areas(pixels, reduction):
    out = shown(Frame(pixels), reduction)
    height, width = pixels.shape[:2]
    assert out.shape == (-(-height // reduction), -(-width // reduction), 3)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            area = pixels[y * reduction : (y + 1) * reduction, x * reduction : (x + 1) * reduction]
            assert np.abs(out[y, x] - area.reshape(-1, 3).mean(axis=0)).max() <= 1


@given(pixels=samples(np.uint8, 3))
@SETTINGS
def test_a_palette_gives_back_the_same_picture(pixels):
    picture = indexed(pixels, None)
    count = len(np.unique(pixels.reshape(-1, 3), axis=0))
    assert (picture is None) == (count > 256)
    if picture is not None:
        assert len(picture.palette) == count
        assert np.array_equal(picture.palette[picture.indices][..., :3], pixels)
