"""Persons of whom no face was found, as from behind: they are flagged for review, never concealed unasked.

The constants are those of the trial in docs/detection.md, "A person without a face".
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from cloak.detect.base import Detection, Face
from cloak.errors import DetectionFailed
from cloak.geometry import Box, Region, Size

SURE = 0.4
"""Score from which a hit is taken for a person."""

AROUND = 1.6
"""Times the head's box: a face whose middle lies there is this person's ..."""

BELOW, BESIDE, SIZE = 2.2, 1.2, 0.8
"""... and so is one whose middle is at most so many heads below the head's top, within so many widths of it, if its
height is at least this share of the head's: the head of somebody near, whom the picture cuts, is guessed too small."""

HIDDEN = 0.5
"""Share of the head that lies under areas from which it needs no flag."""

GRID = np.linspace(0.05, 0.95, 10, dtype=np.float32)
"""Where a head is probed for what covers it, as shares of its width and height."""


def heads(hits: Sequence[Detection], step: float, size: Size, smallest: float) -> tuple[Face, ...]:
    """Where the heads of persons should be, surest first; pixels of the photo.

    Args:
        hits: on whole persons, in a picture that has `step` pixels for each of the photo.
        size: of the photo.
        smallest: heads of less height are left out, as faces are.

    Raises `DetectionFailed` when a hit holds a number that is not finite.
    """
    found = []
    for hit in hits:
        box = hit.box
        if not all(map(math.isfinite, (hit.score, box.x, box.y, box.width, box.height))):
            raise DetectionFailed(f"the detector {hit.model!r} answered with a number that is not finite")
        inside = box.scaled(1 / step).clipped(size)
        if hit.score >= SURE and inside is not None:
            head = _head(inside)
            if head.height >= smallest:
                found.append(Face(head, min(hit.score, 1.0), (hit.model,)))
    return tuple(sorted(found, key=lambda face: (-face.score, face.box.x, face.box.y)))


def faceless(people: Iterable[Face], faces: Sequence[Face], regions: Sequence[Region]) -> tuple[Face, ...]:
    """The heads on which no face was found and that nothing conceals.

    Args:
        people: as `heads` answers.
        faces: all that were found, concealed, doubtful or bare.
        regions: what is concealed.
    """
    bare = (head for head in people if not any(_on(face, head.box) for face in faces))
    return tuple(head for head in bare if _hidden(head.box, regions) <= HIDDEN)


def _head(person: Box) -> Box:
    """Of someone upright, standing or sitting, seen whole or cut by the picture's edge."""
    width = min(person.width, max(0.5 * person.width, 0.22 * person.height))
    height = min(0.28 * person.height, 1.3 * width)
    return Box(person.center[0] - width / 2, person.y, width, height)


def _on(face: Face, head: Box) -> bool:
    """Whether a face is that of the person whose head should be there."""
    x, y = face.box.center
    across, down = abs(x - head.center[0]) / head.width, (y - head.y) / head.height
    edge = (AROUND - 1) / 2
    around = across <= AROUND / 2 and -edge <= down <= 1 + edge
    lower = across <= BESIDE / 2 and 0 <= down <= BELOW and face.box.height >= SIZE * head.height
    return around or lower


def _hidden(head: Box, regions: Sequence[Region]) -> float:
    """Share of a head's box that lies in regions."""
    x, y = head.x + GRID[None] * head.width, head.y + GRID[:, None] * head.height
    under = np.zeros((len(GRID), len(GRID)), np.bool_)
    for region in regions:
        if region.shape.bounds().intersection(head):
            under |= region.shape.distance(x, y) <= 1
    return float(under.mean())
