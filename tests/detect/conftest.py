"""What the detection tests share: real public-domain portraits, and previews of arrays."""

import cv2
import numpy as np
import pytest

from cloak.geometry import Size
from tests.conftest import FACES


@pytest.fixture(scope="session")
def photo():
    """A portrait by name, (H, W, 3) uint8 RGB."""

    def read(name):
        image = cv2.imread(str(FACES / f"{name}.jpg"))
        assert image is not None
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    return read


def preview_of(image):
    def preview(step):
        height, width = image.shape[:2]
        if step == 1:
            return image
        return cv2.resize(image, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)

    return preview


def size_of(image):
    return Size(image.shape[1], image.shape[0])


def noise(height, width, seed=0):
    """Coarse random colours: texture without a face."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (height // 32 + 2, width // 32 + 2, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
