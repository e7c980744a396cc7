"""The order of a review: the most doubtful photos first."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import chain
from typing import Any

LOW = 0.7
"""A face below this score is worth a look before those above: a sure one is seen at several scales, and scores over
0.9."""


class Doubt(StrEnum):
    """Why a person should look at a photo, the most urgent first."""

    NO_FACE = "no-face"  # none was found, which does not mean that there is none
    CONSENT = "consent"  # a concealed face may be of somebody who consented
    LOW_SCORE = "low-score"  # a weak hit was left bare, or a concealed face is not sure
    PERSON = "person"  # somebody of whom no face was found, as from behind
    ONE_MODEL = "one-model"  # a face that one model saw and another did not
    BURST = "burst"  # a face is concealed in a near-identical neighbour and bare here
    REST = "rest"


def doubt(row: Mapping[str, Any], models: int) -> tuple[Doubt, float]:
    """The reason to look at a photo, and a number by which photos of one reason are ordered, lowest first.

    Args:
        row: of the report.
        models: how many detectors looked at it.
    """
    found = [face for key in ("detections", "revealed", "replaced") for frame in row.get(key, ()) for face in frame]
    weak = list(chain.from_iterable(row.get("doubtful", ())))
    scores = [float(face["score"]) for face in found]
    people = [float(head["score"]) for frame in row.get("faceless", ()) for head in frame]
    if not found:
        return Doubt.NO_FACE, -float(len(weak) + len(people))
    lowest = min(scores)
    if any(row.get("ambiguous", ())):
        return Doubt.CONSENT, lowest
    if weak or lowest < LOW:
        return Doubt.LOW_SCORE, min(lowest, *(float(face["score"]) for face in weak)) if weak else lowest
    if people:
        return Doubt.PERSON, -max(people)
    if models > 1 and any(len(face["models"]) == 1 for face in found):
        return Doubt.ONE_MODEL, lowest
    if row.get("bare_in_burst"):
        return Doubt.BURST, lowest
    return Doubt.REST, lowest
