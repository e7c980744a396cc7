"""One stream of noise for a face through all frames of an animation: fresh noise in each would average out."""

from collections.abc import Sequence

from cloak.geometry import Box, Mask

SAME = 0.3
"""Intersection over union of windows from which the next frame's mask is taken for that of the same face."""

Place = tuple[int, int, int]
"""Frame, left, top: where a mask lies. No two masks of a photo share one."""


def place(mask: Mask, frame: int) -> Place:
    return frame, mask.left, mask.top


def first_places(frames: Sequence[Sequence[Mask]]) -> dict[Place, Place]:
    """For every mask the place at which its face was first concealed, its own if it was not there before."""
    found: dict[Place, Place] = {}
    seen: list[tuple[Box, Place]] = []
    for number, masks in enumerate(frames):
        free = list(seen)
        for mask in masks:
            box = Box(mask.left, mask.top, mask.width, mask.height)
            best = max(free, key=lambda known: box.iou(known[0]), default=None)
            first = place(mask, number)
            if best is not None and box.iou(best[0]) >= SAME:
                free.remove(best)  # two masks of a frame never share a stream
                seen.remove(best)
                first = best[1]
            seen.append((box, first))
            found[place(mask, number)] = first
    return found
