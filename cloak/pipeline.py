"""A pipeline: every setting that decides what becomes of a photo, as one typed value read from TOML."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from cloak.detect.recipe import ALWAYS, LARGEST_FACE, NEVER, RECIPES, Recipe, named
from cloak.detect.registry import NEAR_ONLY, models, names, version
from cloak.effects import EFFECTS, STRENGTHS, TRACELESS, Effect, Perturb, Pixelate, floor, name_of
from cloak.errors import RiskRefused, UnknownName, UsageError
from cloak.files import printable
from cloak.metadata.fields import DISCLOSURE, KEEP_NAMES
from cloak.photo.base import Limits
from cloak.recognise.surrogate import fingerprint

Names = Literal["keep", "sequence", "random"]
"""What published files are called; see `cloak.naming`."""

SHIPPED = ("cms", "newsroom", "photographer")
"""The pipelines that come with cloak; each is a TOML file to read, copy and diff."""

LARGEST = 16_000
"""Bytes of a TOML file: ours have a thousand. Python's reader takes time in the square of a key's dots."""

LARGEST_COVER = 5
"""Times the face's box: beyond, a mask hides the photo rather than a face."""

LARGE_FACE = 48
"""Pixels: a search that is made for larger faces only is a risk. Half of this is about what `balanced` sees in full
detail in 12 megapixels (docs/detection.md)."""

LONGEST = 1_000_000
"""Pixels of a side that no photo has."""

MOST = 10**12
"""Of a limit: more than any machine holds."""


