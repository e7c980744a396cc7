"""What a search looks at: named recipes, and the plan that one makes for a photo of a given size."""

import math
from dataclasses import dataclass, replace

from cloak.errors import UnknownName, UsageError
from cloak.geometry import Size

STRIDE = 32  # networks take multiples of this

PERSONS = "nanodet"
"""The detector of persons."""

ALWAYS, NEVER = 0.0, 1e9
"""For `Recipe.persons`. Between them: the look costs 40 CPU ms, whatever the size of the photo, and a search in
`balanced` 270 a megapixel (benchmarks/detection.py), so that in small photos it would be more than a quarter."""

MIN_FACE = 12.0
"""The default of `min_face`: YuNet finds most faces of this height in an enlarged picture, and few smaller ones."""

LARGEST_FACE, LARGEST_INPUT, WIDEST = 10_000, 256, 8192
"""Most that `min_face`, `network_face` and a whole-picture pass may be: more is no setting, but a slip."""

TINY = 2.33
"""In heights of the smallest face: up to here only one look sees a face well."""

LARGE = 5.0
"""In heights of the smallest face: from here three looks do, and a real face is seldom doubted.

benchmarks/detection.py: asking for 0.6 there instead of 0.3 loses no annotated face and most smudges on near people.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How hard to search. Lengths are pixels of the upright original unless said otherwise.

    Attributes:
        name: of the profile it came from.
        models: the detectors, each of which takes every upright look.
        threshold: faces whose combined score is at least this are concealed.
        tiny: the same for faces near the smallest (`TINY`), where most false hits are; never less than `threshold`.
        large: the same for those so large (`LARGE`) that several looks see them well if they are faces; never less than
            `threshold`.
        review: weaker faces down to this share of their threshold are reported for review.
        floor: hits of a single look below this are not counted at all.
        min_face: height of the smallest face that the search is made for; the whole-picture passes, which see smaller
            ones in small photos, are taken in any case.
        network_face: height in pixels of the network's input at which a face of `min_face` is looked at. This sets the
            finest scale: network_face / min_face.
        upscale: the finest scale is at most this.
        budget: the finest scale has at most this many megapixels, padding of thin pictures included; beyond, it is made
            coarser, and the smallest face that is found grows with the photo (`Plan.smallest` says how large it is).
        whole: long sides, in pixels of the network's input, of the passes over the whole picture.
        halves: whether the scale between the finest and the whole-picture passes is looked at as well.
        tile: side of a square, in pixels of the network's input, that has as many pixels as a tile may have.
        turned: the models that look at the turned picture, whichever `models` are.
        turns: degrees clockwise by which they turn every look, of 90, 180 and 270.
        whole_turns: the same for the coarsest whole-picture pass only, and only while few upright faces are sure.
        tilts: whether they look again at weak hits, turned in steps of 30 degrees.
        closer: how many of the unsure faces a megapixel of the photo, largest first, get a closer look by two models.
        persons: megapixels of the smallest photo in which persons are looked for too, to flag those without a face.
        agreed: whether a file that may show more to other decoders is not kept: see `cloak.photo.base.Output`.
    """

    name: str
    models: tuple[str, ...] = ("yunet",)
    threshold: float = 0.28
    tiny: float = 0.48
    large: float = 0.6
    review: float = 0.85
    floor: float = 0.1
    min_face: float = MIN_FACE
    network_face: float = 21.0
    upscale: float = 2.0
    budget: float = 10.0
    whole: tuple[int, ...] = (320, 640, 1280)
    halves: bool = True
    tile: int = 1024
    turned: tuple[str, ...] = ("yunet",)
    turns: tuple[int, ...] = ()
    whole_turns: tuple[int, ...] = ()
    tilts: bool = False
    closer: float = 0.0
    persons: float = NEVER
    agreed: bool = False

    def __post_init__(self) -> None:
        # All of these are written so that NaN is refused, too.
        shares = (self.tiny, self.large, self.review)
        if not (0 < self.floor <= self.threshold <= 1 and all(0 < share <= 1 for share in shares)):
            raise UsageError("a recipe needs 0 < floor <= threshold <= 1, and tiny, large and review up to 1")
        if not self.models or not self.whole or not all(STRIDE <= side <= WIDEST for side in self.whole):
            raise UsageError(f"a recipe needs at least one model and one whole-picture pass of 32 to {WIDEST} pixels")
        if not (1 <= self.min_face <= LARGEST_FACE and 1 <= self.network_face <= LARGEST_INPUT):
            raise UsageError(f"a recipe's min_face must be from 1 to {LARGEST_FACE:,}, network_face to {LARGEST_INPUT}")
        if not (0 < self.upscale <= 4 and 0 < self.budget <= 1000):
            raise UsageError("a recipe's upscale must be above 0 and up to 4, budget up to 1000")
        if not ALWAYS <= self.persons <= NEVER:
            raise UsageError("a recipe's persons must be a number of megapixels")
        if not 256 <= self.tile <= 2048 or self.tile % STRIDE:
            raise UsageError("a recipe's tile must be a multiple of 32 from 256 to 2048")
        if not 0 <= self.closer <= 1000:
            raise UsageError("a recipe's closer must be from 0 to 1000")
        if not {*self.turns, *self.whole_turns} <= {90, 180, 270}:
            raise UsageError("a recipe's turns must be of 90, 180 and 270")

    @property
    def used(self) -> tuple[str, ...]:
        """The detectors whose answers decide what is found, that of persons included."""
        return (*self.detectors, *([PERSONS] if self.persons < NEVER else []))

    @property
    def detectors(self) -> tuple[str, ...]:
        """Those that take the looks, upright and turned."""
        turning = self.turned if self.turns or self.whole_turns or self.tilts else ()
        return tuple(dict.fromkeys((*self.models, *turning)))

    def needed(self, height: float, smallest: float, usual: float = math.inf) -> float:
        """The score that a face of this height needs to be concealed, by a plan for `smallest`; see `Plan`."""
        if height < TINY * min(smallest, usual):
            return max(self.threshold, self.tiny)
        return self.threshold if height < LARGE * smallest else max(self.threshold, self.large)


