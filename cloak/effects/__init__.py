"""Effects: what replaces a face. Each is a small frozen dataclass; `conceal` applies one to a window of a photo."""

from cloak.effects.base import Effect, Noise
from cloak.effects.blend import conceal, paint
from cloak.effects.blur import Blur
from cloak.effects.decoy import Decoy
from cloak.effects.fill import Fill
from cloak.effects.perturb import Perturb
from cloak.effects.pixelate import Pixelate
from cloak.effects.registry import EFFECTS, STRENGTHS, TRACELESS, floor, make, name_of

__all__ = [
    "EFFECTS",
    "STRENGTHS",
    "TRACELESS",
    "Blur",
    "Decoy",
    "Effect",
    "Fill",
    "Noise",
    "Perturb",
    "Pixelate",
    "conceal",
    "floor",
    "make",
    "name_of",
    "paint",
]
