"""Detection: faces are found by several models at several scales and turns, and united."""

from cloak.detect.base import Detection, Detector, Face, Landmarks
from cloak.detect.recipe import RECIPES, Plan, Recipe, plan
from cloak.detect.search import Search, confirmed, find, recheck
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
    "plan",
    "recheck",
]
