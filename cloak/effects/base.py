"""What an effect is, and the keyed noise that effects draw on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from cloak.geometry import Pixels
from cloak.masks import Mask


@dataclass(frozen=True, slots=True)
class Noise:
    """A stream of keyed randomness: the same seed gives the same numbers on every machine and library version.

    SHAKE-256 rather than a numerical generator: those promise no stable stream across versions, and their state can
    be worked out from what they print.
    """

    seed: bytes

    def child(self, *names: object) -> "Noise":
        """An independent stream for a named purpose."""
        return Noise(hashlib.shake_256(self.seed + b"|" + "|".join(map(str, names)).encode()).digest(32))

    def uniform(self, shape: Sequence[int]) -> npt.NDArray[np.float64]:
        """Numbers in [0, 1) of the given shape."""
        count = math.prod(shape)
        raw = np.frombuffer(hashlib.shake_256(self.seed).digest(4 * count), "<u4")
        return (raw / 2.0**32).reshape(tuple(shape))

    def normal(self, shape: Sequence[int]) -> npt.NDArray[np.float64]:
        """Standard normal numbers of the given shape (Box and Muller 1958)."""
        u = self.uniform((2, *shape))
        return np.asarray(np.sqrt(-2 * np.log1p(-u[0])) * np.cos(2 * np.pi * u[1]), np.float64)


class Effect(Protocol):
    """Replaces faces. A small frozen dataclass whose fields are its settings.

    `pixels` is a window of the upright photo ((h, w, C) as `cloak.geometry.Pixels` says) and `mask` lies over just
    that window. The answer has the same shape and dtype; what it holds where `mask.weight` is 0 does not matter.
    Inside the core it may depend on the original only through a few cells a face.

    `margin` is how much of the surroundings it has to see, as `cloak.masks.draw` takes it: photos decode no more.
    """

    margin: ClassVar[float]

    def __call__(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels: ...
