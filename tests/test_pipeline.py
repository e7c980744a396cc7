from dataclasses import fields, is_dataclass, replace

import pytest

from cloak.detect.recipe import ALWAYS, RECIPES
from cloak.effects import EFFECTS, STRENGTHS, Blur, Decoy, Perturb, Pixelate, make
from cloak.errors import RiskRefused, UnknownName, UsageError
from cloak.pipeline import SHIPPED, Pipeline, load, parse


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pipelines_are_valid_and_above_the_floor(name):
    assert load(name).risks() == []


def test_newsroom_holds_back_and_conceals_with_a_decoy():
    made = load("newsroom")
    assert made.no_face == "hold"
    assert made.review == "required"
    assert isinstance(made.effect, Decoy)


def test_defaults_of_issue_two():
    assert isinstance(load("photographer").effect, Pixelate)
    assert load("photographer").effect.cells == 6
    assert load("photographer").no_face == load("cms").no_face == "publish"
    assert isinstance(load("cms").effect, Decoy)
    assert load("photographer").cover.scale == 1.4


def test_flags_beat_the_file():
    made = load("newsroom", no_face="publish", effect={"name": "fill"}, cover={"scale": 1.6}, keep=["copyright"])
    assert made.no_face == "publish"
    assert made.cover.scale == 1.6
    assert made.cover.shape == "head"
    assert type(made.effect).__name__ == "Fill"
    assert made.keep == ("copyright",)


@pytest.mark.parametrize("name", ["newsroom", "cms"])
@pytest.mark.parametrize("effect", ["pixelate", "blur"])
def test_pipelines_for_sources_take_only_effects_that_carry_nothing_of_a_face(name, effect):
    with pytest.raises(RiskRefused, match=f"{effect} carries something of each face"):
        load(name, effect={"name": effect})
    assert load(name, effect={"name": effect}, accept_risk=True).risks()
    assert load(name, effect={"name": "fill"}).risks() == []
    assert load("photographer", effect={"name": effect}).risks() == []


def test_where_traces_are_refused_no_area_may_have_an_effect_that_carries_any():
    assert load("cms").permitted == ("fill", "decoy")
    assert load("cms", effect={"name": "blur"}, accept_risk=True).permitted == ("blur", "fill", "decoy")
    assert load("photographer").permitted == tuple(EFFECTS)


def test_another_effect_starts_from_its_own_defaults():
    text = b'[effect]\nname = "pixelate"\ncells = 4\n'
    assert parse(text, "mine").effect.cells == 4
    assert parse(text, "mine", effect={"name": "pixelate"}).effect.cells == 4
    assert parse(text, "mine", effect={"name": "blur"}).effect == Blur()


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("effect", EFFECTS)
def test_no_strength_of_any_effect_is_below_the_floor(effect, strength):
    assert load("photographer", effect={"name": effect}, strength=strength).risks() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"efect = 1", "unknown key in mine 'efect'; known: .*cover.*effect"),
        (b"[cover]\nsize = 2", "unknown key in mine.cover 'size'; known: feather, scale, shape"),
        (b'[effect]\nname = "sepia"', "unknown effect 'sepia'; known: blur, decoy, fill, perturb, pixelate"),
        (b'[effect]\nname = "fill"\ncells = 3', "unknown key in mine.effect 'cells'"),
        (b'recall = "best"', "unknown recall 'best'; known: balanced, fast, thorough"),
        (b'models = ["dlib"]', "unknown model 'dlib'; known: .*centerface.*yunet"),
        (b'keep = ["gps"]', "unknown field to keep 'gps'; known: .*copyright"),
        (b"[limits]\nmegapixels = 3", "unknown key in mine.limits 'megapixels'"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(text, message):
    with pytest.raises(UnknownName, match=message):
        parse(text, "mine")


@pytest.mark.parametrize(
    "text",
    [
        b"recall = 3",
        b"no_face = 'maybe'",
        b"[cover]\nscale = 'large'",
        b"[cover]\nscale = -1",
        b"[cover]\nscale = inf",
        b"[cover]\nscale = nan",
        b"[cover]\nscale = 5.1",
        b"min_face = inf",
        b"quality = " + b"9" * 5000,
        b'models = ["yunet", "centerface", "yunet"]',
        b'[effect]\nname = "perturb"\nsurrogates = ["sface", "sface"]',
        b"#" * 16_001,
        b"a" + b".a" * 9_000 + b" = 1",
        b"cover = 3",
        b"effect = 'pixelate'",
        b"[effect]\ncells = 3",
        b"[limits]\npixels = 0",
        b"quality = 0",
        b"min_face = 1",
        b"keep = 'icc'",
        b"= broken",
        b"\xff\xfe",
        b"a = [" * 2000,
    ],
)
def test_a_bad_value_is_a_usage_error(text):
    with pytest.raises(UsageError):
        parse(text, "mine")


@pytest.mark.parametrize(
    "text",
    [
        b"[cover]\nscale = 1.2",
        b'[cover]\nshape = "face"',
        b'[effect]\nname = "pixelate"\ncells = 9',
        b'[effect]\nname = "pixelate"\njitter = 0.0',
        b'[effect]\nname = "blur"\ncells = 12',
        b"min_face = 49",
        b'models = ["blazeface-short"]',
        b'models = ["blazeface-full", "blazeface-short"]',
    ],
)
def test_settings_below_the_floor_are_refused_unless_the_risk_is_accepted(text):
    with pytest.raises(RiskRefused):
        parse(text, "mine")
    assert parse(text, "mine", accept_risk=True).risks()


def _numbers(value, *path):
    """Where the numbers of a setting are: names of fields, the last one of a number."""
    for item in fields(value):
        found = getattr(value, item.name)
        if is_dataclass(found):
            yield from _numbers(found, *path, item.name)
        elif isinstance(found, int | float) and not isinstance(found, bool):
            yield *path, item.name


def _changed(value, path, number):
    inner = number if len(path) == 1 else _changed(getattr(value, path[0]), path[1:], number)
    return replace(value, **{path[0]: inner})


WHOLE = Pipeline(min_face=20.0, quality=90, resize=2000)
"""Has a number wherever a pipeline can."""


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e39, 1e200, 10**400])
def test_every_number_of_a_pipeline_is_finite_and_bounded_whatever_risk_is_accepted(number):
    wholes = [*(replace(WHOLE, effect=make(name), resize=None, accept_risk=True) for name in EFFECTS), WHOLE]
    wholes += RECIPES.values()
    paths = [(whole, path) for whole in wholes for path in _numbers(whole)]
    assert {"scale", "feather", "min_face", "quality", "resize", "jitter", "grain", "budget"} <= {
        p[-1] for _, p in paths
    }
    for whole, path in paths:
        with pytest.raises(UsageError):
            _changed(whole, path, number)


