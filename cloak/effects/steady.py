"""One stream of noise for a face through all frames of an animation: fresh noise in each would average out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cloak.masks import Mask

NEAR = 1.0
"""By how many times its size a face may have moved or grown, and be taken for the same without a second thought."""

_NEAREST = 16
"""Of those that lie near, how many are thought of: more lie there only where many are of one place."""

Edges = npt.NDArray[np.float64]


def steadied(frames: Sequence[Sequence[Mask]]) -> list[list[Mask]]:
    """The masks of an animation's frames, each region with the number of the stream that its face draws on.

    No two regions of a frame share one, and all frames together have as many as the fullest frame has regions: a face
    that leaps draws on a stream that is in use, rather than on ever new ones. Regions are followed, not masks: those
    part and unite as people pass each other, and detectors name faces in any order.
    """
    most = max((sum(len(mask.regions) for mask in masks) for masks in frames), default=0)
    last = np.full((most, 4), np.nan)  # where the face of each stream was seen
    done = []
    for masks in frames:
        edges = np.array([_edges(mask, i) for mask in masks for i in range(len(mask.regions))]).reshape(-1, 4)
        own = _matched(edges, last)
        last[own] = edges
        numbers = iter(own.tolist())
        done.append([replace(mask, streams=tuple(next(numbers) for _ in mask.regions)) for mask in masks])
    return done


def _matched(edges: Edges, last: Edges) -> npt.NDArray[np.intp]:
    """The streams of a frame's regions: of what was near before, the nearest first; else a fresh one, or any."""
    own = np.full(len(edges), -1, np.intp)
    free = np.full(len(last), True)
    for _, stream, region in sorted(_near(edges, last)):
        if own[region] < 0 and free[stream]:
            own[region], free[stream] = stream, False
    fresh = iter(np.flatnonzero(free & np.isnan(last[:, 0])).tolist())
    for region in np.flatnonzero(own < 0).tolist():
        if (stream := next(fresh, -1)) < 0:  # all have been seen: some face has leapt
            left = np.flatnonzero(free)
            stream = int(left[_apart(edges[region], last[left]).argmin()])
        own[region], free[stream] = stream, False
    return own


def _near(edges: Edges, last: Edges) -> Iterator[tuple[float, int, int]]:
    """How far apart, stream and region of those that lie near each other."""
    for region, one in enumerate(edges):
        apart = _apart(one, last)
        near = np.flatnonzero(apart <= NEAR)
        for stream in near[np.argsort(apart[near], kind="stable")[:_NEAREST]].tolist():
            yield float(apart[stream]), stream, region


def _apart(one: Edges, others: Edges) -> Edges:
    """How far boxes' edges lie from each other, down and across together, in multiples of their largest side."""
    sides = np.maximum((others[:, 2:] - others[:, :2]).max(1), (one[2:] - one[:2]).max())
    return np.asarray(np.abs(others - one).sum(1) / 2 / sides, np.float64)


def _edges(mask: Mask, region: int) -> tuple[float, float, float, float]:
    bounds = mask.regions[region].shifted(mask.left, mask.top).shape.bounds()
    return bounds.x, bounds.y, bounds.right, bounds.bottom
