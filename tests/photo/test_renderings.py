"""A picture is looked at in every way in which it can show a face, and no more."""

import numpy as np
import pytest
from PIL import Image

from cloak.photo import open_photo
from tests.photo.making import gradient, saved, tiff

RAMP = gradient()[..., 0]


def faint(alpha: int = 1) -> np.ndarray:
    return np.dstack([gradient(), np.full(RAMP.shape, alpha, np.uint8)])


def renderings(samples: np.ndarray, kind: str = "PNG", **options: object) -> tuple[str, ...]:
    data = tiff(samples, **options) if kind == "TIFF 16" else saved(Image.fromarray(samples), kind, **options)
    return open_photo(data).renderings()


@pytest.mark.parametrize("name", ["cutout.png", "group.jpg", "portrait.webp"])
def test_ordinary_pictures_are_looked_at_in_one_way(samples, name):
    assert open_photo((samples / name).read_bytes()).renderings() == ("shown",)


@pytest.mark.parametrize("alpha", [0, 255])
def test_colour_that_shows_or_is_cleared_needs_no_look_of_its_own(alpha):
    assert renderings(faint(alpha)) == ("shown",)


def test_a_soft_shadow_is_looked_at_without_its_colour():
    assert renderings(np.dstack([np.zeros_like(gradient()), RAMP // 2])) == ("shown", "alpha")


@pytest.mark.parametrize("alpha", [97, 128, 200])
def test_faint_colour_under_some_alpha_is_looked_at_without_it(alpha):
    assert renderings(np.dstack([128 + gradient() // 16, np.full(RAMP.shape, alpha, np.uint8)])) == ("shown", "colour")


def test_faint_alpha_of_a_colour_near_that_of_what_lies_behind_is_looked_at():
    assert renderings(np.dstack([np.full_like(gradient(), 161), 128 + RAMP // 16])) == ("shown", "alpha")


@pytest.mark.parametrize("every", [1, 2])
def test_pixels_in_sight_between_hidden_ones_are_no_excuse(every):
    samples, black = faint(), np.full(RAMP.shape, 255, np.uint8)
    samples[:: 4 // every, ::4] = (128, 128, 128, 255)
    assert renderings(samples) == ("shown", "colour")
    colour = gradient()
    colour[:: 4 // every, ::4], black[:: 4 // every, ::4] = 0, 0
    assert open_photo(inks(colour, black, "TIFF")).renderings() == ("shown", "colour")


def test_a_sliver_of_the_values_is_stretched_whatever_its_alpha():
    samples = np.dstack([gradient().astype("u2") + 32_768, np.full(RAMP.shape, 1300, "u2")])
    photo = open_photo(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    assert "levels" in photo.renderings()
    assert np.abs(photo.preview(1, 0, "levels").astype(int) - gradient()).max() < 8


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_colour_under_little_alpha_is_looked_at_without_it(kind, options):
    data = saved(Image.fromarray(faint()), kind, **options)
    photo = open_photo(data)
    assert photo.renderings() == ("shown", "colour")
    assert np.array_equal(photo.preview(1, 0, "colour"), gradient())
    assert photo.preview().std() < 1


def test_the_same_at_16_bits():
    samples = faint().astype("u2") * 257
    samples[..., 3] = 1  # nothing at all of 8 bits
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    assert renderings(samples, "TIFF 16", **options) == ("shown", "colour")


def test_alpha_is_looked_at_where_its_colour_is_that_of_what_lies_behind():
    data = saved(Image.fromarray(np.dstack([np.full_like(gradient(), 128), RAMP])), "PNG")
    photo = open_photo(data)
    assert photo.renderings() == ("shown", "alpha")
    assert np.array_equal(photo.preview(1, 0, "alpha"), np.dstack([RAMP] * 3))
    assert np.ptp(photo.preview().astype(int)) == 0


def inks(colour: np.ndarray, black: np.ndarray, kind: str) -> bytes:
    return saved(
        Image.fromarray(np.dstack([colour, black]), "CMYK"), kind, **({"quality": 95} if kind == "JPEG" else {})
    )


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_looked_at_where_others_let_no_light_through(kind):
    full = np.full_like(RAMP, 255)
    under, over = (open_photo(data) for data in (inks(gradient(), full, kind), inks(np.dstack([full] * 3), RAMP, kind)))
    assert under.renderings() == ("shown", "colour")
    assert over.renderings() == ("shown", "black")
    for photo, rendering, wanted in ((under, "colour", 255 - gradient()), (over, "black", np.dstack([255 - RAMP] * 3))):
        assert np.abs(photo.preview(1, 0, rendering).astype(int) - wanted).mean() < 4
        assert photo.preview().max() < 8


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_of_an_ordinary_print_are_looked_at_in_one_way(kind):
    data = saved(Image.fromarray(gradient()).convert("CMYK"), kind)
    assert open_photo(data).renderings() == ("shown",)
    rich = inks(np.full_like(gradient(), 150), RAMP, kind)
    assert open_photo(rich).renderings() == ("shown",)


def test_colour_and_alpha_that_cancel_each_other_out_are_looked_at_each():
    alpha = 0.4 + RAMP / 255 * 0.6
    colour = np.rint(128 + 32 / alpha).astype(np.uint8)
    data = saved(Image.fromarray(np.dstack([colour] * 3 + [np.rint(alpha * 255).astype(np.uint8)])), "PNG")
    photo = open_photo(data)
    assert np.ptp(photo.preview().astype(int)) <= 2  # 160 everywhere
    assert photo.renderings() == ("shown", "colour", "alpha")


def test_a_cut_out_with_soft_edges_is_looked_at_in_one_way():
    y, x = np.mgrid[0:61, 0:97]
    soft = np.clip((28 - np.hypot(x - 48, y - 30)) / 8, 0, 1) * 255
    assert renderings(np.dstack([gradient(), soft.astype(np.uint8)])) == ("shown",)


@pytest.mark.parametrize("base", [0, 32_768, 65_280])
def test_a_16_bit_picture_that_uses_a_sliver_of_its_values_is_stretched(base):
    samples = gradient().astype("u2") + base
    samples[:20, :40] = 30_000  # painted over a face
    photo = open_photo(tiff(samples, photometric="rgb"))
    assert photo.renderings() == ("shown", "levels")
    seen = photo.preview(1, 0, "levels")[20:].astype(int)
    assert np.abs(seen - gradient()[20:]).max() < 8
    assert np.ptp(photo.preview()[20:].astype(int), axis=(0, 1)).max() <= 1


@pytest.mark.parametrize("base", [0, 30_000, 65_280])
def test_a_sliver_of_alpha_is_stretched(base):
    samples = np.dstack([np.full_like(gradient(), 200).astype("u2") * 257, RAMP.astype("u2") + base])
    photo = open_photo(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    assert "alpha" in photo.renderings()
    assert np.abs(photo.preview(1, 0, "alpha").astype(int) - RAMP[..., None]).max() < 8


@pytest.mark.parametrize("places", [np.s_[::4, ::4], np.s_[:, :500], np.s_[:, :800]])
def test_ordinary_values_elsewhere_do_not_hide_a_sliver(places):
    samples = gradient(1024, 1024).astype("u2") + 40_000
    samples[places] = np.random.default_rng(1).integers(0, 65_536, samples[places].shape)
    photo = open_photo(tiff(samples, photometric="rgb"))
    assert photo.renderings() == ("shown", "levels")
    kept = np.s_[1::4, 901::4]
    assert np.ptp(photo.preview()[kept].astype(int), axis=(0, 1)).max() <= 1
    assert np.ptp(photo.preview(1, 0, "levels")[kept].astype(int), axis=(0, 1)).max() > 150


@pytest.mark.parametrize("scale", [64, 257])
def test_a_16_bit_picture_that_uses_its_values_is_not(scale):
    assert open_photo(tiff(gradient().astype("u2") * scale, photometric="rgb")).renderings() == ("shown",)


def test_a_flat_16_bit_picture_is_not():
    flat = np.full((61, 97, 3), 30_000, "u2")
    assert open_photo(tiff(flat, photometric="rgb")).renderings() == ("shown",)


def test_what_transparency_hides_in_an_animation_is_seen_in_its_own_frame():
    first, second = Image.fromarray(faint(255)), Image.fromarray(faint())
    photo = open_photo(saved(first, "PNG", save_all=True, append_images=[second], disposal=1, blend=0))
    assert [photo.renderings(i) for i in range(photo.frames)] == [("shown",), ("shown", "colour")]
