import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloak.detect import recipe as recipes
from cloak.detect.recipe import RECIPES, Recipe, named, plan, reduction, tiling
from cloak.errors import UnknownName, UsageError
from cloak.geometry import Size

sizes = st.builds(Size, st.integers(1, 12_000), st.integers(1, 12_000))
profiles = st.sampled_from(sorted(RECIPES))


def covered(tiles, length, start, extent):
    """Whether intervals [start, start + extent) cover 0..length."""
    reach = 0
    for first in sorted({start(tile) for tile in tiles}):
        if first > reach:
            return False
        reach = max(reach, max(first + extent(tile) for tile in tiles if start(tile) == first))
    return reach >= length


@given(sizes, st.sampled_from([256, 640, 960]), st.integers(0, 128))
def test_tiles_cover_every_pixel_and_have_one_shape(size, tile, overlap):
    tiles = tiling(size, tile, overlap)
    assert len({(t.width, t.height) for t in tiles}) == 1
    assert all(t.width % 32 == 0 and t.height % 32 == 0 and t.width * t.height <= tile**2 for t in tiles)
    assert all(t.x >= 0 and t.y >= 0 for t in tiles)
    assert covered(tiles, size.width, lambda t: t.x, lambda t: t.width)
    assert covered(tiles, size.height, lambda t: t.y, lambda t: t.height)
    columns, rows = {t.x for t in tiles}, {t.y for t in tiles}
    assert len(tiles) == len(columns) * len(rows)


@given(st.integers(1, 9000), st.sampled_from([256, 640, 960]), st.integers(0, 128), st.floats(0, 1))
def test_whatever_fits_into_the_overlap_lies_whole_in_a_tile(length, tile, overlap, place):
    tiles = tiling(Size(length, 1), tile, overlap)
    face = min(overlap, length)
    left = place * (length - face)
    assert any(t.x <= left and left + face <= t.x + t.width for t in tiles)


@given(sizes, profiles)
def test_a_face_that_tiles_could_cut_is_found_large_enough_in_the_next_coarser_look(size, profile):
    recipe = RECIPES[profile]
    looks = [look for look in plan(size, recipe).looks if look.turn == 0 and look.model == recipe.models[0]]
    assert looks[0].size.width * looks[0].size.height <= 1.1 * recipe.tile**2 or len(looks[0].tiles) == 1
    for coarse, fine in itertools.pairwise(looks):
        ratio = max(fine.size.width, fine.size.height) / max(coarse.size.width, coarse.size.height)
        xs, ys = sorted({t.x for t in fine.tiles}), sorted({t.y for t in fine.tiles})
        shape = fine.tiles[0]
        gaps = [a + shape.width - b for a, b in itertools.pairwise(xs)]
        gaps += [a + shape.height - b for a, b in itertools.pairwise(ys)]
        for shared in gaps:
            # Rounding of the scaled sizes may cost a few pixels of the network's input.
            assert shared / ratio >= recipe.network_face * 0.9 - 1


@given(sizes, profiles)
def test_scales_rise_without_a_gap(size, profile):
    recipe = RECIPES[profile]
    scales = recipes._scales(size, recipe)
    assert scales == sorted(scales)
    assert all(b / a <= recipes.MAX_STEP + 1e-9 for a, b in itertools.pairwise(scales))


@given(sizes, profiles)
def test_the_plan_stays_within_its_budget(size, profile):
    recipe = RECIPES[profile]
    made = plan(size, recipe)
    finest = made.looks[-1].size
    assert finest.pixels <= recipe.budget * 1e6 * 1.01 + max(finest.width, finest.height)
    assert len(made.looks) < 100


@pytest.mark.parametrize("profile", sorted(RECIPES))
@pytest.mark.parametrize("size", [Size(1, 250_000_000), Size(250_000_000, 1), Size(2, 10_000_000), Size(32, 7_800_000)])
def test_a_picture_thinner_than_the_networks_stride_costs_no_more_than_a_square_one(size, profile):
    assert plan(size, RECIPES[profile]).pixels < 1.5 * plan(Size(15_811, 15_811), RECIPES[profile]).pixels


@pytest.mark.parametrize("size", [Size(150_000, 60), Size(100, 20_000), Size(65_000, 200), Size(30_000, 2_000)])
def test_panoramas_and_strips_are_searched_as_closely_as_any_picture_of_their_area(size):
    square = Size(*[math.isqrt(size.pixels)] * 2)
    assert plan(size, RECIPES["balanced"]).smallest == pytest.approx(plan(square, RECIPES["balanced"]).smallest, 0.01)


@given(sizes, profiles)
def test_the_preview_is_never_coarser_than_the_finest_look(size, profile):
    made = plan(size, RECIPES[profile])
    finest = made.looks[-1].size
    assert made.reduction == 1 or finest.width <= math.ceil(size.width / made.reduction)
    assert made.reduction in (1, 2, 4, 8)


