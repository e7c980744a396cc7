"""What a recogniser is, and the upright frame in which it wants to see a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from cloak.geometry import RGB

Embeddings: TypeAlias = npt.NDArray[np.float32]
"""(N, D) float32, one row a face, each of length 1: the dot product of two rows is their cosine."""

Landmarks: TypeAlias = Sequence[tuple[float, float]]
"""Five points (x, y), as detectors give them: eye on the image's left, eye on its right, nose, two mouth corners."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A square picture of one face.

    Attributes:
        side: width and height in pixels.
        points: where in it the five landmarks of a mean face lie, in pixels.
    """

    side: int
    points: tuple[tuple[float, float], ...]

    def window(self, left: float, top: float, width: float, side: int) -> "Frame":
        """The square part of this frame from (left, top), `width` wide, as a frame of `side` pixels."""
        scale = side / width
        return Frame(side, tuple(((x - left) * scale, (y - top) * scale) for x, y in self.points))


ARCFACE = Frame(
    112, ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
)
"""The frame of ArcFace (Deng et al. 2019) and of most recognisers since; the others are windows of it."""


class Recogniser(Protocol):
    """Turns pictures of faces into embeddings; loaded once, called many times from one thread.

    `faces` is (N, side, side, 3) uint8 RGB in the recogniser's frame, N from 0 on; see `cloak.recognise.chips`.
    """

    @property
    def name(self) -> str: ...

    @property
    def frame(self) -> Frame: ...

    def __call__(self, faces: RGB) -> Embeddings: ...


def unit(rows: npt.NDArray[np.float32]) -> Embeddings:
    """The rows, each scaled to length 1; a row of zeros stays what it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)
