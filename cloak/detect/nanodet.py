"""NanoDet (RangiLyu 2021) in onnxruntime: whole persons, whichever way they look."""

from typing import Any

import numpy as np

from cloak.detect import network, scaling
from cloak.detect.base import Detection
from cloak.geometry import RGB, Box, Size

FILE = "nanodet_g.onnx"
SIDE = 416
"""Longer side, in pixels, at which it was trained and sees a picture."""

STRIDES = (8, 16, 32)
BINS = 11
"""For each side of a person: how many strides away it is, 0 to 10."""

OUTPUTS = [f"{name}_{stride}" for stride in STRIDES for name in ("scores", "sides")]


class NanoDet:
    """Finds persons of at least about a tenth of the image, from all sides; boxes are of whole persons.

    Args:
        floor: hits that score lower are not returned.
        overlap: IoU above which the weaker of two hits is taken for the same person.
    """

    def __init__(self, floor: float = 0.2, overlap: float = 0.45) -> None:
        self.floor = floor
        self.overlap = overlap
        self.session: Any = network.session(FILE)

    @property
    def name(self) -> str:
        return "nanodet"

    def __call__(self, image: RGB) -> list[Detection]:
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        small = scaling.resized(image, Size(max(1, round(width * scale)), max(1, round(height * scale))))
        maps = self.session.run(OUTPUTS, {"image": network.padded(small)})
        boxes, scores = [], []
        for stride, heat, sides in zip(STRIDES, maps[::2], maps[1::2], strict=True):
            # A NaN must not vanish in a comparison: "not below" keeps it, and the caller refuses it.
            rows, columns = np.nonzero(~(heat[0, 0] < self.floor))
            # A distribution over how far each side is (Li et al.: generalized focal loss, 2020).
            logits = sides[0][:, rows, columns].T.reshape(len(rows), 4, BINS)
            odds = np.exp(logits - logits.max(2, keepdims=True))
            steps = np.arange(BINS, dtype=np.float32)
            left, top, right, bottom = ((odds @ steps) / odds.sum(2) * stride).T
            x, y = (columns + np.float32(0.5)) * stride, (rows + np.float32(0.5)) * stride
            boxes.append(np.stack([x - left, y - top, x + right, y + bottom], 1))
            scores.append(heat[0, 0, rows, columns])
        corners = (np.concatenate(boxes) / scale).astype(np.float32)
        sure = np.concatenate(scores)
        return [
            Detection(Box(left, top, right - left, bottom - top), float(sure[index]), self.name)
            for index in network.suppress(corners, sure, self.overlap)
            for left, top, right, bottom in [corners[index].tolist()]
        ]
