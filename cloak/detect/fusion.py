"""From the hits of many looks to one face each: united, never suppressed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cloak.detect.base import Detection, Face, Landmarks
from cloak.detect.network import BLOCK, shared_area

SAME = 0.3
"""IoU from which two hits are of one face. Neighbours in a dense crowd stay below."""

INSIDE = 0.6
"""Share of the smaller box inside the larger one from which it is taken for a part of the same face ..."""

PART = 0.25
"""... if its area is at least this share of the larger one's: a small face before a large one stays its own."""


WEAK = 0.35
"""A hit with less than this share of the best one's score does not join it ..."""

GROWS = 1.5
"""... if it has more than this share of its area: a sure face would be concealed together with half of the body that a
faint hit took for a face. Such a hit stands for itself."""

TWICE = 0.5
"""IoU from which faces found in two renderings of a picture are one, with one cover for both."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A detection in pixels of the upright original.

    `look` names the model and scale that it is from: hits of one look are one vote, however the picture was turned.
    `exact` is whether its box is to be trusted: one that was found in a picture turned by 30 degrees is too large.
    `weight` is what its score counts for.
    """

    detection: Detection
    look: tuple[str, int]
    exact: bool = True
    weight: float = 1.0


def fuse(hits: Sequence[Hit]) -> list[Face]:
    """Faces whose extents cover all hits as upright as their surest, surest first; the order of hits does not matter.

    The hit with the highest score (exact ones first) gathers all that match *it*, and so on with the rest: what matches
    only a member does not join, so that no chain runs through a crowd.
    """
    ordered = sorted(hits, key=_rank)
    boxes = np.array(
        [(b.x, b.y, b.right, b.bottom) for b in (hit.detection.box for hit in ordered)], np.float32
    ).reshape(-1, 4)
    scores = np.array([hit.detection.score for hit in ordered], np.float32)
    left = np.arange(len(ordered))
    faces: list[Face] = []
    # In blocks, each compared with what is still free: a crowd's hits are soon taken, and memory stays bounded.
    while len(left):
        block = left[:BLOCK]
        matches = _matches(boxes[block], boxes[left], scores[left] < WEAK * scores[block, None])
        free = np.ones(len(left), np.bool_)
        for row in range(len(block)):
            if free[row]:
                members = matches[row] & free
                members[row] = True  # also where its own area vanishes in rounding
                free &= ~members
                faces.append(_face([ordered[index] for index in left[members]]))
        left = left[free]
    return sorted(faces, key=lambda face: -face.score)


def combined(hits: Sequence[Hit]) -> float:
    """One score of all hits on a face: the noisy-or of each look's best, 1 - product of (1 - score) (Pearl 1988).

    Two looks that each half see a face are worth one that is sure of it. Looks are not independent, so this is no
    probability: thresholds are set by measurement (benchmarks/detection.py). At 12 false hits a photo in crowds it
    covers 1 point more faces than the best single score does, and 2 points more than asking for two votes.
    """
    best: dict[tuple[str, int], float] = {}
    for hit in hits:
        score = hit.weight * min(hit.detection.score, 1.0)
        best[hit.look] = max(best.get(hit.look, 0.0), score)
    return 1.0 - math.prod(1.0 - score for _, score in sorted(best.items()))


def tilt(landmarks: Landmarks | None) -> float:
    """Tilt of a head in degrees clockwise, -180 to 180: 0 with the chin below, 0 where no landmarks tell."""
    if landmarks is None:
        return 0.0
    (ax, ay), (bx, by), _, (cx, cy), (dx, dy) = landmarks
    # "Down" as the line from the eyes to the mouth tells it, and as the line through the eyes does: a profile shortens
    # the one, a lowered head the other.
    down_x = (cx + dx - ax - bx) / 2 - (by - ay)
    down_y = (cy + dy - ay - by) / 2 + (bx - ax)
    return math.degrees(math.atan2(-down_x, down_y)) if down_x or down_y else 0.0


def _matches(
    some: npt.NDArray[np.float32], others: npt.NDArray[np.float32], weak: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """(M, N): whether hits are of the same face."""
    shared = shared_area(some, others)
    own = ((some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1]))[:, None]
    area = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    smaller, larger = np.minimum(area, own), np.maximum(area, own)
    part = (shared >= INSIDE * smaller) & (smaller >= PART * larger)
    same = (shared >= SAME * (area + own - shared)) | part
    return np.asarray((shared > 0) & same & ~(weak & (area > GROWS * own)))


def _face(members: list[Hit]) -> Face:
    best = members[0].detection
    extent = best.box
    for member in members[1:]:
        # In a turned picture the box of an upright face takes the shoulders in: it confirms, but widens nothing.
        if member.exact and member.weight >= members[0].weight:
            extent = extent.united(member.detection.box)
    landmarks = next((hit.detection.landmarks for hit in members if hit.detection.landmarks is not None), None)
    return Face(
        box=best.box,
        score=combined(members),
        models=tuple(sorted({hit.detection.model for hit in members})),
        votes=len({hit.look for hit in members}),
        landmarks=landmarks,
        angle=tilt(landmarks),
        extent=extent,
    )


def _rank(hit: Hit) -> tuple[object, ...]:
    box = hit.detection.box
    place = (box.x, box.y, box.width, box.height)
    return (not hit.exact, -hit.detection.score, place, hit.detection.model, hit.look, hit.detection.landmarks or ())


def joined(renderings: Iterable[Sequence[Face]]) -> tuple[Face, ...]:
    """The faces of a picture that was searched in several renderings, each once: the first of those at one place, with
    an extent that covers all of them."""
    faces: list[Face] = []
    for found in renderings:
        before = range(len(faces))
        for face in found:
            at = max(before, key=lambda i: face.box.iou(faces[i].box), default=None)
            if at is None or face.box.iou(faces[at].box) < TWICE:
                faces.append(face)
            else:
                own, other = (one.extent or one.box for one in (faces[at], face))
                faces[at] = replace(faces[at], extent=own.united(other))
    return tuple(faces)
