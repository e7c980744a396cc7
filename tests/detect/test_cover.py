import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloak.detect import RECIPES, find, registry
from cloak.detect.base import Face
from cloak.detect.cover import cover
from cloak.geometry import Box, Size
from cloak.masks import draw
from tests.detect.conftest import preview_of, size_of

# Where the parts of a face lie in its annotated box (brow to chin, ear to ear), as shares of width and height.
PARTS = {
    "left eye": (0.3, 0.38),
    "right eye": (0.7, 0.38),
    "nose": (0.5, 0.6),
    "mouth": (0.5, 0.8),
    "chin": (0.5, 1.0),
    "brow": (0.5, 0.0),
    "left ear": (0.0, 0.5),
    "right ear": (1.0, 0.5),
}


def inside(region, x, y):
    return float(region.shape.distance(np.array([x], np.float32), np.array([y], np.float32))[0]) <= 1


boxes = st.builds(Box, st.floats(0, 500), st.floats(0, 500), st.floats(4, 300), st.floats(4, 300))


@given(boxes, st.sampled_from(["head", "face"]), st.floats(1.3, 2.0))
def test_an_upright_cover_holds_every_part_of_the_box(box, shape, scale):
    region = cover(Face(box, 0.9, ("yunet",)), shape=shape, scale=scale)
    for x, y in PARTS.values():
        assert inside(region, box.x + x * box.width, box.y + y * box.height)


@given(st.floats(20, 300), st.floats(1.0, 1.5), st.floats(-180, 180), st.sampled_from(["head", "face"]))
def test_a_turned_head_is_covered_from_brow_to_chin_and_ear_to_ear(width, ratio, angle, shape):
    # A head that is an ellipse of width x height, turned; a detector gives the upright box around it.
    t = math.radians(angle)
    height = width * ratio
    half_w = math.hypot(width / 2 * math.cos(t), height / 2 * math.sin(t))
    half_h = math.hypot(width / 2 * math.sin(t), height / 2 * math.cos(t))
    face = Face(Box(-half_w, -half_h, 2 * half_w, 2 * half_h), 0.9, ("yunet",), angle=angle)
    region = cover(face, shape=shape)
    for x, y in PARTS.values():
        dx, dy = (x - 0.5) * width, (y - 0.5) * height
        assert inside(region, dx * math.cos(t) - dy * math.sin(t), dx * math.sin(t) + dy * math.cos(t))


@given(boxes, st.floats(-180, 180))
def test_a_wrong_tilt_still_covers_most_of_the_box(box, angle):
    region = cover(Face(box, 0.9, ("yunet",), angle=angle))
    x, y = np.meshgrid(box.x + box.width * (np.arange(20) + 0.5) / 20, box.y + box.height * (np.arange(20) + 0.5) / 20)
    assert (region.shape.distance(x.astype(np.float32), y.astype(np.float32)) <= 1).mean() > 0.9


@given(boxes, boxes)
def test_a_larger_extent_is_covered_too(box, other):
    extent = box.united(other)
    region = cover(Face(box, 0.9, ("yunet",), extent=extent))
    for x, y in PARTS.values():
        assert inside(region, extent.x + x * extent.width, extent.y + y * extent.height)


def test_a_head_reaches_further_up_than_a_face():
    face = Face(Box(100, 100, 80, 100), 0.9, ("yunet",))
    assert cover(face).shape.bounds().y < cover(face, shape="face").shape.bounds().y
    assert cover(face).shape.bounds().bottom == pytest.approx(cover(face, shape="face").shape.bounds().bottom)


def test_a_face_that_fills_the_frame_is_covered_up_to_its_edges(photo):
    close = photo("grace_hopper")[125:330, 185:350]
    found = find(preview_of(close), size_of(close), RECIPES["balanced"])
    masks = draw([cover(face) for face in found.faces], size_of(close))
    core = np.zeros(close.shape[:2], bool)
    for mask in masks:
        core[mask.window()] |= mask.core
    assert core.mean() > 0.95
    middle = core[close.shape[0] // 2]
    assert middle[0]
    assert middle[-1]
    assert core[0, close.shape[1] // 2]
    assert core[-1, close.shape[1] // 2]


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper", "obama", "biden"])
@pytest.mark.parametrize("angle", [0, 20, 40, 90, 180])
def test_eyes_nose_and_mouth_of_real_faces_lie_inside_at_every_tilt(photo, name, angle):
    import cv2

    image = photo(name)
    (hit,) = [hit for hit in registry.load("yunet")(image) if hit.score > 0.8]
    size = size_of(image)
    turn = cv2.getRotationMatrix2D(hit.box.center, -angle, 1.0)
    turned = cv2.warpAffine(image, turn, (size.width, size.height), borderMode=cv2.BORDER_REPLICATE)
    recipe = RECIPES["balanced"] if angle in (0, 20, 90, 180) else RECIPES["thorough"]
    found = find(preview_of(turned), size, recipe)
    regions = [cover(face) for face in found.faces]
    height = hit.box.height
    chin = (hit.box.center[0], hit.box.bottom - 0.02 * height)
    for x, y in (*hit.landmarks, chin):
        px, py = turn @ (x, y, 1)
        assert any(inside(region, px, py) for region in regions)


@pytest.mark.slow
def test_annotated_faces_that_are_found_are_covered(data):
    import cv2

    faces = data / "faces"
    with (faces / "boxes.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["file"].startswith("groups/")]
    covered = total = 0
    for file in sorted({row["file"] for row in rows})[:8]:
        image = cv2.cvtColor(cv2.imread(str(faces / file)), cv2.COLOR_BGR2RGB)
        size = Size(image.shape[1], image.shape[0])
        core = np.zeros(image.shape[:2], bool)
        for mask in draw([cover(f) for f in find(preview_of(image), size, RECIPES["balanced"]).faces], size):
            core[mask.window()] |= mask.core
        for row in rows:
            if row["file"] == file and "invalid=1" not in row["attrs"] and float(row["h"]) >= 8:
                x, y, w, h = (round(float(row[key])) for key in "xywh")
                part = core[max(y, 0) : y + h, max(x, 0) : x + w]
                covered += part.mean() >= 0.9
                total += 1
    assert covered >= 0.95 * total
