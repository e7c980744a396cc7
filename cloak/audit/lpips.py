"""LPIPS: how different two pictures look, by a network that learned it from what people said of pairs of pictures."""

from functools import cache
from typing import Any

import cv2
import numpy as np

from cloak import weights
from cloak.geometry import RGB
from cloak.recognise.registry import cache_folder, cached

FILE = "lpips_alexnet.onnx"
"""In `cache_folder()`; `scripts/fetch_recognisers.py --audit` puts it there."""

LEAST = 64
"""Smaller pictures are enlarged to this: the network needs 63 pixels of height and width."""

MOST = 1280
"""Larger ones are reduced to this, about what a screen shows: 24 megapixels would take gigabytes."""


def lpips(before: RGB, after: RGB) -> float | None:
    """Distance of Zhang, Isola, Efros, Shechtman and Wang (CVPR 2018), version 0.1 on AlexNet; 0 for equal pictures.

    Args:
        before, after: (H, W, 3) uint8 RGB of one size.

    None without the network's weights, which do not come with cloak. Raises `SetupError` when they cannot be loaded.
    """
    network = _network()
    if network is None:
        return None
    height, width = before.shape[:2]
    factor = min(MOST / max(height, width), max(1.0, LEAST / min(height, width)))
    if factor != 1:
        size = max(round(width * factor), LEAST), max(round(height * factor), LEAST)
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        before, after = (np.asarray(cv2.resize(image, size, interpolation=way), np.uint8) for image in (before, after))
    (distance,) = network.run(None, {"faces": np.stack([before, after])})
    return float(distance[0, 0])


@cache
def _network() -> Any | None:
    return weights.session(cached(FILE), "LPIPS") if (cache_folder() / FILE).exists() else None
