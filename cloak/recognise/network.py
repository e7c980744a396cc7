"""A recogniser that is an ONNX graph: pictures in, embeddings out."""

from typing import Any

import numpy as np

from cloak import weights
from cloak.geometry import RGB
from cloak.recognise.base import Embeddings, Frame, unit

BATCH = 16
"""Faces that are looked at together: more cost memory and save no time on one thread."""


class Network:
    """A network in onnxruntime, on one thread.

    Args:
        name: of the recogniser.
        frame: of the pictures it takes.
        model: an ONNX graph from `faces`, (N, side, side, 3) uint8 RGB, to (N, D) float32.
    """

    def __init__(self, name: str, frame: Frame, model: bytes) -> None:
        self.name = name
        self.frame = frame
        self._session: Any = weights.session(model, name)
        (answer,) = self._session.get_outputs()
        self._width = int(answer.shape[1])

    def __call__(self, faces: RGB) -> Embeddings:
        rows = [np.zeros((0, self._width), np.float32)]
        for start in range(0, len(faces), BATCH):
            (answer,) = self._session.run(None, {"faces": np.ascontiguousarray(faces[start : start + BATCH])})
            rows.append(answer)
        return unit(np.concatenate(rows))
