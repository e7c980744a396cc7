"""Decoy: what looks like a pixelated or blurred face, and is nobody's."""

import importlib.resources
import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt

from cloak.effects.base import Noise
from cloak.effects.cells import Grid, Patch, full_scale, grid, jittered, patches, put, smooth, spread
from cloak.effects.settings import check_cells, check_jitter
from cloak.effects.tone import LUMA, luminance, saturation, tint
from cloak.errors import SetupError, UnknownName
from cloak.geometry import Box, Pixels, Region
from cloak.masks import Mask

STYLES = ("cells", "soft")

LEVELS = (45, 65, 85, 105, 125, 145, 165, 185)
"""The mean luminances, 0 to 255, that a decoy may have: 3 bits."""

_SAMPLES = 6
"""The template is looked at this many times across each cell."""

_ENOUGH = 64
"""Fewer pixels of surroundings than this say nothing about the light."""

_COLOURLESS = 12.0
"""Where 99 % of the surroundings are less saturated than this (0 to 255), the photo is black and white."""


@dataclass(frozen=True, slots=True)
class Decoy:
    """Replaces a face by one generic face, the same for everybody, turned and scaled to the head.

    Attributes:
        style: "cells" looks like pixelation, "soft" like a blur.
        cells: along the longer side of the region.
        jitter: standard deviation of keyed noise on each cell's lightness, as a share of the full range; it hides
            that all faces are one, and carries nothing.

    Nothing under the core enters (the K-same idea, Newton et al. 2005, with a face that nobody has). Brightness takes
    one of 8 levels, after those pixels around the head that are published as they are; where they have no colour,
    the decoy has none.
    """

    margin: ClassVar[float] = 0.25  # what is around a head tells the light

    style: Literal["cells", "soft"] = "cells"
    cells: int = 7
    jitter: float = 0.015

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise UnknownName("style", str(self.style), STYLES)
        check_cells(self.cells)
        check_jitter(self.jitter)

    def __call__(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels:
        out = np.zeros_like(pixels)
        channels, full = pixels.shape[2], full_scale(pixels)
        for patch in patches(mask):
            # Smoothing takes detail away: a soft face is drawn from half as many cells again to look as sharp.
            lattice = grid(patch, self.cells if self.style == "cells" else self.cells * 3 // 2)
            face = _sample(_template(), patch, lattice)
            face = _lit(face, *_surroundings(pixels, mask, patch))
            values = tint(face, channels, pixels.dtype).astype(np.float64)
            stream = noise.child("decoy", mask.streams[patch.index])
            values = jittered(values, self.jitter, full, stream)
            if self.style == "soft":
                painted = smooth(values, lattice, patch.inside.shape, pixels.dtype)
            else:
                painted = spread(values, lattice, pixels.dtype)
            put(out, patch, painted)
        return out


@cache
def _template() -> npt.NDArray[np.float32]:
    """(n, n, 3) float32, RGB, 0 to 255: the generic face over a region, made by `scripts/make_decoy.py`."""
    data = importlib.resources.files("cloak.effects").joinpath("decoy.png").read_bytes()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise SetupError("the decoy's template does not decode")
    face: npt.NDArray[np.float32] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32)
    face.setflags(write=False)
    return face


@cache
def _template_light() -> float:
    """Mean luminance of the template within the region's outline."""
    face = _template()
    axis = (np.arange(face.shape[0]) + 0.5) / face.shape[0] * 2 - 1
    inside = axis[:, None] ** 2 + axis**2 <= 1
    return float(luminance(np.rint(face[inside][None]).astype(np.uint8)).mean())


def _sample(template: npt.NDArray[np.float32], patch: Patch, lattice: Grid) -> npt.NDArray[np.float64]:
    """(rows, columns, 3): the template's mean under each cell, turned to the head."""
    rows, columns = lattice.shape
    fine = (np.arange(max(rows, columns) * _SAMPLES) + 0.5) / _SAMPLES
    y = patch.rows.start + lattice.start[0] + fine[: rows * _SAMPLES, None] * lattice.pitch[0]
    x = patch.cols.start + lattice.start[1] + fine[None, : columns * _SAMPLES] * lattice.pitch[1]
    cx, cy = patch.region.shape.bounds().center
    turn = math.radians(patch.region.angle)
    half_width, half_height = _half_axes(patch.region)
    u = ((x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)) / half_width
    v = ((y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)) / half_height
    n = template.shape[0]
    map_x, map_y = (((w + 1) * n / 2 - 0.5).astype(np.float32) for w in (u, v))
    seen = cv2.remap(template, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen.reshape(rows, _SAMPLES, columns, _SAMPLES, 3).mean((1, 3)), np.float64)


def _half_axes(region: Region) -> tuple[float, float]:
    """How far the region reaches from its centre across and along the head, in pixels, at least half a pixel."""
    shape = region.shape
    if isinstance(shape, Box):
        t = math.radians(region.angle)
        w, h = shape.width / 2, shape.height / 2
        across = abs(w * math.cos(t)) + abs(h * math.sin(t))
        along = abs(w * math.sin(t)) + abs(h * math.cos(t))
    else:
        t = math.radians(region.angle - shape.angle)
        across = math.hypot(shape.rx * math.cos(t), shape.ry * math.sin(t))
        along = math.hypot(shape.rx * math.sin(t), shape.ry * math.cos(t))
    return max(across, 0.5), max(along, 0.5)


def _surroundings(pixels: Pixels, mask: Mask, patch: Patch) -> tuple[int, bool]:
    """(index into `LEVELS`, whether there is colour), from pixels that no mask changes."""
    wide = patch.region.shape.bounds().grown(1.5)
    near = (
        slice(max(math.floor(wide.y), 0), max(math.ceil(wide.bottom), 0)),
        slice(max(math.floor(wide.x), 0), max(math.ceil(wide.right), 0)),
    )
    for rows, cols in (near, (slice(0, mask.height), slice(0, mask.width))):
        area = (min(rows.stop, mask.height) - rows.start) * (min(cols.stop, mask.width) - cols.start)
        # A few thousand pixels tell the light as well as millions.
        step = max(1, math.isqrt(max(area, 0) // 4_096))
        part = slice(rows.start, rows.stop, step), slice(cols.start, cols.stop, step)
        bare = (mask.weight[part] <= 0) & ~mask.core[part]
        if mask.beside is not None:  # another face, which may not have been concealed yet
            bare &= ~mask.beside[part]
        shown = pixels[part][bare]
        if len(shown) >= _ENOUGH:
            return _level(luminance(shown[None])), float(np.quantile(saturation(shown[None]), 0.99)) >= _COLOURLESS
    return len(LEVELS) // 2, True


def _level(light: npt.NDArray[np.float64]) -> int:
    """Index of the brightness that a head is likely to have amid surroundings of such luminances.

    Of 1,555 labelled heads the mean was 66 + 0.43 x surroundings, give or take 26 (scripts/fit_decoy_light.py). The
    line here is flatter, so that neighbours look alike, and higher, as a decoy shows more skin and less of what lies
    behind a head. Nothing is lit in a photo without any lights.
    """
    likely = min(96 + 0.33 * float(light.mean()), 10 + float(np.quantile(light, 0.95)))
    return int(np.abs(np.array(LEVELS) - likely).argmin())


def _lit(face: npt.NDArray[np.float64], level: int, colour: bool) -> npt.NDArray[np.float64]:
    """The face at one of the brightness levels."""
    gain = LEVELS[level] / _template_light()
    face = face * gain
    if colour:
        return face
    return np.repeat(face @ LUMA[:, None], 3, axis=-1)
