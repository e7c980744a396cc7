"""What perturbation achieved: recognisers look at the published faces, with nothing of the code that changed them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cloak.detect import Face
from cloak.effects.views import recompressed
from cloak.geometry import RGB
from cloak.recognise import ARCFACE, Recogniser, chip, load, placement
from cloak.recognise.surrogate import threshold
from cloak.verify import Look


@dataclass(frozen=True, slots=True)
class Protection:
    """How much one published face resembles its original to the surrogates, which are those that it was changed for.

    That a surrogate is led astray is no proof that others are: docs/perturb.md has the figures of such. That it is
    not is proof that the face can be found.

    Attributes:
        face: its place among the photo's detections.
        before: by surrogate, lowest cosine to the original of the unchanged face under the views named below.
        after: highest cosine to the original of the published face: as it is, and recompressed at half its size.
        protected: whether no surrogate takes the two for one person.
    """

    face: int
    before: dict[str, float]
    after: dict[str, float]
    protected: bool


def in_sight(face: Face) -> bool:
    """Whether perturb changes a face, and so leaves it in sight: it needs landmarks; what has none is pixelated."""
    return face.landmarks is not None and placement(face.landmarks, ARCFACE) is not None


def assess(original: Look, published: Look, faces: Sequence[Face], surrogates: Sequence[str]) -> tuple[Protection, ...]:
    """A `Protection` for each face in sight; `faces` are in pixels of the upright photo."""
    if not any(map(in_sight, faces)):
        return ()
    (before, after), recognisers = (look(1) for look in (original, published)), [load(name) for name in surrogates]
    looks = (before, _smaller(before)), (after, _smaller(after))
    return tuple(_assess(*looks, i, face, recognisers) for i, face in enumerate(faces) if in_sight(face))


def _assess(
    original: tuple[RGB, RGB], published: tuple[RGB, RGB], index: int, face: Face, recognisers: list[Recogniser]
) -> Protection:
    before, after = {}, {}
    for recogniser in recognisers:
        place = placement(face.landmarks or (), recogniser.frame)
        assert place is not None
        side = recogniser.frame.side
        # A pixel of the smaller picture is two wide, and its centre lies between theirs.
        half = np.hstack([2 * place[:, :2], place @ np.array([[0.5], [0.5], [1.0]])])
        chips = [
            chip(look, at, side)
            for looks in (original, published)
            for look, at in zip(looks, (place, half), strict=True)
        ]
        own, own_small, now, now_small = recogniser(np.stack(chips))
        before[recogniser.name] = round(float(own @ own_small), 3)
        after[recogniser.name] = round(float(max(own @ now, own @ now_small)), 3)
    return Protection(index, before, after, all(after[name] < threshold(name) for name in after))


def _smaller(picture: RGB) -> RGB:
    """The picture as a content system may show it: half as large, recompressed."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return recompressed(half, 85)
