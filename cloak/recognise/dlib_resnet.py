"""dlib's face recognition ResNet, run by dlib itself."""

from pathlib import Path

import numpy as np

from cloak.errors import MissingExtra, SetupError
from cloak.geometry import RGB
from cloak.recognise.base import Embeddings, Frame, unit


class DlibResNet:
    """128 numbers a face. dlib means distances of up to 0.6 between them; like all others, they are scaled to length 1.

    Args:
        frame: 150 pixels, as dlib's own chips.
        path: of `dlib_face_recognition_resnet_model_v1.dat`.
    """

    name = "dlib"

    def __init__(self, frame: Frame, path: Path) -> None:
        try:
            import dlib
        except ImportError as error:
            raise MissingExtra("the recogniser 'dlib'", "audit") from error
        self.frame = frame
        try:
            self._model = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise SetupError("dlib cannot load the recogniser's weights") from error

    def __call__(self, faces: RGB) -> Embeddings:
        if not len(faces):
            return np.zeros((0, 128), np.float32)
        found = self._model.compute_face_descriptor([np.ascontiguousarray(face) for face in faces])
        return unit(np.array(found, np.float32))
