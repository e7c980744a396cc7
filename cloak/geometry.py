"""Boxes, ellipses, regions and masks, all in pixels of the upright image with the origin at its top left.

A pixel (column i, row j) covers the square [i, i+1) x [j, j+1); its centre is (i + 0.5, j + 0.5).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cloak.errors import ConcealmentFailed

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


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """United regions, drawn over a window of the image.

    Attributes:
        left, top: the window's place in the image, in pixels.
        core: (h, w) bool; every pixel that any region touches, each to be replaced at full strength.
        weight: (h, w) float32, 0 to 1: 1 on the core, falling to 0 outward (the feather never reaches inward).
        regions: the members, in pixels *of the window*.
        beside: (h, w) bool, pixels of the window that other masks change; None if there are none.
    """

    left: int
    top: int
    core: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    regions: tuple[Region, ...]
    beside: npt.NDArray[np.bool_] | None = None

    @property
    def width(self) -> int:
        return int(self.core.shape[1])

    @property
    def height(self) -> int:
        return int(self.core.shape[0])

    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the image that the mask lies over."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


_SMALL = 16384
"""Pixels up to which every one is measured: what is surely inside is not worth looking for (`benchmarks.jpeg`: masks of
50 faces of a crowd are drawn in half the time that 4096 takes)."""


def draw(regions: Sequence[Region], size: Size, *, feather: float = 0.0, margin: float = 0.25) -> list[Mask]:
    """One mask for each group of regions that touch; together they hold every region.

    Args:
        regions: in pixels of an upright image of `size`.
        feather: width of the outward falloff, as a share of a region's smaller half axis.
        margin: how much of the surroundings a window shows to effects, as a share of the group's larger side.

    A region outside the image yields nothing; a region that lies on an edge of the image covers the edge's pixels.

    Raises `ConcealmentFailed` for a region that is nowhere: with a number that is not finite, or beyond `FARTHEST`.
    """
    if not all(map(somewhere, regions)):
        raise ConcealmentFailed("an area to conceal has no finite place and size")
    masks = []
    for group in _groups(regions, feather):
        outer = _union(region.shape.grown(1 + feather).bounds() for region in group)
        wide = outer.grown(1 + 2 * margin).clipped(size)
        if wide is None or outer.clipped(size) is None:
            continue
        left, top = math.floor(wide.x), math.floor(wide.y)
        right, bottom = min(math.ceil(wide.right) + 1, size.width), min(math.ceil(wide.bottom) + 1, size.height)
        local = tuple(region.shifted(-left, -top) for region in group)
        core = np.zeros((bottom - top, right - left), np.bool_)
        weight = np.zeros(core.shape, np.float32)
        for region in local:
            _paint(region, feather, core, weight)
        if core.any():
            masks.append(Mask(left, top, core, weight, local))
    return _aware(masks) if margin else masks


def _aware(masks: Sequence[Mask]) -> list[Mask]:
    """The masks, each with what the others change in its window."""
    edges = np.array([(m.left, m.top, m.left + m.width, m.top + m.height) for m in masks], np.int64).reshape(-1, 4)
    aware = []
    for i, mask in enumerate(masks):
        meeting = (edges[:, :2] < edges[i, 2:]).all(1) & (edges[:, 2:] > edges[i, :2]).all(1)
        others = [masks[int(j)] for j in np.flatnonzero(meeting) if j != i]
        if others:
            beside = np.zeros(mask.core.shape, np.bool_)
            for other in others:
                x, y = max(mask.left, other.left), max(mask.top, other.top)
                right = min(mask.left + mask.width, other.left + other.width)
                bottom = min(mask.top + mask.height, other.top + other.height)
                here, there = (np.s_[y - m.top : bottom - m.top, x - m.left : right - m.left] for m in (mask, other))
                np.copyto(beside[here], True, where=other.weight[there] > 0)
            mask = replace(mask, beside=beside)
        aware.append(mask)
    return aware


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


def uncovered(regions: Sequence[Region], masks: Sequence[Mask], size: Size) -> list[Region]:
    """The regions that touch the image, and of which a pixel well inside (`within`) lies under no mask's core.

    Whoever draws masks asks afterwards: a region that was lost on the way would be published bare.
    """
    windows = np.array([(m.left, m.top, m.left + m.width, m.top + m.height) for m in masks], np.int64).reshape(-1, 4)
    lost = []
    for region in regions:
        box = within(region.shape)
        if box.right <= 0 or box.bottom <= 0 or box.x >= size.width or box.y >= size.height:
            continue
        left, top = max(math.floor(box.x), 0), max(math.floor(box.y), 0)
        right, bottom = min(math.ceil(box.right), size.width), min(math.ceil(box.bottom), size.height)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        around = (windows <= (left, top, size.width, size.height)) & (windows >= (0, 0, right, bottom))
        holding = (masks[int(i)] for i in np.flatnonzero(around.all(1)))
        if not any(m.core[top - m.top : bottom - m.top, left - m.left : right - m.left].all() for m in holding):
            lost.append(region)
    return lost


def somewhere(region: Region) -> bool:
    """Whether every number is finite and within reason; written so that NaN is not."""
    shape = region.shape
    if isinstance(shape, Box):
        return all(abs(n) < FARTHEST for n in (shape.x, shape.y, shape.width, shape.height, region.angle))
    return all(abs(n) < FARTHEST for n in (shape.cx, shape.cy, shape.rx, shape.ry, shape.angle, region.angle))


def _paint(region: Region, feather: float, core: npt.NDArray[np.bool_], weight: npt.NDArray[np.float32]) -> None:
    bounds = region.shape.grown(1 + feather).bounds()
    x0, y0 = max(math.floor(bounds.x) - 2, 0), max(math.floor(bounds.y) - 2, 0)
    x1, y1 = min(math.ceil(bounds.right) + 2, core.shape[1]), min(math.ceil(bounds.bottom) + 2, core.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    # A pixel of which any corner lies inside is of the core: the outline is moved out by half a pixel's diagonal.
    outline = region.shape.padded(0.75)
    top = bottom = left = right = y1
    if (y1 - y0) * (x1 - x0) > _SMALL:
        sure = _within(outline)
        top, bottom = (min(max(v, y0), y1) for v in (math.ceil(sure.y), math.floor(sure.bottom)))
        left, right = (min(max(v, x0), x1) for v in (math.ceil(sure.x), math.floor(sure.right)))
        if top >= bottom or left >= right:
            top = bottom = y1
    if top < bottom:
        core[top:bottom, left:right] = True
        weight[top:bottom, left:right] = 1
    # A row and a column: what depends on one of them alone is computed once for all.
    y, x = np.arange(y0, y1, dtype=np.float32)[:, None], np.arange(x0, x1, dtype=np.float32)[None]
    y, x = y + np.float32(0.5), x + np.float32(0.5)
    # Around what is surely inside lies a frame; only its pixels are worth measuring.
    frame = (y0, top, x0, x1), (top, bottom, x0, left), (top, bottom, right, x1), (bottom, y1, x0, x1)
    for up, down, near, far in frame:
        if up < down and near < far:
            part, here = (slice(up, down), slice(near, far)), (x[:, near - x0 : far - x0], y[up - y0 : down - y0])
            inside = outline.distance(*here) <= 1.0
            core[part] |= inside
            if np.float32(1 + feather) > 1:
                falloff = np.float32(1 + feather) - region.shape.distance(*here)
                falloff /= np.float32(feather)
                np.minimum(falloff, 1, out=falloff)
                # Weights are not negative, so that this is the clip at 0, too.
                np.maximum(weight[part], falloff, out=weight[part])
            np.copyto(weight[part], 1, where=inside)


def _within(shape: Ellipse | Box) -> Box:
    """An upright box that lies inside the shape."""
    bounds = shape.bounds()
    x, y = np.array([bounds.x, bounds.right], np.float32), np.array([[bounds.y], [bounds.bottom]], np.float32)
    # Distances grow in proportion from the centre, and the farthest points of a box are its corners.
    return bounds.grown(0.99 / max(float(shape.distance(x, y).max()), 1.0))


def _groups(regions: Sequence[Region], feather: float) -> list[list[Region]]:
    """Regions whose bounds overlap, directly or through others."""
    bounds = [region.shape.grown(1 + feather).bounds() for region in regions]
    parent = list(range(len(regions)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    # Sorted by their left edge, a box can only meet those that start before it ends: near-linear for crowds.
    order = sorted(range(len(bounds)), key=lambda i: bounds[i].x)
    for rank, i in enumerate(order):
        for j in order[rank + 1 :]:
            if bounds[j].x >= bounds[i].right:
                break
            if bounds[i].intersection(bounds[j]) > 0:
                parent[root(i)] = root(j)
    groups: dict[int, list[Region]] = {}
    for i, region in enumerate(regions):
        groups.setdefault(root(i), []).append(region)
    return list(groups.values())


def _union(boxes: Iterable[Box]) -> Box:
    whole: Box | None = None
    for box in boxes:
        whole = box if whole is None else whole.united(box)
    assert whole is not None
    return whole
