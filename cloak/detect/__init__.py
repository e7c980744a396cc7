"""Detection: faces are found by several models at several scales and turns, and united."""

from cloak.detect.base import Detection, Detector, Face, Landmarks
from cloak.detect.fusion import joined
from cloak.detect.overlap import overlapped
from cloak.detect.recipe import RECIPES, Plan, Recipe, plan
from cloak.detect.search import Search, confirmed, find, recheck, united
from cloak.detect.weights import ModelCard

__all__ = [
    "RECIPES",
    "Detection",
    "Detector",
    "Face",
    "Landmarks",
    "ModelCard",
    "Plan",
    "Recipe",
    "Search",
    "confirmed",
    "find",
    "joined",
    "overlapped",
    "plan",
    "recheck",
    "united",
]