@dataclass(frozen=True, slots=True)
class Cover:
    """How a detected face becomes an area.

    Attributes:
        shape: "head" covers ears, chin and hairline; "face" only the detected box.
        scale: the area's axes as a multiple of the box.
        feather: width of the soft edge *outside* the area, as a share of its smaller half axis.
    """

    shape: Literal["head", "face"] = "head"
    scale: float = 1.4
    feather: float = 0.06


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Settings of a run; two equal pipelines treat the same bytes alike.

    Attributes:
        name: what the user calls it; not part of the hash.
        recall: how hard faces are searched, a name of `cloak.detect.recipe.RECIPES`.
        models: detectors to use, all of which take every upright look; None: the recipe's.
        min_face: height in pixels of the upright original of the smallest face to look for; None: the recipe's.
        persons: people without a face, as from behind, are looked for and flagged for review; None: as the recipe says.
        cover: from a face to the area that is concealed.
        effect: what replaces it.
        no_face: a photo without any face found is held back for a person, or published stripped.
        review: "required" publishes nothing before a person has accepted it.
        traces: whether an effect may carry anything of the face; "refuse" takes only those that carry nothing.
        keep: names of metadata fields to write anew, and "icc" for the colour profile.
        disclosure: the sentence that ends the caption of a photo with concealed faces, if `keep` names "disclosure".
        profile: an unknown colour profile: "convert" its pixels, or "withhold" the photo.
        quality: 1-100 for lossy formats, None to follow the file.
        optimize: JPEGs get Huffman tables of their own; a few percent smaller, for a second pass.
        bake_orientation: JPEGs that cannot be turned without loss are re-encoded, rather than keep an Orientation tag.
        resize: most pixels of the longer side of what is published; a smaller photo stays as it is.
        resample: move the pixels off the sensor's grid by a cut and a stretch of 1 to 2 %, drawn for each photo.
        names: what published files of a batch are called: their originals' names, numbers, or random digits.
        limits: what one photo may cost.
        accept_risk: settings weaker than the floor are allowed; every report says so.
    """

    name: str = "photographer"
    recall: str = "balanced"
    models: tuple[str, ...] | None = None
    min_face: float | None = None
    persons: bool | None = None
    cover: Cover = field(default_factory=Cover)
    effect: Effect = field(default_factory=Pixelate)
    no_face: Literal["hold", "publish"] = "publish"
    review: Literal["required", "optional"] = "optional"
    keep: tuple[str, ...] = ("icc",)
    traces: Literal["refuse", "allow"] = "allow"
    disclosure: str = DISCLOSURE
    profile: Literal["convert", "withhold"] = "convert"
    quality: int | None = None
    optimize: bool = False
    bake_orientation: bool = False
    resize: int | None = None
    resample: bool = False
    names: Names = "keep"
    limits: Limits = field(default_factory=Limits)
    accept_risk: bool = False

    def __post_init__(self) -> None:
        if self.recall not in RECIPES:
            raise UnknownName("recall", self.recall, tuple(RECIPES))
        for name in self.models or ():
            if name not in names():
                raise UnknownName("model", name, tuple(names()))
        if len(set(self.models or ())) < len(self.models or ()):
            raise UsageError("a model is named twice")
        for name in self.keep:
            if name not in KEEP_NAMES:
                raise UnknownName("field to keep", name, KEEP_NAMES)
        # All of these are written so that NaN is refused, too.
        if not 0 < self.cover.scale <= LARGEST_COVER or not 0 <= self.cover.feather <= 1:
            raise UsageError(f"cover.scale must be above 0 and up to {LARGEST_COVER}, cover.feather between 0 and 1")
        if self.min_face is not None and not 4 <= self.min_face <= LARGEST_FACE:
            raise UsageError(f"min_face must be from 4 to {LARGEST_FACE:,} pixels")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError("quality must lie between 1 and 100")
        if self.resize is not None and not 64 <= self.resize <= LONGEST:
            raise UsageError(f"resize must be from 64 to {LONGEST:,} pixels")
        if isinstance(self.effect, Perturb) and (self.resize is not None or self.resample):
            # The change was searched for the pixels as they are: what resampling leaves of it nobody has measured.
            raise UsageError("perturb goes with neither resize nor resample", next_step="Resize the photos before.")
        if isinstance(self.effect, Perturb) and "disclosure" in self.keep and self.disclosure == DISCLOSURE:
            raise UsageError(
                "perturb leaves faces in sight: the disclosure that they are concealed would be untrue",
                next_step='Write a true one into a pipeline of your own (disclosure = "..."), or keep none.',
            )
        if not all(1 <= limit <= MOST for limit in (self.limits.bytes, self.limits.pixels, self.limits.frames)):
            raise UsageError(f"limits must be above 0 and up to {MOST:,}")
        if len(self.disclosure) > 1000:
            raise UsageError("disclosure must be a sentence, of 1000 characters at most")
        risks = self.risks()
        if risks and not self.accept_risk:
            raise RiskRefused("; ".join(risks))

    def risks(self) -> list[str]:
        """Why these settings are weaker than the floor of the privacy contract; empty if they are not."""
        found = floor(self.effect, self.cover.scale)
        if self.cover.shape == "face":
            found.append('cover "face" leaves ears, jaw and hairline in sight')
        if self.min_face is not None and self.min_face > LARGE_FACE:
            found.append(f"faces smaller than {self.min_face:g} pixels (min_face) may be missed, and stay in sight")
        if self.models and set(self.models) <= set(NEAR_ONLY):
            found.append(f"{' and '.join(self.models)} alone finds only large near faces; add yunet or centerface")
        if self.traces != "allow" and isinstance(self.effect, Perturb):
            found.append("perturb leaves faces in sight: it slows down face search, and makes nobody anonymous")
        elif self.traces != "allow" and not isinstance(self.effect, TRACELESS):
            # benchmarks/audit.py: trained on concealed photos of the same 100 people, beyond three times chance.
            found.append(f"{name_of(self.effect)} carries something of each face; decoy and fill carry nothing")
        return found

    @property
    def permitted(self) -> tuple[str, ...]:
        """The effects that a person may choose for an area: where traces are refused, none that carries any.

        The pipeline's own is among them: where it carries traces, that risk was accepted, and reports say so.
        """
        if self.traces == "allow":
            return tuple(EFFECTS)
        own = name_of(self.effect)
        return tuple(name for name, kind in EFFECTS.items() if issubclass(kind, TRACELESS) or name == own)

    @property
    def recipe(self) -> Recipe:
        """How faces are searched."""
        persons = None if self.persons is None else ALWAYS if self.persons else NEVER
        changes = {"models": self.models, "min_face": self.min_face, "persons": persons}
        return named(self.recall, **{key: value for key, value in changes.items() if value is not None})

    def table(self) -> dict[str, Any]:
        """The pipeline as the nested dict that its TOML file would hold."""
        table: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in {"name", "effect"} or value is None:
                continue
            table[item.name] = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        table["keep"] = list(self.keep)
        if self.models is not None:
            table["models"] = list(self.models)
        table["effect"] = {"name": name_of(self.effect), **_settings(self.effect)}
        return table

    def hash(self) -> str:
        """SHA-256 over everything that decides the output: settings, recipe, version of cloak, model weights; of a
        plug-in, its version."""
        deciding = {
            **self.table(),
            "recipe": asdict(self.recipe),
            "cloak": metadata.version("cloak-images"),
            "weights": sorted(card.sha256 for card in models() if card.name in self.recipe.used),
            "surrogates": sorted(map(fingerprint, self.effect.surrogates)) if isinstance(self.effect, Perturb) else [],
        }
        if plugins := [plugin for name in sorted(self.recipe.used) if (plugin := version(name))]:
            deciding["plugins"] = plugins
        del deciding["names"]  # of the bytes it decides nothing
        canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"), default=list)
        return hashlib.sha256(canonical.encode()).hexdigest()


def load(name: str, **overrides: Any) -> Pipeline:
    """A shipped pipeline by its name, or one from a TOML file (a path that ends in ".toml").

    Args:
        name: "photographer", "newsroom", "cms" or a path.
        overrides: settings that beat the file: keys of the file's top level; for `cover`, `effect` and `limits` a
            dict that is laid over the file's table (another effect starts from its own defaults). The extra key
            `strength` is one of `cloak.effects.STRENGTHS`, laid over the settings of the effect. None means
            "as the file says".

    Raises `UnknownName` and `UsageError` with the place and the known names, `RiskRefused` below the floor.
    """
    return parse(source(name), printable(Path(name).stem), **overrides)


def source(name: str) -> bytes:
    """The TOML file of a pipeline; see `load`. Raises `UnknownName` and `UsageError`."""
    if name in SHIPPED:
        return resources.files("cloak.pipelines").joinpath(f"{name}.toml").read_bytes()
    if not name.endswith(".toml"):
        raise UnknownName("pipeline", name, (*SHIPPED, "FILE.toml"))
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read the pipeline {printable(Path(name).name)!r}: {error.strerror}") from None


def parse(text: bytes, name: str, **overrides: Any) -> Pipeline:
    """A pipeline from the bytes of a TOML file; see `load`."""
    if len(text) > LARGEST:
        raise UsageError(f"pipeline {name!r} is larger than {LARGEST:,} bytes")
    try:
        table = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # of numbers with too many digits it says no more than ValueError
        raise UsageError(f"pipeline {name!r} is not valid TOML: {error}") from None
    strength = overrides.pop("strength", None) or "standard"
    for key, value in overrides.items():
        if value is None:
            continue
        below = table.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            other_effect = key == "effect" and value.get("name", below.get("name")) != below.get("name")
            table[key] = value if other_effect else below | value
        else:
            table[key] = value
    _refuse_unknown(table, Pipeline, name)
    effect = table.pop("effect", {"name": "pixelate"})
    if not isinstance(effect, dict) or not isinstance(effect.get("name"), str):
        raise UsageError(f'pipeline {name!r}: effect must be a table with a name, e.g. effect = {{ name = "decoy" }}')
    kind = EFFECTS.get(effect["name"])
    if kind is None:
        raise UnknownName("effect", effect["name"], tuple(EFFECTS))
    settings = {key: value for key, value in effect.items() if key != "name"}
    _refuse_unknown(settings, kind, f"{name}.effect")
    if strength not in STRENGTHS:
        raise UnknownName("strength", str(strength), tuple(STRENGTHS))
    made = _convert({**settings, **STRENGTHS[strength][effect["name"]]}, kind, f"{name}.effect")
    values = {key: _convert(value, get_type_hints(Pipeline)[key], f"{name}.{key}") for key, value in table.items()}
    return Pipeline(**{**values, "name": name, "effect": made})


def _settings(effect: Effect) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(effect)
    return {key: value for key, value in plain.items() if value is not None}


def _convert(value: Any, kind: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{place}: {error}") from None


def _refuse_unknown(table: dict[str, Any], kind: type, place: str) -> None:
    """msgspec ignores unknown keys of dataclasses; a misspelt setting must be an error."""
    if not is_dataclass(kind):
        return
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind) if item.name != "name"]
    for key, value in table.items():
        if key not in known:
            raise UnknownName(f"key in {place}", key, known)
        if isinstance(value, dict) and is_dataclass(hints[key]):
            _refuse_unknown(value, hints[key], f"{place}.{key}")