def test_a_preview_is_not_decoded_finer_than_needed():
    assert [reduction(scale) for scale in (2, 1, 0.51, 0.5, 0.3, 0.25, 0.125, 0.01)] == [1, 1, 1, 2, 2, 4, 8, 8]


def test_large_photos_are_looked_at_less_closely_and_the_plan_says_so():
    small, large = plan(Size(1024, 768), RECIPES["balanced"]), plan(Size(8000, 6000), RECIPES["balanced"])
    assert small.smallest == 12
    assert large.smallest > 24
    assert large.pixels < 2 * RECIPES["balanced"].budget * 1e6


def test_a_larger_smallest_face_makes_the_search_cheaper():
    photo = Size(6000, 4000)
    near, default = plan(photo, named("balanced", min_face=48)), plan(photo, RECIPES["balanced"])
    assert near.smallest == 48
    assert near.reduction == 2
    assert near.pixels < 0.75 * default.pixels


@pytest.mark.parametrize("profile", RECIPES)
@pytest.mark.parametrize("size", [Size(1280, 720), Size(6000, 4000)])
@pytest.mark.parametrize("min_face", [100, 500, 2000, 10_000])
def test_whoever_asks_for_large_faces_only_gets_the_passes_over_the_whole_picture(size, profile, min_face):
    looks = plan(size, named(profile, min_face=min_face)).looks
    assert {320, 640, 1280} <= {look.size.width for look in looks}


@pytest.mark.parametrize("profile", RECIPES)
@pytest.mark.parametrize("min_face", [36, 48, 500])
def test_whoever_asks_for_large_faces_only_has_small_pictures_looked_at_as_they_are(profile, min_face):
    recipe = named(profile, min_face=min_face)
    assert {look.size.width for look in plan(Size(615, 416), recipe).looks} == {320, 615}
    assert {look.size.width for look in plan(Size(800, 600), recipe).looks} == {320, 640}  # 800 is nearly the same
    assert {look.size.width for look in plan(Size(1000, 700), recipe).looks} == {320, 640, 1000}


@pytest.mark.parametrize("size", [Size(640, 480), Size(6000, 4000)])
def test_what_counts_as_tiny_does_not_grow_with_the_smallest_face_that_is_asked_for(size):
    recipe = named("balanced", min_face=48)
    default, near = plan(size, RECIPES["balanced"]), plan(size, recipe)
    assert default.usual == default.smallest == near.usual < near.smallest
    height = recipes.TINY * default.smallest + 1
    assert recipe.needed(height, near.smallest, near.usual) == recipe.threshold


def test_thorough_turns_every_scale_and_balanced_only_the_coarsest():
    photo = Size(3000, 2000)
    balanced = plan(photo, RECIPES["balanced"])
    assert {look.turn for look in balanced.looks} == {0}
    assert [(look.size, look.turn) for look in balanced.turned] == [(balanced.looks[0].size, t) for t in (90, 180, 270)]
    looks = plan(photo, RECIPES["thorough"]).looks
    assert {look.size for look in looks if look.turn == 180} == {look.size for look in looks}


@pytest.mark.parametrize("profile", ["balanced", "thorough"])
def test_whatever_models_look_the_turned_picture_is_looked_at_as_ever(profile):
    photo, own = Size(3000, 2000), named(profile, models=("centerface",))
    default, made = plan(photo, RECIPES[profile]), plan(photo, own)
    assert made.turned == default.turned
    assert [look for look in made.looks if look.turn] == [look for look in default.looks if look.turn]
    assert own.detectors == ("centerface", "yunet")
    assert named("fast", models=("centerface",)).detectors == ("centerface",)


def test_unknown_names_and_fields_list_the_known_ones():
    with pytest.raises(UnknownName, match="balanced"):
        named("best")
    with pytest.raises(UnknownName, match="min_face"):
        named("fast", minface=3)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"floor": 0.5},
        {"review": 0.0},
        {"models": ()},
        {"whole": ()},
        {"whole": (8,)},
        {"min_face": 0},
        {"min_face": float("nan")},
        {"upscale": 9},
        {"budget": 0},
        {"tile": 100},
        {"tile": 650},
        {"turns": (45,)},
    ],
)
def test_senseless_recipes_are_refused(change):
    with pytest.raises(UsageError):
        dataclasses.replace(RECIPES["balanced"], **change)


def test_tiny_and_large_faces_need_a_higher_score_and_never_a_lower_one():
    own = Recipe("own")
    assert own.needed(12, smallest=12) == own.tiny > own.needed(40, smallest=12) == own.threshold
    assert own.needed(100, smallest=12) == own.large > own.threshold
    assert Recipe("own", threshold=0.8).needed(12, smallest=12) == 0.8
