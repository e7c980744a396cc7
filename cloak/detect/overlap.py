"""A second face that lies over or behind one: fused with it, it would be taken for a part of it."""

from collections.abc import Sequence

from cloak.detect import registry, scaling
from cloak.detect.base import Face
from cloak.geometry import RGB, Box, Size

MODEL = "centerface"

SIDE = 260
"""Longer side of the face, in pixels of the network's input. CenterFace tells two faces apart there, and takes no piece
of one for a face as YuNet does; smaller, it sees one of the two only."""

TURNS = (0, -30, 30)
"""Degrees by which the face is turned, once it is upright: the other head may be held askew."""

AROUND = 1.6
"""Times the face's longer side that is looked at."""

SECOND = 0.5
"""Score from which a hit is a second face. In composites in which somebody else's face was fused with the one to be
kept, and left bare with it, these score 0.7 and more; pieces of single faces rarely reach 0.4."""

SAME = 0.5
"""Intersection over union from which a hit is on a face that is known."""

WITHIN = 0.3
"""Share of a hit from which it lies in the area that a face takes up."""

SMALL = 0.15
"""Share of the face's area below which a hit is no face that fusion would have joined with it."""


def overlapped(image: RGB, face: Face, others: Sequence[Face]) -> bool:
    """Whether somebody else shows in the area that a face takes up.

    Args:
        image: in which the faces were found; they are in its pixels.
        face: to be looked at, extent included.
        others: all that were found besides; whoever is among them is not meant.

    Raises `SetupError` when the model cannot be loaded.
    """
    picture, extent = scaling.exposed(image), face.extent or face.box
    longer = max(face.box.width, face.box.height)
    side = AROUND * max(extent.width, extent.height)
    pixels = round(side * SIDE / longer)
    known = [face.box, *(other.box for other in others)]
    cx, cy = extent.center
    window = Box(cx - side / 2, cy - side / 2, side, side)
    for turn in TURNS:
        crop, back = scaling.window(picture, window, Size(pixels, pixels), turn - face.angle)
        for hit in registry.load(MODEL)(crop):
            x, y = back(hit).box.center
            # As large as it is in the turned picture: the upright box around a turned one is larger.
            width, height = hit.box.width * side / pixels, hit.box.height * side / pixels
            box = Box(x - width / 2, y - height / 2, width, height)
            if hit.score < SECOND or box.area < SMALL * face.box.area or any(box.iou(one) >= SAME for one in known):
                continue
            # Written so that an answer which is no number counts as somebody.
            if not box.intersection(extent) < WITHIN * box.area:
                return True
    return False
