"""From a photo and landmarks to the upright picture of a face that a recogniser wants."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cloak.geometry import RGB, Size, sampled
from cloak.recognise.base import Frame, Landmarks

Placement = npt.NDArray[np.float64]
"""(2, 3): takes a point (x, y, 1) of the photo to a point of the frame; turns, scales and moves."""

FINEST = 16
"""A face is sampled at most this many times finer than its frame before it is averaged down."""


def placement(landmarks: Landmarks, frame: Frame) -> Placement | None:
    """The similarity that brings the landmarks nearest to the frame's points in the least squares (Umeyama 1991).

    None if the landmarks lie in one point or are not finite: then they are no face's.
    """
    source, target = np.array(landmarks, np.float64), np.array(frame.points, np.float64)
    if source.shape != target.shape or not np.isfinite(source).all():
        return None
    middle, goal = source.mean(0), target.mean(0)
    source, target = source - middle, target - goal
    spread = float((source**2).sum())
    if spread < 1e-6:
        return None
    # As complex numbers, the best turn and scale together are one quotient; a mirror image is never made.
    along = float((source * target).sum()) / spread
    across = float((source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum()) / spread
    if math.hypot(along, across) < 1e-6:
        return None
    turn = np.array([[along, -across], [across, along]])
    return np.hstack([turn, (goal - turn @ middle)[:, None]])


def chip(image: RGB, place: Placement, side: int) -> RGB:
    """(side, side, 3) uint8 RGB: the part of the image that `place` brings into the frame.

    What lies beyond the image repeats its edge. Faces larger than the frame are averaged down, not skipped through:
    fine patterns would turn into false ones.
    """
    scale = math.hypot(place[0, 0], place[1, 0])
    finer = min(max(math.ceil(1 / scale - 1e-6), 1), FINEST)
    # Half a pixel: the centre of the first fine sample is not the centre of the first coarse one.
    move = np.array([[finer, 0, (finer - 1) / 2], [0, finer, (finer - 1) / 2]])
    matrix = move[:, :2] @ place + np.hstack([np.zeros((2, 2)), move[:, 2:]])
    whole = Size(side * finer, side * finer)
    rows, columns = sampled(matrix, whole, Size(image.shape[1], image.shape[0]))
    matrix = np.hstack([matrix[:, :2], matrix @ [[columns.start], [rows.start], [1]]])
    fine = cv2.warpAffine(
        image[rows, columns],
        matrix,
        (whole.width, whole.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if finer == 1:
        return np.asarray(fine, np.uint8)
    return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def chips(image: RGB, faces: Sequence[Landmarks], frame: Frame) -> RGB:
    """(N, side, side, 3) uint8 RGB: faces of an image, each in the frame; black where landmarks are no face's."""
    pictures = np.zeros((len(faces), frame.side, frame.side, 3), np.uint8)
    for index, landmarks in enumerate(faces):
        place = placement(landmarks, frame)
        if place is not None:
            pictures[index] = chip(image, place, frame.side)
    return pictures
