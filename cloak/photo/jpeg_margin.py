"""What a JPEG codes beyond its right and lower edge: no viewer shows it, whoever changes the stated size sees it.

The grid of MCUs rarely ends with the picture. Encoders fill up with the last column and row; a lossless crop leaves
what was cropped away.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cloak.photo import _dct
from cloak.photo.jpeg_coded import Changes, Coefficients
from cloak.photo.jpeg_header import ZIGZAG, Component
from cloak.photo.jpeg_layout import Layout, Rect
from cloak.photo.jpeg_window import Overlay, Source

_NATURAL = np.array(ZIGZAG, np.int32)

Samples = npt.NDArray[np.uint8]


def emptied(source: Source, changes: Changes) -> Changes:
    """The changes, and those that leave nothing beyond the edges but copies of the last column and row.

    Blocks that lie wholly in the picture keep their coefficients, and so does every block of a picture whose margins
    hold nothing: there, the samples differ from the last ones by no more than quantisation explains.
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
        holds |= _holds(plane, filled, height, width, c)
        coded = np.empty_like(out)
        _dct.coefficients(filled, np.arange(rows * columns), first, steps, _NATURAL, coded, c.h, c.v)
        beyond = _beyond(height, width, plane.shape, c)
        out[:, first : first + c.h * c.v][beyond] = coded[:, first : first + c.h * c.v][beyond]
        first += c.h * c.v
    return (out,) if holds else ()


def _shown(grid: Layout, strip: Rect, c: Component, shape: tuple[int, ...]) -> tuple[int, int]:
    """How many rows and columns of a strip's samples belong to the picture."""
    height = -(-grid.size.height * c.v // grid.vmax) - strip.top * 8 * c.v
    width = -(-grid.size.width * c.h // grid.hmax) - strip.left * 8 * c.h
    return min(height, shape[0]), min(width, shape[1])


def _holds(plane: Samples, filled: Samples, height: int, width: int, c: Component) -> bool:
    """Whether blocks say more beyond the edges than those of an encoder that fills up.

    These differ from the repeated samples by errors of quantisation: a twelfth of the squared step on average, at most
    (Widrow and Kollar, Quantization Noise, 2008), once for each of the two. One block alone may be many times as far
    off. A block that lies outside altogether may have a single brightness.
    """
    rows, columns = len(plane) // 8, plane.shape[1] // 8
    blocks = plane.reshape(rows, 8, columns, 8).swapaxes(1, 2).astype(np.float32)
    difference = blocks - filled.reshape(rows, 8, columns, 8).swapaxes(1, 2)
    outside = np.ones(plane.shape, np.bool_)
    outside[:height, :width] = False
    hidden = outside.reshape(rows, 8, columns, 8).swapaxes(1, 2)
    flat = hidden.all((2, 3)) & (np.ptp(blocks, axis=(2, 3)) <= 1)
    hidden &= ~flat[..., None, None]
    error, count = (difference**2 * hidden).sum((2, 3)), hidden.sum((2, 3))
    usual = 2 * np.square(np.array(c.quant)).mean() / 12 + 1  # decoded samples are whole numbers
    return bool(error.sum() > 1.5 * usual * count.sum() or (error > 12 * usual * count).any())


def _beyond(height: int, width: int, shape: tuple[int, ...], c: Component) -> npt.NDArray[np.bool_]:
    """(MCUs, blocks of the component) bool: which blocks hold a sample outside of the picture."""
    rows, columns = shape[0] // 8, shape[1] // 8
    outside = np.zeros((rows, columns), np.bool_)
    outside[height // 8 :] = True
    outside[:, width // 8 :] = True
    by_mcu = outside.reshape(rows // c.v, c.v, columns // c.h, c.h).swapaxes(1, 2)
    return by_mcu.reshape(-1, c.v * c.h)
