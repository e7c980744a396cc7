"""YuNet (Wu, Peng and Yu 2023) in onnxruntime: the default detector."""

from typing import Any

import numpy as np

from cloak.detect import network
from cloak.detect.base import Detection
from cloak.geometry import RGB

FILE = "yunet_2023mar.onnx"
STRIDES = (8, 16, 32)
OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in ("scores", "places")]


class YuNet:
    """Finds faces of about 10 to 300 pixels in the image it is given.

    Args:
        floor: hits that score lower are not returned.
        overlap: IoU above which the weaker of two hits is taken for the same face.
    """

    def __init__(self, floor: float = 0.1, overlap: float = 0.4) -> None:
        self.floor = floor
        self.overlap = overlap
        self.session: Any = network.session(FILE)

    @property
    def name(self) -> str:
        return "yunet"

    def __call__(self, image: RGB) -> list[Detection]:
        tensor = network.padded(image)
        answer = [output[0] for output in self.session.run(OUTPUTS, {"image": tensor})]
        boxes, points, scores = [], [], []
        for stride, chances, places in zip(STRIDES, answer[::2], answer[1::2], strict=True):
            # The score is the geometric mean of class and objectness, each held to 0..1 (OpenCV's FaceDetectorYN).
            # A NaN must not vanish in a comparison: "not below" keeps it, and the caller refuses it.
            product = np.prod(np.clip(chances, 0, 1), axis=0)
            row, column = np.nonzero(~(product < self.floor**2))
            place = places[:, row, column].T
            corner = np.stack([column, row], 1).astype(np.float32)
            middle = (corner + place[:, :2]) * stride
            half = np.exp(place[:, 2:4]) * (stride / 2)
            boxes.append(np.concatenate([middle - half, middle + half], 1))
            points.append((np.tile(corner, 5) + place[:, 4:]) * stride)
            scores.append(np.sqrt(product[row, column]))
        return network.detections(
            self.name, np.concatenate(boxes), np.concatenate(scores), np.concatenate(points), self.overlap
        )
