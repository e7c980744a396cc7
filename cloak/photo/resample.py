"""Pixels on another grid: smaller, or moved off the sensor's own grid, whose noise tells one camera from another."""

import hmac
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from cloak.geometry import Box, Pixels, Region, Size
from cloak.photo.pixels import BAND, Alpha, Frame

_LEAST, _MOST = 0.004, 0.012
"""What is cut off each edge, as a share of the side (benchmarks/prnu.py): the sensor's grid is then stretched by 1 to
2 %, differently along and across, so that its noise is found no more by trying shifts alone."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """The window of the upright photo that is published, in whole pixels, and the size that it is brought to."""

    left: int
    top: int
    width: int
    height: int
    size: Size

    def into(self, box: Box) -> Box:
        """A box of the photo in pixels of the published picture."""
        x, y = self.size.width / self.width, self.size.height / self.height
        return Box((box.x - self.left) * x, (box.y - self.top) * y, box.width * x, box.height * y)

    def back(self, box: Box) -> Box:
        """A box of the published picture in pixels of the photo."""
        x, y = self.width / self.size.width, self.height / self.size.height
        return Box(box.x * x + self.left, box.y * y + self.top, box.width * x, box.height * y)

    def region(self, region: Region) -> Region:
        """The same for a region; the tilt of a turned ellipse is kept, for a stretch of a few percent at most."""
        shape = region.shape
        if isinstance(shape, Box):
            return replace(region, shape=self.into(shape))
        x, y = self.size.width / self.width, self.size.height / self.height
        middle = self.into(Box(shape.cx, shape.cy, 0, 0))
        return replace(region, shape=replace(shape, cx=middle.x, cy=middle.y, rx=shape.rx * x, ry=shape.ry * y))

    @property
    def note(self) -> str:
        return f"Every pixel was resampled: {self.size.width} x {self.size.height} of them are published."


def plan(size: Size, longest: int | None, seed: bytes | None) -> Resampling | None:
    """How a photo is resampled; None if it stays on its grid.

    Args:
        size: of the upright photo.
        longest: most pixels of the longer side; a smaller photo is not enlarged. None for no limit.
        seed: moves the grid by an amount that only this tells; None leaves the whole picture in.
    """
    left, right, top, bottom = (0, 0, 0, 0) if seed is None else _margins(size, seed)
    width, height = size.width - left - right, size.height - top - bottom
    ratio = 1.0 if longest is None else min(longest / max(size.width, size.height), 1.0)
    new = Size(max(round(size.width * ratio), 1), max(round(size.height * ratio), 1))
    return None if (width, height) == (new.width, new.height) else Resampling(left, top, width, height, new)


def _margins(size: Size, seed: bytes) -> tuple[int, int, int, int]:
    """Pixels to cut: left, right, top, bottom; none of sides under 16 pixels."""
    drawn = hmac.digest(seed, b"resample", "sha256")
    shares = [_LEAST + (_MOST - _LEAST) * int.from_bytes(drawn[4 * i : 4 * i + 4], "big") / 2**32 for i in range(4)]
    sides = (size.width, size.width, size.height, size.height)
    left, right, top, bottom = (
        max(round(share * side), 1) if side >= 16 else 0 for share, side in zip(shares, sides, strict=True)
    )
    return left, right, top, bottom


def resampled(frame: Frame, how: Resampling) -> Frame:
    """The frame on the other grid; colour under transparency weighs as little as it shows."""
    rows, columns = slice(how.top, how.top + how.height), slice(how.left, how.left + how.width)
    pixels = frame.pixels[rows, columns]
    if frame.alpha is None:
        return Frame(_resized(pixels, how), None, frame.profile)
    alpha = cast(Alpha, np.ascontiguousarray(frame.alpha[rows, columns]))
    weighted = _resized(_multiplied(pixels, alpha), how)
    covering: Alpha = _resized(alpha[..., None], how)[..., 0]
    return Frame(_divided(weighted, covering), covering, frame.profile)


def _resized(pixels: Pixels, how: Resampling) -> Pixels:
    shrinks = how.size.width < how.width or how.size.height < how.height
    size = (how.size.width, how.size.height)
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    made = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=method)
    return cast(Pixels, made.reshape(how.size.height, how.size.width, pixels.shape[2]))


def _multiplied(pixels: Pixels, alpha: Alpha) -> Pixels:
    """Colour times alpha, 16 bits."""
    out = np.empty(pixels.shape, np.uint16)
    scale = np.float32(65535 / float(np.iinfo(alpha.dtype).max) ** 2)
    for y in range(0, len(out), BAND):
        band = pixels[y : y + BAND].astype(np.float32)
        out[y : y + BAND] = np.rint(band * alpha[y : y + BAND][..., None] * scale)
    return out


def _divided(weighted: Pixels, alpha: Alpha) -> Pixels:
    """The inverse of `_multiplied`, in the dtype of alpha; 0 where nothing shows."""
    top = float(np.iinfo(alpha.dtype).max)
    out = np.zeros(weighted.shape, alpha.dtype)
    for y in range(0, len(out), BAND):
        cover = alpha[y : y + BAND][..., None].astype(np.float32)
        colour = weighted[y : y + BAND] * np.float32(top * top / 65535) / np.maximum(cover, 1)
        out[y : y + BAND] = np.where(cover > 0, np.clip(np.rint(colour), 0, top), 0)
    return cast(Pixels, out)
