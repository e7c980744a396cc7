"""Patches and cells: every core pixel has one owner, one cell, and no face more cells than it may."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloak.effects.cells import MIN_CELL, grid, jittered, means, patches, smooth, spread
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

number = st.floats(-30, 130)
length = st.floats(0.5, 90)
shape = st.one_of(
    st.builds(Ellipse, number, number, length, length, st.floats(-180, 180)),
    st.builds(Box, number, number, length, length),
)


@settings(max_examples=200, deadline=None)
@given(
    regions=st.lists(st.builds(Region, shape, st.floats(-180, 180)), min_size=1, max_size=8),
    cells=st.integers(1, 12),
    feather=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_every_core_pixel_has_one_owner_and_no_region_more_cells_than_asked(regions, cells, feather):
    for mask in draw(regions, Size(100, 80), feather=feather):
        owners = np.zeros(mask.core.shape, int)
        looked_at = np.zeros(mask.core.shape, int)
        for patch in patches(mask):
            owners[patch.rows, patch.cols] += True if patch.owned is None else patch.owned > 0
            looked_at[patch.rows, patch.cols] += patch.inside > 0
            lattice = grid(patch, cells)
            assert max(lattice.shape) <= cells
            assert lattice.y[0] == lattice.x[0] == 0
            assert (lattice.y[-1], lattice.x[-1]) == patch.inside.shape
            assert (np.diff(lattice.y) >= 0).all()
            assert (np.diff(lattice.x) >= 0).all()
        assert (owners[mask.core] == 1).all()
        assert (looked_at == mask.core).all()
        assert (owners[mask.weight > 0] == 1).all()


def test_two_boxes_of_one_face_share_its_cells(head, mask_over, textured):
    pixels = textured(200, 200)
    mask = mask_over(pixels, head(100, 100, 50, 65), head(108, 95, 46, 60), head(95, 110, 20, 20))
    assert [patch.index for patch in patches(mask)] == [0]


def test_a_hit_on_the_chin_shows_no_finer_cells_of_the_face(head, mask_over, textured):
    pixels = textured(300, 300)
    mask = mask_over(pixels, head(150, 150, 90, 120), head(180, 240, 30, 36), head(60, 150, 40, 50))
    # The chin's centre lies in the face, at three quarters of the way to its edge; that of a small neighbour does not.
    assert sorted(patch.index for patch in patches(mask)) == [0, 2]


def test_neighbours_that_overlap_keep_their_own_cells(head, mask_over, textured):
    pixels = textured(200, 200)
    mask = mask_over(pixels, head(60, 100, 40, 50), head(130, 100, 40, 50))
    found = patches(mask)
    assert sorted(patch.index for patch in found) == [0, 1]
    left = next(patch for patch in found if patch.index == 0)
    columns = np.flatnonzero(left.owned.any(0)) + left.cols.start
    assert 93 <= columns.max() <= 97


def test_what_no_region_reaches_is_given_to_the_nearest(mask_over, textured):
    # A wide shape lies within a larger one by its centre, and sticks far out of it.
    large, wide = Region(Ellipse(100, 60, 30, 50)), Region(Box(0, 55, 200, 10))
    mask = mask_over(textured(120, 200), large, wide)
    owners = np.zeros(mask.core.shape, int)
    for patch in patches(mask):
        owners[patch.rows, patch.cols] += True if patch.owned is None else patch.owned > 0
    assert (owners[mask.core] == 1).all()


@pytest.mark.parametrize("size", [6, 9, 14, 23])
def test_cells_of_small_faces_are_never_single_pixels(size, head, mask_over, textured):
    pixels = textured(60, 60)
    mask = mask_over(pixels, head(30.3, 30.7, size * 0.7, size * 0.7))
    (patch,) = patches(mask)
    lattice = grid(patch, 8)
    assert min(lattice.pitch) >= MIN_CELL * 0.75
    values = means(pixels, patch, lattice)
    flat = pixels[mask.core].reshape(-1, 3)
    assert not any((flat == value).all(1).any() for value in values.reshape(-1, 3))


def test_a_cell_with_a_few_pixels_under_the_core_takes_its_neighbours_value(head, mask_over, textured):
    pixels = textured(120, 120)
    mask = mask_over(pixels, head(60, 60, 40, 40))
    (patch,) = patches(mask)
    lattice = grid(patch, 6)
    before = means(pixels, patch, lattice)
    corner = np.zeros(mask.core.shape, bool)
    rows = slice(patch.rows.start + lattice.y[0], patch.rows.start + lattice.y[1])
    cols = slice(patch.cols.start + lattice.x[0], patch.cols.start + lattice.x[1])
    corner[rows, cols] = mask.core[rows, cols]
    assert 0 < corner.sum() < 40
    changed = pixels.copy()
    changed[corner] = 255
    assert np.array_equal(before, means(changed, patch, lattice))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("full", [255, 65535])
def test_jitter_moves_luminance_by_the_strength_and_stays_in_range(channels, full, key):
    middle = np.full((40, 40, channels), 0.5 * full)
    if channels == 4:
        middle[..., :3] = 0.1 * full
    moved = jittered(middle, 0.1, full, key)
    assert moved.min() >= 0
    assert moved.max() <= full
    light = full - moved[..., 3] if channels == 4 else moved.mean(-1)
    assert 0.06 * full < light.std() < 0.14 * full


def test_jitter_makes_no_cell_more_colourful(key):
    skin = np.broadcast_to(np.array([120.0, 60.0, 50.0]), (30, 30, 3)).copy()
    moved = jittered(skin, 0.2, 255, key)
    chroma = moved.max(-1) - moved.min(-1)
    assert chroma.max() <= 70.0001
    assert np.abs(jittered(skin, 0.0, 255, key) - skin).max() < 1e-9


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_smooth_and_flat_cells_agree_where_all_cells_are_equal(dtype, head, mask_over, textured):
    (patch,) = patches(mask_over(textured(90, 90), head(45, 45, 30, 38)))
    lattice = grid(patch, 6)
    values = np.full((*lattice.shape, 3), 136.7)
    assert (spread(values, lattice, dtype) == 137).all()
    assert (smooth(values, lattice, patch.inside.shape, dtype) == 137).all()


def test_smooth_has_no_steps_and_no_overshoot(head, mask_over, textured):
    (patch,) = patches(mask_over(textured(300, 300), head(150, 150, 100, 130)))
    lattice = grid(patch, 6)
    random = np.random.default_rng(0)
    values = random.uniform(40, 200, (*lattice.shape, 1))
    surface = smooth(values, lattice, patch.inside.shape, "uint8")[..., 0].astype(int)
    assert values.min() - 1 <= surface.min()
    assert surface.max() <= values.max() + 1
    assert np.abs(np.diff(surface, axis=0)).max() <= 8
    assert np.abs(np.diff(surface, axis=1)).max() <= 8
