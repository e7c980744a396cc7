"""What is done to photos in an audit: effects as the anonymizer paints them, and what others do to photos later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from cloak import effects
from cloak.detect import Face
from cloak.detect.cover import cover
from cloak.effects import Effect, Noise
from cloak.geometry import RGB, Size
from cloak.masks import draw
from cloak.pipeline import Cover


@dataclass(frozen=True, slots=True)
class Treatment:
    """An effect with its cover, under a name; None leaves the photo as it is."""

    name: str
    effect: Effect | None
    cover: Cover = Cover()  # noqa: RUF009

    def __call__(self, image: RGB, faces: Sequence[Face], key: bytes) -> RGB:
        """The picture with all faces concealed, as `cloak.anonymize` does it, before it is encoded."""
        if self.effect is None:
            return image
        out = image.copy()
        regions = [cover(face, shape=self.cover.shape, scale=self.cover.scale) for face in faces]
        for mask in draw(regions, Size(image.shape[1], image.shape[0]), feather=self.cover.feather):
            window = mask.window()
            out[window] = effects.conceal(image[window], mask, self.effect, Noise(key))
        return out


def _jpeg(image: RGB, quality: int = 85) -> RGB:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)


def _half(image: RGB) -> RGB:
    """Half the size, and back: places keep their coordinates."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _sharpen(image: RGB) -> RGB:
    soft = cv2.GaussianBlur(image, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(image, 2.0, soft, -1.0, 0), np.uint8)


LATER: Mapping[str, Callable[[RGB], RGB]] = MappingProxyType(
    {
        "as published": lambda image: image,
        "jpeg 85": _jpeg,
        "half size": _half,
        "half size, jpeg 85": lambda image: _jpeg(_half(image)),
        "sharpened": _sharpen,
        "denoised": lambda image: np.asarray(cv2.bilateralFilter(image, 7, 40, 5), np.uint8),
        "smoothed": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.uint8),
    }
)
"""What becomes of a published photo: a content system's doing, or an adversary's "cleaners". Sizes stay."""
