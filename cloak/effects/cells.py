"""Cells over regions: which pixel belongs to which face, and what a face is reduced to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cloak.effects.base import Noise
from cloak.effects.tone import LUMA
from cloak.geometry import Pixels, Region
from cloak.masks import Mask

MIN_CELL = 4.0
"""Smallest side of a cell, in pixels. Smaller faces get fewer cells, so that none is the copy of a single pixel."""

_REACH = 1.6
"""How far out, in half axes, a region may own pixels: to its own outline, the feather, and what it absorbed."""

_SAME = 0.5
"""A region whose centre lies nearer to a larger one's centre than this share of the way to its edge is a part of it."""

_SMALL = 0.5
"""So is one of less than this share of the larger one's area whose centre lies in it at all: a hit on a chin or an eye
would show that part of the face in cells of its own, finer than a face may have."""

_MIN_FILLED = 0.25
"""A cell with a smaller share of its area under the core takes a neighbour's value: it would tell of a few pixels."""

_STRIP = 64
"""Rows that are drawn at a time: a large face in floating point would take hundreds of megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part of a mask's window that one region paints.

    Attributes:
        index: the region's place in `mask.regions`.
        region: the region, in pixels of the window.
        rows, cols: the upright rectangle of the window in which its pixels lie.
        owned: (h, w) uint8 over that rectangle, 0 where other regions paint; None if there is no other.
        inside: (h, w) uint8, not 0 where it paints core pixels; only these are looked at.
    """

    index: int
    region: Region
    rows: slice
    cols: slice
    owned: npt.NDArray[np.uint8] | None
    inside: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Upright, nearly square cells across one region.

    Attributes:
        y, x: edges of the rows and columns of cells, in pixels of the patch; the outer ones are the patch's own, so
            that every pixel of the patch lies in exactly one cell.
        start, pitch: where the cells begin and how far apart they are, down and across, before they were moved.
    """

    y: tuple[int, ...]
    x: tuple[int, ...]
    start: tuple[float, float]
    pitch: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y) - 1, len(self.x) - 1


def patches(mask: Mask) -> list[Patch]:
    """Every painted pixel of the mask, given to exactly one region: the one relative to whose size it lies nearest.

    A region that lies within a larger one paints nothing of its own: two boxes of one face must not show it twice.
    Together the patches hold every pixel of the core.
    """
    painted = mask.weight > 0
    painted |= mask.core
    kept = _independent(mask.regions)
    if len(kept) == 1:
        span = _span(painted)
        inside = mask.core[span].view(np.uint8)
        return [Patch(kept[0], mask.regions[kept[0]], span[0], span[1], None, inside)] if inside.size else []
    owner = np.full(painted.shape, -1, np.int32)
    nearest = np.full(painted.shape, np.inf, np.float32)
    for i in kept:
        span = _reach(mask.regions[i], painted.shape)
        y, x = np.ogrid[span]
        distance = mask.regions[i].shape.distance(x.astype(np.float32) + 0.5, y.astype(np.float32) + 0.5)
        np.copyto(owner[span], i, where=distance < nearest[span])
        np.minimum(nearest[span], distance, out=nearest[span])
    strays = painted & (owner < 0)
    strayed = bool(strays.any())
    if strayed:
        _adopt(owner, strays, mask, kept)
    found = []
    for i in kept:
        # Only strays can lie outside a region's reach, and only then is it worth searching the whole window.
        span = _span(painted & (owner == i)) if strayed else _reach(mask.regions[i], painted.shape)
        own = painted[span] & (owner[span] == i)
        if own.any():
            inside = (own & mask.core[span]).view(np.uint8)
            found.append(Patch(i, mask.regions[i], span[0], span[1], own.view(np.uint8), inside))
    return found


def grid(patch: Patch, cells: int) -> Grid:
    """`cells` cells along the longer side of the region, as many as fit along the other."""
    bounds = patch.region.shape.bounds()
    side = max(bounds.width, bounds.height) / cells
    side = max(side, MIN_CELL)
    start = bounds.y - patch.rows.start, bounds.x - patch.cols.start
    count = max(1, round(bounds.height / side)), max(1, round(bounds.width / side))
    pitch = bounds.height / count[0], bounds.width / count[1]
    limit = patch.rows.stop - patch.rows.start, patch.cols.stop - patch.cols.start
    y, x = (_edges(start[k], pitch[k], count[k], limit[k]) for k in (0, 1))
    return Grid(y, x, start, pitch)


def means(pixels: Pixels, patch: Patch, lattice: Grid) -> npt.NDArray[np.float64]:
    """(rows, columns, C) float64: each cell's mean over the pixels of the core that the patch owns.

    A cell that holds too few of them takes the value of the nearest one that holds enough; where no cell does, all
    take the mean of the whole patch.
    """
    window = pixels[patch.rows, patch.cols]
    channels = pixels.shape[2]
    rows, columns = lattice.shape
    values = np.zeros((rows, columns, channels))
    filled = np.zeros((rows, columns), np.bool_)
    bounds = patch.region.shape.bounds()
    nominal = bounds.width * bounds.height / (rows * columns)
    for i in range(rows):
        for j in range(columns):
            part = slice(lattice.y[i], lattice.y[i + 1]), slice(lattice.x[j], lattice.x[j + 1])
            chosen = patch.inside[part]
            if chosen.size and cv2.countNonZero(chosen) >= _MIN_FILLED * nominal:
                values[i, j] = cv2.mean(window[part], chosen)[:channels]
                filled[i, j] = True
    if not filled.any():
        values[:] = cv2.mean(window, patch.inside)[:channels]
        filled[:] = True
    return values[_nearest_filled(filled)]


def jittered(values: npt.NDArray[np.float64], strength: float, full: int, noise: Noise) -> npt.NDArray[np.float64]:
    """The same cells, each with its luminance moved by keyed normal noise.

    Args:
        values: (rows, columns, C), 0 to `full`; grey, RGB or CMYK.
        strength: standard deviation as a share of `full`; no cell is moved by more than twice of it.
        full: the largest value of a pixel.
        noise: the stream to draw on.
    """
    return _shaded(values, _goal(values, strength, full, noise.normal(values.shape[:2])), full)


def toned(
    values: npt.NDArray[np.float64], strength: float, full: int, noise: Noise, cells: int
) -> npt.NDArray[np.float64]:
    """As `jittered`, but all in shades of one colour, the mean of those in the middle: of colours, a face tells one.

    Args:
        cells: as many as `grid` was asked for. So many numbers are drawn down and across, whatever fits: a face that
            has a column more in the next frame of an animation keeps its noise.

    Noise on each cell's colour would look like confetti; without any, colours told more than lightness: trained
    adversaries found 23 of 100 people by both, 7 by lightness alone ("colour discriminants" in docs/audit.md).
    """
    rows, columns, _ = values.shape
    # Beyond the middle are hair and backdrop, which would make skin look ashen.
    middle = values[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    colours = np.broadcast_to(middle.mean((0, 1)), values.shape)
    drawn = noise.normal((cells, cells))[:rows, :columns]
    return _shaded(colours, _goal(values, strength, full, drawn), full)


def spread(values: npt.NDArray[np.float64], lattice: Grid, dtype: npt.DTypeLike) -> Pixels:
    """(h, w, C) of the patch's size: each cell flat in its value."""
    flat = np.rint(values).astype(dtype)
    heights, widths = np.diff(lattice.y), np.diff(lattice.x)
    lines: Pixels = np.repeat(np.repeat(flat, widths, axis=1), heights, axis=0)
    return lines


