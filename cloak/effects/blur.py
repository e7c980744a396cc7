"""Blur that cannot be undone: a face is reduced to a few jittered cells, and these are drawn smooth."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cloak.effects.base import Noise
from cloak.effects.cells import full_scale, grid, means, patches, put, smooth, toned
from cloak.effects.settings import check_cells, check_jitter
from cloak.geometry import Pixels
from cloak.masks import Mask


@dataclass(frozen=True, slots=True)
class Blur:
    """Replaces a face by a smooth picture that is drawn from a few cells alone.

    Attributes:
        cells: along the longer side of the region, before smoothing.
        jitter: standard deviation of the keyed noise on each cell's lightness, as a share of the full range.

    A plain blur is a linear filter: what it hides can be searched for, and in part be computed back. Here nothing of
    the original but its one colour and the cells' jittered lightness enters.
    """

    margin: ClassVar[float] = 0.0

    cells: int = 6
    jitter: float = 0.12

    def __post_init__(self) -> None:
        check_cells(self.cells)
        check_jitter(self.jitter)

    def __call__(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels:
        out = np.zeros_like(pixels)
        full = full_scale(pixels)
        for patch in patches(mask):
            lattice = grid(patch, self.cells)
            stream = noise.child("blur", mask.streams[patch.index])
            values = toned(means(pixels, patch, lattice), self.jitter, full, stream, self.cells)
            put(out, patch, smooth(values, lattice, patch.inside.shape, pixels.dtype))
        return out
