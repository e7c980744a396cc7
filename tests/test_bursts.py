"""Frames of a burst: the same scene is known again, another is not, and what one hides must not be bare in the next."""

import cv2
import numpy as np
import pytest

from cloak.bursts import GLANCE, LEAST, REACH, Bursts, Glance, bare_in, glance, likeness, moved
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

SIZE = Size(900, 600)
FACES = [Box(200, 150, 80, 100), Box(600, 180, 70, 90)]


@pytest.fixture
def scene(samples):
    image = cv2.cvtColor(cv2.imread(str(samples / "group.jpg")), cv2.COLOR_BGR2RGB)
    return cv2.resize(image, (1000, 700), interpolation=cv2.INTER_AREA)


def frame(scene, dx=0, dy=0, faces=FACES, light=1.0, seed=0):
    """A frame of the scene as published, the camera moved by some pixels; masks are filled with noise."""
    image = scene[50 + dy : 650 + dy, 50 + dx : 950 + dx].astype(np.float32) * light
    boxes = [face.shifted(-dx, -dy) for face in faces]
    regions = [Region(Ellipse(*box.center, box.width * 0.7, box.height * 0.7)) for box in boxes]
    masks = draw(regions, SIZE)
    rng = np.random.default_rng(seed)
    for mask in masks:
        image[mask.window()][mask.core] = rng.integers(0, 255)
    return glance(np.clip(image, 0, 255).astype(np.uint8), masks, boxes, SIZE)


@pytest.mark.parametrize(("dx", "dy", "light"), [(0, 0, 1.0), (14, -9, 0.9), (-40, 30, 1.08)])
def test_a_moved_frame_of_the_same_scene_is_known_again(scene, dx, dy, light):
    shift = moved(frame(scene), frame(scene, dx, dy, light=light, seed=1))
    assert shift is not None
    assert shift == pytest.approx((-dx, -dy), abs=15)


def test_another_scene_is_no_neighbour(scene, samples):
    other = cv2.cvtColor(cv2.imread(str(samples / "landscape.jpg")), cv2.COLOR_BGR2RGB)
    other = cv2.resize(other, (1000, 700), interpolation=cv2.INTER_AREA)
    assert moved(frame(scene), frame(other)) is None
    assert moved(frame(scene), frame(scene[:, ::-1])) is None


def test_a_frame_of_another_size_is_no_neighbour(scene):
    one = frame(scene)
    half = glance(scene, (), (), Size(450, 300))
    assert moved(one, half) is None


def one_by_one(one, other):
    """The likeness by its definition: the correlation of what is bare in both, for every shift that leaves enough."""
    best, shift = 0.0, (0, 0)
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            rows, columns = (slice(max(d, 0), n + min(d, 0)) for d, n in ((dy, GLANCE[1]), (dx, GLANCE[0])))
            rows_, columns_ = (slice(max(-d, 0), n + min(-d, 0)) for d, n in ((dy, GLANCE[1]), (dx, GLANCE[0])))
            both = one.bare[rows, columns] & other.bare[rows_, columns_]
            pair = one.light[rows, columns][both], other.light[rows_, columns_][both]
            if both.mean() >= LEAST and all(light.std() for light in pair):
                alike = np.corrcoef(*pair)[0, 1]
                if alike > best:
                    best, shift = alike, (dx, dy)
    return best, shift


@pytest.mark.parametrize("seed", range(8))
def test_the_likeness_is_the_best_correlation_over_all_shifts(seed):
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.normal(0, 900, (64, 80)).astype(np.float32), (0, 0), 3).round()
    seen = []
    for dx, dy in ((8, 8), rng.integers(2, 15, 2)):
        bare = rng.random((48, 64)) > 0.2
        bare[: rng.integers(0, 30)] = False
        light = wide[dy : dy + 48, dx : dx + 64] + rng.normal(0, 20, (48, 64)).round()
        seen.append(Glance(SIZE, light.astype(np.float32), bare, ()))
    best, shift = one_by_one(*seen)
    assert likeness(*seen) == (pytest.approx(best, abs=1e-5), shift)


def test_flat_or_covered_frames_are_like_nothing():
    flat = Glance(SIZE, np.full((48, 64), 90, np.float32), np.ones((48, 64), np.bool_), ())
    covered = Glance(SIZE, flat.light, np.zeros((48, 64), np.bool_), ())
    assert [likeness(one, flat) for one in (flat, covered)] == [(0.0, (0, 0))] * 2


def test_a_face_concealed_in_one_frame_and_bare_in_the_next_is_found_where_it_lies(scene):
    one, other = frame(scene), frame(scene, 30, 10, faces=FACES[:1])
    (place,) = bare_in(other, one)
    assert place.iou(FACES[1].shifted(-30, -10)) > 0.5
    assert bare_in(one, other) == ()


def test_a_face_that_left_the_frame_is_not_missed(scene):
    edge = [Box(0, 100, 60, 80)]
    assert bare_in(frame(scene, 45, 0, faces=[]), frame(scene, faces=edge)) == ()


def test_bursts_compare_neighbours_of_one_folder_in_any_order(scene):
    good, poor = frame(scene), frame(scene, 5, 5, faces=FACES[:1])
    for order in ([0, 1, 2, 3], [3, 1, 2, 0]):
        bursts = Bursts(["a", "a", "a", "b"])
        frames = {0: good, 1: poor, 2: good, 3: poor}
        found = [hit for number in order for hit in bursts.add(number, f"{number}.jpg", frames[number])]
        assert {number for number, _ in found} == {1}
        assert {bare.neighbour for _, bare in found} == {"0.jpg", "2.jpg"}
        assert bursts._kept == {}


def test_a_withheld_photo_ends_no_comparison(scene):
    bursts = Bursts(["a"] * 3)
    poor = frame(scene, faces=[])
    found = [*bursts.add(0, "0", frame(scene)), *bursts.add(1, "1", None), *bursts.add(2, "2", poor)]
    assert [number for number, _ in found] == [2, 2]
