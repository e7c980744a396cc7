"""What the onnxruntime detectors share: one thread, bounded memory, inputs padded to multiples of 32."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cloak.detect import weights
from cloak.detect.base import Detection
from cloak.geometry import RGB, Box
from cloak.weights import session as open_session

Floats = npt.NDArray[np.float32]

BLOCK = 256  # boxes that are compared with all others at a time
STRIDE = 32  # the coarsest feature map of both networks


def session(file: str) -> Any:
    """An onnxruntime session over a weight file of ours, on one thread of the CPU.

    Raises `SetupError` when the weights are wrong or onnxruntime cannot be loaded.
    """
    return open_session(weights.read(file), file)


def padded(image: RGB) -> npt.NDArray[np.uint8]:
    """(1, H', W', 3) uint8: the image with black below and to the right, up to multiples of 32."""
    height, width = image.shape[:2]
    tall, wide = -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE
    if (tall, wide) == (height, width):
        return np.ascontiguousarray(image)[None]
    canvas = np.zeros((1, tall, wide, 3), np.uint8)
    canvas[0, :height, :width] = image
    return canvas


def shared_area(some: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(M, N) areas that each of M boxes shares with each of N; boxes are rows of left, top, right, bottom."""
    width = np.minimum(some[:, None, 2], others[:, 2]) - np.maximum(some[:, None, 0], others[:, 0])
    height = np.minimum(some[:, None, 3], others[:, 3]) - np.maximum(some[:, None, 1], others[:, 1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    return np.asarray(width * height)


def suppress(boxes: Floats, scores: Floats, overlap: float) -> npt.NDArray[np.intp]:
    """Indices to keep, best first: greedy non-maximum suppression within one look.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,).
        overlap: a box is dropped when its IoU with a better one is above this.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    left = np.arange(len(order))
    kept: list[np.intp] = []
    # In blocks: one comparison of a block with all that is left is much cheaper than one for each box, and memory stays
    # bounded.
    while len(left):
        block = left[:BLOCK]
        near = shared_area(boxes[block], boxes[left])
        close = ~(near <= overlap * (area[block, None] + area[left] - near))
        free = np.ones(len(left), np.bool_)
        for row in range(len(block)):
            if free[row]:
                kept.append(order[block[row]])
                free &= ~close[row]
                free[row] = False
        left = left[free]
    return np.array(kept, np.intp)


def detections(name: str, boxes: Floats, scores: Floats, points: Floats, overlap: float) -> list[Detection]:
    """Hits from arrays, after non-maximum suppression: (N, 4) corners, (N,) scores, (N, 10) landmarks."""
    return [
        Detection(
            Box(left, top, right - left, bottom - top),
            score,
            name,
            tuple(zip(marks[::2], marks[1::2], strict=True)),
        )
        for index in suppress(boxes, scores, overlap)
        for left, top, right, bottom in [boxes[index].tolist()]
        for score, marks in [(float(scores[index]), points[index].tolist())]
    ]
