"""Small pictures of photos, for people to look at: previews, tiles, thumbnails."""

import cv2
import numpy as np

from cloak.geometry import RGB
from cloak.photo.base import Photo

REDUCTIONS = (1, 2, 4, 8)


def reduction(longest: int, wanted: int) -> int:
    """The coarsest reduction that still has `wanted` pixels along the longest side."""
    return max((r for r in REDUCTIONS if longest / r >= wanted), default=1)


def fitted(image: RGB, side: int) -> RGB:
    """The picture with at most `side` pixels along its longest side."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: RGB, quality: int = 85) -> bytes:
    """A plain JPEG of a picture, without any metadata."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the picture cannot be coded")
    return data.tobytes()


def thumbnail(photo: Photo, side: int = 240) -> bytes:
    """A small JPEG of a photo's first picture."""
    longest = max(photo.size.width, photo.size.height)
    return jpeg(fitted(photo.preview(reduction(longest, side)), side), 70)