RECIPES: dict[str, Recipe] = {
    "fast": Recipe("fast", upscale=1.0, budget=4.0, halves=False),
    "balanced": Recipe("balanced", whole_turns=(90, 180, 270), closer=8.0, persons=0.5),
    "thorough": Recipe(
        "thorough",
        models=("yunet", "centerface"),
        threshold=0.25,
        tiny=0.6,
        # So many looks agree on a near face that it scores 0.84 at least (37 of them on crowds and groups); the torsos
        # and crossed arms that turned looks take for faces score 0.6 to 0.81.
        large=0.82,
        budget=48.0,
        turns=(90, 180, 270),
        tilts=True,
        persons=ALWAYS,
        agreed=True,
    ),
}


def named(name: str, **changes: object) -> Recipe:
    """The recipe of that name, with fields replaced. Raises `UnknownName` or `UsageError`."""
    if name not in RECIPES:
        raise UnknownName("recall profile", name, tuple(RECIPES))
    known = Recipe.__dataclass_fields__
    for key in changes:
        if key not in known:
            raise UnknownName("recipe field", key, tuple(known))
    return replace(RECIPES[name], **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the scaled picture; it may stick out to the right and below, where it is black."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Look:
    """One model's pass over the picture at one scale and turn.

    Attributes:
        model: name of the detector.
        size: of the scaled picture.
        tiles: they cover it; all have one shape.
        turn: degrees clockwise by which each tile is turned before the model sees it.
    """

    model: str
    size: Size
    tiles: tuple[Tile, ...]
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All looks at a photo.

    Attributes:
        reduction: of the preview that suffices: 1, 2, 4 or 8.
        looks: coarse ones first; those at the same scale lie together.
        turned: further looks for a picture in which few upright faces are sure.
        smallest: height of the smallest face that is looked at in `network_face` pixels.
        usual: the same by the default `min_face`: a face that is not tiny by that is not tiny for whoever asks for
            larger ones.
        pixels: how many pixels the networks read in all.
    """

    reduction: int
    looks: tuple[Look, ...]
    turned: tuple[Look, ...]
    smallest: float
    usual: float
    pixels: int


def plan(size: Size, recipe: Recipe) -> Plan:
    """The looks that a recipe takes at a photo of `size`. Pure."""
    scales = _scales(size, recipe)
    looks: list[Look] = []
    turned: list[Look] = []
    for index, scale in enumerate(scales):
        scaled = Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
        coarser = scales[index - 1] if index else None
        # A face that just fits into the overlap is `network_face` pixels high in the next coarser look.
        overlap = math.ceil(recipe.network_face * scale / coarser) if coarser else recipe.tile // 2
        tiles = tiling(scaled, recipe.tile, min(overlap, recipe.tile // 2))
        for turn in (0, *recipe.turns):
            looks += [Look(name, scaled, tiles, turn) for name in (recipe.turned if turn else recipe.models)]
        if index == 0:
            extra = [turn for turn in recipe.whole_turns if turn not in recipe.turns]
            turned = [Look(name, scaled, tiles, turn) for turn in extra for name in recipe.turned]
    return Plan(
        reduction=reduction(scales[-1]),
        looks=tuple(looks),
        turned=tuple(turned),
        smallest=recipe.network_face / scales[-1],
        usual=recipe.network_face / min(recipe.network_face / MIN_FACE, _most(size, recipe)),
        pixels=sum(tile.width * tile.height for look in (*looks, *turned) for tile in look.tiles),
    )


def reduction(scale: float) -> int:
    """The coarsest of 1, 2, 4 and 8 at which a preview still has every pixel that a look at `scale` needs."""
    return next((step for step in (8, 4, 2) if scale * step <= 1.0), 1)


def searched(size: Size, recipe: Recipe) -> int:
    """The reduction of the preview in which a recipe searches a photo of `size`: that of its plan."""
    return reduction(_scales(size, recipe)[-1])


def tiling(size: Size, tile: int, overlap: int) -> tuple[Tile, ...]:
    """Tiles of one shape that cover a picture and overlap by at least `overlap`.

    None has more pixels than a square with the side `tile`; their sides are multiples of 32. The longer side is split
    first, so that a picture needs as few as possible. `overlap` is at most half of `tile`.
    """
    columns = rows = 1
    while _side(size.width, columns, overlap) * _side(size.height, rows, overlap) > tile * tile:
        if _side(size.width, columns, overlap) >= _side(size.height, rows, overlap):
            columns += 1
        else:
            rows += 1
    width, height = _side(size.width, columns, overlap), _side(size.height, rows, overlap)
    across, down = _starts(size.width, columns, width), _starts(size.height, rows, height)
    return tuple(Tile(x, y, width, height) for y in down for x in across)


def _side(length: int, count: int, overlap: int) -> int:
    return -(-math.ceil((length + (count - 1) * overlap) / count) // STRIDE) * STRIDE


def _starts(length: int, count: int, side: int) -> list[int]:
    return [index * (length - side) // (count - 1) for index in range(count)] if count > 1 else [0]


def _scales(size: Size, recipe: Recipe) -> list[float]:
    """From coarse to fine."""
    longest, most = max(size.width, size.height, 1), _most(size, recipe)
    finest, native = min(recipe.network_face / recipe.min_face, most), min(most, 1.0)
    whole = [side / longest for side in sorted(recipe.whole)]
    # Whoever asks for large faces only is shown no fewer of them: the whole-picture passes are taken nevertheless, and
    # where the next one would enlarge the picture, it is looked at as it is.
    scales = [scale for scale in whole if scale <= native]
    if whole[-1] > native and (not scales or native / scales[-1] > NEARLY):
        scales.append(native)
    if scales[-1] <= finest:
        scales = [scale for scale in whole if scale < finest / NEARLY]
        if recipe.halves and (not scales or finest / scales[-1] > MIDDLE):
            scales.append(finest / 2)
        scales.append(finest)
    # Faces must not fall between two scales: too small for the coarser, cut by the tiles of the finer.
    result = scales[:1]
    for scale in scales[1:]:
        steps = math.ceil(math.log(scale / result[-1]) / math.log(MAX_STEP))
        start = result[-1]
        result += [start * (scale / start) ** (step / steps) for step in range(1, steps)]
        result.append(scale)
    return result


def _most(size: Size, recipe: Recipe) -> float:
    """The finest scale that a recipe can afford."""
    longest, budget = max(size.width, size.height, 1), recipe.budget * 1e6
    # However thin the picture, the networks read it padded to their stride.
    return min(recipe.upscale, math.sqrt(budget / max(size.pixels, 1)), budget / (longest * STRIDE))


NEARLY = 1.25
"""A whole-picture pass that is nearly the next scale adds nothing."""

MIDDLE = 3.5
"""From this step on, the scale between the finest and the next coarser one is worth its quarter of the cost."""

MAX_STEP = 6.0
"""Between two scales: a face of 24 pixels in the coarser one is 144 in the finer one, which both see well."""
