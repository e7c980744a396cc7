"""Consent: people who agreed to be seen stay bare; everybody else, and whoever might be somebody else, is concealed.

Embeddings of the portraits live in memory for the run. Nothing derived from a face is written anywhere.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cloak import recognise
from cloak.detect import Face, find, overlapped
from cloak.detect.recipe import NEVER, named
from cloak.errors import UsageError, Withheld
from cloak.geometry import RGB
from cloak.photo import open_photo
from cloak.photo.base import Limits
from cloak.recognise import ARCFACE, Embeddings
from cloak.verify import Look

RECOGNISER = "sface"

THRESHOLD = 0.5
"""Cosine from which a face is taken for a consenting person's (benchmarks/consent.py)."""

MARGIN = 0.15
"""How much nearer it must be to that person than to any other of the consenting people."""

SUSPECT = 0.36
"""From this cosine on a concealed face may well be a consenting person's: a person should look (SFace's own threshold
for "the same person", which is wrong too often to reveal anybody)."""

SURE = 0.8
"""Detection score below which a hit is too doubtful a face to be anybody's."""

EYES = 20.0
"""Least distance between the eyes, in pixels of the photo."""

POSE = 4.5
"""Most that the landmarks may lie from a frontal face's, root mean square, in pixels of the recogniser's frame."""

SHARP = 60.0
"""Least variance of the Laplacian of the aligned face: blurred faces resemble each other."""

SMALLEST = 24.0
"""Faces lower than this, in pixels, resemble nobody: they are not even looked at."""

