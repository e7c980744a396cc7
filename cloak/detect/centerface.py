"""CenterFace (Xu et al. 2019) in onnxruntime: slower than YuNet, surer of tiny and of turned faces."""

from typing import Any

import numpy as np

from cloak.detect import network
from cloak.detect.base import Detection
from cloak.geometry import RGB

FILE = "centerface.onnx"
STRIDE = 4
OUTPUTS = ["537", "538", "539", "540"]  # heat map, sizes, offsets, landmarks


class CenterFace:
    """Finds faces of about 8 to 300 pixels in the image it is given.

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
        return "centerface"

    def __call__(self, image: RGB) -> list[Detection]:
        heat, size, offset, marks = self.session.run(OUTPUTS, {"image": network.padded(image)})
        # A NaN must not vanish in a comparison: "not below" keeps it, and the caller refuses it.
        rows, columns = np.nonzero(~(heat[0, 0] < self.floor))
        scores = heat[0, 0, rows, columns]
        # Every pair is (vertical, horizontal).
        extent = np.exp(size[0][:, rows, columns].T) * STRIDE
        middle = (np.stack([rows, columns], 1) + offset[0][:, rows, columns].T + np.float32(0.5)) * STRIDE
        corner = middle - extent / 2
        boxes = np.concatenate([corner[:, ::-1], (corner + extent)[:, ::-1]], 1)
        places = marks[0][:, rows, columns].T.reshape(-1, 5, 2) * extent[:, None] + corner[:, None]
        points = places[:, :, ::-1].reshape(-1, 10)
        return network.detections(self.name, boxes, scores, points, self.overlap)
