"""The ways in which a picture must be looked at, so that no face stays unseen that the file keeps.

What a viewer shows is a product: colour by alpha, light through coloured inks by light through black. Where one factor
is near nothing (or, for alpha, where colour is that of what lies behind), the other can hold a picture that is
published in full, and that whoever drops the first sees: most programs that read faces drop alpha.
"""

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from cloak.geometry import Pixels
from cloak.photo.base import Rendering
from cloak.photo.pixels import BAND, GREY, Alpha, Frame, shown, to_8bit

FAINT = 96
"""Alpha, of 255, under which colour is hidden: of the faces found in a crowd at full contrast, 97 % are found at this
part of it, 91 % at a quarter, 48 % at a tenth."""

ALIKE = 32
"""Levels between a colour and the grey behind it within which alpha is hidden: a quarter of the contrast."""

DARK = 32
"""Light, of 255, through the black ink under which the coloured inks are hidden, and the other way round."""

SQUARE = 4
"""Side in pixels of the squares that are looked at; soft edges hide few of them as a whole."""

PARTLY = 64
"""Share, of 255, of its pixels from which a square counts as hidden where all around it do: less leaves a picture less
than a quarter of its contrast."""

AROUND, CROWDED = 5, 7
"""So many hidden squares must lie within one of these by these: the smallest face has nine, the outline of something
grey that was cut out has five in a row."""

SOFT = 16
"""The same where alpha is neither nothing nor all: less would take in the soft edges of what was cut out. How much of
the other factor is in sight does not matter there, as that may be faint itself, or cancel this one out."""

DETAIL = 8
"""Levels, of 255, by which what is hidden must differ to be worth a look."""

AREAS, SIDE = 8, 64
"""Along the shorter side of a 16-bit picture, so many areas are judged, none smaller than this in pixels: what lies in
one must not decide about what lies in another."""

MOST = 0.5
"""The share of an area's pixels that is judged, the most alike: no others can switch the look off."""

SLIVER = 2 * 257
"""Where those of an area span no more than so many of 65536 levels, 2 of 8 bits, whoever stretches them sees what a
viewer does not show. Of ordinary photos, three in ten have such an area: a sky, a wall, a shadow."""

FEW = 8 * 257
"""The same for most of the areas."""

FLAT = 16
"""Of its own levels, an area with fewer than these is flat at 16 bits too."""

Values = npt.NDArray[np.uint8]


def renderings(frame: Frame, square: int = SQUARE) -> tuple[Rendering, ...]:
    """As a viewer shows it, and each other way that can show more than that does; one for most pictures.

    Args:
        frame: the picture, or one that is reduced already.
        square: side in pixels of the squares that are looked at.
    """
    found: list[Rendering] = ["shown"]
    inks, alpha = frame.pixels.shape[2] == 4, frame.alpha is not None
    if (alpha and _varies(frame, "colour", _soft, square, SOFT)) or (
        (inks or alpha) and _varies(frame, "colour", _colour_hidden, square)
    ):
        found.append("colour")
    if frame.alpha is not None and (
        _varies(frame, "alpha", _soft, square, SOFT)
        or _varies(frame, "alpha", _alpha_hidden, square)
        or _levels(frame.alpha[..., None]) is not None
    ):
        found.append("alpha")
    if inks and _varies(frame, "black", _black_hidden, square):
        found.append("black")
    if _levels(frame.pixels) is not None:
        found.append("levels")
    return tuple(found)


def rendered(frame: Frame, rendering: Rendering) -> Frame:
    """The frame that `shown` shows in a rendering."""
    top = np.iinfo(frame.pixels.dtype).max
    if rendering == "colour":
        pixels = top - frame.pixels[..., :3] if frame.pixels.shape[2] == 4 else frame.pixels
        return Frame(pixels, _published(frame.alpha))
    if rendering == "alpha" and frame.alpha is not None:
        values = frame.alpha[..., None]
        return Frame(values if (levels := _levels(values)) is None else _stretched(values, levels))
    if rendering == "black" and frame.pixels.shape[2] == 4:
        return Frame(top - frame.pixels[..., 3:])
    if rendering == "levels" and (levels := _levels(frame.pixels)) is not None:
        alpha = _published(frame.alpha)
        return Frame(_stretched(frame.pixels, levels), None if alpha is None else to_8bit(alpha))
    return frame


def _published(alpha: Alpha | None) -> Alpha | None:
    """All or nothing: what is fully transparent is cleared, all else is in the file in full."""
    return None if alpha is None else cast(Alpha, np.where(alpha, np.iinfo(alpha.dtype).max, 0).astype(alpha.dtype))


def _varies(
    frame: Frame,
    rendering: Rendering,
    hidden: Callable[[Frame], npt.NDArray[np.bool_]],
    square: int,
    crowd: int = CROWDED,
) -> bool:
    """Whether a rendering differs among the squares of which nothing, or only a part, is in sight."""
    lowest, highest = np.full(3, 255), np.zeros(3, int)
    for y in range(0, frame.pixels.shape[0], BAND):
        band = Frame(frame.pixels[y : y + BAND], None if frame.alpha is None else frame.alpha[y : y + BAND])
        pixels = hidden(band).view(np.uint8) * np.uint8(255)
        share = _squares(pixels, square)
        mask = _crowded(share == 255, crowd) | _crowded(share >= PARTLY, AROUND * AROUND)
        if not mask.any():
            continue
        # Means of the pixels that are hidden: what the others show has been seen.
        values = _squares(cv2.bitwise_and(shown(rendered(band, rendering), 1), cv2.merge([pixels] * 3)), square)
        values = cv2.divide(values, cv2.merge([share] * 3), scale=255)
        if rendering == "alpha":  # what is all there, or not at all, has no detail
            mask = _crowded(mask & (np.abs(values[..., 0].astype(int) - 127) < 127 - DETAIL), crowd)
        if mask.any():
            # Channel by channel: a face may be in one alone.
            lowest = np.minimum(lowest, values[mask].min(axis=0))
            highest = np.maximum(highest, values[mask].max(axis=0))
    return bool((highest - lowest).max() >= DETAIL)


