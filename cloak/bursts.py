"""Bursts: frames that show nearly the same, in which a face that one conceals must not be bare in the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from cloak.decisions import Applied
from cloak.geometry import RGB, Box, Size, within
from cloak.masks import Mask

GLANCE = (64, 48)
"""Columns and rows of a glance."""

REACH = 6
"""How far, in columns and rows, a frame may have moved against its neighbour."""

ALIKE = 0.85
"""Correlation from which two glances are of the same scene (benchmarks/bursts.py)."""

SAMPLES = 8
"""A glance's pixel is the mean of about as many rows and columns of the preview: enough to even noise out."""

LEAST = 0.3
"""Share of a glance that must be bare in both frames for a comparison to mean anything."""

FLAT = 1e-3
"""Product of the deviations from which there is anything to compare; the light has whole numbers, so that this is 0."""

_SHIFTS = np.arange(-REACH, REACH + 1)
_OVERLAPS = np.outer(GLANCE[1] - abs(_SHIFTS), GLANCE[0] - abs(_SHIFTS))
_PADDED = (GLANCE[1] + REACH, GLANCE[0] + REACH)
"""Rows and columns with room for a shift: what leaves on one side must not come in again on the other."""

NEIGHBOURS = 2
"""How many frames on either side a photo is compared with."""

MEETS = 0.1
"""Intersection over union from which a region in the neighbour is of the same face."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A photo seen from afar: enough to know the scene again, taken from pixels that are in sight only.

    Attributes:
        size: of the photo.
        light: (48, 64) float32 luminance.
        bare: (48, 64) bool, where nothing is concealed.
        faces: boxes of the faces concealed, in pixels of the photo.
        decided: boxes of what is bare because a person, or consent, said so.
    """

    size: Size
    light: npt.NDArray[np.float32]
    bare: npt.NDArray[np.bool_]
    faces: tuple[Box, ...]
    decided: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Bare:
    """A place in a photo where a neighbouring frame has a face concealed, and this one has nothing."""

    box: Box
    neighbour: str