def smooth(values: npt.NDArray[np.float64], lattice: Grid, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Pixels:
    """(h, w, C) of the patch's size: the cells' values at their centres, with a smooth surface between them.

    A cubic B-spline over the cells (Unser 1999): unlike an interpolating one it neither overshoots nor shows a star
    around each cell.
    """
    full = float(np.iinfo(np.dtype(dtype)).max)
    down, across = (_spline(lattice.start[k], lattice.pitch[k], lattice.shape[k], shape[k]) for k in (0, 1))
    lines = np.einsum("xj,ijc->ixc", across, values).reshape(values.shape[0], -1).astype(np.float32)
    out: Pixels = np.empty((shape[0], shape[1], values.shape[2]), dtype)
    for top in range(0, shape[0], _STRIP):
        surface = cv2.gemm(down[top : top + _STRIP].astype(np.float32), lines, 1.0, None, 0.0)
        surface += 0.5
        np.clip(surface, 0, full, out=surface)
        out[top : top + _STRIP] = surface.reshape(-1, shape[1], values.shape[2])
    return out


def put(target: Pixels, patch: Patch, painted: Pixels) -> None:
    """Copies the pixels that the patch owns into `target`."""
    window = target[patch.rows, patch.cols]
    if patch.owned is None:
        window[:] = painted
    else:
        cv2.copyTo(painted, patch.owned, window)


def full_scale(pixels: Pixels) -> int:
    return int(np.iinfo(pixels.dtype).max)


def _goal(
    values: npt.NDArray[np.float64], strength: float, full: int, drawn: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(rows, columns): the cells' luminances, 0 to `full`, moved by normal numbers that were drawn for them."""
    moved = _level(_light(values, full), full) + np.clip(drawn, -2, 2) * (strength * full)
    return np.asarray(np.clip(moved, 0, full), np.float64)


def _shaded(colours: npt.NDArray[np.float64], goal: npt.NDArray[np.float64], full: int) -> npt.NDArray[np.float64]:
    """The colours, (rows, columns, C), each at the luminance that it is to have.

    Darker is a step towards black and lighter one towards white, so that no cell becomes more colourful: the same
    step on each of red, green and blue turns shaded skin dark red.
    """
    light = _light(colours, full)
    level = _level(light, full)
    darker = np.minimum(goal / np.maximum(level, 1e-9), 1)[..., None]
    lighter = np.maximum((goal - level) / np.maximum(full - level, 1e-9), 0)[..., None]
    if colours.shape[2] == 4:
        darker = np.concatenate([np.ones((*goal.shape, 3)), darker], -1)  # black ink alone darkens
    moved = light * darker
    moved += (full - moved) * lighter
    return np.asarray(np.clip(_light(moved, full), 0, full), np.float64)


def _light(values: npt.NDArray[np.float64], full: int) -> npt.NDArray[np.float64]:
    """The same with 0 for dark: ink is counted from none up, and back."""
    return full - values if values.shape[2] == 4 else values


def _level(light: npt.NDArray[np.float64], full: int) -> npt.NDArray[np.float64]:
    """(rows, columns): luminance, 0 to `full`, of grey or RGB values or of CMYK's paper left white."""
    if light.shape[2] == 1:
        return light[..., 0]
    level = np.asarray(light[..., :3] @ LUMA, np.float64)
    return level * light[..., 3] / full if light.shape[2] == 4 else level


def _independent(regions: Sequence[Region]) -> list[int]:
    """Indices of the regions that are not part of a larger one, the larger first."""
    bounds = [region.shape.bounds() for region in regions]
    x, y = np.array([box.center for box in bounds], np.float32).T
    area = np.array([box.area for box in bounds])
    part = np.zeros(len(regions), np.bool_)
    kept = []
    for i in sorted(range(len(regions)), key=lambda i: (-area[i], i)):
        if not part[i]:
            kept.append(i)
            part |= regions[i].shape.distance(x, y) < np.where(area < _SMALL * area[i], 1.0, _SAME)
    return kept


def _reach(region: Region, shape: tuple[int, ...]) -> tuple[slice, slice]:
    bounds = region.shape.grown(_REACH).bounds()
    y0, x0 = min(max(math.floor(bounds.y) - 1, 0), shape[0]), min(max(math.floor(bounds.x) - 1, 0), shape[1])
    y1, x1 = min(max(math.ceil(bounds.bottom) + 1, y0), shape[0]), min(max(math.ceil(bounds.right) + 1, x0), shape[1])
    return slice(y0, y1), slice(x0, x1)


def _span(chosen: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rectangle around the chosen pixels."""
    x, y, width, height = cv2.boundingRect(chosen.view(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _adopt(owner: npt.NDArray[np.int32], strays: npt.NDArray[np.bool_], mask: Mask, kept: Sequence[int]) -> None:
    """Gives pixels out of every region's reach to the region that is nearest all the same."""
    y, x = np.nonzero(strays)
    nearest = np.full(y.shape, np.inf, np.float32)
    for i in kept:
        distance = mask.regions[i].shape.distance(x.astype(np.float32) + 0.5, y.astype(np.float32) + 0.5)
        nearer = distance < nearest
        owner[y[nearer], x[nearer]] = i
        nearest[nearer] = distance[nearer]


def _edges(start: float, pitch: float, count: int, limit: int) -> tuple[int, ...]:
    """Edges of `count` cells, the outer ones moved to 0 and `limit`."""
    inner = (min(max(round(start + pitch * k), 0), limit) for k in range(1, count))
    return 0, *inner, limit


def _nearest_filled(filled: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For every cell, the row and column of the nearest filled one (itself, if it is)."""
    rows, columns = filled.shape
    fy, fx = np.nonzero(filled)
    y, x = np.mgrid[:rows, :columns]
    apart = (y[..., None] - fy) ** 2 + (x[..., None] - fx) ** 2
    best = apart.argmin(-1)
    return fy[best], fx[best]


def _spline(start: float, pitch: float, count: int, length: int) -> npt.NDArray[np.float64]:
    """(length, count): how much each cell weighs at each pixel; rows sum to 1."""
    place = (np.arange(length) + 0.5 - start) / pitch - 0.5
    # Pixels beyond the outermost centres (the feather) keep the outermost cell's value.
    place = np.clip(place, -0.5, count - 0.5)
    weights = np.zeros((length, count))
    for k in range(-2, count + 2):
        d = np.abs(place - k)
        bump = np.where(d < 1, 2 / 3 - d**2 + d**3 / 2, np.where(d < 2, (2 - d) ** 3 / 6, 0))
        weights[:, min(max(k, 0), count - 1)] += bump
    return weights