MOST = 1_000
"""More portraits than this are a register, not a list of people who agreed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class People:
    """Those who consented, in memory only.

    Attributes:
        rows: embeddings, one a portrait.
        owners: (N,) the number of the person in each.
        seal: digest of all portraits, in memory, to tell one list of people from another.
    """

    rows: Embeddings
    owners: npt.NDArray[np.intp]
    seal: bytes

    def __repr__(self) -> str:
        return f"People({len(set(self.owners.tolist()))})"


@dataclass(frozen=True, slots=True)
class Sorted:
    """The faces of one picture, after consent.

    Attributes:
        rest: to be concealed.
        kept: stay bare.
        ambiguous: those of `rest` that may be a consenting person's: a person should look.
    """

    rest: tuple[Face, ...]
    kept: tuple[Face, ...] = ()
    ambiguous: tuple[Face, ...] = ()


def enrol(portraits: Mapping[str, Sequence[bytes]], limits: Limits | None = None) -> People:
    """The people who consented, from image files: by name, one or more portraits each.

    Raises `UsageError` that names person and portrait when one does not open, does not show exactly one face, or shows
    it too small, blurred, or turned away; or when the portraits of one person do not resemble each other.
    """
    if not portraits:
        raise UsageError("there is nobody to keep", next_step="Make a folder for each person, with portraits in it.")
    if sum(map(len, portraits.values())) > MOST:
        raise UsageError(f"more than {MOST:,} portraits of people to keep")
    pictures, owners, seal = [], [], hashlib.sha256()
    for number, (name, files) in enumerate(sorted(portraits.items())):
        if not files:
            raise UsageError(f"there is no portrait of {name!r}", next_step="Add one, or remove the folder.")
        for index, data in enumerate(files, 1):
            pictures.append(_portrait(data, f"portrait {index} of {name!r}", limits or Limits()))
            owners.append(number)
            seal.update(hashlib.sha256(b"%d|" % number + data).digest())
    rows = recognise.load(RECOGNISER)(np.stack(pictures))
    whose = np.array(owners, np.intp)
    for number, name in enumerate(sorted(portraits)):
        own = rows[whose == number]
        if len(own) > 1 and float((own @ own.T).min()) < SUSPECT:
            raise UsageError(
                f"the portraits of {name!r} may show different people",
                next_step="Leave only portraits in which the person is plainly the same.",
            )
    return People(rows, whose, seal.digest())


def sort(look: Look, faces: Sequence[Face], people: People | None) -> Sorted:
    """Which faces of a picture may stay bare. Denies by default: whatever is in doubt is concealed.

    Args:
        look: the picture in which the faces were just found.
        faces: all of them.
        people: who consented; None: nobody.
    """
    if people is None:
        return Sorted(tuple(faces))
    seen = examine(look, faces)
    kept, ambiguous = decide(nearness(seen.rows, people), seen.poor)
    shared = [index for index in kept if _shared(look, seen.faces[index], faces)]
    kept, ambiguous = [index for index in kept if index not in shared], sorted([*ambiguous, *shared])
    chosen = {id(seen.faces[index]) for index in kept}
    return Sorted(
        tuple(face for face in faces if id(face) not in chosen),
        tuple(seen.faces[index] for index in kept),
        tuple(seen.faces[index] for index in ambiguous),
    )


def _shared(look: Look, face: Face, faces: Sequence[Face]) -> bool:
    """Whether somebody else shows in the area of a face: whoever is one face with it would stay bare, unasked."""
    image, scale = look.seen()
    others = [other.moved(lambda box: box.scaled(scale)) for other in faces if other is not face]
    return overlapped(image, face.moved(lambda box: box.scaled(scale)), others)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Examined:
    """Faces large enough to resemble somebody: their embeddings, in memory only, and whether each is too poor."""

    faces: tuple[Face, ...]
    rows: Embeddings
    poor: npt.NDArray[np.bool_]


def examine(look: Look, faces: Sequence[Face]) -> Examined:
    """Embeddings of the faces just found in a picture."""
    image, scale = look.seen()
    chosen = tuple(face for face in faces if face.landmarks is not None and face.box.height >= SMALLEST)
    marks = [[(x * scale, y * scale) for x, y in face.landmarks or ()] for face in chosen]
    pictures = recognise.chips(image, marks, ARCFACE)
    poor = [bool(_poor(*each)) for each in zip(chosen, marks, pictures, strict=True)]
    return Examined(chosen, recognise.load(RECOGNISER)(pictures), np.array(poor, np.bool_))


def nearness(rows: Embeddings, people: People) -> npt.NDArray[np.float32]:
    """(faces, persons): the mean of a face's two best cosines with each person's portraits (of the one there is)."""
    cosines = rows @ people.rows.T
    persons = range(int(people.owners.max()) + 1)
    best = [np.sort(cosines[:, people.owners == person], axis=1)[:, -2:].mean(1) for person in persons]
    return np.stack(best, axis=1)


def decide(
    near: npt.NDArray[np.float32], poor: npt.NDArray[np.bool_], threshold: float = THRESHOLD, margin: float = MARGIN
) -> tuple[list[int], list[int]]:
    """Numbers of the faces that stay bare, and of those that are ambiguous.

    Args:
        near: (faces, persons), see `nearness`.
        poor: (faces,) too small, blurred or turned away to tell.
        threshold, margin: see `THRESHOLD`, `MARGIN`.
    """
    suspect = min(SUSPECT, threshold)
    kept: list[int] = []
    ambiguous: list[int] = []
    for index, row in enumerate(near):
        order = np.argsort(-row)
        best = float(row[order[0]])
        ahead = best - float(row[order[1]]) if len(order) > 1 else np.inf
        # Nobody is in a picture twice: whoever else resembles the person, however poor the face, may be the right one.
        alone = (np.delete(near[:, order[0]], index) < suspect).all()
        if best >= threshold and ahead >= margin and alone and not poor[index]:
            kept.append(index)
        elif best >= suspect:
            ambiguous.append(index)
    return kept, ambiguous


def _portrait(data: bytes, words: str, limits: Limits) -> RGB:
    """The aligned face of a portrait. Raises `UsageError`."""
    try:
        photo = open_photo(data, limits)
        look = Look(photo, 0)
        faces = find(look, photo.size, named("balanced", persons=NEVER)).faces
        image, scale = look.seen()
    except Withheld as error:
        raise UsageError(f"{words} cannot be used: {error}", next_step=error.next_step) from None
    # Weak hits on hands and collars are passed over, unless they are as large as a second person would be.
    largest = max((face.box.height for face in faces), default=0.0)
    faces = tuple(face for face in faces if face.score >= SURE or face.box.height > largest / 2)
    if photo.frames != 1:
        raise UsageError(f"{words} holds {photo.frames} pictures", next_step="Use a file of one picture.")
    if len(faces) != 1:
        raise UsageError(f"{words} shows {len(faces)} faces", next_step="Crop it so that it shows that person alone.")
    (face,) = faces
    marks = [(x * scale, y * scale) for x, y in face.landmarks or ()]
    (picture,) = recognise.chips(image, [marks], ARCFACE)
    fault = _poor(face, marks, picture)
    if fault:
        raise UsageError(f"{words} {fault}", next_step="Use a sharp portrait from the front, 200 pixels high or more.")
    return np.asarray(picture, np.uint8)


def _poor(face: Face, marks: recognise.Landmarks, picture: RGB) -> str:
    """Why a face is no good for telling people apart, or ""."""
    place = recognise.placement(marks, ARCFACE)
    if place is None or face.landmarks is None or face.score < SURE:
        return "is hardly a face"
    points = np.array(face.landmarks, np.float64)
    if float(np.hypot(*(points[1] - points[0]))) < EYES:
        return "shows the face too small"
    away = np.array(marks) @ place[:, :2].T + place[:, 2] - np.array(ARCFACE.points)
    if float(np.sqrt((away**2).sum(1).mean())) > POSE:
        return "shows the face turned away"
    if cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() < SHARP:
        return "shows the face blurred"
    return ""
