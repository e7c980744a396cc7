"""Tones across kinds of pixels, and how bright a face's surroundings are."""

import numpy as np
import numpy.typing as npt

from cloak.geometry import Pixels

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""


def luminance(pixels: Pixels) -> npt.NDArray[np.float64]:
    """(h, w) float64, 0 to 255, of grey, RGB or CMYK pixels."""
    rgb = _rgb(pixels)
    return np.asarray(rgb @ LUMA if rgb.shape[-1] == 3 else rgb[..., 0], np.float64)


def saturation(pixels: Pixels) -> npt.NDArray[np.float64]:
    """(h, w) float64, 0 to 255: the largest difference between a pixel's red, green and blue."""
    rgb = _rgb(pixels)
    return np.asarray(rgb.max(-1) - rgb.min(-1), np.float64)


def tint(rgb: npt.NDArray[np.float64], channels: int, dtype: npt.DTypeLike) -> Pixels:
    """Red, green, blue (..., 3), 0 to 255, as pixels (..., `channels`) of `dtype`.

    Grey takes the luminance. CMYK takes full grey-component replacement, so that a neutral tone is black ink alone
    and stays neutral on any press.
    """
    rgb = np.clip(rgb, 0, 255) / 255
    if channels == 1:
        values = (rgb @ LUMA)[..., None]
    elif channels == 3:
        values = rgb
    else:
        light = rgb.max(-1, keepdims=True)
        values = np.concatenate([1 - rgb / np.maximum(light, 1e-9), 1 - light], -1)
    full = np.iinfo(np.dtype(dtype)).max
    return np.asarray(np.rint(np.clip(values, 0, 1) * full), dtype)


def _rgb(pixels: Pixels) -> npt.NDArray[np.float64]:
    values = pixels * (255 / np.iinfo(pixels.dtype).max)
    if values.shape[-1] == 4:
        return np.asarray((255 - values[..., :3]) * (255 - values[..., 3:]) / 255, np.float64)
    return np.asarray(values, np.float64)
