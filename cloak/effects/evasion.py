"""Changes of a face that lead recognisers astray: found by following their gradients, within what a viewer overlooks.

The literature calls it a dodging attack: momentum iterations (Dong et al. 2018) over random views of the face (Xie et
al. 2019, Athalye et al. 2018), with smoothed gradients (Dong et al. 2019), away from the person and towards a random
other one, as a target for each photo keeps protected photos of one person from finding each other.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cloak.effects.base import Noise
from cloak.effects.views import shaken, smoothed, view
from cloak.recognise.align import placement
from cloak.recognise.base import ARCFACE
from cloak.recognise.surrogate import Surrogate, Tensor, threshold

SIDE = 160
FRAME = ARCFACE.window(-24, -24, 160, SIDE)
"""Where changes are computed: the recognisers' frame, and room around it for their alignment to err."""

COARSE = 12
"""Knots of the shading across the frame: light varies smoothly over a face."""

SETTLE = 5
"""Every so many steps the face is looked at as it will be in the file: carried back, and coded."""

PACE = 3.0
"""The way that all steps together go, in units of the limits: to the far side, and some way along it."""

PEAK = 3.0
"""Largest change of a spot, as a multiple of the mean over the face."""

MARGIN = 0.1
"""How far below its threshold a surrogate must see a face: halving and recompressing a photo adds to the likeness."""

FLOOR = -0.1
"""Cosine to the person below which nothing is gained: from there on the steps go into the pull to the other one."""

Chip = npt.NDArray[np.float32]
"""(SIDE, SIDE, 3) float32 RGB, 0 to 255: a face in `FRAME`."""


Change = npt.NDArray[np.float32]
"""(SIDE, SIDE) float32: what is added to red, green and blue alike of a face in `FRAME`, in levels of 255."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a face may be changed.

    Attributes:
        grain: fine change of the luminance, root mean square over the face, in levels of 255 on smooth skin; more in
            proportion where `visibility` is more.
        light: change of the shading, which is smooth over a dozenth of the frame; the same, but alike everywhere.
        steps: how many.
    """

    grain: float
    light: float
    steps: int


def evade(
    chip: Chip,
    surrogates: Sequence[Surrogate],
    budget: Budget,
    noise: Noise,
    settle: Callable[[Change], Chip],
) -> Change:
    """The change that takes a face furthest from its person, in the eyes of the surrogates.

    Args:
        chip: the face.
        surrogates: at least one.
        budget: limits.
        noise: decides the views and the other person.
        settle: the face as it looks in the written file after a change: what carrying back to the photo and coding
            take away is not counted on.
    """
    import torch

    with _one_thread(torch):
        return _Search(torch, chip, surrogates, budget, noise, settle).run()


def recognised(chip: Chip, changed: Chip, surrogates: Sequence[Surrogate]) -> bool:
    """Whether a surrogate still takes the changed face for the one it was, or nearly so."""
    import torch

    faces = torch.from_numpy(np.stack([chip, changed])).permute(0, 3, 1, 2)
    with _one_thread(torch), torch.no_grad():
        for surrogate in surrogates:
            own, now = (_seen(torch, surrogate, face[None], _to_frame(surrogate)) for face in faces)
            if float((own * now).sum()) >= threshold(surrogate.name) - MARGIN:
                return True
    return False


