"""Fill and decoy: nothing of the face enters; the decoy is one face, turned, scaled and lit."""

import importlib.resources
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cloak.effects import Decoy, Fill, conceal, paint
from cloak.effects import decoy as decoy_module
from cloak.effects.decoy import LEVELS
from cloak.effects.tone import luminance
from cloak.errors import SetupError, UnknownName, UsageError
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

ROOT = Path(__file__).parent.parent.parent
STRICT = [Fill(), Decoy(), Decoy(style="soft"), Decoy(jitter=0.1)]


def mean_light(out, mask):
    return luminance(out)[mask.core].mean()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("effect", STRICT, ids=repr)
def test_photos_that_differ_under_the_mask_alone_give_the_same_core(
    effect, channels, dtype, key, textured, head, mask_over
):
    pixels = textured(160, 200, channels, dtype)
    mask = mask_over(pixels, head(70, 80, 40, 52, 15), head(130, 85, 38, 50))
    for other in (textured(160, 200, channels, dtype, seed=5), np.zeros_like(pixels), ~np.zeros_like(pixels)):
        swapped = np.where(mask.weight[..., None] > 0, other, pixels)
        out, again = conceal(pixels, mask, effect, key), conceal(swapped, mask, effect, key)
        assert np.array_equal(out[mask.core], again[mask.core])


@pytest.mark.parametrize("own", [None, "decoy"])
def test_a_decoy_takes_nothing_from_a_face_beside_it(own, key):
    faces = [Region(Ellipse(45, 45, 45, 45), effect=own), Region(Ellipse(150, 45, 50, 60))]
    here, there = draw(faces, Size(200, 90), feather=0.1, margin=0.25)
    results = []
    for value in (0, 60, 255):
        pixels = np.full((90, 200, 3), 128, np.uint8)
        pixels[there.window()][there.core] = value
        results.append(paint(pixels[here.window()], here, Fill() if own else Decoy(), 0.1, key)[here.core])
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("style", ["cells", "soft"])
def test_all_surroundings_together_yield_at_most_eight_decoys(style, key, head, mask_over):
    found = set()
    for light in range(256):
        pixels = np.full((60, 60, 3), light, np.uint8)
        pixels[::7, ::5] = (255, 0, 0)  # some colour: not a black-and-white photo
        mask = mask_over(pixels, head(30, 30, 12, 15))
        found.add(conceal(pixels, mask, Decoy(style=style), key)[mask.core].tobytes())
    assert 5 <= len(found) <= 8
    assert len(LEVELS) == 8


def test_decoy_is_brighter_in_brighter_surroundings(key, head, mask_over, textured):
    light = []
    for gain in (0.2, 0.6, 1.2):
        pixels = (textured(200, 200) * gain).clip(0, 255).astype(np.uint8)
        mask = mask_over(pixels, head(100, 100, 40, 52))
        light.append(mean_light(conceal(pixels, mask, Decoy(), key), mask))
    assert light[0] + 10 < light[1]
    assert light[1] + 10 < light[2]


def test_decoy_is_as_bright_in_every_kind_of_pixels(key, head, mask_over, textured):
    rgb = textured(200, 200)
    grey = np.rint(luminance(rgb))[..., None].astype(np.uint8)
    deep = rgb.astype(np.uint16) * 257
    cmyk = np.concatenate([255 - rgb, np.zeros_like(grey)], -1)
    light = []
    for pixels in (rgb, grey, deep, cmyk):
        mask = mask_over(pixels, head(100, 100, 40, 52))
        light.append(mean_light(conceal(pixels, mask, Decoy(), key), mask))
    assert max(light) - min(light) < 4


def test_decoy_without_any_surroundings_has_middle_brightness(key, head, mask_over):
    results = []
    for value in (0, 255):
        pixels = np.full((80, 60, 3), value, np.uint8)
        mask = mask_over(pixels, head(30, 40, 90, 110))
        assert mask.core.all()
        results.append(conceal(pixels, mask, Decoy(), key))
    assert np.array_equal(results[0], results[1])
    assert 90 < results[0].mean() < 180


def test_decoy_in_a_black_and_white_photo_has_no_colour(key, head, mask_over, textured):
    pixels = textured(120, 120, 1).repeat(3, axis=2)
    mask = mask_over(pixels, head(60, 60, 30, 38))
    out = conceal(pixels, mask, Decoy(), key).astype(int)
    assert np.ptp(out[mask.core], axis=-1).max() <= 1
    pixels = textured(120, 120)
    out = conceal(pixels, mask, Decoy(), key).astype(int)
    assert np.ptp(out[mask.core], axis=-1).max() > 15


