"""Pictures brought to the scale and turn of a look, and points brought back."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cloak.detect.base import Detection
from cloak.errors import DetectionFailed, SetupError, starved, without_memory
from cloak.geometry import RGB, Box, Size, sampled

BRIGHT = 0.995
"""The share of a picture's values that are darker than its lights."""

DARK, LIGHT = 96, 224
"""Pictures whose lights are darker than the one are raised to the other."""

GAIN = 64.0
"""At most: below four levels there is more noise than picture."""

Matrix: TypeAlias = npt.NDArray[np.float64]


@cache
def opencv() -> Any:
    """OpenCV, imported when it is first needed. Raises `SetupError` that names a missing system library."""
    try:
        import cv2
    except ImportError as error:
        library = re.search(r"lib[\w.+-]+\.so[\w.]*", str(error))
        if library is None:
            raise SetupError("OpenCV cannot be loaded", next_step="Reinstall opencv-python-headless.") from error
        raise SetupError(
            f"OpenCV cannot be loaded: the system library {library[0]} is missing",
            next_step=f"Install the system's package that holds {library[0]} (Debian: libgl1, libglib2.0-0), "
            "or reinstall opencv-python-headless, which needs none.",
        ) from error
    return cv2


def resized(image: RGB, size: Size) -> RGB:
    """The image at another size; itself when equal. Shrinks by halves first, so that small faces do not alias away.

    Bilinear throughout: halving by it is the exact mean of four pixels, and OpenCV's own averaging by other factors is
    five to twenty times as slow.
    """
    cv2 = opencv()
    height, width = image.shape[:2]
    while width > 2 * size.width and height > 2 * size.height:
        width, height = -(-width // 2), -(-height // 2)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if (width, height) != (size.width, size.height):
        image = cv2.resize(image, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8)


def exposed(image: RGB) -> RGB:
    """The image made brighter if all of it is dark; itself otherwise.

    What is too dark for a network is not too dark for whoever raises the exposure of a published photo: of faces that
    are found in the original, a sixteenth of the light leaves YuNet a half, a thirty-second none. A gain alone brings
    them back, as far as the levels that are left can tell (benchmarks/exposure.py).
    """
    cv2 = opencv()
    step = max(min(image.shape[:2]) // 256, 1)
    bright = float(np.quantile(image[::step, ::step], BRIGHT))
    if not 0 < bright < DARK:
        return image
    return np.asarray(cv2.convertScaleAbs(image, alpha=min(LIGHT / bright, GAIN)), np.uint8)


def window(image: RGB, box: Box, size: Size, turn: float = 0.0) -> tuple[RGB, Callable[[Detection], Detection]]:
    """What lies in `box` of the image, brought to `size` and turned clockwise around its centre; black outside.

    Also returns the way back for hits: from pixels of the window to pixels of the image. Raises `DetectionFailed` where
    OpenCV cannot do it.
    """
    cv2 = opencv()
    forward = _affine(box, size, turn)
    backward: Matrix = np.asarray(np.linalg.inv(forward), np.float64)
    rows, columns = sampled(forward, size, Size(image.shape[1], image.shape[0]))
    here = forward @ np.array([[1, 0, columns.start], [0, 1, rows.start], [0, 0, 1]])
    try:
        crop = cv2.warpAffine(image[rows, columns], here[:2], (size.width, size.height), flags=cv2.INTER_LINEAR)
    except cv2.error as error:
        if starved(error):
            raise without_memory() from error
        raise DetectionFailed("a part of the picture is too long for a closer look") from error

    def back(hit: Detection) -> Detection:
        return moved(hit, lambda x, y: _apply(backward, x, y))

    return np.asarray(crop, np.uint8), back


def _affine(box: Box, size: Size, turn: float) -> Matrix:
    sx, sy = size.width / box.width, size.height / box.height
    t = np.radians(turn)
    cx, cy = box.center
    # Coordinates are of pixel corners; warpAffine counts from pixel centres, hence the halves.
    center = np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1]]) @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    turned = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1]])
    place = np.array([[sx, 0, size.width / 2 - 0.5], [0, sy, size.height / 2 - 0.5], [0, 0, 1]])
    return np.asarray(place @ turned @ center, np.float64)


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    # The matrix speaks of pixel centres, hits of pixel corners.
    px, py = x - 0.5, y - 0.5
    return (
        float(matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2]) + 0.5,
        float(matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2]) + 0.5,
    )


def turned(tile: RGB, turn: int) -> RGB:
    """The tile turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(tile, -(turn // 90))) if turn else tile


def unturned(hit: Detection, turn: int, width: int, height: int) -> Detection:
    """A hit in a tile that `turned` made, in pixels of the tile before (`width` x `height`)."""
    ways: dict[int, Callable[[float, float], tuple[float, float]]] = {
        0: lambda x, y: (x, y),
        90: lambda x, y: (y, height - x),
        180: lambda x, y: (width - x, height - y),
        270: lambda x, y: (width - y, x),
    }
    return moved(hit, ways[turn]) if turn else hit


def moved(hit: Detection, way: Callable[[float, float], tuple[float, float]]) -> Detection:
    """The hit with every point taken along `way`; the box becomes the upright one around its corners."""
    box = hit.box
    (ax, ay), (bx, by) = way(box.x, box.y), way(box.right, box.bottom)
    (cx, cy), (dx, dy) = way(box.right, box.y), way(box.x, box.bottom)
    xs, ys = (ax, bx, cx, dx), (ay, by, cy, dy)
    marks = None if hit.landmarks is None else tuple(way(x, y) for x, y in hit.landmarks)
    place = Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Detection(place, hit.score, hit.model, marks)
