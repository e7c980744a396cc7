"""The people of an audit: photos in folders by person, each with the face that is theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cloak.detect import Face, find
from cloak.detect.recipe import NEVER, named
from cloak.errors import UsageError, Withheld
from cloak.files import read
from cloak.geometry import RGB, Size
from cloak.intake import Item, walk
from cloak.photo import open_photo
from cloak.photo.base import Limits

ALIKE = 0.5
"""Correlation of two photos' surroundings from which they count as taken at one event (docs/audit.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One photo of one person.

    Attributes:
        person: number of the person.
        session: number of the event; photos of different numbers were plainly taken elsewhere, or in other clothes.
        name: of the file, below the folder of all.
        image: (H, W, 3) uint8 RGB, upright.
        face: theirs.
        faces: all faces in it.
    """

    person: int
    session: int
    name: Path
    image: RGB
    face: Face
    faces: tuple[Face, ...]

    @property
    def size(self) -> Size:
        return Size(self.image.shape[1], self.image.shape[0])


def gather(folder: Path, *, people: int | None = None, photos: int | None = None, least: int = 2) -> list[Shot]:
    """All photos in the sub-folders of `folder`, one sub-folder a person.

    Args:
        people: at most so many, the first by name.
        photos: at most so many of each.
        least: who has fewer photos with a face is left out.

    Raises `UsageError` when fewer than two people are left.
    """
    shots: list[Shot] = []
    person = 0
    for place in sorted(item for item in folder.iterdir() if item.is_dir()):
        if person == people:
            break
        own = list(_photos(folder, place, person, photos))
        if len(own) < least:
            continue
        shots += _sessions(own)
        person += 1
    if person < 2:
        raise UsageError(
            f"an audit needs at least two people with {least} photos each",
            next_step="Put each person's photos into a folder of their own.",
        )
    return shots


def open_picture(path: Path, limits: Limits | None = None) -> RGB:
    """The first picture of a file, upright. Raises `Withheld`."""
    limits = limits or Limits()
    return open_photo(read(path, limits.bytes), limits).preview()


def search(image: RGB, recall: str = "balanced") -> tuple[Face, ...]:
    """Faces of a picture that have landmarks, surest first."""
    size = Size(image.shape[1], image.shape[0])

    def preview(step: int, frame: int = 0) -> RGB:  # noqa: ARG001
        if step == 1:
            return image
        shape = -(-size.width // step), -(-size.height // step)
        return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8)

    return tuple(face for face in find(preview, size, named(recall, persons=NEVER)).faces if face.landmarks is not None)


def _photos(root: Path, place: Path, person: int, most: int | None) -> Iterator[Shot]:
    count = 0
    for item in walk([place], None):
        if count == most:
            return
        if not isinstance(item, Item):
            continue
        try:
            image = open_picture(item.path)
            faces = search(image)
        except Withheld:
            continue
        if faces:
            count += 1
            yield Shot(person, 0, item.path.relative_to(root), image, _theirs(faces, image), faces)


def _theirs(faces: Sequence[Face], image: RGB) -> Face:
    """Of several faces, the large one in the middle."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2

    def weight(face: Face) -> float:
        away = float(np.linalg.norm((np.array(face.box.center) - middle) / middle))
        return face.box.height * (1.5 - min(away, 1.4))

    return max(faces, key=weight)


def _sessions(own: list[Shot]) -> list[Shot]:
    """The shots of a person, with numbers of events: single-linkage clusters of photos with like surroundings."""
    around = [_surroundings(shot) for shot in own]
    numbers = list(range(len(own)))
    for i in range(len(own)):
        for j in range(i):
            if float(around[i] @ around[j]) >= ALIKE:
                old, new = numbers[i], numbers[j]
                numbers = [new if number == old else number for number in numbers]
    return [Shot(shot.person, numbers[i], shot.name, shot.image, shot.face, shot.faces) for i, shot in enumerate(own)]


def _surroundings(shot: Shot) -> np.ndarray:
    """A unit vector of what a photo shows around the head: colours by place, and how often each occurs."""
    box = shot.face.box
    size = max(box.width, box.height)
    cx, cy = box.center
    turned = cv2.warpAffine(
        shot.image,
        np.array([[16 / size, 0, 24 - cx * 16 / size], [0, 16 / size, 20 - cy * 16 / size]]),
        (48, 48),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )
    lab = cv2.cvtColor(turned, cv2.COLOR_RGB2LAB).astype(np.float32)
    y, x = np.mgrid[:48, :48]
    outside = ((x - 24) / 12) ** 2 + ((y - 19) / 15) ** 2 > 1
    chosen = lab[outside]
    vector = (chosen - chosen.mean(0)).ravel()
    histogram = np.histogramdd(chosen, bins=(6, 8, 8), range=((0, 256), (96, 160), (96, 160)))[0].ravel()
    histogram = np.sqrt(histogram / max(histogram.sum(), 1))
    parts = [part / max(float(np.linalg.norm(part)), 1e-9) for part in (vector, histogram)]
    joined = np.concatenate(parts)
    return joined / float(np.linalg.norm(joined))
