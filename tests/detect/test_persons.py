"""Persons of whom no face was found, on real pictures; and what the search makes of their detector's answers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cloak.detect import RECIPES, Detection, Face, find, registry, weights
from cloak.detect.persons import faceless, heads
from cloak.detect.recipe import ALWAYS, NEVER
from cloak.errors import DetectionFailed, SetupError, UnknownName
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.pipeline import load
from tests.conftest import from_behind
from tests.detect.conftest import noise, preview_of, size_of

# What the graph finds with weights in single precision, made from the package's own: score, box.
GOLDEN = {
    "astronaut": (0.728, (16.0, 14.5, 347.8, 493.8)),
    "grace_hopper": (0.838, (5.7, 16.5, 504.7, 585.1)),
    "biden": (0.855, (20.0, 51.0, 492.3, 522.9)),
    "obama": (0.843, (27.9, 11.9, 454.7, 618.6)),
}


def nanodet(image):
    return registry.load("nanodet")(image)


@pytest.fixture(scope="module")
def behind():
    return from_behind()


def search(image, **changes):
    return find(preview_of(image), size_of(image), replace(RECIPES["balanced"], **changes))


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_weights_of_8_bits_find_what_those_in_single_precision_find(photo, name):
    score, box = GOLDEN[name]
    (hit,) = [hit for hit in nanodet(photo(name)) if hit.score > 0.4]
    assert hit.score == pytest.approx(score, abs=0.01)
    assert (hit.box.x, hit.box.y, hit.box.width, hit.box.height) == pytest.approx(box, abs=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (33, 31), (64, 64), (500, 3), (3000, 100)])
def test_every_size_from_one_pixel_on_is_searched(shape):
    assert [hit for hit in nanodet(np.full((*shape, 3), 128, np.uint8)) if hit.score > 0.4] == []


def test_the_same_image_gives_the_same_hits(photo):
    first = nanodet(photo("astronaut"))
    nanodet(photo("biden"))
    assert nanodet(photo("astronaut")) == first


def test_a_person_is_found_where_it_stands_in_a_larger_picture(photo):
    image = noise(900, 1500)
    image[200:840, 700:1212] = photo("obama")
    best = max(nanodet(image), key=lambda hit: hit.score)
    assert best.box.iou(Box(*GOLDEN["obama"][1]).shifted(700, 200)) > 0.8


@pytest.mark.parametrize("recall", ["balanced", "thorough"])
def test_somebody_seen_from_behind_is_flagged_where_the_head_is(behind, recall):
    image, painted = behind
    found = find(preview_of(image), size_of(image), RECIPES[recall])
    assert not any(face.box.intersection(painted) for face in (*found.faces, *found.doubtful))
    (head,) = faceless(found.heads, (*found.faces, *found.doubtful), ())
    assert head.models == ("nanodet",)
    assert 0.6 < head.score <= 1
    assert head.box.intersection(painted) > 0.6 * painted.area


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_whose_face_is_found_is_not_flagged(photo, name):
    found = search(photo(name), persons=ALWAYS)
    assert len(found.heads) == 1
    assert len(found.faces) == 1
    assert faceless(found.heads, found.faces, ()) == ()


def test_persons_are_not_looked_for_unless_asked_for(behind, monkeypatch):
    monkeypatch.setitem(registry.PERSONS, "nanodet", lambda: pytest.fail("it was loaded"))
    registry.load.cache_clear()
    assert search(behind[0], persons=NEVER).heads == ()
    assert find(preview_of(behind[0]), size_of(behind[0]), RECIPES["fast"]).heads == ()


def test_in_small_photos_only_thorough_looks_for_persons(photo):
    image = photo("biden")  # 0.3 megapixels
    assert search(image).heads == ()
    assert len(search(image, persons=ALWAYS).heads) == 1
    assert len(find(preview_of(image), size_of(image), RECIPES["thorough"]).heads) == 1


def test_heads_smaller_than_the_smallest_face_are_left_out(behind):
    image, _ = behind
    (head,) = search(image).heads
    assert search(image, min_face=1.2 * head.box.height).heads == ()


def test_the_place_is_in_pixels_of_the_photo_whatever_the_preview(behind):
    image = np.repeat(np.repeat(behind[0], 3, 0), 3, 1)
    (large,) = search(image, min_face=96).heads
    (small,) = search(behind[0]).heads
    assert large.box.scaled(1 / 3).iou(small.box) > 0.9


def test_an_answer_that_is_not_finite_withholds_the_photo(behind, monkeypatch):
    broken = Detection(Box(0, 0, math.nan, 10), 0.9, "nanodet")
    monkeypatch.setitem(registry.PERSONS, "nanodet", lambda: lambda image: [broken])
    registry.load.cache_clear()
    with pytest.raises(DetectionFailed, match="not finite"):
        search(behind[0])
    registry.load.cache_clear()


def test_damaged_weights_are_refused(behind, tmp_path, monkeypatch):
    data = bytearray(weights.read("nanodet_g.onnx"))
    data[100_000] ^= 1
    for name in ("yunet_2023mar.onnx", "centerface.onnx"):
        (tmp_path / name).write_bytes(weights.read(name))
    (tmp_path / "nanodet_g.onnx").write_bytes(data)
    weights.provenance()
    monkeypatch.setattr("cloak.weights.folder", lambda package: tmp_path)
    registry.load.cache_clear()
    with pytest.raises(SetupError, match=r"nanodet_g.*SHA-256"):
        search(behind[0])
    registry.load.cache_clear()


def test_a_detector_of_persons_is_no_model_of_faces():
    assert "nanodet" not in registry.names()
    with pytest.raises(UnknownName, match="nanodet"):
        load("photographer", models=["nanodet"])


SIZE = Size(1000, 1000)
STANDING = Detection(Box(400, 100, 200, 800), 0.8, "nanodet")


def test_the_head_is_at_the_top_in_the_middle():
    (head,) = heads([STANDING], 1.0, SIZE, 12)
    assert head.box.center[0] == 500
    assert head.box.y == 100
    assert 150 < head.box.width < 200
    assert 180 < head.box.height < 240


def test_weak_persons_and_those_outside_are_nobody():
    assert heads([replace(STANDING, score=0.39), replace(STANDING, box=Box(1000, 0, 50, 90))], 1.0, SIZE, 12) == ()


FACE = Face(Box(450, 130, 100, 130), 0.9, ("yunet",))


@pytest.mark.parametrize(
    ("face", "flagged"),
    [
        (FACE, False),
        (replace(FACE, box=Box(490, 150, 20, 30)), False),  # small, but where the head is
        (replace(FACE, box=Box(450, 400, 150, 190)), False),  # somebody near: the head is larger than guessed
        (replace(FACE, box=Box(480, 480, 40, 50)), True),  # a child before the body
        (replace(FACE, box=Box(650, 130, 100, 130)), True),  # beside
        (replace(FACE, box=Box(450, 700, 150, 190)), True),  # at the feet
    ],
)
def test_a_face_is_a_persons_where_its_head_is(face, flagged):
    people = heads([STANDING], 1.0, SIZE, 12)
    assert bool(faceless(people, [face], ())) is flagged


@pytest.mark.parametrize(
    ("shape", "flagged"),
    [
        (Ellipse(500, 200, 120, 150), False),
        (Box(400, 90, 200, 140), False),
        (Box(400, 90, 200, 60), True),
        (Box(0, 0, 300, 300), True),
    ],
)
def test_a_head_that_is_concealed_for_the_most_part_needs_no_flag(shape, flagged):
    people = heads([STANDING], 1.0, SIZE, 12)
    assert bool(faceless(people, (), [Region(shape)])) is flagged
