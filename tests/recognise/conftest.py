"""Portraits of four people, with the landmarks that YuNet finds."""

import cv2
import pytest

from cloak.detect import registry
from tests.conftest import FACES

PEOPLE = ("astronaut", "biden", "grace_hopper", "obama")


@pytest.fixture(scope="session")
def portraits():
    """Name -> (image, (H, W, 3) uint8 RGB; landmarks)."""
    found = {}
    for name in PEOPLE:
        image = cv2.cvtColor(cv2.imread(str(FACES / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        best = max(registry.load("yunet")(image), key=lambda hit: hit.score)
        found[name] = image, best.landmarks
    return found