class _Search:
    """The state of one search."""

    def __init__(
        self,
        torch: Any,
        chip: Chip,
        surrogates: Sequence[Surrogate],
        budget: Budget,
        noise: Noise,
        settle: Callable[[Change], Chip],
    ) -> None:
        self.torch, self.f = torch, torch.nn.functional
        self.surrogates, self.budget, self.noise, self.settle = surrogates, budget, noise, settle
        self.face = torch.from_numpy(np.ascontiguousarray(chip, np.float32)).permute(2, 0, 1)[None]
        self.fade = torch.from_numpy(_fade())[None, None]
        self.places = [_to_frame(surrogate) for surrogate in surrogates]
        with torch.no_grad():
            self.own = [self._seen(k, self.face, None) for k in range(len(surrogates))]
        self.other = [
            self.f.normalize(torch.from_numpy(noise.child("other", s.name).normal(own.shape)).float(), dim=1)
            for s, own in zip(surrogates, self.own, strict=True)
        ]
        self.limits = {
            "grain": budget.grain * torch.from_numpy(visibility(chip))[None, None],
            "light": torch.full((1, 1, COARSE, COARSE), budget.light),
        }

    def run(self) -> Change:
        torch, steps = self.torch, self.budget.steps
        start = {name: self.noise.child("start", name).uniform(limit.shape) for name, limit in self.limits.items()}
        parts = {
            name: (torch.from_numpy(start[name]).float() - 0.5) * 0.5 * limit for name, limit in self.limits.items()
        }
        momentum = {name: torch.zeros_like(part) for name, part in parts.items()}
        draws = self.noise.child("views").uniform((steps, len(self.surrogates), 16))
        offset: Tensor = 0.0
        for step in range(steps):
            if step % SETTLE == 0:
                offset = self._offset(parts)
            gradients = self._gradients(parts, offset, draws[step])
            with torch.no_grad():
                for name, gradient in zip(parts, gradients, strict=True):
                    if name == "grain":
                        gradient = smoothed(self.f, gradient, 1.5)
                    # In units of the limits, where every change is equally hard to see. What is seen grows with the
                    # square of a change: the best of a size follows the gradient, not its sign.
                    limit = self.limits[name]
                    momentum[name] = momentum[name] + self._unit(name, gradient * limit)
                    moved = parts[name].detach() / limit - self._unit(name, momentum[name]) * (PACE / steps)
                    parts[name] = limit * self._within(name, moved)
        return self._change(parts)

    def _size(self, name: str, change: Tensor) -> float:
        """Root mean square of a change over the face, in units of its limits."""
        weight = self.fade if name == "grain" else self.torch.ones(1)
        return math.sqrt(float((weight * change**2).sum() / (weight.expand_as(change)).sum()))

    def _unit(self, name: str, change: Tensor) -> Tensor:
        return change / (self._size(name, change) + 1e-12)

    def _within(self, name: str, change: Tensor) -> Tensor:
        change = change.clamp(-PEAK, PEAK)
        return change / max(self._size(name, change), 1.0)

    def _gradients(self, parts: dict[str, Tensor], offset: Tensor, draws: npt.NDArray[np.float64]) -> list[Tensor]:
        for part in parts.values():
            part.requires_grad_(True)
        loss: Tensor = 0.0
        changed = (self._changed(parts) + offset).clamp(0, 255)
        for k, (own, other) in enumerate(zip(self.own, self.other, strict=True)):
            seen = self._seen(k, changed, draws[k])
            loss = loss + (seen * own).sum().clamp_min(FLOOR) - (seen * other).sum()
        return list(self.torch.autograd.grad(loss, list(parts.values())))

    def _changed(self, parts: dict[str, Tensor]) -> Tensor:
        """(1, 3, SIDE, SIDE): the face under a change, as if it stayed in its frame."""
        return self.face + self._sum(parts)

    def _sum(self, parts: dict[str, Tensor]) -> Tensor:
        """(1, 1, SIDE, SIDE)."""
        fine = self.f.interpolate(parts["light"], size=(SIDE, SIDE), mode="bicubic", align_corners=False)
        return (parts["grain"] + fine) * self.fade

    def _change(self, parts: dict[str, Tensor]) -> Change:
        with self.torch.no_grad():
            return np.ascontiguousarray(self._sum(parts)[0, 0].numpy())

    def _offset(self, parts: dict[str, Tensor]) -> Tensor:
        """What the file makes of the face on top of the change; passed straight through by the gradients."""
        with self.torch.no_grad():
            real = self.torch.from_numpy(np.ascontiguousarray(self.settle(self._change(parts)), np.float32))
            return real.permute(2, 0, 1)[None] - self._changed(parts)

    def _seen(self, k: int, face: Tensor, draws: npt.NDArray[np.float64] | None) -> Tensor:
        """(1, D): surrogate `k`'s embedding of one view of the face; the plain view without draws."""
        place = self.places[k]
        if draws is not None:
            face = view(self.torch, face, draws)
            place = place @ shaken(draws[10:15], SIDE)
        return _seen(self.torch, self.surrogates[k], face, place)


def _seen(torch: Any, surrogate: Surrogate, face: Tensor, place: npt.NDArray[np.float64]) -> Tensor:
    """(1, D): the embedding of a face that `place` brings from `FRAME` to the surrogate's frame."""
    f, side = torch.nn.functional, surrogate.frame.side
    theta = torch.from_numpy(_normalised(place, side)).float()[None]
    grid = f.affine_grid(theta, (1, 3, side, side), align_corners=False)
    chip = f.grid_sample(face, grid, "bilinear", "border", align_corners=False)
    return surrogate(chip.permute(0, 2, 3, 1))


def visibility(chip: Chip) -> npt.NDArray[np.float32]:
    """(SIDE, SIDE) float32: a change of the luminance, in levels of 255, that is equally hard to see everywhere.

    The structural similarity (Wang et al. 2004) of a spot of variance v with itself under an unrelated change of
    variance d is (2v + C) / (2v + C + d): changes in proportion to sqrt(2v + C) cost the same. 1 is on smooth skin.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(chip, np.float32), cv2.COLOR_RGB2GRAY)
    mean = cv2.GaussianBlur(grey, (0, 0), 2.0)
    variance = np.maximum(cv2.GaussianBlur(grey * grey, (0, 0), 2.0) - mean * mean, 0)
    steep = (0.03 * 255) ** 2
    # Beside an edge the smooth side shows what the edge itself would hide: the calmest spot nearby decides.
    calm = cv2.GaussianBlur(cv2.erode(variance, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    return np.asarray(np.sqrt((2 * calm + steep) / steep).clip(1, 6), np.float32)


def _to_frame(surrogate: Surrogate) -> npt.NDArray[np.float64]:
    """(3, 3): from pixels of `FRAME` to those of the surrogate's frame."""
    found = placement(FRAME.points, surrogate.frame)
    assert found is not None
    return np.vstack([found, [0, 0, 1]])


def _normalised(place: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """(2, 3): the matrix that `affine_grid` wants, from the frame's coordinates of -1 to 1 to those of `FRAME`."""
    pixels = np.array([[side / 2, 0, (side - 1) / 2], [0, side / 2, (side - 1) / 2], [0, 0, 1]])
    units = np.array([[2 / SIDE, 0, 1 / SIDE - 1], [0, 2 / SIDE, 1 / SIDE - 1], [0, 0, 1]])
    return np.asarray((units @ np.linalg.inv(place) @ pixels)[:2])


def on_face(x: Any, y: Any) -> Any:
    """Whether points of `FRAME` lie on the face that it shows: all that a change touches, but for its soft edge."""
    left, right, nose, *_ = FRAME.points
    return np.hypot((x - (left[0] + right[0]) / 2) / 48, (y - nose[1] + 6) / 60) <= 1


def _fade() -> npt.NDArray[np.float32]:
    """(SIDE, SIDE): 1 on the face, 0 around it: what looks like light on skin would be a stain on a wall."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray(cv2.GaussianBlur(on_face(x, y).astype(np.float32), (0, 0), 5), np.float32)


@contextlib.contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Photos are shared among processes, and sums of several threads are not the same every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
