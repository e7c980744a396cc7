"""Boxes, ellipses and regions, all in pixels of the upright image with the origin at its top left.

A pixel (column i, row j) covers the square [i, i+1) x [j, j+1); its centre is (i + 0.5, j + 0.5).
"""

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FARTHEST = 1e8
"""Pixels; nothing in a picture lies so far out, and drawing counts on numbers whose squares are finite."""

Pixels: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, C) uint8 or uint16, full range. C is 1 (grey), 3 (RGB) or 4 (CMYK, 0 = no ink). Alpha is never in it."""

RGB: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, upright: what detectors look at."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def scaled(self, factor: float) -> "Box":
        """The same box in an image `factor` times as large."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def shifted(self, dx: float, dy: float) -> "Box":
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def grown(self, factor: float) -> "Box":
        """`factor` times as wide and high around the same centre."""
        w, h = self.width * factor, self.height * factor
        cx, cy = self.center
        return Box(cx - w / 2, cy - h / 2, w, h)

    def padded(self, pixels: float) -> "Box":
        """With every edge moved out."""
        return Box(self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels)

    def intersection(self, other: "Box") -> float:
        """The shared area."""
        w = min(self.right, other.right) - max(self.x, other.x)
        h = min(self.bottom, other.bottom) - max(self.y, other.y)
        return w * h if w > 0 and h > 0 else 0.0

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        shared = self.intersection(other)
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0

    def united(self, other: "Box") -> "Box":
        """The smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def clipped(self, size: Size) -> "Box | None":
        """What lies inside the image; None if nothing does."""
        x, y = max(self.x, 0.0), max(self.y, 0.0)
        w, h = min(self.right, size.width) - x, min(self.bottom, size.height) - y
        return Box(x, y, w, h) if w > 0 and h > 0 else None

    def bounds(self) -> "Box":
        return self

    def distance(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """How far points lie from the centre, as a share of the way to the edge: at most 1 inside."""
        cx, cy = self.center
        dx = np.abs(x - np.float32(cx)) / np.float32(max(self.width / 2, 1e-6))
        dy = np.abs(y - np.float32(cy)) / np.float32(max(self.height / 2, 1e-6))
        return np.asarray(np.maximum(dx, dy), np.float32)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse with half axes `rx` and `ry`, turned clockwise by `angle` degrees (0: `rx` lies along the rows)."""

    cx: float
    cy: float
    rx: float
    ry: float
    angle: float = 0.0

    def scaled(self, factor: float) -> "Ellipse":
        return Ellipse(self.cx * factor, self.cy * factor, self.rx * factor, self.ry * factor, self.angle)

    def shifted(self, dx: float, dy: float) -> "Ellipse":
        return replace(self, cx=self.cx + dx, cy=self.cy + dy)

    def grown(self, factor: float) -> "Ellipse":
        return replace(self, rx=self.rx * factor, ry=self.ry * factor)

    def padded(self, pixels: float) -> "Ellipse":
        """With both half axes longer."""
        return replace(self, rx=self.rx + pixels, ry=self.ry + pixels)

    def bounds(self) -> Box:
        t = math.radians(self.angle)
        w = math.hypot(self.rx * math.cos(t), self.ry * math.sin(t))
        h = math.hypot(self.rx * math.sin(t), self.ry * math.cos(t))
        return Box(self.cx - w, self.cy - h, 2 * w, 2 * h)

    def distance(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """How far points lie from the centre, as a share of the way to the edge: at most 1 inside."""
        t = math.radians(self.angle)
        dx, dy = x - np.float32(self.cx), y - np.float32(self.cy)
        rx, ry = max(self.rx, 1e-6), max(self.ry, 1e-6)
        u, v = dx * np.float32(math.cos(t) / rx), dy * np.float32(math.cos(t) / ry)
        if self.angle:  # otherwise a row and a column, until they are added
            u = u + dy * np.float32(math.sin(t) / rx)
            v = v - dx * np.float32(math.sin(t) / ry)
        np.multiply(u, u, out=u)
        np.multiply(v, v, out=v)
        total = u + v
        return np.asarray(np.sqrt(total, out=total), np.float32)


@dataclass(frozen=True, slots=True)
class Region:
    """An area to conceal: one head, or anything that a person drew.

    `angle` is the tilt of the head in degrees clockwise (0: chin below, 180: upside down); effects that draw a face
    follow it. A shape's own angle only turns the outline. `effect` names what replaces just this area; None: what
    replaces everything else. `landmarks` are the five points (x, y) of `cloak.detect.Face`, where they are known.
    """

    shape: Ellipse | Box
    angle: float = 0.0
    effect: str | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None

    def scaled(self, factor: float) -> "Region":
        points = tuple((x * factor, y * factor) for x, y in self.landmarks) if self.landmarks else None
        return replace(self, shape=self.shape.scaled(factor), landmarks=points)

    def shifted(self, dx: float, dy: float) -> "Region":
        points = tuple((x + dx, y + dy) for x, y in self.landmarks) if self.landmarks else None
        return replace(self, shape=self.shape.shifted(dx, dy), landmarks=points)


def within(shape: Ellipse | Box) -> Box:
    """A box that lies inside a shape, however it is turned."""
    if isinstance(shape, Box):
        return shape
    half = min(shape.rx, shape.ry) * math.sqrt(0.5)
    return Box(shape.cx - half, shape.cy - half, 2 * half, 2 * half)


def somewhere(region: Region) -> bool:
    """Whether every number is finite and within reason; written so that NaN is not."""
    shape = region.shape
    if isinstance(shape, Box):
        return all(abs(n) < FARTHEST for n in (shape.x, shape.y, shape.width, shape.height, region.angle))
    return all(abs(n) < FARTHEST for n in (shape.cx, shape.cy, shape.rx, shape.ry, shape.angle, region.angle))


def sampled(placement: npt.NDArray[np.float64], window: Size, size: Size) -> tuple[slice, slice]:
    """Rows and columns of an image of `size` from which a warp takes its samples, never empty.

    OpenCV before 5 warps no image with a side of 32,767 pixels or more, however small the part that is wanted.

    Args:
        placement: (2, 3) or more rows; takes points of the image to points of the window, from pixel centres.
        window: what the warp makes.
    """
    corners = np.array([(x, y) for x in (0, window.width) for y in (0, window.height)], np.float64)
    places = (corners - placement[:2, 2]) @ np.linalg.inv(placement[:2, :2]).T
    (left, top), (right, bottom) = places.min(0), places.max(0)

    def run(low: float, high: float, length: int) -> slice:
        # Two pixels around are for what interpolates; beyond the image its edge stays, which some warps repeat.
        start = min(max(math.floor(low) - 2, 0), length - 1)
        return slice(start, max(min(math.ceil(high) + 2, length), start + 1))

    return run(top, bottom, size.height), run(left, right, size.width)
