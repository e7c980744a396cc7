"""The detectors themselves, on real pictures."""

import cv2
import numpy as np
import pytest

from cloak.detect import registry

# What cv2.FaceDetectorYN (OpenCV 5.0) finds with the file as OpenCV Zoo publishes it: box, landmarks, score.
GOLDEN = {
    "astronaut": (
        (177.90, 62.67, 90.93, 113.82),
        ((199.97, 101.45), (247.32, 102.26), (220.29, 124.16), (198.56, 143.01), (239.83, 143.48)),
        0.93,
    ),
    "grace_hopper": (
        (182.86, 120.45, 171.06, 212.83),
        ((227.26, 193.38), (308.08, 195.43), (266.68, 240.24), (228.80, 268.44), (302.02, 270.21)),
        0.94,
    ),
    "biden": (
        (230.51, 97.61, 142.99, 202.03),
        ((279.94, 174.89), (343.41, 179.03), (314.40, 218.74), (276.05, 242.89), (331.69, 247.23)),
        0.94,
    ),
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_yunet_finds_what_opencv_finds(photo, name):
    box, landmarks, score = GOLDEN[name]
    (hit,) = [hit for hit in registry.load("yunet")(photo(name)) if hit.score > 0.5]
    assert (hit.box.x, hit.box.y, hit.box.width, hit.box.height) == pytest.approx(box, abs=0.5)
    assert np.array(hit.landmarks) == pytest.approx(np.array(landmarks), abs=0.5)
    assert hit.score == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_centerface_agrees_with_yunet_on_clear_faces(photo, name):
    (box, landmarks, _), image = GOLDEN[name], photo(name)
    (hit,) = [hit for hit in registry.load("centerface")(image) if hit.score > 0.5]
    x, y, width, height = box
    assert hit.box.center == pytest.approx((x + width / 2, y + height / 2), abs=0.15 * height)
    assert np.array(hit.landmarks) == pytest.approx(np.array(landmarks), abs=0.12 * height)


@pytest.mark.parametrize("name", ["yunet", "centerface"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (33, 31), (64, 64), (500, 3)])
def test_every_size_from_one_pixel_on_is_searched(name, shape):
    hits = registry.load(name)(np.full((*shape, 3), 128, np.uint8))
    assert [hit for hit in hits if hit.score > 0.5] == []


@pytest.mark.parametrize("name", ["yunet", "centerface"])
def test_the_same_image_gives_the_same_hits(photo, name):
    detector = registry.load(name)
    first = detector(photo("astronaut"))
    detector(photo("biden"))
    assert detector(photo("astronaut")) == first


@pytest.mark.parametrize("name", ["yunet", "centerface"])
def test_padding_does_not_move_a_face(photo, name):
    image = photo("astronaut")
    whole = max(registry.load(name)(image), key=lambda hit: hit.score)
    cut = max(registry.load(name)(image[:-5, :-11]), key=lambda hit: hit.score)
    assert whole.box.iou(cut.box) > 0.9


@pytest.mark.parametrize("name", ["blazeface-short", "blazeface-full"])
def test_blazeface_finds_a_portrait(photo, name):
    pytest.importorskip("mediapipe")
    image = cv2.copyMakeBorder(photo("astronaut"), 0, 0, 50, 50, cv2.BORDER_REPLICATE)
    hits = registry.load(name)(image)
    best = max(hits, key=lambda hit: hit.score)
    x, y, width, height = GOLDEN["astronaut"][0]
    assert best.box.center == pytest.approx((x + 50 + width / 2, y + height / 2), abs=0.3 * height)
    assert best.model == name
    assert len(best.landmarks) == 5
    assert abs(best.landmarks[0][0] - 250) < 20
