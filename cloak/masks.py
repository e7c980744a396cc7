"""Masks: regions drawn over the pixels that an effect is to replace."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cloak.errors import ConcealmentFailed
from cloak.geometry import Box, Ellipse, Region, Size, somewhere, within


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """United regions, drawn over a window of the image.

    Attributes:
        left, top: the window's place in the image, in pixels.
        core: (h, w) bool; every pixel that any region touches, each to be replaced at full strength.
        weight: (h, w) float32, 0 to 1: 1 on the core, falling to 0 outward (the feather never reaches inward).
        regions: the members, in pixels *of the window*.
        beside: (h, w) bool, pixels of the window that other masks change; None if there are none.
        streams: for each of the regions, the number of the stream of noise that it draws on: its place among all that
            were drawn, unless `cloak.effects.steady` says otherwise.
    """

    left: int
    top: int
    core: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    regions: tuple[Region, ...]
    beside: npt.NDArray[np.bool_] | None = None
    streams: tuple[int, ...] = ()

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
        outer = _union(regions[i].shape.grown(1 + feather).bounds() for i in group)
        wide = outer.grown(1 + 2 * margin).clipped(size)
        if wide is None or outer.clipped(size) is None:
            continue
        left, top = math.floor(wide.x), math.floor(wide.y)
        right, bottom = min(math.ceil(wide.right) + 1, size.width), min(math.ceil(wide.bottom) + 1, size.height)
        local = tuple(regions[i].shifted(-left, -top) for i in group)
        core = np.zeros((bottom - top, right - left), np.bool_)
        weight = np.zeros(core.shape, np.float32)
        for region in local:
            _paint(region, feather, core, weight)
        if core.any():
            masks.append(Mask(left, top, core, weight, local, streams=tuple(group)))
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


def _groups(regions: Sequence[Region], feather: float) -> list[list[int]]:
    """Places of regions whose bounds overlap, directly or through others."""
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
    groups: dict[int, list[int]] = {}
    for i in range(len(regions)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def _union(boxes: Iterable[Box]) -> Box:
    whole: Box | None = None
    for box in boxes:
        whole = box if whole is None else whole.united(box)
    assert whole is not None
    return whole
