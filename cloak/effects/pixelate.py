"""Pixelation: a few flat cells a face, of one colour, with their lightness jittered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cloak.effects.base import Noise
from cloak.effects.cells import full_scale, grid, means, patches, put, spread, toned
from cloak.effects.settings import check_cells, check_jitter
from cloak.geometry import Pixels
from cloak.masks import Mask


@dataclass(frozen=True, slots=True)
class Pixelate:
    """Replaces a face by a fixed number of flat cells, whatever its size in pixels.

    Attributes:
        cells: along the longer side of the region; the other side holds as many of about the same size.
        jitter: standard deviation of the keyed noise on each cell's lightness, as a share of the full range.

    It defeats face search; it does not defeat an adversary who trains on concealed photos of the same people.
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
            stream = noise.child("pixelate", mask.streams[patch.index])
            values = toned(means(pixels, patch, lattice), self.jitter, full, stream, self.cells)
            put(out, patch, spread(values, lattice, pixels.dtype))
        return out
