"""Array work that all raster formats share: orientation, depth, palettes, transparency, reduction."""

from dataclasses import dataclass
from typing import TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt

from cloak.geometry import RGB, Pixels

Alpha: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W), of its pixels' dtype, full range: 0 is transparent."""

BAND = 512
"""Rows that are worked on at a time, so that temporaries stay small; a multiple of every reduction."""

SQUARE, LEFT = 16, 32
"""Pixels of a square's side, and the mean level in it above which colour was not cleared. What is left of pictures that
were, coded as WebP, HEIC and AVIF at qualities of 5 to 92, stays below it where all squares around are hidden, too."""

GREY = 128
"""What transparent pixels are shown over."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture as it is shown, upright.

    Attributes:
        pixels: (H, W, C), colour only.
        alpha: of the same dtype; None if the format stores none for this picture.
        profile: the ICC profile of the colours; b"" if the file has none.
    """

    pixels: Pixels
    alpha: Alpha | None = None
    profile: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """A picture of at most 256 colours.

    Attributes:
        indices: (H, W) uint8.
        palette: (N, 4) uint8, RGBA, sorted, every entry used.
    """

    indices: npt.NDArray[np.uint8]
    palette: npt.NDArray[np.uint8]


def upright(frame: Frame, orientation: int) -> Frame:
    """The frame with an EXIF orientation (TIFF 6.0, tag 274; 1-8) applied; unknown values change nothing."""
    if orientation not in range(2, 9):
        return frame
    alpha = None if frame.alpha is None else _turn(frame.alpha, orientation)
    return Frame(_turn(frame.pixels, orientation), alpha, frame.profile)


def swaps(orientation: int) -> bool:
    """Whether an EXIF orientation exchanges width and height."""
    return orientation in (5, 6, 7, 8)


def _turn(a: Pixels, orientation: int) -> Pixels:
    if swaps(orientation):
        a = a.swapaxes(0, 1)  # 5: mirrored along the main diagonal
    if orientation in (2, 3, 6, 7):
        a = a[:, ::-1]
    if orientation in (3, 4, 7, 8):
        a = a[::-1]
    return cast(Pixels, np.ascontiguousarray(a))


