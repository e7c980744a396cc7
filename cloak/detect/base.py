"""What detectors return, and what a detector is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cloak.geometry import RGB, Box

Landmarks = tuple[tuple[float, float], ...]
"""Five points (x, y), named as in an upright, frontal face: the eye on the image's left, the eye on its right, the
tip of the nose, the mouth's left and right corner. They turn with the head."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One hit of one model at one scale, in pixels of the image that was searched."""

    box: Box
    score: float
    model: str
    landmarks: Landmarks | None = None


class Detector(Protocol):
    """A face detector: an image goes in, hits come out, weak ones included.

    `image` is (H, W, 3) uint8 RGB, of any size from 1x1 on; boxes are in its pixels and may stick out of it.
    A detector is loaded once and called many times from one thread; it returns the same hits for the same image.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, image: RGB) -> list[Detection]: ...


@dataclass(frozen=True, slots=True)
class Face:
    """One face of the photo, fused from all hits on it; pixels of the upright photo.

    Attributes:
        box: of the surest hit, the best guess at where the face is.
        score: 0 to 1, of all looks together (`cloak.detect.fusion.combined`).
        models: names of the models that saw it, sorted.
        votes: how many independent looks (model x scale) saw it.
        landmarks: of the best hit that has them.
        angle: tilt of the head, degrees clockwise; 0 where no landmarks tell.
        extent: covers the boxes of all hits, and is what gets concealed; None: the box.
    """

    box: Box
    score: float
    models: tuple[str, ...]
    votes: int = 1
    landmarks: Landmarks | None = None
    angle: float = 0.0
    extent: Box | None = None

    def moved(self, move: Callable[[Box], Box]) -> "Face":
        """The face on another grid of pixels, without its landmarks."""
        extent = None if self.extent is None else move(self.extent)
        return replace(self, box=move(self.box), extent=extent, landmarks=None)