def _crowded(mask: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.bool_]:
    """Those that lie among others."""
    if not mask.any():
        return mask
    around = cv2.boxFilter(mask.astype(np.float32), -1, (AROUND, AROUND), normalize=False)
    return np.asarray(mask & (around >= least), np.bool_)


def _squares(values: Values, side: int) -> Values:
    """Means over whole squares; the last pixels of a side that is no multiple are left out."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    if not rows or not columns:
        return np.zeros((0, 0, *values.shape[2:]), np.uint8)
    whole = np.ascontiguousarray(values[: rows * side, : columns * side])
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _colour_hidden(band: Frame) -> npt.NDArray[np.bool_]:
    """Where colour is hardly in sight: under little alpha, or much black ink."""
    hidden = np.zeros(band.pixels.shape[:2], bool)
    if band.pixels.shape[2] == 4:
        hidden |= to_8bit(band.pixels[..., 3]) > 255 - DARK
    if band.alpha is not None:
        hidden |= to_8bit(band.alpha) < FAINT
        hidden &= band.alpha != 0
    return hidden


def _alpha_hidden(band: Frame) -> npt.NDArray[np.bool_]:
    """Where alpha makes hardly a difference: colour is as what lies behind it, or there is none."""
    assert band.alpha is not None
    near = cv2.inRange(shown(Frame(band.pixels), 1), *[(GREY + away,) * 3 for away in (-ALIKE, ALIKE)])
    return np.asarray(near.astype(bool) | (band.alpha == 0), np.bool_)


def _soft(band: Frame) -> npt.NDArray[np.bool_]:
    """Where colour is partly in sight."""
    assert band.alpha is not None
    alpha = to_8bit(band.alpha)
    return np.asarray((alpha > DETAIL) & (alpha < 255 - DETAIL), np.bool_)


def _black_hidden(band: Frame) -> npt.NDArray[np.bool_]:
    """Where the coloured inks let hardly any light through."""
    return np.asarray((to_8bit(band.pixels[..., :3]) > 255 - DARK).all(axis=2))


def _levels(pixels: Pixels) -> npt.NDArray[np.float32] | None:
    """(rows, columns, C + 1): of each area, the middle of each channel and the range around it, if 8 bits hide some.

    Args:
        pixels: (H, W, C).
    """
    if pixels.dtype != np.uint16:
        return None
    side = max(min(pixels.shape[:2]) // AREAS, SIDE)
    down, across = (max(length // side, 1) for length in pixels.shape[:2])
    areas = np.array(
        [[_area(area) for area in np.array_split(row, across, axis=1)] for row in np.array_split(pixels, down)],
        np.float32,
    )
    spans = areas[..., -1][areas[..., -2] >= FLAT]
    if not spans.size or (spans.min() > SLIVER and np.median(spans) > FEW):
        return None
    return areas[..., :-1]


def _area(pixels: Pixels) -> list[float]:
    """Of 16-bit pixels: the middle of each channel, the range around it, and what `MOST` of them span."""
    middles, width, span = [], 0, 0
    for channel in range(pixels.shape[2]):
        # Of all pixels, by 4 levels: a histogram costs less than a sort, or than the median of a few.
        upto = np.cumsum(np.bincount((pixels[..., channel] >> 2).ravel() + 1, minlength=(1 << 14) + 1))
        most = int(np.ceil(MOST * upto[-1]))
        ends = np.searchsorted(upto, upto[upto <= upto[-1] - most] + most)
        first = int((ends - np.arange(len(ends))).argmin())
        last = int(ends[first])
        around = max(last - first, SLIVER // 4)  # what they belong to
        before, total = upto[max(first - around, 0)], upto[min(last + around, len(upto) - 1)]
        low = int(np.searchsorted(upto, before + 0.005 * (total - before), "right")) - 1
        high = int(np.searchsorted(upto, before + 0.995 * (total - before)))
        middles.append(2.0 * (low + high))
        width, span = max(width, 4 * (high - low)), max(span, 4 * (last - first))
    return [*middles, width, span]


def _stretched(pixels: Pixels, levels: npt.NDArray[np.float32]) -> Values:
    """8 bits of what lies around the middle of each area; between the areas' centres, both count."""
    out = np.empty(pixels.shape, np.uint8)
    height, width, channels = pixels.shape
    down = len(levels)
    for y in range(0, height, BAND):
        band = pixels[y : y + BAND]
        places = np.clip((np.arange(y, y + len(band)) + 0.5) * down / height - 0.5, 0, down - 1)
        above = places.astype(int)
        part = (places - above).astype(np.float32)[:, None, None]
        rows = levels[above] * (1 - part) + levels[np.minimum(above + 1, down - 1)] * part
        here = cv2.resize(rows, (width, len(band)), interpolation=cv2.INTER_LINEAR)
        away = (band - here[..., :channels]) * (255 / np.maximum(here[..., channels:], FLAT))
        out[y : y + BAND] = np.clip(away + GREY, 0, 255)
    return out
