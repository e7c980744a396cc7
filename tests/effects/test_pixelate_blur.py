"""Pixelation and blur: what they tell of a face is bounded by their cells, and jittered."""

import numpy as np
import pytest

from cloak.effects import Blur, Noise, Pixelate, conceal
from cloak.effects.cells import grid, patches
from cloak.effects.tone import LUMA
from cloak.errors import UsageError

BOTH = [Pixelate(), Blur(), Pixelate(cells=4), Blur(cells=8)]


def shuffled_within_cells(pixels, mask, cells, seed=1):
    """Another photo: beyond the core the same, within it every cell's pixels in another order."""
    random = np.random.default_rng(seed)
    out = pixels.copy()
    for patch in patches(mask):
        lattice = grid(patch, cells)
        window = out[patch.rows, patch.cols]
        for i in range(lattice.shape[0]):
            for j in range(lattice.shape[1]):
                part = slice(lattice.y[i], lattice.y[i + 1]), slice(lattice.x[j], lattice.x[j + 1])
                chosen = patch.inside[part] > 0
                cell = window[part][chosen]
                random.shuffle(cell)
                window[part][chosen] = cell
    return out


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("effect", BOTH, ids=repr)
def test_photos_with_the_same_cell_means_give_the_same_core(effect, channels, dtype, key, textured, head, mask_over):
    pixels = textured(160, 200, channels, dtype)
    mask = mask_over(pixels, head(70, 80, 40, 52, 15), head(130, 85, 38, 50))
    other = shuffled_within_cells(pixels, mask, effect.cells)
    assert (other != pixels)[mask.core].mean() > 0.5
    out, again = conceal(pixels, mask, effect, key), conceal(other, mask, effect, key)
    assert np.array_equal(out[mask.core], again[mask.core])


@pytest.mark.parametrize("effect", BOTH, ids=repr)
def test_pixels_beyond_the_core_do_not_enter_it(effect, key, textured, head, mask_over):
    pixels, other = textured(160, 120), textured(160, 120, seed=9)
    mask = mask_over(pixels, head(60, 80, 35, 45))
    mixed = np.where(mask.core[..., None], pixels, other)
    assert np.array_equal(conceal(pixels, mask, effect, key)[mask.core], conceal(mixed, mask, effect, key)[mask.core])


@pytest.mark.parametrize("cells", [1, 4, 6, 8])
@pytest.mark.parametrize("size", [8, 40, 300])
def test_pixelation_shows_at_most_cells_squared_colours_a_face(cells, size, key, textured, head, mask_over):
    pixels = textured(3 * size, 3 * size)
    mask = mask_over(pixels, head(1.5 * size, 1.5 * size, 0.7 * size, 0.9 * size, 30))
    out = conceal(pixels, mask, Pixelate(cells=cells), key)
    assert len(np.unique(out[mask.core], axis=0)) <= cells * cells


@pytest.mark.parametrize("effect", [Pixelate(), Blur()], ids=repr)
def test_every_cell_changes_with_the_key(effect, textured, head, mask_over):
    pixels = textured(200, 200)
    mask = mask_over(pixels, head(100, 100, 50, 65))
    one, other = (conceal(pixels, mask, effect, Noise(seed)) for seed in (b"one", b"other"))
    apart = np.abs(one[mask.core].astype(int) - other[mask.core].astype(int)).max(-1)
    assert (apart > 0).mean() > 0.9
    assert apart.mean() > 8


@pytest.mark.parametrize("effect", [Pixelate(), Blur()], ids=repr)
def test_faces_of_one_photo_are_jittered_differently(effect, key, head, mask_over):
    pixels = np.full((200, 400, 3), 128, np.uint8)
    mask = mask_over(pixels, head(110, 100, 60, 70), head(210, 100, 60, 70), feather=0)
    out = conceal(pixels, mask, effect, key)
    assert not np.array_equal(out[60:140, 60:150], out[60:140, 160:250])


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("effect", BOTH, ids=repr)
def test_a_face_shows_shades_of_one_colour(effect, channels, key, head, mask_over):
    pixels = np.zeros((200, 200, channels), np.uint8)
    pixels[:, :100, :3], pixels[:, 100:, :3] = (180, 60, 70), (50, 140, 150)
    mask = mask_over(pixels, head(100, 100, 60, 75))
    shown = conceal(pixels, mask, effect, key)[mask.core].astype(float)
    if channels == 4:
        shown = (255 - shown[:, :3]) * (255 - shown[:, 3:]) / 255
    colours = shown - shown @ LUMA[:, None]
    strength = np.linalg.norm(colours, axis=1)
    clear = colours[strength > 10] / strength[strength > 10, None]
    assert len(clear) > 1000
    assert (clear @ clear.mean(0)).min() > 0.97


@pytest.mark.parametrize("effect", [Pixelate(jitter=0), Blur(jitter=0)], ids=repr)
def test_without_jitter_the_mean_of_the_face_stays(effect, key, textured, head, mask_over):
    pixels = textured(200, 200)
    mask = mask_over(pixels, head(100, 100, 50, 65))
    out = conceal(pixels, mask, effect, key)
    assert np.abs(out[mask.core].mean(0) - pixels[mask.core].mean(0)).max() < 4


def test_pixelation_of_a_flat_face_is_flat_but_for_its_jitter(key, head, mask_over):
    pixels = np.full((100, 100, 3), (90, 120, 60), np.uint8)
    mask = mask_over(pixels, head(50, 50, 30, 38))
    assert (conceal(pixels, mask, Pixelate(jitter=0), key) == pixels).all()


def test_blur_has_no_edges(key, textured, head, mask_over):
    pixels = textured(400, 400)
    mask = mask_over(pixels, head(200, 200, 110, 140), feather=0.2)
    out = conceal(pixels, mask, Blur(), key).astype(int)
    inside = mask.core[1:] & mask.core[:-1]
    assert np.abs(np.diff(out, axis=0))[inside].max() <= 6


@pytest.mark.parametrize("kind", [Pixelate, Blur])
@pytest.mark.parametrize(
    "bad",
    [
        *({"cells": value} for value in (0, -1, 65, 6.5, True, "6", None)),
        *({"jitter": value} for value in (-0.1, 0.6, float("nan"), "much", True, None)),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(kind, bad):
    with pytest.raises(UsageError):
        kind(**bad)


@pytest.mark.parametrize("effect", [Pixelate(), Blur()], ids=repr)
def test_effects_are_values(effect):
    assert effect == type(effect)()
    assert hash(effect) == hash(type(effect)())
    with pytest.raises(AttributeError):
        effect.cells = 3
