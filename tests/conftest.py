"""What tests share: the samples, the benchmark data where it is present, and small real photos."""

import io
import json
import os
import stat
from functools import lru_cache
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from cloak.geometry import Box

# A busy machine is no reason for a test to fail.
hypothesis.settings.register_profile("cloak", deadline=None)
hypothesis.settings.load_profile("cloak")

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
FACES = ROOT / "tests" / "data" / "faces"
DATA = Path(os.environ.get("CLOAK_DATA") or ROOT.parent / "shared" / "data")
"""The benchmark data, which is not part of the repository."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of Ray first: they wait for most of their minutes, and at the end nothing would be left to do meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_cluster.py")


@pytest.fixture(scope="session")
def samples():
    return SAMPLES


@pytest.fixture(scope="session")
def expected():
    return json.loads((SAMPLES / "expected.json").read_text())


@pytest.fixture(scope="session")
def data():
    """The benchmark data, which is not part of the repository."""
    if not DATA.is_dir():
        pytest.skip("the benchmark data is not here (set CLOAK_DATA)")
    return DATA


@pytest.fixture
def folder_sync(monkeypatch):
    """A function: from then on the disk answers so when a folder is to be written to it."""
    real = os.fsync

    def fails(code):
        def fsync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(code, os.strerror(code))
            real(descriptor)

        monkeypatch.setattr("cloak.files.os.fsync", fsync)

    return fails


@lru_cache
def _portrait(side):
    image = Image.open(FACES / "astronaut.jpg").convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


@lru_cache
def from_behind():
    """A portrait whose face is painted over like hair, (H, W, 3) uint8 RGB, and the box of what was painted.

    Detectors see somebody from behind: a person, and no face.
    """
    import cv2

    portrait = np.asarray(Image.open(FACES / "obama.jpg").convert("RGB"))
    image = cv2.copyMakeBorder(portrait, 100, 0, 200, 200, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    painted = Box(378, 117, 196, 268)
    center, half = tuple(map(int, painted.center)), (int(painted.width / 2), int(painted.height / 2))
    mask = cv2.ellipse(np.zeros((height, width), np.uint8), center, half, 0, 0, 360, 255, -1)
    grain = np.random.default_rng(1).normal(0, 40, (height, width)).astype(np.float32)
    hair = np.clip((60, 45, 35) + cv2.GaussianBlur(grain, (0, 0), 0.8)[..., None], 0, 255)
    weight = cv2.GaussianBlur(mask, (0, 0), 3)[..., None] / 255
    return (image * (1 - weight) + hair * weight).astype(np.uint8), painted


@pytest.fixture
def behind():
    """A JPEG of somebody seen from behind; see `from_behind`."""
    buffer = io.BytesIO()
    Image.fromarray(from_behind()[0]).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture
def portrait():
    """(H, W, 3) uint8 RGB, 256 pixels high: one face (NASA, public domain)."""
    return _portrait(256).copy()


@pytest.fixture
def jpeg(portrait):
    """A function that gives the portrait as JPEG bytes; keywords go to Pillow."""

    def encode(**options):
        buffer = io.BytesIO()
        Image.fromarray(portrait).save(buffer, "JPEG", **{"quality": 90, **options})
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def landscape():
    """A JPEG without any face."""
    return (SAMPLES / "landscape.jpg").read_bytes()


@pytest.fixture(scope="session")
def s3():
    """An S3 server, one a session; every test makes buckets of its own."""
    from tests.s3 import Server

    server = Server()
    yield server
    server.close()
