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

SLIVER, MOST = 65535 // 32, 0.6
"""Where so large a share of a 16-bit picture lies this close around the middle of each channel, it has a few levels of
8 bits there: whoever stretches them sees what a viewer does not show. (The rest may be what was painted over faces.)"""

FLAT = 16
"""Of its own levels, a picture with fewer than these is flat at 16 bits too."""

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
    if alpha and (_varies(frame, "alpha", _soft, square, SOFT) or _varies(frame, "alpha", _alpha_hidden, square)):
        found.append("alpha")
    if inks and _varies(frame, "black", _black_hidden, square):
        found.append("black")
    if _levels(frame) is not None:
        found.append("levels")
    return tuple(found)


def rendered(frame: Frame, rendering: Rendering) -> Frame:
    """The frame that `shown` shows in a rendering."""
    top = np.iinfo(frame.pixels.dtype).max
    if rendering == "colour":
        pixels = top - frame.pixels[..., :3] if frame.pixels.shape[2] == 4 else frame.pixels
        return Frame(pixels, _published(frame.alpha))
    if rendering == "alpha" and frame.alpha is not None:
        return Frame(frame.alpha[..., None])
    if rendering == "black" and frame.pixels.shape[2] == 4:
        return Frame(top - frame.pixels[..., 3:])
    if rendering == "levels" and (levels := _levels(frame)) is not None:
        alpha = _published(frame.alpha)
        return Frame(_stretched(frame.pixels, *levels), None if alpha is None else to_8bit(alpha))
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


def _levels(frame: Frame) -> tuple[npt.NDArray[np.float64], float] | None:
    """The middle of each channel and the range around it, of a 16-bit picture that uses a sliver of the values."""
    if frame.pixels.dtype != np.uint16:
        return None
    step = max(min(frame.pixels.shape[:2]) // 256, 1)
    sample = frame.pixels[::step, ::step].reshape(-1, frame.pixels.shape[2])
    near = sample[(np.abs(sample - np.median(sample, axis=0)) <= SLIVER).all(axis=1)]
    if len(near) < MOST * len(sample):
        return None
    low, high = np.quantile(near, (0.005, 0.995), axis=0)
    width = float((high - low).max())
    return ((low + high) / 2, width) if width >= FLAT else None


def _stretched(pixels: Pixels, middle: npt.NDArray[np.float64], width: float) -> Values:
    """8 bits of what lies around the middle of each channel."""
    out = np.empty(pixels.shape, np.uint8)
    for y in range(0, len(out), BAND):
        out[y : y + BAND] = np.clip((pixels[y : y + BAND] - middle) * (255 / width) + GREY, 0, 255)
    return out
