"""Views of a face: as content systems, scrapers and their detectors may come to see it."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from cloak.geometry import RGB
from cloak.recognise.surrogate import Tensor


def view(torch: Any, face: Tensor, draws: npt.NDArray[np.float64]) -> Tensor:
    """The face as a content system or a scraper may see it: softer, smaller, recompressed, lighter or of other tint."""
    f, whole = torch.nn.functional, face.shape[-1]
    if draws[0] < 0.4:
        face = smoothed(f, face, 0.4 + 1.2 * float(draws[1]))
    if draws[2] < 0.5:
        side = int(whole * (0.4 + 0.55 * draws[3]))
        small = f.interpolate(face, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        face = f.interpolate(small, size=(whole, whole), mode="bicubic", align_corners=False)
    if draws[4] < 0.3:
        face = face + _recompressed(torch, face, 50 + int(45 * draws[5])) - face.detach()
    if draws[6] < 0.5:
        tint = torch.tensor([1 + 0.06 * (draws[7] - 0.5), 1.0, 1 - 0.06 * (draws[7] - 0.5)]).float()
        contrast, shift = 0.85 + 0.3 * float(draws[8]), 24 * (float(draws[9]) - 0.5)
        face = ((face - 128) * contrast + 128 + shift) * tint.reshape(1, 3, 1, 1)
    return face.flip(3) if draws[15] < 0.2 else face


def recompressed(picture: RGB, quality: int) -> RGB:
    """The picture after JPEG of a quality of 1 to 100."""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality, "RGB", "420")
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)


def _recompressed(torch: Any, face: Tensor, quality: int) -> Tensor:
    picture = np.rint(face.detach()[0].permute(1, 2, 0).clamp(0, 255).numpy()).astype(np.uint8)
    decoded = recompressed(picture, quality).astype(np.float32)
    return torch.from_numpy(decoded).permute(2, 0, 1)[None]


def smoothed(f: Any, picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of every channel."""
    reach = max(int(3 * sigma + 0.5), 1)
    line = cv2.getGaussianKernel(2 * reach + 1, sigma, cv2.CV_32F)
    channels = picture.shape[1]
    kernel = picture.new_tensor(line @ line.T).expand(channels, 1, -1, -1)
    return f.conv2d(f.pad(picture, (reach,) * 4, mode="replicate"), kernel, groups=channels)


def shaken(draws: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """(3, 3): a small turn, zoom and shift about the middle of the frame: no two detectors align alike."""
    turn, zoom = 0.14 * (draws[0] - 0.5), 1 + 0.14 * (draws[1] - 0.5)
    x, y = 0.06 * side * (draws[2:4] - 0.5)
    c, s, middle = zoom * math.cos(turn), zoom * math.sin(turn), side / 2
    return np.array(
        [[c, -s, middle - c * middle + s * middle + x], [s, c, middle - s * middle - c * middle + y], [0, 0, 1]]
    )
