"""Paints masks on a JPEG's coefficients: only the MCUs of their windows become pixels, only touched ones change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from cloak.errors import ConcealmentFailed
from cloak.geometry import Pixels, Size
from cloak.masks import Mask
from cloak.photo import _dct, jpeg_pixels
from cloak.photo.base import Paint
from cloak.photo.jpeg_coded import Changes, Coefficients
from cloak.photo.jpeg_header import ZIGZAG
from cloak.photo.jpeg_layout import Layout, Rect, stored_rect

_NATURAL = np.array(ZIGZAG, np.int32)

U8 = npt.NDArray[np.uint8]
Touched = npt.NDArray[np.bool_]


class Source(Protocol):
    """Where coefficients come from: `jpeg_coded.Indexed` or `jpeg_coded.Planes`."""

    @property
    def layout(self) -> Layout: ...

    def read(self, mcus: npt.NDArray[np.int64]) -> Coefficients: ...


@dataclass(frozen=True, slots=True)
class _Patch:
    """What a mask painted, in the stored picture; `touched` is not 0 where it did."""

    place: Rect
    pixels: U8
    touched: U8


def edit(source: Source, colour: str, orientation: int, masks: Sequence[Mask], paint: Paint) -> Changes:
    """New coefficients for every MCU that a mask touches.

    Args:
        colour: as in `Header.colour`. orientation: the masks lie over the upright picture.

    Every coefficient of such an MCU comes from the concealed pixels. Raises `ConcealmentFailed` if a mask lies
    outside the picture or an effect returns another shape.
    """
    grid = source.layout
    patches: list[_Patch] = []
    numbers = [np.empty(0, np.int64)]
    rows = [np.empty((0, grid.blocks, 64), np.int16)]
    for mask in masks:
        mcus = grid.mcus_around(_stored(mask, grid.size, orientation))
        place = grid.pixels_of(mcus)
        samples, canvas = _decoded(source, colour, mcus)
        touched = np.zeros(canvas.shape[:2], np.bool_)
        for patch in patches:
            if patch.place.meets(place):
                _lay(patch, place, canvas, touched)
        patch = _paint(mask, grid.size, orientation, place, canvas, paint)
        _lay(patch, place, canvas, touched)
        patches.append(patch)
        where, coefficients = _coded(grid, colour, mcus, samples, canvas, touched)
        numbers.append(where)
        rows.append(coefficients)
    # The last mask on an MCU saw what all others painted there.
    last, places = np.unique(np.concatenate(numbers)[::-1], return_index=True)
    return Changes(last, np.ascontiguousarray(np.concatenate(rows)[::-1][places]))


def trial(source: Source, colour: str, orientation: int, mask: Mask) -> Callable[[Pixels], U8]:
    """What `edit` makes of the mask's window, for pixels that may be painted there: quantised, and decoded again.

    Other masks on the same MCUs are not counted.
    """
    grid = source.layout
    window = _stored(mask, grid.size, orientation)
    mcus = grid.mcus_around(window)
    place = grid.pixels_of(mcus)
    samples, canvas = _decoded(source, colour, mcus)
    rows = slice(window.top - place.top, window.bottom - place.top)
    columns = slice(window.left - place.left, window.right - place.left)

    def written(pixels: Pixels) -> U8:
        changed, touched = canvas.copy(), np.zeros(canvas.shape[:2], np.bool_)
        _lay(_patch(mask, window, pixels, orientation), place, changed, touched)
        overlay = Overlay(source, *_coded(grid, colour, mcus, samples, changed, touched))
        _, shown = _decoded(overlay, colour, mcus)
        return np.ascontiguousarray(jpeg_pixels.upright(shown[rows, columns], orientation))

    return written


@dataclass(frozen=True, slots=True)
class Overlay:
    """A source of which some MCUs are changed.

    Attributes:
        below: the source. numbers: of the changed MCUs, ascending. coefficients: theirs.
    """

    below: Source
    numbers: npt.NDArray[np.int64]
    coefficients: Coefficients

    @property
    def layout(self) -> Layout:
        return self.below.layout

    def read(self, mcus: npt.NDArray[np.int64]) -> Coefficients:
        found = np.array(self.below.read(mcus))
        if len(self.numbers):
            places = np.minimum(np.searchsorted(self.numbers, mcus), len(self.numbers) - 1)
            changed = self.numbers[places] == mcus
            found[changed] = self.coefficients[places[changed]]
        return found


def _stored(mask: Mask, size: Size, orientation: int) -> Rect:
    """The mask's window in the stored picture."""
    upright = Size(size.height, size.width) if orientation >= 5 else size
    window = Rect(mask.top, mask.left, mask.top + mask.height, mask.left + mask.width)
    if mask.top < 0 or mask.left < 0 or window.bottom > upright.height or window.right > upright.width:
        raise ConcealmentFailed("a mask lies outside the picture")
    return stored_rect(window, upright, orientation)


def _paint(mask: Mask, size: Size, orientation: int, place: Rect, canvas: U8, paint: Paint) -> _Patch:
    window = _stored(mask, size, orientation)
    rows = slice(window.top - place.top, window.bottom - place.top)
    columns = slice(window.left - place.left, window.right - place.left)
    shown = np.array(jpeg_pixels.upright(canvas[rows, columns], orientation), order="C")  # a copy in any case
    painted: Pixels = paint(shown, mask, 0)
    if painted.shape != shown.shape or painted.dtype != np.uint8:
        raise ConcealmentFailed("an effect returned pixels of another shape or depth")
    return _patch(mask, window, painted, orientation)


