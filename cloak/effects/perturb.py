"""Perturbation: the face stays for people, and becomes useless to a scraper's recogniser. Hardening, not anonymity."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt

from cloak.effects.base import Noise
from cloak.effects.cells import grid, means, patches, put, spread
from cloak.effects.evasion import FRAME, Budget, Change, evade, on_face, recognised
from cloak.effects.pixelate import Pixelate
from cloak.errors import ConcealmentFailed, UsageError
from cloak.geometry import Pixels, Region, Size
from cloak.masks import Mask, draw
from cloak.recognise.align import Placement, chip, placement
from cloak.recognise.surrogate import check, surrogate

Combine = Literal["none", "pixelate", "eyes"]

ESCALATION = (1.0, 1.4, 2.0)
"""By how much the budget of a face grows while the surrogates still recognise it; then it is reported as it is."""

CELLS = 24
"""Of the light pixelation that perturbation can be combined with, across the cover."""


PIECE = 0.6
"""A hit on a face that is changed, and at most so large beside it, is taken for a piece of that face."""


def as_painted(pixels: Pixels) -> Pixels:
    """What a lossless file makes of pixels."""
    return pixels


@dataclass(frozen=True, slots=True)
class Perturb:
    """Changes each face so that recognisers take it for somebody else, while people still see who it is.

    It slows down face search; it stops no adversary for good, and nobody who looks. Figures: docs/perturb.md.

    Attributes:
        grain: size of the fine changes of luminance, in levels of 255 on smooth skin; in texture they are up to six
            times as strong. Above 0.
        light: size of the changes of the shading, in levels of 255. Above 0.
        steps: of the search; each costs about 0.1 s of CPU for each surrogate and face.
        surrogates: recognisers to lead astray, names of `cloak.recognise.CARDS`.
        combine: "pixelate" lightly, or cover the "eyes", on top.
    """

    margin: ClassVar[float] = 0.25

    grain: float = 2.3
    light: float = 3.5
    steps: int = 40
    surrogates: tuple[str, ...] = ("sface",)
    combine: Combine = "none"

    def __post_init__(self) -> None:
        if not 0 < self.grain <= 20 or not 0 < self.light <= 60:
            raise UsageError("grain must lie above 0 and up to 20, light above 0 and up to 60")
        if not 1 <= self.steps <= 1000 or not self.surrogates:
            raise UsageError("steps must be 1 to 1000, and there must be a surrogate")
        for name in self.surrogates:
            check(name)
        if len(set(self.surrogates)) < len(self.surrogates):
            raise UsageError("a surrogate is named twice")
        if self.combine not in ("none", "pixelate", "eyes"):
            raise UsageError('combine must be "none", "pixelate" or "eyes"')

    def within(self, written: Callable[[Pixels], Pixels]) -> "Within":
        """This effect in a file that makes `written` of what is painted."""
        return Within(self, written)

    def __call__(
        self, pixels: Pixels, mask: Mask, noise: Noise, written: Callable[[Pixels], Pixels] = as_painted
    ) -> Pixels:
        """The window with its faces changed; see `Effect`.

        Args:
            written: what the file will make of the window's pixels, so that the search counts on nothing that coding
                takes away.

        A region without landmarks is pixelated: nothing stays bare for want of knowing where its eyes are. Hits on
        pieces of a large face get no change of their own: changes on top of each other tear the face apart. They are
        looked at afterwards as every face is (`cloak.protection`).
        """
        if pixels.shape[2] == 4:
            raise ConcealmentFailed("perturb works on grey and RGB pixels; convert CMYK, or use another effect")
        surrogates = [surrogate(name) for name in self.surrogates]
        out = pixels
        places = [placement(region.landmarks, FRAME) if region.landmarks else None for region in mask.regions]
        known = [(index, place) for index, place in enumerate(places) if place is not None]  # the rest: see below
        changed: list[Placement] = []
        for index, place in sorted(known, key=lambda item: _scale(item[1])):  # the largest face first
            if any(_piece(place, other) for other in changed):
                continue
            changed.append(place)
            base = out

            def settle(change: Change, base: Pixels = base, place: Placement = place) -> npt.NDArray[np.float32]:
                shown = written(self._combined(_carried(base, place, change), mask, noise))
                return chip(_rgb(shown), place, FRAME.side).astype(np.float32)

            face = chip(_rgb(base), place, FRAME.side).astype(np.float32)
            for factor in ESCALATION:
                budget = Budget(self.grain * factor, self.light * factor, self.steps)
                found = evade(face, surrogates, budget, noise.child("perturb", mask.streams[index]), settle)
                if not recognised(face, settle(found), surrogates):
                    break
            out = _carried(base, place, found)
        return self._combined(out, mask, noise)

    def _combined(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels:
        out = pixels.copy()
        if self.combine == "pixelate":
            for patch in patches(mask):
                lattice = grid(patch, CELLS)
                put(out, patch, spread(means(pixels, patch, lattice), lattice, pixels.dtype))
        for index, region in enumerate(mask.regions):
            if region.landmarks is None or placement(region.landmarks, FRAME) is None:
                _pixelated(out, region, mask, noise.child("pixelated", mask.streams[index]))
            elif self.combine == "eyes":
                _bar(out, region)
        return out


def _scale(place: Placement) -> float:
    """Pixels of `FRAME` for a pixel of the photo: little for large faces."""
    return math.sqrt(abs(float(np.linalg.det(place[:, :2]))))


def _piece(place: Placement, other: Placement) -> bool:
    """Whether a face at `place` is a piece of the one at `other`: much smaller, its middle on it."""
    middle = FRAME.side / 2 - place[:, 2]
    x, y = other[:, :2] @ np.linalg.solve(place[:, :2], middle) + other[:, 2]
    return _scale(other) <= PIECE * _scale(place) and bool(on_face(x, y))


def _pixelated(pixels: Pixels, region: Region, mask: Mask, noise: Noise) -> None:
    """A region concealed as if perturb did not exist, in place."""
    outer = replace(region, shape=region.shape.grown(1.1))  # the feather too
    for part in draw([outer], Size(mask.width, mask.height)):
        window = part.window()
        painted = Pixelate()(pixels[window].copy(), part, noise)
        np.copyto(pixels[window], painted, where=part.core[..., None])


def _carried(pixels: Pixels, place: Placement, change: Change) -> Pixels:
    """The window under a change that was found in the face's frame, in the window's own resolution."""
    height, width = pixels.shape[:2]
    side = change.shape[0]
    turn = np.linalg.inv(place[:, :2])
    corners = (np.array([[0, 0], [side, 0], [0, side], [side, side]]) - place[:, 2]) @ turn.T
    left, top = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, (width, height))
    if left >= right or top >= bottom:
        return pixels
    part = pixels[top:bottom, left:right]
    moved = np.array(place) + np.hstack([np.zeros((2, 2)), (place[:, :2] @ np.array([left, top]))[:, None]])
    size = int(right - left), int(bottom - top)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    full = float(np.iinfo(pixels.dtype).max)
    light = cv2.warpAffine(change, moved, size, flags=flags) * np.float32(full / 255)
    out = pixels.copy()
    out[top:bottom, left:right] = np.rint(np.clip(part + light[..., None], 0, full))
    return out


def _rgb(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """8-bit RGB of grey or RGB."""
    eight = pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257.0)
    return np.ascontiguousarray(np.broadcast_to(eight, (*pixels.shape[:2], 3)).astype(np.uint8))


def _bar(pixels: Pixels, region: Region) -> None:
    """A black bar over the eyes and what recognisers see of brows and the root of the nose, in place."""
    if not region.landmarks:
        return
    left, right = (np.array(point) for point in region.landmarks[:2])
    along = right - left
    distance = math.hypot(*along)
    box = (tuple((left + right) / 2), (2.4 * distance, 0.8 * distance), math.degrees(math.atan2(along[1], along[0])))
    corners = np.rint(cv2.boxPoints(box)).astype(np.int32)
    cover = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(cover, corners, 1)
    pixels[cover > 0] = 0


@dataclass(frozen=True, slots=True)
class Within:
    """`Perturb` for one window of one file: the search counts on nothing that the file's coding takes away."""

    effect: Perturb
    written: Callable[[Pixels], Pixels]
    margin: ClassVar[float] = Perturb.margin

    def __call__(self, pixels: Pixels, mask: Mask, noise: Noise) -> Pixels:
        return self.effect(pixels, mask, noise, self.written)
