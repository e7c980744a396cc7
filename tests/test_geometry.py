from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloak.errors import ConcealmentFailed
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw, uncovered

sizes = st.builds(Size, st.integers(1, 120), st.integers(1, 120))
numbers = st.floats(-60, 180, allow_nan=False)
lengths = st.floats(0.5, 90, allow_nan=False)
boxes = st.builds(Box, numbers, numbers, lengths, lengths)
ellipses = st.builds(Ellipse, numbers, numbers, lengths, lengths, st.floats(-180, 180))
regions = st.builds(Region, boxes | ellipses)


def canvas(size, masks):
    drawn = np.zeros((size.height, size.width), bool)
    for mask in masks:
        drawn[mask.window()] |= mask.core
    return drawn


@given(boxes, sizes)
def test_mask_covers_every_pixel_of_a_box(box, size):
    drawn = canvas(size, draw([Region(box)], size))
    inside = box.clipped(size)
    if inside is None:
        assert not drawn.any()
        return
    rows = slice(int(inside.y), int(np.ceil(inside.bottom)))
    columns = slice(int(inside.x), int(np.ceil(inside.right)))
    assert drawn[rows, columns].all()


@given(ellipses, sizes)
def test_mask_covers_every_pixel_centre_of_an_ellipse(ellipse, size):
    x, y = np.meshgrid(np.arange(size.width, dtype=np.float32) + 0.5, np.arange(size.height, dtype=np.float32) + 0.5)
    inside = ellipse.distance(x, y) < 0.999
    drawn = canvas(size, draw([Region(ellipse)], size))
    assert not (inside & ~drawn).any()


@given(st.lists(regions, max_size=6), sizes, st.sampled_from([0.0, 0.06, 0.5]))
def test_masks_stay_inside_the_image_and_feather_only_outward(found, size, feather):
    for mask in draw(found, size, feather=feather):
        assert mask.left >= 0
        assert mask.top >= 0
        assert mask.left + mask.width <= size.width
        assert mask.top + mask.height <= size.height
        assert mask.core.any()
        assert (mask.weight[mask.core] == 1).all()
        assert mask.weight.min() >= 0
        assert mask.weight.max() <= 1


@given(st.lists(regions, min_size=1, max_size=5), regions, sizes)
def test_union_is_monotone(found, more, size):
    before = canvas(size, draw(found, size))
    after = canvas(size, draw([*found, more], size))
    assert not (before & ~after).any()


@given(st.lists(regions, max_size=6), sizes, st.randoms())
def test_order_of_regions_does_not_matter(found, size, random):
    shuffled = found[:]
    random.shuffle(shuffled)
    assert np.array_equal(canvas(size, draw(found, size)), canvas(size, draw(shuffled, size)))


@given(st.lists(regions, max_size=6), sizes)
def test_cores_of_two_masks_never_overlap(found, size):
    drawn = np.zeros((size.height, size.width), int)
    for mask in draw(found, size, feather=0.1):
        drawn[mask.window()] += mask.core
    assert drawn.max(initial=0) <= 1


def test_touching_regions_become_one_mask_and_distant_ones_stay_apart():
    near, nearer, far = Ellipse(20, 20, 10, 10), Ellipse(35, 20, 10, 10), Ellipse(150, 150, 10, 10)
    masks = draw([Region(near), Region(nearer), Region(far)], Size(200, 200))
    assert sorted(len(mask.regions) for mask in masks) == [1, 2]


def test_mask_reaches_the_edge_rows_and_columns():
    drawn = canvas(Size(100, 80), draw([Region(Ellipse(100, 80, 20, 20))], Size(100, 80)))
    assert drawn[-1, -1]
    assert drawn[-1, 85:].all()
    assert drawn[65:, -1].all()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 1e39])
