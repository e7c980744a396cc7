"""The samples are what `samples/README.md` and `expected.json` say they are."""

import json
from pathlib import Path

import numpy as np
import piexif
import pytest
from PIL import Image, ImageOps

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
EXPECTED = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
PHOTOS = sorted(path.name for path in SAMPLES.iterdir() if path.suffix not in (".json", ".md"))


def test_every_sample_is_expected_and_described():
    assert sorted(EXPECTED) == PHOTOS
    readme = (SAMPLES / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in readme for name in PHOTOS)


def test_samples_are_small():
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 3_000_000


@pytest.mark.parametrize("name", PHOTOS)
def test_faces_lie_in_the_upright_picture(name):
    entry = EXPECTED[name]
    with Image.open(SAMPLES / name) as image:
        upright = ImageOps.exif_transpose(image)
    assert list(upright.size) == entry["size"]
    assert entry["no_face"] == (not entry["faces"])
    for x, y, width, height in entry["faces"]:
        assert width >= 10
        assert height >= 15
        assert 0 <= x + width / 2 < upright.width
        assert 0 <= y + height / 2 < upright.height


def test_the_samples_hold_the_traps_that_they_promise():
    with Image.open(SAMPLES / "turned.jpg") as image:
        assert image.getexif()[0x0112] == 6
    exif = piexif.load(str(SAMPLES / "located.jpg"))
    assert exif["GPS"]
    assert exif["thumbnail"].startswith(b"\xff\xd8")
    assert b"Planted City" in (SAMPLES / "located.jpg").read_bytes()
    with Image.open(SAMPLES / "cutout.png") as image:
        rgba = np.asarray(image)
    hidden = rgba[10:150, 350:470]
    assert (hidden[..., 3] == 0).all()
    assert hidden[..., :3].std() > 30
    assert EXPECTED["landscape.jpg"]["no_face"]
    assert len(EXPECTED["crowd.jpg"]["faces"]) > 100


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "data" / "faces").glob("*.jpg")), ids=lambda path: path.name)
def test_portraits_for_tests_carry_no_metadata(path):
    with Image.open(path) as image:
        assert image.width == 512
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