def _patch(mask: Mask, window: Rect, painted: Pixels, orientation: int) -> _Patch:
    touched = mask.core | (mask.weight > 0)
    return _Patch(
        window,
        np.ascontiguousarray(jpeg_pixels.stored(painted.astype(np.uint8, copy=False), orientation)),
        np.ascontiguousarray(jpeg_pixels.stored(touched.view(np.uint8), orientation)),
    )


def _lay(patch: _Patch, place: Rect, canvas: U8, touched: Touched) -> None:
    """Put what a patch painted on the canvas, which lies at `place` and meets it."""
    p = patch.place
    top, bottom = max(p.top, place.top), min(p.bottom, place.bottom)
    left, right = max(p.left, place.left), min(p.right, place.right)
    here = slice(top - place.top, bottom - place.top), slice(left - place.left, right - place.left)
    there = slice(top - p.top, bottom - p.top), slice(left - p.left, right - p.left)
    mark = patch.touched[there]
    cv2.copyTo(patch.pixels[there], mark, canvas[here])
    touched[here] |= mark.view(np.bool_)


def _decoded(source: Source, colour: str, mcus: Rect) -> tuple[list[U8], U8]:
    """The samples of each component at its own resolution, and the pixels, of a rectangle of MCUs."""
    grid = source.layout
    # Chroma is interpolated across the borders of MCUs.
    border = 1 if any((c.h, c.v) != (grid.hmax, grid.vmax) for c in grid.components) else 0
    wide = Rect(
        max(mcus.top - border, 0),
        max(mcus.left - border, 0),
        min(mcus.bottom + border, grid.rows),
        min(mcus.right + border, grid.columns),
    )
    around, place = grid.pixels_of(wide), grid.pixels_of(mcus)
    numbers = grid.numbers(wide)
    coefficients = source.read(numbers.ravel())
    samples, full = [], []
    first = 0
    rows, columns = numbers.shape
    for c in grid.components:
        plane = np.empty((rows * c.v * 8, columns * c.h * 8), np.uint8)
        _dct.samples(coefficients, first, _steps(c.quant), _NATURAL, plane, c.h, c.v)
        first += c.h * c.v
        across, down = grid.hmax // c.h, grid.vmax // c.v
        # Samples outside the picture are hidden content, which must neither be seen nor be kept.
        plane = plane[: -(-(around.bottom - around.top) // down), : -(-(around.right - around.left) // across)]
        top, left = (place.top - around.top) // down, (place.left - around.left) // across
        bottom, right = -(-(place.bottom - around.top) // down), -(-(place.right - around.left) // across)
        samples.append(plane[top:bottom, left:right])
        if (across, down) != (1, 1):
            size = (plane.shape[1] * across, plane.shape[0] * down)
            # For a factor of two these are the weights 3/4 and 1/4 of libjpeg's "fancy upsampling".
            plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        cut = slice(place.top - around.top, place.bottom - around.top)
        full.append(plane[cut, place.left - around.left : place.right - around.left])
    return samples, np.ascontiguousarray(jpeg_pixels.from_planes(full, colour))


def _coded(
    grid: Layout, colour: str, mcus: Rect, samples: list[U8], canvas: U8, touched: Touched
) -> tuple[npt.NDArray[np.int64], Coefficients]:
    """Numbers and coefficients of the touched MCUs of a rectangle."""
    w, h = 8 * grid.hmax, 8 * grid.vmax
    # The window shows surroundings that no mask touches: leave them out early.
    x, y, across, down = cv2.boundingRect(touched.view(np.uint8))
    if not across:
        return np.empty(0, np.int64), np.empty((0, grid.blocks, 64), np.int16)
    top, left, bottom, right = y // h, x // w, -(-(y + down) // h), -(-(x + across) // w)
    inner = slice(top * h, bottom * h), slice(left * w, right * w)
    canvas, touched = canvas[inner], touched[inner]
    rows, columns = bottom - top, right - left
    chosen = _any(touched, rows, h, columns, w)
    numbers = np.flatnonzero(chosen).astype(np.int64, copy=False)
    out = np.empty((len(numbers), grid.blocks, 64), np.int16)
    first = 0
    for full, old, c in zip(jpeg_pixels.full_planes(canvas, colour), samples, grid.components, strict=True):
        # Outside the masks the stored samples count, not the pixels: those took on colour from across the outline
        # when chroma was interpolated, and have been to RGB and back.
        kept = old[top * 8 * c.v : bottom * 8 * c.v, left * 8 * c.h : right * 8 * c.h]
        merged = jpeg_pixels.merge(full, kept, touched, grid.hmax // c.h, grid.vmax // c.v)
        below, beside = rows * 8 * c.v - merged.shape[0], columns * 8 * c.h - merged.shape[1]
        if below or beside:
            merged = np.asarray(cv2.copyMakeBorder(merged, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)
        _dct.coefficients(np.ascontiguousarray(merged), numbers, first, _steps(c.quant), _NATURAL, out, c.h, c.v)
        first += c.h * c.v
    here = Rect(mcus.top + top, mcus.left + left, mcus.top + bottom, mcus.left + right)
    return grid.numbers(here)[chosen], out


def _any(touched: Touched, rows: int, h: int, columns: int, w: int) -> Touched:
    """(rows, columns) bool: whether an MCU of w x h pixels has a touched one."""
    marks = np.zeros((rows * h, columns * w), np.bool_)
    marks[: touched.shape[0], : touched.shape[1]] = touched
    eights = marks.view(np.uint64).reshape(rows, h, columns * w // 8)  # eight pixels at a time
    united = np.bitwise_or.reduce(eights, axis=1).reshape(rows, columns, w // 8)
    return np.asarray(united.any(axis=2), np.bool_)


@lru_cache(maxsize=16)
def _steps(quant: tuple[int, ...]) -> npt.NDArray[np.int32]:
    return np.array(quant, np.int32)