def test_a_region_that_is_nowhere_is_an_error_rather_than_no_mask(number):
    box, ellipse = Box(10, 10, 20, 20), Ellipse(20, 20, 10, 10, 5)
    shapes = [replace(shape, **{item.name: number}) for shape in (box, ellipse) for item in fields(shape)]
    for region in (*map(Region, shapes), Region(box, angle=number)):
        with pytest.raises(ConcealmentFailed, match="no finite place"):
            draw([Region(Ellipse(60, 60, 9, 9)), region], Size(100, 80))


@given(st.lists(regions, max_size=6), sizes, st.sampled_from([0.0, 0.06, 0.5]))
def test_every_region_lies_under_the_masks_that_are_drawn_of_all(found, size, feather):
    masks = draw(found, size, feather=feather)
    assert uncovered(found, masks, size) == []
    seen = [region for region in found if uncovered([region], [], size)]
    # With any mask gone, whatever of it showed in the picture is missed.
    for mask in masks:
        left = [other for other in masks if other is not mask]
        members = {region for region in seen if region.shifted(-mask.left, -mask.top) in mask.regions}
        assert members == set(uncovered(found, left, size))


def test_ten_thousand_regions_are_grouped_quickly():
    crowd = [Region(Ellipse(20 * (i % 100), 20 * (i // 100), 6, 6)) for i in range(10_000)]
    assert len(draw(crowd, Size(2000, 2000), feather=0.1)) == 10_000


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(a, b):
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert 0 <= a.iou(b) <= 1 + 1e-9


@given(boxes, boxes)
def test_united_box_holds_both(a, b):
    whole = a.united(b)
    for box in (a, b):
        assert whole.x <= box.x
        assert whole.y <= box.y
        assert whole.right >= box.right - 1e-9
        assert whole.bottom >= box.bottom - 1e-9


@given(ellipses)
def test_bounds_of_a_turned_ellipse_are_tight(ellipse):
    t = np.linspace(0, 2 * np.pi, 721)
    a = np.radians(ellipse.angle)
    x = ellipse.cx + ellipse.rx * np.cos(t) * np.cos(a) - ellipse.ry * np.sin(t) * np.sin(a)
    y = ellipse.cy + ellipse.rx * np.cos(t) * np.sin(a) + ellipse.ry * np.sin(t) * np.cos(a)
    bounds = ellipse.bounds()
    assert bounds.x == pytest.approx(x.min(), abs=0.05)
    assert bounds.bottom == pytest.approx(y.max(), abs=0.05)


@pytest.mark.parametrize("feather", [5e-324, 1e-275, 1e-40, 1e-8])
def test_a_feather_too_narrow_to_be_seen_is_none(feather):
    around = [Region(Ellipse(50, 40, 20, 25, 10)), Region(Box(5, 5, 9, 9))]
    for mask, bare in zip(draw(around, Size(100, 80), feather=feather), draw(around, Size(100, 80)), strict=True):
        assert np.array_equal(mask.weight, bare.weight)


@given(
    regions | st.just(Region(Ellipse(250, 300, 190, 240, 12))),
    sizes | st.just(Size(500, 700)),
    st.sampled_from([0.0, 0.06, 0.5]),
)
def test_weights_follow_the_distance_at_every_pixel(region, size, feather):
    for mask in draw([region], size, feather=feather):
        y, x = (axis.astype(np.float32) + np.float32(0.5) for axis in np.ogrid[: mask.height, : mask.width])
        shape = mask.regions[0].shape
        core = shape.padded(0.75).distance(x, y) <= 1
        falloff = np.clip((1 + feather - shape.distance(x, y)) / (feather or 1), 0, feather > 0)
        assert np.array_equal(mask.core, core)
        assert np.allclose(mask.weight, np.where(core, 1, falloff), atol=1e-6)


def test_a_window_shows_its_surroundings_only_if_asked_to():
    region = Region(Ellipse(50, 40, 20, 25))
    (tight,), (wide,) = (draw([region], Size(200, 200), margin=margin) for margin in (0.0, 0.25))
    assert tight.width < wide.width
    assert tight.height < wide.height
    assert tight.left > wide.left