@pytest.mark.parametrize("angle", [90, 180, 270, -90])
def test_decoy_turns_with_the_head(angle, key, head, mask_over, textured):
    pixels = np.full((201, 201, 3), (90, 110, 130), np.uint8)
    effect = Decoy(style="soft", cells=8, jitter=0)
    upright = mask_over(pixels, head(100.5, 100.5, 60, 60))
    turned = mask_over(pixels, head(100.5, 100.5, 60, 60, angle))
    plain = conceal(pixels, upright, effect, key).astype(int)
    expected = np.rot90(plain, -angle // 90)
    out = conceal(pixels, turned, effect, key).astype(int)
    assert np.abs(out - expected).max() <= 3
    assert np.abs(out - plain).max() > 30


def test_a_tilted_outline_does_not_tilt_the_face(key, mask_over):
    pixels = np.full((200, 200, 3), (90, 110, 130), np.uint8)
    lying = mask_over(pixels, Region(Ellipse(100, 100, 60, 40, 90.0)))
    standing = mask_over(pixels, Region(Ellipse(100, 100, 40, 60)))
    effect = Decoy(jitter=0)
    both = lying.core & standing.core
    out, again = (conceal(pixels, mask, effect, key).astype(int)[both] for mask in (lying, standing))
    assert np.abs(out - again).max() <= 1


def test_hair_lies_above_the_face_and_the_face_is_lighter(key, head, mask_over):
    pixels = np.full((200, 200, 3), (90, 110, 130), np.uint8)
    out = luminance(conceal(pixels, mask_over(pixels, head(100, 100, 50, 65)), Decoy(jitter=0), key))
    assert out[38:44, 95:105].mean() + 25 < out[95:125, 80:120].mean()


def test_decoy_fills_a_box_that_somebody_drew(key, mask_over, textured):
    pixels = textured(120, 200)
    mask = mask_over(pixels, Region(Box(20, 40, 150, 30), 30.0))
    out = conceal(pixels, mask, Decoy(), key)
    assert (out != pixels)[mask.core].any(-1).mean() > 0.95


@pytest.mark.parametrize("size", [6, 20, 300])
@pytest.mark.parametrize("style", ["cells", "soft"])
def test_decoy_of_any_size_covers_a_face_at_the_edge(size, style, key, head, mask_over, textured):
    pixels = textured(size * 2, size * 2)
    mask = mask_over(pixels, head(0.1 * size, 0.2 * size, 0.7 * size, 0.7 * size))
    out = conceal(pixels, mask, Decoy(style=style), key)
    assert mask.core[0, 0]
    assert (out != pixels)[mask.core].any(-1).mean() > 0.9


def test_the_template_is_what_the_script_draws():
    spec = importlib.util.spec_from_file_location("make_decoy", ROOT / "scripts" / "make_decoy.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with importlib.resources.files("cloak.effects").joinpath("decoy.png").open("rb") as file:
        stored = np.asarray(Image.open(file)).astype(int)
    # Mathematics differ in the last digit between machines, and rounding makes a level of it.
    assert np.abs(stored - script.draw().astype(int)).max() <= 1


def test_a_template_that_does_not_decode_is_a_broken_installation(
    monkeypatch, tmp_path, key, head, mask_over, textured
):
    (tmp_path / "decoy.png").write_bytes(b"no picture")
    monkeypatch.setattr(decoy_module.importlib.resources, "files", lambda name: tmp_path)
    decoy_module._template.cache_clear()
    pixels = textured(60, 60)
    with pytest.raises(SetupError):
        conceal(pixels, mask_over(pixels, head(30, 30, 10, 12)), Decoy(), key)


@pytest.mark.parametrize(
    ("channels", "dtype", "tone"),
    [(3, "uint8", (200, 100, 50)), (1, "uint8", (124,)), (3, "uint16", (51400, 25700, 12850)), (1, "uint16", (31893,))],
)
def test_fill_paints_its_colour_in_every_kind_of_pixels(channels, dtype, tone, key, textured, head, mask_over):
    pixels = textured(60, 60, channels, dtype)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    out = conceal(pixels, mask, Fill((200, 100, 50)), key)
    assert (np.abs(out[mask.core].astype(int) - tone) <= 1 + 257 * (dtype == "uint16")).all()


def test_fill_in_cmyk_is_neutral_black_ink(key, textured, head, mask_over):
    pixels = textured(60, 60, 4)
    mask = mask_over(pixels, head(30, 30, 12, 15))
    assert (conceal(pixels, mask, Fill(), key)[mask.core] == (0, 0, 0, 127)).all()
    assert (conceal(pixels, mask, Fill((0, 0, 0)), key)[mask.core][:, 3] == 255).all()


@pytest.mark.parametrize("bad", [(1, 2), (1, 2, 256), (1, 2, -1), (1.0, 2, 3), "red", None, (True, 0, 0)], ids=str)
def test_colours_that_are_none_are_refused(bad):
    with pytest.raises(UsageError):
        Fill(bad)


def test_a_list_from_a_settings_file_is_the_same_fill():
    assert Fill([1, 2, 3]) == Fill((1, 2, 3))
    assert hash(Fill([1, 2, 3])) == hash(Fill((1, 2, 3)))


def test_an_unknown_style_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match="cells, soft"):
        Decoy(style="hard")
