"""Draws the face that `decoy` shows: nobody's, computed from spheres, ellipses and one light.

Usage: python scripts/make_decoy.py [OUT.png]

The picture spans the region that covers a head (1.4 x the detected face): its inscribed ellipse is the region's
outline. No photo enters it; every number below was chosen by hand and by looking at results.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 96
OUT = Path(__file__).parent.parent / "cloak" / "effects" / "decoy.png"

Plane = npt.NDArray[np.float64]


def blob(x: Plane, y: Plane, cx: float, cy: float, rx: float, ry: float, soft: float) -> Plane:
    """1 within an ellipse, falling smoothly to 0 over `soft` of its radius around the outline."""
    d = np.hypot((x - cx) / rx, (y - cy) / ry)
    t = np.clip((1 + soft / 2 - d) / soft, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def over(picture: npt.NDArray[np.float64], colour: tuple[int, int, int], cover: Plane) -> npt.NDArray[np.float64]:
    return picture + (np.array(colour, np.float64) - picture) * cover[..., None]


def draw(size: int = SIZE) -> npt.NDArray[np.uint8]:
    """(size, size, 3) uint8, RGB. x to the right, y down, both from -1 to 1 across the region."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)

    hair, skin, neck = (80, 64, 55), (214, 163, 142), (170, 127, 110)
    wall = (146, 123, 112)  # what shows past cheeks and neck: a tone between all others, so that no rim is seen
    picture = np.broadcast_to(np.array(wall, np.float64), (size, size, 3)).copy()
    picture = over(picture, hair, blob(x, y, 0, -0.30, 0.90, 0.78, 0.5))
    picture = over(picture, neck, blob(x, y, 0, 0.95, 0.62, 0.55, 0.5))
    face = blob(x, y, 0, 0.05, 0.79, 0.80, 0.28)
    picture = over(picture, skin, face)

    # Light from above and the front on a lengthwise half ellipsoid; hair and neck keep their own tones.
    nx, ny = x / 0.92, (y - 0.04) / 1.0
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.05, 1))
    light = np.clip(0.06 * -nx - 0.30 * ny + 0.95 * nz, 0, 1)
    picture *= (1 + face * (0.40 * light - 0.32))[..., None]

    for side in (-1, 1):
        picture = over(picture, (98, 72, 62), 0.75 * blob(x, y, side * 0.33, -0.13, 0.27, 0.11, 0.9))  # socket
        picture = over(picture, (74, 58, 50), 0.55 * blob(x, y, side * 0.33, -0.27, 0.26, 0.06, 0.9))  # brow
        picture = over(picture, (226, 166, 150), 0.35 * blob(x, y, side * 0.38, 0.16, 0.24, 0.20, 1.2))  # cheek
    picture = over(picture, (230, 190, 172), 0.50 * blob(x, y, 0, 0.00, 0.10, 0.26, 1.2))  # ridge of the nose
    picture = over(picture, (124, 90, 76), 0.50 * blob(x, y, 0, 0.22, 0.18, 0.07, 1.0))  # shadow under it
    picture = over(picture, (150, 92, 86), 0.70 * blob(x, y, 0, 0.42, 0.27, 0.09, 0.8))  # mouth
    picture = over(picture, (118, 94, 82), 0.55 * blob(x, y, 0, 0.84, 0.50, 0.12, 0.9))  # shadow under the chin
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    Image.fromarray(draw()).save(out, optimize=True)


if __name__ == "__main__":
    main()
