"""Fill: one colour, which says nothing but that somebody was here."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cloak.effects.base import Noise
from cloak.effects.tone import tint
from cloak.errors import UsageError
from cloak.geometry import Pixels
from cloak.masks import Mask


@dataclass(frozen=True, slots=True)
class Fill:
    """Replaces a face by one colour.

    Attributes:
        colour: red, green and blue, 0 to 255; in grey and CMYK photos the tone that comes nearest.
    """

    margin: ClassVar[float] = 0.0

    colour: tuple[int, int, int] = (128, 128, 128)

    def __post_init__(self) -> None:
        parts = self.colour
        whole = isinstance(parts, tuple | list) and all(isinstance(c, int) and not isinstance(c, bool) for c in parts)
        if not whole or len(parts) != 3 or not all(0 <= c <= 255 for c in parts):
            raise UsageError("colour must be three whole numbers from 0 to 255")
        # Settings files hold lists; the value must stay hashable and equal to itself.
        object.__setattr__(self, "colour", tuple(parts))

    def __call__(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels:  # noqa: ARG002
        out = np.empty_like(pixels)
        tone = tint(np.array(self.colour, np.float64), pixels.shape[2], pixels.dtype)
        # Whole rows are copied many times faster than single pixels.
        out[:] = np.tile(tone, (pixels.shape[1], 1))
        return out
