"""Names, strengths and the floor."""

from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import pytest

import cloak.effects
from cloak.effects import EFFECTS, STRENGTHS, Blur, Decoy, Fill, Pixelate, floor, make, name_of
from cloak.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True)
class Nothing:
    """An effect of somebody else."""

    def __call__(self, pixels, mask, noise):
        return pixels


def test_all_is_complete_and_sorted():
    assert set(cloak.effects.__all__) == {
        name
        for name, value in vars(cloak.effects).items()
        if not name.startswith("_") and not isinstance(value, type(cloak.effects))
    }
    assert cloak.effects.__all__ == sorted(cloak.effects.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))


@pytest.mark.parametrize(("strength", "name"), list(product(STRENGTHS, EFFECTS)))
def test_every_strength_of_every_effect_can_be_made_and_is_above_the_floor(strength, name):
    effect = make(name, strength)
    assert type(effect) is EFFECTS[name]
    assert name_of(effect) == name
    assert floor(effect, 1.4) == []


def test_standard_strength_is_the_default_of_each_effect():
    for name, kind in EFFECTS.items():
        assert make(name) == make(name, "standard") == kind()


@pytest.mark.parametrize("name", ["pixelate", "blur"])
def test_stronger_means_fewer_cells_and_more_jitter(name):
    light, standard, strong = (make(name, strength) for strength in ("light", "standard", "strong"))
    assert light.cells > standard.cells > strong.cells
    assert light.jitter < standard.jitter < strong.jitter


def test_settings_win_over_the_strength():
    assert make("pixelate", "strong", cells=7) == Pixelate(cells=7, jitter=make("pixelate", "strong").jitter)
    assert make("decoy", style="soft") == Decoy(style="soft")


@pytest.mark.parametrize(
    ("arguments", "settings", "known"),
    [
        (("smear",), {}, "blur, decoy, fill, perturb, pixelate"),
        (("blur", "very"), {}, "light, standard, strong"),
        (("blur",), {"radius": 3}, "cells, jitter"),
        (("fill",), {"cells": 3}, "colour"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(arguments, settings, known):
    with pytest.raises(UnknownName, match=known):
        make(*arguments, **settings)


def test_a_bad_value_is_refused():
    with pytest.raises(UsageError):
        make("pixelate", cells=0)


def test_the_registries_cannot_be_changed():
    assert isinstance(EFFECTS, MappingProxyType)
    with pytest.raises(TypeError):
        STRENGTHS["light"]["blur"]["cells"] = 30
    with pytest.raises(TypeError):
        STRENGTHS["light"]["blur"] = {}


@pytest.mark.parametrize(
    ("effect", "cover", "reasons"),
    [
        (Pixelate(), 1.3, 0),
        (Pixelate(), 1.29, 1),
        (Fill(), 1.0, 1),
        (Decoy(), float("nan"), 1),
        (Pixelate(cells=8), 1.4, 0),
        (Pixelate(cells=9), 1.4, 1),
        (Blur(cells=9, jitter=0), 1.0, 3),
        (Blur(jitter=0), 1.4, 1),
        (Pixelate(jitter=0.01), 1.4, 1),
        (Decoy(cells=64, jitter=0), 1.4, 0),
        (Nothing(), 1.4, 1),
    ],
    ids=str,
)
def test_settings_below_the_floor_are_named(effect, cover, reasons):
    found = floor(effect, cover)
    assert len(found) == reasons
    assert all(reason for reason in found)


def test_an_effect_that_is_not_ours_has_no_name():
    with pytest.raises(UsageError):
        name_of(Nothing())
