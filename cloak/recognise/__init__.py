"""Recognition: faces as unit vectors, of which those of one person lie near each other.

Used by consent, `perturb` and the audit; never by default. An embedding is biometric data: it lives in memory only.
"""

from cloak.recognise.align import chip, chips, placement
from cloak.recognise.base import ARCFACE, Embeddings, Frame, Landmarks, Recogniser
from cloak.recognise.registry import CARDS, Card, available, load

__all__ = [
    "ARCFACE",
    "CARDS",
    "Card",
    "Embeddings",
    "Frame",
    "Landmarks",
    "Recogniser",
    "available",
    "chip",
    "chips",
    "load",
    "placement",
]
