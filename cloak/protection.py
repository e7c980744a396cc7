"""What perturbation achieved: recognisers look at the published faces, with nothing of the code that changed them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cloak.detect import Face
from cloak.effects.evasion import recompressed
from cloak.geometry import RGB
from cloak.recognise import Recogniser, chip, load, placement
from cloak.recognise.surrogate import threshold


@dataclass(frozen=True, slots=True)
class Protection:
    """How much one published face resembles its original to the surrogates, which are those that it was changed for.

    That a surrogate is led astray is no proof that others are: docs/perturb.md has the figures of such. That it is
    not is proof that the face can be found.

    Attributes:
        before: by surrogate, lowest cosine to the original of the unchanged face under the views named below.
        after: highest cosine to the original of the published face: as it is, and recompressed at half its size.
        protected: whether no surrogate takes the two for one person.
    """

    before: dict[str, float]
    after: dict[str, float]
    protected: bool


def assess(original: RGB, published: RGB, faces: Sequence[Face], surrogates: Sequence[str]) -> tuple[Protection, ...]:
    """A `Protection` for each face; both pictures are upright, `faces` in their pixels."""
    looks = (original, _smaller(original)), (published, _smaller(published))
    recognisers = [load(name) for name in surrogates]
    return tuple(_assess(*looks, face, recognisers) for face in faces)


def _assess(
    original: tuple[RGB, RGB], published: tuple[RGB, RGB], face: Face, recognisers: list[Recogniser]
) -> Protection:
    before, after = {}, {}
    for recogniser in recognisers:
        place = placement(face.landmarks, recogniser.frame) if face.landmarks else None
        if place is None:
            return Protection({}, {}, False)
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
    return Protection(before, after, all(after[name] < threshold(name) for name in after))


def _smaller(picture: RGB) -> RGB:
    """The picture as a content system may show it: half as large, recompressed."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return recompressed(half, 85)
