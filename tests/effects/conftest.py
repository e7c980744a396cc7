"""Pictures, regions and masks that the tests of effects share."""

import numpy as np
import pytest

from cloak.effects import Noise
from cloak.geometry import Ellipse, Region, Size
from cloak.masks import draw


@pytest.fixture(scope="session")
def key():
    return Noise(b"a key of the tests")


@pytest.fixture(scope="session")
def textured():
    """A function that gives noise over a ramp: every pixel differs from its neighbours."""

    def make(height, width, channels=3, dtype="uint8", seed=0):
        random = np.random.default_rng(seed)
        ramp = np.linspace(0.2, 0.7, width)[None, :, None]
        values = np.clip(ramp + random.uniform(-0.2, 0.2, (height, width, channels)), 0, 1)
        return np.rint(values * np.iinfo(dtype).max).astype(dtype)

    return make


@pytest.fixture(scope="session")
def head():
    """A function that gives the region of a head."""

    def make(cx, cy, rx, ry, angle=0.0):
        return Region(Ellipse(cx, cy, rx, ry, angle), angle)

    return make


@pytest.fixture(scope="session")
def mask_over():
    """A function that gives the one mask over regions that touch; its window is the whole picture."""

    def make(pixels, *regions, feather=0.15):
        masks = draw(regions, Size(pixels.shape[1], pixels.shape[0]), feather=feather, margin=1000.0)
        assert len(masks) == 1
        assert masks[0].core.shape == pixels.shape[:2]
        return masks[0]

    return make
