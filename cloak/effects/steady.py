"""One stream of noise for a face through all frames of an animation: fresh noise in each would average out."""

import math
from collections.abc import Mapping, Sequence

from cloak.geometry import Box
from cloak.masks import Mask

NEAR = 1.0
"""By how many times its size a face may have moved or grown, and be taken for the same without a second thought."""


def streams(frames: Sequence[Sequence[Mask]]) -> dict[Mask, int]:
    """For every mask of an animation's frames, the number of the stream that its face draws on.

    No two masks of a frame share one, and all frames together have as many as the fullest frame has masks: a face that
    leaps draws on a stream that is in use, rather than on ever new ones.
    """
    found: dict[Mask, int] = {}
    last: dict[int, Box] = {}  # where the face of each stream was seen
    most = max(map(len, frames), default=0)
    for masks in frames:
        boxes = {mask: Box(mask.left, mask.top, mask.width, mask.height) for mask in masks}
        own = _nearest(boxes, last, NEAR)
        own |= zip([mask for mask in masks if mask not in own], range(len(last), most), strict=False)
        left = {mask: box for mask, box in boxes.items() if mask not in own}
        own |= _nearest(left, {number: last[number] for number in last.keys() - own.values()}, math.inf)
        last |= {number: boxes[mask] for mask, number in own.items()}
        found |= own
    return found


def _nearest(boxes: Mapping[Mask, Box], last: Mapping[int, Box], limit: float) -> dict[Mask, int]:
    """The streams of masks that lie within `limit` of where a face was, the nearest first, each stream once."""
    pairs = [(_apart(box, seen), number, mask) for mask, box in boxes.items() for number, seen in last.items()]
    own: dict[Mask, int] = {}
    taken = set()
    for apart, number, mask in sorted(pairs, key=lambda pair: pair[:2]):
        if apart <= limit and mask not in own and number not in taken:
            own[mask] = number
            taken.add(number)
    return own


def _apart(one: Box, other: Box) -> float:
    """How far two boxes' edges lie from each other, down and across together, in multiples of their largest side."""
    edges = (one.x - other.x, one.y - other.y, one.right - other.right, one.bottom - other.bottom)
    return sum(map(abs, edges)) / 2 / max(one.width, one.height, other.width, other.height)