def full_range(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int) -> Pixels:
    """Samples of `bits` (1-16) brought to the full range of uint8, or of uint16 for more than 8 bits.

    v -> round(v * max / (2^bits - 1)), exact where the ranges divide; `reduced` undoes it.
    """
    target = np.uint8 if bits <= 8 else np.uint16
    top = np.iinfo(target).max
    most = (1 << bits) - 1
    if most == top:
        return cast(Pixels, values if values.dtype == target else values.astype(target))
    table = ((np.arange(most + 1, dtype=np.uint64) * top + most // 2) // most).astype(target)
    return cast(Pixels, table[np.minimum(values, most)])


def reduced(values: Pixels, bits: int) -> Pixels:
    """Full-range samples brought to the nearest of `bits` levels: 0 to 2^bits - 1, dtype kept."""
    top = np.iinfo(values.dtype).max
    most = (1 << bits) - 1
    if most == top:
        return values
    table = ((np.arange(top + 1, dtype=np.uint64) * most + top // 2) // top).astype(values.dtype)
    return cast(Pixels, table[values])


def to_8bit(values: Pixels) -> npt.NDArray[np.uint8]:
    """Full-range samples as uint8, rounded."""
    if values.dtype == np.uint8:
        return cast(npt.NDArray[np.uint8], values)
    if values.ndim == 3 and values.shape[2] > 4:
        raise ValueError("at most 4 channels")
    # A fifth of NumPy's time; no value lies near the middle of two, as 257 is odd.
    return np.asarray(cv2.convertScaleAbs(values, alpha=1 / 257), np.uint8).reshape(values.shape)


def with_alpha(pixels: Pixels, alpha: Alpha | None) -> Pixels:
    """(H, W, C + 1) with alpha last; the pixels themselves if there is none."""
    return pixels if alpha is None else cast(Pixels, np.concatenate((pixels, alpha[..., None]), axis=2))


def clear_hidden(frame: Frame) -> None:
    """Set colour under full transparency to 0, in place."""
    if frame.alpha is not None:
        for y in range(0, frame.alpha.shape[0], BAND):
            frame.pixels[y : y + BAND][frame.alpha[y : y + BAND] == 0] = 0


def colour_left(frame: Frame, *, exact: bool) -> bool:
    """Whether there is colour under full transparency.

    Args:
        frame: the picture.
        exact: it is stored without loss. Coders with loss leave some near what is seen: then only squares count that
            lie amid squares without a visible pixel.
    """
    if frame.alpha is None:
        return False
    squares = []
    for y in range(0, frame.alpha.shape[0], BAND):
        hidden, pixels = frame.alpha[y : y + BAND] == 0, frame.pixels[y : y + BAND]
        if not exact:
            brightest = to_8bit(pixels).max(axis=2)
            squares.append(_averaged(np.dstack((hidden * np.uint8(255), brightest, brightest)), SQUARE))
        elif pixels[hidden].any():
            return True
    if exact:
        return False
    share, brightest, _ = cv2.split(np.concatenate(squares))
    amid = cv2.erode((share == 255).astype(np.uint8), np.ones((3, 3), np.uint8))
    return bool((brightest[amid > 0] > LEFT).any())


def shown(frame: Frame, reduction: int) -> RGB:
    """The frame as 8-bit RGB over mid grey, averaged over squares of `reduction` pixels (edges: what is left)."""
    height, width = frame.pixels.shape[:2]
    out = np.empty((-(-height // reduction), -(-width // reduction), 3), np.uint8)
    for y in range(0, height, BAND):
        band = Frame(frame.pixels[y : y + BAND], None if frame.alpha is None else frame.alpha[y : y + BAND])
        rgb = _averaged(_visible(band), reduction)
        out[y // reduction : y // reduction + rgb.shape[0]] = rgb
    return out


def _visible(band: Frame) -> RGB:
    pixels = to_8bit(band.pixels)
    channels = pixels.shape[2]
    if channels == 1:
        rgb = np.repeat(pixels, 3, axis=2)
    elif channels == 4:
        light = 255 - pixels.astype(np.uint16)
        rgb = ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)
    else:
        rgb = pixels
    if band.alpha is None:
        return rgb
    alpha = to_8bit(band.alpha)[..., None].astype(np.uint16)
    return ((rgb * alpha + GREY * (255 - alpha) + 127) // 255).astype(np.uint8)


def _averaged(rgb: RGB, reduction: int) -> RGB:
    if reduction == 1:
        return rgb
    height, width = rgb.shape[:2]
    whole_h, whole_w = height // reduction * reduction, width // reduction * reduction
    out = np.empty((-(-height // reduction), -(-width // reduction), 3), np.uint8)
    rows, cols = whole_h // reduction, whole_w // reduction
    for part, place in (
        (rgb[:whole_h, :whole_w], out[:rows, :cols]),
        (rgb[whole_h:, :whole_w], out[rows:, :cols]),
        (rgb[:whole_h, whole_w:], out[:rows, cols:]),
        (rgb[whole_h:, whole_w:], out[rows:, cols:]),
    ):
        if part.size:
            size = (place.shape[1], place.shape[0])
            place[:] = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
    return out


def indexed(pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8] | None, most: int = 256) -> Indexed | None:
    """The picture by a palette of its own colours, or None if it has more than `most` (at most 256).

    Args:
        pixels: (H, W, 3) uint8, or (H, W, 1) grey.
        alpha: (H, W) uint8, or None for opaque.

    The palette holds just the colours in use, sorted: its order tells nothing about where it came from.
    """
    height, width = pixels.shape[:2]
    colours = distinct(pixels, alpha, most)
    if colours is None:
        return None
    out = np.empty((height, width), np.uint8)
    for y in range(0, height, BAND):
        packed = packed_colours(pixels[y : y + BAND], None if alpha is None else alpha[y : y + BAND])
        out[y : y + BAND] = np.searchsorted(colours, packed)
    return Indexed(out, unpacked_colours(colours))


def plain_palette(indices: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]) -> bool:
    """Whether a palette shows all that the indices say, and says nothing of its own.

    Args:
        indices: of any shape.
        palette: (N, C); of two colours in use that are the same, nobody sees which is which.
    """
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=len(palette)))
    if used[-1] >= len(palette):
        return False
    unused = np.delete(palette, used, axis=0)
    return len(np.unique(palette[used], axis=0)) == len(used) and not unused.any()


def distinct(
    pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8] | None, most: int | None = None
) -> npt.NDArray[np.uint32] | None:
    """The packed colours of a picture, sorted; None as soon as there are more than `most`."""
    colours = np.empty(0, np.uint32)
    for y in range(0, pixels.shape[0], BAND):
        packed = packed_colours(pixels[y : y + BAND], None if alpha is None else alpha[y : y + BAND]).ravel()
        starts = np.flatnonzero(packed[1:] != packed[:-1]) + 1  # runs are long in pictures of few colours
        colours = np.union1d(colours, packed[np.concatenate(([0], starts))])
        if most is not None and colours.size > most:
            return None
    return colours


def packed_colours(pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint32]:
    """(H, W) uint32: alpha, red, green, blue from the highest byte down; transparent pixels sort first."""
    out = np.full(pixels.shape[:2], 255, np.uint32) if alpha is None else alpha.astype(np.uint32)
    for channel in range(3):
        out <<= 8
        out |= pixels[..., channel if pixels.shape[2] == 3 else 0]
    return out


def unpacked_colours(colours: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """(N, 4) uint8 RGBA of packed colours."""
    return np.stack([(colours >> shift & 255).astype(np.uint8) for shift in (16, 8, 0, 24)], axis=1)


def changed(before: Frame, after: Frame) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the smallest area in which two frames of one size differ; one pixel if nowhere."""
    differs = (before.pixels != after.pixels).any(axis=2)
    if before.alpha is not None and after.alpha is not None:
        differs |= before.alpha != after.alpha
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
