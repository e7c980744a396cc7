"""Blending: full strength on the core, feather outward only, and nothing passes when the effect is broken."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloak.effects import Blur, Decoy, Fill, Noise, Pixelate, blend, conceal
from cloak.errors import ConcealmentFailed, UsageError
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

ALL = [Pixelate(), Blur(), Fill(), Decoy(), Decoy(style="soft")]


@dataclass(frozen=True, slots=True)
class Returns:
    """An effect that answers with what it was given, whatever it is."""

    answer: object

    def __call__(self, pixels, mask, noise):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("effect", ALL, ids=repr)
def test_core_comes_from_the_effect_alone_and_beyond_the_feather_nothing_changes(
    effect, channels, dtype, key, textured, head, mask_over
):
    pixels = textured(120, 100, channels, dtype)
    mask = mask_over(pixels, head(50, 60, 25, 33))
    before = pixels.copy()
    out = conceal(pixels, mask, effect, key)
    painted = effect(pixels, mask, key)
    assert out.dtype == pixels.dtype
    assert out.shape == pixels.shape
    assert np.array_equal(out[mask.core], painted[mask.core])
    assert np.array_equal(out[mask.weight == 0], pixels[mask.weight == 0])
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize(("dtype", "full"), [("uint8", 255), ("uint16", 65535)])
def test_feather_is_rounded_to_the_nearest_value(dtype, full, head, mask_over):
    pixels = np.zeros((60, 60, 1), dtype)
    mask = mask_over(pixels, head(30, 30, 12, 15), feather=0.5)
    out = conceal(pixels, mask, Returns(np.full_like(pixels, full)), Noise(b""))
    exact = mask.weight.astype(np.float64) * full
    assert np.abs(out[..., 0] - exact).max() <= 0.51
    ring = (mask.weight > 0) & ~mask.core
    assert ring.any()
    assert len(np.unique(out[ring])) > 10


def test_core_is_replaced_where_the_weight_says_less(head, mask_over, textured):
    pixels = textured(60, 60)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    mask = replace(mask, weight=np.zeros_like(mask.weight))
    out = conceal(pixels, mask, Fill((1, 2, 3)), Noise(b""))
    assert (out[mask.core] == (1, 2, 3)).all()
    assert np.array_equal(out[~mask.core], pixels[~mask.core])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        np.zeros((60, 60, 3), np.float64),
        np.zeros((60, 60, 3), np.uint16),
        np.zeros((60, 59, 3), np.uint8),
        np.zeros((60, 60), np.uint8),
        ValueError("a pixel was 137"),
        MemoryError(),
    ],
    ids=["nothing", "floats", "other depth", "other width", "no channels", "error", "no memory"],
)
def test_a_broken_effect_conceals_nothing_and_says_so_without_its_words(answer, head, mask_over, textured):
    pixels = textured(60, 60)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    with pytest.raises(ConcealmentFailed) as caught:
        conceal(pixels, mask, Returns(answer), Noise(b""))
    assert "137" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_effects_own_refusal_is_passed_on(head, mask_over, textured):
    pixels = textured(60, 60)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    with pytest.raises(UsageError, match="no"):
        conceal(pixels, mask, Returns(UsageError("no")), Noise(b""))


@pytest.mark.parametrize("fault", ["size", "weights", "regions", "depth", "channels"])
def test_a_mask_or_window_that_does_not_fit_is_refused(fault, head, mask_over, textured):
    pixels = textured(60, 60)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    if fault == "size":
        pixels = pixels[1:]
    elif fault == "weights":
        mask = replace(mask, weight=np.full_like(mask.weight, np.nan))
    elif fault == "regions":
        mask = replace(mask, regions=())
    elif fault == "depth":
        pixels = pixels.astype(np.float32)
    else:
        pixels = pixels[..., :2]
    with pytest.raises(ConcealmentFailed):
        conceal(pixels, mask, Fill(), Noise(b""))


@pytest.mark.parametrize("effect", ALL, ids=repr)
@pytest.mark.parametrize("view", ["turned", "mirrored", "part"])
def test_windows_that_are_views_of_a_photo_come_out_the_same(effect, view, key, textured, head, mask_over):
    photo = textured(90, 90)
    pixels = {"turned": np.rot90(photo), "mirrored": photo[:, ::-1], "part": photo[5:85, 10:80]}[view]
    mask = mask_over(pixels, head(35, 40, 20, 25))
    assert np.array_equal(conceal(pixels, mask, effect, key), conceal(pixels.copy(order="C"), mask, effect, key))


@pytest.mark.parametrize("effect", ALL, ids=repr)
def test_same_photo_and_key_give_the_same_pixels(effect, key, textured, head, mask_over):
    pixels = textured(90, 90)
    mask = mask_over(pixels, head(40, 40, 20, 25), head(60, 45, 18, 22))
    assert np.array_equal(conceal(pixels, mask, effect, key), conceal(pixels, mask, effect, Noise(key.seed)))


number = st.floats(-30, 130)
length = st.floats(0.2, 120)
ellipse = st.builds(Ellipse, number, number, length, length, st.floats(-180, 180))
box = st.builds(Box, number, number, length, length)
region = st.builds(Region, st.one_of(ellipse, box), st.floats(-720, 720))


@settings(max_examples=150, deadline=None)
@given(
    regions=st.lists(region, min_size=1, max_size=6),
    effect=st.sampled_from([*ALL, Pixelate(cells=1), Blur(cells=1), Blur(cells=2), Decoy(cells=64)]),
    channels=st.sampled_from([1, 3, 4]),
    dtype=st.sampled_from(["uint8", "uint16"]),
    feather=st.sampled_from([0.0, 0.15, 1.0]),
    margin=st.sampled_from([0.0, 0.25]),
    size=st.sampled_from([Size(90, 70), Size(7, 100), Size(1, 1)]),
)
def test_any_regions_are_concealed_whole(regions, effect, channels, dtype, feather, margin, size):
    random = np.random.default_rng(1)
    full = np.iinfo(dtype).max
    photo = random.integers(0, full, (size.height, size.width, channels), dtype, endpoint=True)
    other = random.integers(0, full, photo.shape, dtype, endpoint=True)
    for mask in draw(regions, size, feather=feather, margin=margin):
        window = photo[mask.window()]
        out = conceal(window, mask, effect, Noise(b"k"))
        assert out.shape == window.shape
        assert out.dtype == window.dtype
        assert np.array_equal(out[mask.weight == 0], window[mask.weight == 0])
        if isinstance(effect, Fill | Decoy):
            swapped = np.where(mask.core[..., None], other[mask.window()], window)
            again = conceal(swapped, mask, effect, Noise(b"k"))
            assert np.array_equal(out[mask.core], again[mask.core])


def test_areas_with_an_effect_of_their_own_share_no_noise(monkeypatch, key, textured):
    # The margin of a decoy clips both windows at one corner.
    pixels = textured(300, 300)
    own = [Region(Ellipse(12, 14, 12, 14), effect="decoy"), Region(Ellipse(120, 120, 80, 80), effect="decoy")]
    bridge = Region(Box(10, 10, 100, 60))
    (mask,) = draw([*own, bridge], Size(300, 300), margin=1000.0)
    seen = []
    monkeypatch.setattr(blend, "conceal", lambda pixels, mask, effect, noise: seen.append((mask, noise)) or pixels)
    blend.paint(pixels, mask, Fill(), 0.0, key)
    assert {(part.left, part.top) for part, _ in seen} == {(0, 0)}
    drawn_on = [(noise.seed, stream) for part, noise in seen for stream in part.streams]
    assert len(set(drawn_on)) == len(drawn_on) == 5
