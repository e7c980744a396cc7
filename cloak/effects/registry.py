"""Effects by name, their strengths, and the floor below which none of them protects."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from cloak.effects.base import Effect
from cloak.effects.blur import Blur
from cloak.effects.decoy import Decoy
from cloak.effects.fill import Fill
from cloak.effects.perturb import Perturb, Within
from cloak.effects.pixelate import Pixelate
from cloak.errors import UnknownName, UsageError

EFFECTS: Mapping[str, type[Pixelate | Blur | Fill | Decoy | Perturb]] = MappingProxyType(
    {"pixelate": Pixelate, "blur": Blur, "fill": Fill, "decoy": Decoy, "perturb": Perturb}
)
"""Every effect, by the name that settings use."""

_SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "light": {
        "pixelate": {"cells": 8, "jitter": 0.08},
        "blur": {"cells": 8, "jitter": 0.08},
        "fill": {},
        "decoy": {"cells": 8},
        "perturb": {"grain": 1.6, "light": 3.0},
    },
    "standard": {"pixelate": {}, "blur": {}, "fill": {}, "decoy": {}, "perturb": {}},
    "strong": {
        "pixelate": {"cells": 4, "jitter": 0.16},
        "blur": {"cells": 4, "jitter": 0.16},
        "fill": {},
        "decoy": {"cells": 5},
        "perturb": {"grain": 3.3, "light": 6.0, "steps": 80},
    },
}

STRENGTHS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        strength: MappingProxyType({name: MappingProxyType(settings) for name, settings in effects.items()})
        for strength, effects in _SETTINGS.items()
    }
)
"""What each strength sets for each effect; "standard" is the effects' own defaults. None is below the floor.

For `fill` and `decoy` strength changes the looks at most: they carry nothing of the person at any.
"""

TRACELESS = (Decoy, Fill)
"""The effects that carry nothing of what they cover: trained adversaries stay at chance (docs/audit.md)."""

MAX_CELLS = 8
"""More cells than this leave a face searchable: rank-1 of 38 to 80 % at 12 and 16 cells (DESIGN, re-identification)."""

MIN_JITTER = 0.05
"""Below this, pixelation and blur are close to linear filters of the original, which a gallery can be treated with."""

MIN_COVER = 1.3
"""Smallest mask in multiples of the detected box: on the bare box even a black one leaks through jaw and hairline."""


def make(name: str, strength: str = "standard", **settings: Any) -> Effect:
    """The effect of that name; `settings` win over what the strength sets.

    Raises `UnknownName` for an effect, strength or setting that does not exist, `UsageError` for a bad value.
    """
    if name not in EFFECTS:
        raise UnknownName("effect", name, list(EFFECTS))
    if strength not in STRENGTHS:
        raise UnknownName("strength", strength, list(STRENGTHS))
    kind = EFFECTS[name]
    known = [field.name for field in fields(kind)]
    for key in settings:
        if key not in known:
            raise UnknownName(f"setting of {name}", key, known)
    return kind(**{**STRENGTHS[strength][name], **settings})


def name_of(effect: Effect) -> str:
    """The name of an effect in `EFFECTS`. Raises `UsageError` for one that is not ours."""
    known = effect.effect if isinstance(effect, Within) else effect
    for name, kind in EFFECTS.items():
        if type(known) is kind:
            return name
    raise UsageError("this effect has no name")


def floor(effect: Effect, cover_scale: float) -> list[str]:
    """Why these settings are below the floor of the privacy contract, a sentence each; empty if they are not.

    Args:
        effect: one of `EFFECTS`; of any other nothing is known, so it is always below.
        cover_scale: how large masks are, in multiples of the detected box.
    """
    reasons = []
    # Written so that NaN is below the floor, too.
    if not cover_scale >= MIN_COVER:
        reasons.append(f"the mask is {cover_scale:g} times the face's box; the floor is {MIN_COVER:g}")
    if isinstance(effect, Pixelate | Blur):
        if effect.cells > MAX_CELLS:
            reasons.append(f"{effect.cells} cells across a face; at most {MAX_CELLS} hide it from face search")
        if effect.jitter < MIN_JITTER:
            reasons.append(
                f"a jitter of {effect.jitter:g} leaves a plain filter of the original; at least {MIN_JITTER:g}"
            )
    elif not isinstance(effect, Fill | Decoy | Perturb):
        reasons.append("nothing is known of what this effect hides")
    return reasons
