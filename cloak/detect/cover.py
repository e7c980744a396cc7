"""From a detected box to the area that conceals the head."""

import math
from typing import Literal

from cloak.detect.base import Face
from cloak.geometry import Ellipse, Region

Shape = Literal["head", "face"]

ASPECT = 1.25
"""Height over width of a face's box, the mean over the annotated upright faces that benchmarks/detection.py reads."""

NARROWEST = 0.7
"""Least width over height of what is concealed."""

SLACK = 2.0
"""Least margin in pixels: the boxes of the smallest faces are off by a pixel or two."""

HAIRLINE = 0.1
"""How much further up than down the head reaches over its box, as a share of its height: detectors cut at the brow."""


def cover(face: Face, *, shape: Shape = "head", scale: float = 1.4) -> Region:
    """The region that conceals a face: an ellipse around its box, tilted with the head.

    Args:
        face: as found.
        shape: "face" is the ellipse with `scale` times the box's width and height; "head" reaches further up, to take
            the hairline in.
        scale: at 1.42 (the square root of 2) an upright ellipse holds the whole box; at 1.4 it misses the corners'
            tips, where no face is.

    The ellipse is not clipped: at an edge of the picture it goes beyond, so that the edge is covered.
    """
    extent = face.extent or face.box
    cx, cy = extent.center
    angle = face.angle
    across, along = _axes(extent.width / 2, extent.height / 2, angle)
    # A head is never so narrow or so flat: the rest of it is hidden, or beyond an edge of the picture.
    across, along = max(across, NARROWEST * along), max(along, across)
    across, along = max(across * scale, across + SLACK), max(along * scale, along + SLACK)
    if shape == "head":
        extra = HAIRLINE * along
        t = math.radians(angle)
        along += extra / 2
        cx, cy = cx + math.sin(t) * extra / 2, cy - math.cos(t) * extra / 2
    return Region(Ellipse(cx, cy, across, along, angle), angle, landmarks=face.landmarks)


def _axes(half_width: float, half_height: float, angle: float) -> tuple[float, float]:
    """Half axes, across and along a head that is turned by `angle`, of an ellipse whose bounds hold the box's.

    Bounds of a turned ellipse: w^2 = a^2 cos^2 + b^2 sin^2, h^2 = a^2 sin^2 + b^2 cos^2. Near 45 degrees these do not
    tell a from b; there, and wherever they contradict what heads look like, the mean proportion is used.
    """
    cos2, sin2 = math.cos(math.radians(angle)) ** 2, math.sin(math.radians(angle)) ** 2
    apart = cos2 - sin2
    ratio = ASPECT
    if abs(apart) > 0.5:
        a2 = (half_width**2 * cos2 - half_height**2 * sin2) / apart
        b2 = (half_height**2 * cos2 - half_width**2 * sin2) / apart
        if a2 > 0 and b2 > 0:
            ratio = math.sqrt(b2 / a2)
    ratio = min(max(ratio, 0.7), 1.8)
    across = max(
        half_width / math.sqrt(cos2 + ratio**2 * sin2),
        half_height / math.sqrt(sin2 + ratio**2 * cos2),
    )
    return across, across * ratio