def glance(
    preview: RGB, masks: Sequence[Mask], faces: Sequence[Box], size: Size, decided: Sequence[Box] = ()
) -> Glance:
    """A glance at a photo.

    Args:
        preview: (H, W, 3) uint8 RGB at any reduction.
        masks: what is concealed, in pixels of the photo, of `size`; nothing of the preview is used there.
        faces: their boxes.
        decided: boxes of what is bare on purpose.
    """
    step = max(min(preview.shape[1] // GLANCE[0], preview.shape[0] // GLANCE[1]) // SAMPLES, 1)
    seen = cv2.resize(preview[::step, ::step], GLANCE, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
    bare = np.ones(grey.shape, np.bool_)
    fx, fy = GLANCE[0] / size.width, GLANCE[1] / size.height
    for mask in masks:
        rows = slice(max(int(mask.top * fy), 0), int(np.ceil((mask.top + mask.height) * fy)))
        columns = slice(max(int(mask.left * fx), 0), int(np.ceil((mask.left + mask.width) * fx)))
        bare[rows, columns] = False
    return Glance(size, grey.astype(np.float32), bare, tuple(faces), tuple(decided))


def glance_at(made: Applied, preview: RGB, masks: Sequence[Mask], size: Size) -> Glance:
    """A glance at a photo in which a person's decisions were applied; see `glance`."""
    hidden = *(face.box for face in made.faces), *(within(area.shape) for area in made.areas)
    return glance(preview, masks, hidden, size, [face.box for face in made.revealed])


def moved(one: Glance, other: Glance) -> tuple[float, float] | None:
    """By how much `other` shows the scene of `one` shifted, in pixels of the photo; None if it shows another scene."""
    if one.size != other.size:
        return None
    alike, (dx, dy) = likeness(one, other)
    # What lies at x in one lies at x - dx in the other.
    return (-dx * one.size.width / GLANCE[0], -dy * one.size.height / GLANCE[1]) if alike >= ALIKE else None


def likeness(one: Glance, other: Glance) -> tuple[float, tuple[int, int]]:
    """The correlation at the shift (columns, rows) at which two glances are most alike; 0 where none can be told.

    All shifts at once, from sums over what is bare in both (D. Padfield, Masked object registration in the Fourier
    domain, IEEE TIP 21(5), 2012): one by one, they would take as long as the search for faces in a small photo.
    """
    (bare, light, square), (bare_, light_, square_) = _spectra(one), _spectra(other)
    pairs = [(bare, bare_), (light, bare_), (bare, light_), (square, bare_), (bare, square_), (light, light_)]
    sums = np.fft.irfft2([a * b.conj() for a, b in pairs], _PADDED)
    count, light, light_, square, square_, product = np.stack([sums[:, dy, _SHIFTS] for dy in _SHIFTS], axis=1)
    count = count.round()
    enough = (count > 0) & (count >= LEAST * _OVERLAPS)
    count[~enough] = 1
    norm = np.sqrt((square - light**2 / count).clip(0) * (square_ - light_**2 / count).clip(0))
    enough &= norm > FLAT
    alike = np.where(enough, (product - light * light_ / count) / np.where(enough, norm, 1), 0.0)
    dy, dx = np.unravel_index(alike.argmax(), alike.shape)
    best = float(alike[dy, dx])
    return (best, (int(_SHIFTS[dx]), int(_SHIFTS[dy]))) if best > 0 else (0.0, (0, 0))


def bare_in(other: Glance, one: Glance) -> tuple[Box, ...]:
    """Where `other` shows bare what `one`, a frame of the same scene, conceals; in pixels of `other`."""
    shift = moved(one, other) if one.faces else None
    if shift is None:
        return ()
    places = (box.shifted(*shift) for box in one.faces)
    return tuple(
        place for place in places if _inside(place, other.size) and not known(place, (*other.faces, *other.decided))
    )


def _spectra(seen: Glance) -> npt.NDArray[np.complex128]:
    """The spectra of what is bare, of its light and of that squared."""
    light = np.where(seen.bare, seen.light - seen.light[seen.bare].mean(), 0) if seen.bare.any() else 0 * seen.light
    return np.fft.rfft2(np.stack([seen.bare.astype(np.float64), light, light**2]), _PADDED)


def _inside(box: Box, size: Size) -> bool:
    cx, cy = box.center
    return 0 <= cx < size.width and 0 <= cy < size.height


def known(place: Box, faces: Sequence[Box]) -> bool:
    """Whether one of the faces may be the one at a place of a neighbouring frame."""
    # The shift is known to a pixel of the glance, and people move: twice the face around both is near enough.
    return any(place.grown(2).iou(face.grown(2)) >= MEETS for face in faces)


@dataclass(slots=True)
class Bursts:
    """The frames of a run, compared as they come; a frame is forgotten once all its neighbours are in.

    Args:
        folders: of each photo of the run, in its order: only frames of one folder are neighbours.
    """

    folders: Sequence[str]
    _came: set[int] = field(default_factory=set)
    _kept: dict[int, tuple[str, Glance]] = field(default_factory=dict)

    def add(self, number: int, name: str, seen: Glance | None) -> list[tuple[int, Bare]]:
        """Take photo `number`; answers what it, or a neighbour that came before, shows bare.

        `seen` is None for a photo of which nothing was published.
        """
        found: list[tuple[int, Bare]] = []
        self._came.add(number)
        if seen is not None:
            for near in self._near(number):
                if near in self._kept:
                    other_name, other = self._kept[near]
                    found += [(number, Bare(box, other_name)) for box in bare_in(seen, other)]
                    found += [(near, Bare(box, name)) for box in bare_in(other, seen)]
            self._kept[number] = (name, seen)
        for done in (number, *self._near(number)):
            if self._came.issuperset(self._near(done)):
                self._kept.pop(done, None)
        return found

    def _near(self, number: int) -> list[int]:
        around = range(max(number - NEIGHBOURS, 0), min(number + NEIGHBOURS + 1, len(self.folders)))
        return [n for n in around if n != number and self.folders[n] == self.folders[number]]
