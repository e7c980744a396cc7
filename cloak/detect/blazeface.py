"""MediaPipe's BlazeFace (Bazarevsky et al. 2019) through the tasks API: a cheap second opinion on near faces."""

import atexit
from typing import Any

import numpy as np

from cloak.detect import weights
from cloak.detect.base import Detection
from cloak.errors import MissingExtra, SetupError
from cloak.geometry import RGB, Box

SHORT_RANGE = "blazeface_short_range.tflite"
FULL_RANGE = "blazeface_full_range_sparse.tflite"


class BlazeFace:
    """Finds large faces: those over about a seventh (short range) or a twelfth (full range) of the image.

    Landmarks: this model has one point for the mouth, which stands for both of its corners.

    Args:
        name: what the hits are called after.
        file: the weight file.
        floor: hits that score lower are not returned.

    Raises `MissingExtra` when mediapipe is not installed, `SetupError` when it does not load.
    """

    def __init__(self, name: str, file: str, floor: float = 0.1) -> None:
        data = weights.read(file)
        try:
            import mediapipe
            from mediapipe.tasks import python as tasks
            from mediapipe.tasks.python import vision
        except ImportError as error:
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "mediapipe":
                raise MissingExtra(f"the detector {name!r}", "mediapipe") from error
            raise SetupError(f"mediapipe cannot be loaded: {error.name or 'a system library is missing'}") from error
        options = vision.FaceDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=data), min_detection_confidence=floor
        )
        self._name = name
        self._mediapipe: Any = mediapipe
        try:
            self._task: Any = vision.FaceDetector.create_from_options(options)
        except Exception as error:
            raise SetupError(f"mediapipe cannot load the model weights {file!r}") from error
        # At the end of the process its destructor would start a thread, which Python refuses by then, and complain. The
        # system takes back what it holds.
        atexit.register(setattr, self._task, "_handle", None)

    @property
    def name(self) -> str:
        return self._name

    def __call__(self, image: RGB) -> list[Detection]:
        height, width = image.shape[:2]
        held = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        found = []
        for hit in self._task.detect(held).detections:
            box = hit.bounding_box
            marks = [(point.x * width, point.y * height) for point in hit.keypoints[:4]]
            found.append(
                Detection(
                    Box(float(box.origin_x), float(box.origin_y), float(box.width), float(box.height)),
                    float(hit.categories[0].score),
                    self._name,
                    (*marks[:3], marks[3], marks[3]) if len(marks) == 4 else None,
                )
            )
        return found
