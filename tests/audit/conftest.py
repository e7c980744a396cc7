"""Four people with four photos each, made of public-domain portraits: mirrored, moved, lighter, recompressed."""

import cv2
import numpy as np
import pytest

from tests.conftest import FACES


def _variants(image):
    height, width = image.shape[:2]
    yield image
    yield image[:, ::-1]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), 6, 1.1)
    yield np.clip(cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT) * 1.15, 0, 255)
    yield cv2.GaussianBlur(image, (0, 0), 1.0) * 0.85


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    for name in ("astronaut", "biden", "grace_hopper", "obama"):
        image = cv2.imread(str(FACES / f"{name}.jpg"))
        scale = 240 / image.shape[0]
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        (folder / name).mkdir()
        for index, variant in enumerate(_variants(image)):
            cv2.imwrite(str(folder / name / f"{index}.png"), variant.astype(np.uint8))
    return folder