def test_the_hash_follows_what_decides_the_output_and_nothing_else():
    one = load("photographer")
    assert one.hash() == load("photographer").hash()
    assert Pipeline().hash() == parse(b"", "another name").hash()
    assert one.hash() != load("photographer", effect={"cells": 5}).hash()
    assert one.hash() != load("photographer", recall="fast").hash()
    assert len({load(name).hash() for name in SHIPPED}) == len(SHIPPED)


def test_a_pipeline_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('recall = "fast"\n')
    assert load(str(path)).recall == "fast"
    with pytest.raises(UsageError, match="cannot read"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(UnknownName, match=r"known: FILE\.toml, cms, newsroom, photographer"):
        load("mine")


def test_the_table_reads_back_as_the_same_pipeline():
    import tomli_w

    for name in SHIPPED:
        made = load(name)
        assert parse(tomli_w.dumps(made.table()).encode(), name) == made


def test_the_default_pipeline_is_the_photographers_without_its_fields():
    assert Pipeline() == load("photographer", keep=["icc"])


def test_models_of_a_pipeline_replace_those_of_the_recall():
    made = load("photographer", models=["yunet", "centerface"])
    assert made.recipe.models == ("yunet", "centerface")
    assert made.hash() != load("photographer").hash()
    assert load("photographer", recall="thorough", min_face=40).recipe.min_face == 40


def test_persons_are_looked_for_as_the_recall_says_unless_the_pipeline_does():
    assert load("photographer").recipe.used == ("yunet", "nanodet")
    assert load("newsroom").recipe.persons == ALWAYS
    assert load("cms").recipe.persons == 0.5
    assert load("cms", recall="fast").recipe.used == ("yunet",)
    assert parse(b'recall = "fast"\npersons = true', "mine").recipe.persons == ALWAYS
    assert load("cms", persons=True).hash() != load("cms").hash()
    off = parse(b"persons = false", "mine")
    assert off.recipe.used == ("yunet",)
    assert off.hash() != parse(b"", "mine").hash()
    assert "persons" not in load("photographer").table()
    assert off.table()["persons"] is False
    with pytest.raises(UsageError, match="persons"):
        parse(b"persons = 'yes'", "mine")


def test_how_jpegs_are_written_is_part_of_the_pipeline():
    mine = parse(b"optimize = true\nbake_orientation = true", "mine")
    assert mine.optimize
    assert mine.bake_orientation
    assert parse(b"", "mine", optimize=True).hash() != parse(b"", "mine").hash()
    with pytest.raises(UsageError):
        parse(b"optimize = 'yes'", "mine")


def test_perturb_does_not_say_that_faces_are_concealed():
    keep = ("caption", "disclosure")
    with pytest.raises(UsageError, match="untrue"):
        replace(load("photographer"), keep=keep, effect=Perturb(), accept_risk=True)
    own = replace(load("photographer"), keep=keep, disclosure="Faces were altered.")
    assert replace(own, effect=Perturb(), accept_risk=True).disclosure == "Faces were altered."
