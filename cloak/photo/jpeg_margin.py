"""What a JPEG codes beyond its right and lower edge: no viewer shows it, whoever changes the stated size sees it.

The grid of MCUs rarely ends with the picture. Encoders fill up with the last column and row; a lossless crop leaves
what was cropped away.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from cloak.photo import _dct
from cloak.photo.jpeg_coded import Changes, Coefficients
from cloak.photo.jpeg_header import ZIGZAG, Component
from cloak.photo.jpeg_layout import Layout, Rect
from cloak.photo.jpeg_window import Overlay, Source

_NATURAL = np.array(ZIGZAG, np.int32)


def emptied(source: Source, changes: Changes) -> Changes:
    """The changes, and those that leave nothing beyond the edges but copies of the last column and row.

    Blocks that lie wholly in the picture keep their coefficients, and so does every block of a picture whose margins
    hold nothing: there, coefficients are those of copied samples, as far as rounding to steps lets them.
    """
    grid = source.layout
    for strip in _strips(grid):
        overlay = Overlay(source, changes.mcus, changes.coefficients)
        numbers = grid.numbers(strip).ravel()
        found = overlay.read(numbers)
        if filled := _filled(grid, strip, found):
            others = np.isin(changes.mcus, numbers, invert=True)
            mcus = np.concatenate([changes.mcus[others], numbers])
            rows = np.concatenate([changes.coefficients[others], filled[0]])
            order = np.argsort(mcus)
            changes = Changes(mcus[order], np.ascontiguousarray(rows[order]))
    return changes


def _strips(grid: Layout) -> Iterator[Rect]:
    """The MCUs that stick out: the last column, the last row."""
    if grid.size.width % (8 * grid.hmax):
        yield Rect(0, grid.columns - 1, grid.rows, grid.columns)
    if grid.size.height % (8 * grid.vmax):
        yield Rect(grid.rows - 1, 0, grid.rows, grid.columns)


def _filled(grid: Layout, strip: Rect, coefficients: Coefficients) -> tuple[Coefficients, ...]:
    """New coefficients of a strip's MCUs, or nothing where its margin holds nothing."""
    out = coefficients.copy()
    rows, columns = strip.bottom - strip.top, strip.right - strip.left
    first, holds = 0, False
    for c in grid.components:
        plane = np.empty((rows * c.v * 8, columns * c.h * 8), np.uint8)
        steps = np.array(c.quant, np.int32)
        _dct.samples(coefficients, first, steps, _NATURAL, plane, c.h, c.v)
        height, width = _shown(grid, strip, c, plane.shape)
        filled = np.pad(plane[:height, :width], ((0, len(plane) - height), (0, plane.shape[1] - width)), "edge")
        blocks = coefficients[:, first : first + c.h * c.v].reshape(rows, columns, c.v, c.h, 64).swapaxes(1, 2)
        halved = c.v < grid.vmax, c.h < grid.hmax
        holds |= _holds(blocks.reshape(rows * c.v, columns * c.h, 64), height, width, c.quant, halved)
        coded = np.empty_like(out)
        _dct.coefficients(filled, np.arange(rows * columns, dtype=np.int64), first, steps, _NATURAL, coded, c.h, c.v)
        beyond = _beyond(height, width, plane.shape, c)
        out[:, first : first + c.h * c.v][beyond] = coded[:, first : first + c.h * c.v][beyond]
        first += c.h * c.v
    return (out,) if holds else ()


def _shown(grid: Layout, strip: Rect, c: Component, shape: tuple[int, ...]) -> tuple[int, int]:
    """How many rows and columns of a strip's samples belong to the picture."""
    height = -(-grid.size.height * c.v // grid.vmax) - strip.top * 8 * c.v
    width = -(-grid.size.width * c.h // grid.hmax) - strip.left * 8 * c.h
    return min(height, shape[0]), min(width, shape[1])


def _holds(
    coefficients: Coefficients, height: int, width: int, quant: tuple[int, ...], halved: tuple[bool, bool]
) -> bool:
    """Whether one of the blocks says more than an encoder's that fills up with the last column and row.

    What such an encoder makes of any picture differs from some filled-up block by what rounding to steps adds: up to
    half a step a coefficient. The block that comes nearest leaves as much of that as it has too few samples to follow,
    a twelfth of a squared step each on average (Widrow and Kollar, Quantization Noise, 2008). In pixels, the coarse
    steps of high frequencies would excuse a picture in the low ones.

    Args:
        coefficients: (rows, columns, 64) quantised, of the component's blocks. height, width: samples in the picture.
        quant: their steps. halved: whether rows, and columns, are fewer than those of the picture.
    """
    rows, columns = coefficients.shape[:2]
    down, across = ((side - 8 * np.arange(n)).clip(0, 8) for side, n in ((height, rows), (width, columns)))
    steps = np.array(quant)
    judged = steps.clip(*_JUDGED)
    for y, x in set(product(down.tolist(), across.tolist())) - {(8, 8)}:
        basis, _ = np.linalg.qr(_TRANSFORM @ np.kron(_fill(y, halved[0]), _fill(x, halved[1])) / judged[:, None])
        levels = coefficients[down == y][:, across == x].reshape(-1, 64) * (steps / judged)
        rest = np.square(levels - levels @ basis @ basis.T)
        free = max(64 - basis.shape[1], 1)  # of 0 there is nothing but errors of floating point
        if (rest > _ONE).any() or (rest.sum(axis=1) > free / 12 + np.sqrt(free) / 2).any():
            return True
    return False


def _fill(shown: int, halved: bool) -> npt.NDArray[np.float64]:
    """(8, n): what 8 samples are made of if so many are shown, and the others are copies of one.

    That is the last one shown; or one that is not, where none is, or where the last is the mean of pixels.
    """
    last = min(max(shown - 1 + halved, 0), 7)
    return np.asarray(np.eye(last + 1)[np.arange(8).clip(0, last)])


_COSINES = np.sqrt(np.where(np.arange(8), 2, 1) / 8)[:, None] * np.cos(
    np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16
)
_TRANSFORM = np.kron(_COSINES, _COSINES)[_NATURAL]  # of 64 samples, row by row, to coefficients in zigzag order

_ONE = 0.9
"""Square of what may be left of one coefficient: less than a step, which is all that rounding can never leave."""

_JUDGED = 4, 32
"""Steps count as no finer, as libjpeg's halved colour alternates by a level, and as no coarser: rather than to let a
faint picture pass, blocks are filled up anew."""


def _beyond(height: int, width: int, shape: tuple[int, ...], c: Component) -> npt.NDArray[np.bool_]:
    """(MCUs, blocks of the component) bool: which blocks hold a sample outside of the picture."""
    rows, columns = shape[0] // 8, shape[1] // 8
    outside = np.zeros((rows, columns), np.bool_)
    outside[height // 8 :] = True
    outside[:, width // 8 :] = True
    by_mcu = outside.reshape(rows // c.v, c.v, columns // c.h, c.h).swapaxes(1, 2)
    return by_mcu.reshape(-1, c.v * c.h)
