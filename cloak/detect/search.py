"""The search for faces: every look of a plan, fused; all of it, or no answer at all."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from cloak.detect import persons, registry, scaling
from cloak.detect.base import Detection, Detector, Face
from cloak.detect.fusion import Hit, fuse, joined
from cloak.detect.narrowing import narrowed
from cloak.detect.recipe import PERSONS, Look, Plan, Recipe, Tile, plan, reduction
from cloak.errors import CloakError, DetectionFailed, starved, without_memory
from cloak.geometry import RGB, Box, Size

Preview = Callable[[int], RGB]
"""The upright picture reduced by 1, 2, 4 or 8, (ceil(H / r), ceil(W / r), 3) uint8 RGB."""

FLOOD = 10_000
WEAK_FLOOD = 40_000
"""More hits than this in one photo, at the threshold or in all, are no faces but a fault, or an attack on our time. In
a crowd each face has about ten hits, most of them weak."""

PATCH = 96
"""Side of the square, in pixels of the network's input, in which one face is looked at again."""

PATCH_FACE = 40
"""Longer side of the face in that square: it fits at every turn, with its surroundings, and is well seen."""

WHOLE = 16_000_000
"""Up to so many pixels, 48 MB, a picture is enlarged as a whole, which is faster than tile by tile."""

NEAR = 0.2
"""Intersection over union from which a hit of a closer look is on the face that was looked at."""

CONFIRMS, DENIES = 0.2, 0.1
"""Scores of a closer look: from the one on that CenterFace gives it is a face, and below the other it may be none if
YuNet too gives no more."""

CLEAR = 0.6
"""Faces that score as much need no closer look. (These three: benchmarks/closer.py.)"""

CLOSER = 24
"""At most so many closer looks at a photo: in a crowd one smudge more is not seen, and each costs 4 ms."""

SURE = 0.9
UPRIGHT = 3
"""A picture with so many upright faces of that score does not lie on its side. One or two prove nothing: YuNet takes
many a face that stands on its head for an upright one."""

TURNED = 0.65
"""What the score of a hit in a turned picture counts for: most of them are collars and hands, and real faces lying on
their side score over 0.8 there."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found; pixels of the upright original.

    Attributes:
        faces: to be concealed, surest first.
        doubtful: hits too weak for that, for a person to review.
        looks: how many looks were taken.
        smallest: height of the smallest face that was looked at in full detail.
        heads: where persons' heads should be, whether or not a face was found there; see `cloak.detect.persons`.
    """

    faces: tuple[Face, ...]
    doubtful: tuple[Face, ...]
    looks: int
    smallest: float = 0.0
    heads: tuple[Face, ...] = ()


def find(preview: Preview, size: Size, recipe: Recipe) -> Search:
    """All faces of a photo of `size`.

    Raises `DetectionFailed` when a model fails, answers with anything but finite numbers, or floods; `TooLarge` when
    there is no memory for it; `UnknownName`, `MissingExtra` or `SetupError` when it cannot be loaded. There is no
    partial answer.
    """
    detectors = _detectors(recipe)
    todo = plan(size, recipe)
    picture = _picture(preview, todo.reduction, size)
    gathered = _Gathered(size, recipe)
    _take(todo.looks, detectors, picture, gathered)
    faces = fuse(gathered.hits)
    looks = len(todo.looks)
    if sum(face.score >= SURE and abs(face.angle) < 45 for face in faces) < UPRIGHT:
        _take(todo.turned, detectors, picture, gathered)
        faces = fuse(gathered.hits)
        looks += len(todo.turned)
    if recipe.tilts:
        weak = [face.box for face in faces if not _sure(face, recipe, todo) and _doubtful(face, recipe, todo)]
        for turn in range(30, 360, 30):
            for name in recipe.turned:
                for box in weak:
                    _again(detectors[name], picture, box, turn, gathered)
                looks += 1
        faces = fuse(gathered.hits)
    found = _search(_judged(faces, picture, size, recipe, todo), looks, todo)
    if size.pixels < recipe.persons * 1e6:
        return found
    hits = _detect(registry.load(PERSONS), picture)
    return replace(found, heads=persons.heads(hits, picture.shape[1] / size.width, size, recipe.min_face))


def united(searches: Sequence[Search]) -> Search:
    """The searches of a picture in several renderings as one."""
    if len(searches) == 1:
        return searches[0]
    faces = joined(search.faces for search in searches)
    doubtful = joined((faces, *(search.doubtful for search in searches)))[len(faces) :]
    heads = joined(search.heads for search in searches)
    looks, smallest = sum(search.looks for search in searches), max(search.smallest for search in searches)
    return Search(faces=faces, doubtful=doubtful, looks=looks, smallest=smallest, heads=heads)


def recheck(preview: Preview, size: Size, recipe: Recipe, areas: Sequence[Box]) -> Search:
    """A second look at a picture that was searched before and changed in some areas only: is there any face now?

    Takes the looks of the recipe's plan, but for further turns, tilts and persons, with those of their tiles that
    touch an area, and whole-picture passes in any case; elsewhere the pixels are those that were searched before.
    Raises as `find` does.

    Args:
        areas: what was changed, one box a face: a large one is looked at in the coarser looks only.
    """
    detectors = _detectors(recipe)
    todo = plan(size, recipe)
    gathered = _Gathered(size, recipe)
    looks = tuple(narrowed(todo.looks, size, areas, max(recipe.whole)))
    picture = _picture(preview, reduction(max(look.size.width / size.width for look in looks)), size)
    _take(looks, detectors, picture, gathered)
    faces = fuse(gathered.hits)
    return _search(
        [(face, _sure(face, recipe, todo)) for face in faces if _doubtful(face, recipe, todo)], len(looks), todo
    )


def confirmed(image: RGB, box: Box, calm: float = 0.0) -> bool:
    """Whether a closer look at nothing but a box and its surroundings shows a face there to a second model.

    For hits of a second look on pixels that the first one searched in vain: most owe their score to what was painted
    beside them. Of hits on annotated faces of crowds it refuses 8 %, of the others 62 % (benchmarks/closer.py).
    `calm` is how much more than usual is asked of it. Raises as `find` does.
    """
    return _scores(scaling.exposed(image), box)["centerface"] >= CONFIRMS + calm


def _seen(image: RGB, box: Box) -> bool | None:
    """What a closer look says: a face, no face, or (None) neither."""
    scores = _scores(image, box)
    if scores["centerface"] >= CONFIRMS:
        return True
    return None if max(scores.values()) >= DENIES else False


def _scores(image: RGB, box: Box) -> dict[str, float]:
    """How surely each model sees a face in a box when it sees that and its surroundings only."""
    crop, back = _closer(image, box)
    return {
        name: max(
            (hit.score for hit in _detect(registry.load(name), crop) if back(hit).box.iou(box) >= NEAR), default=0
        )
        for name in ("yunet", "centerface")
    }


def _judged(faces: Sequence[Face], picture: RGB, size: Size, recipe: Recipe, todo: Plan) -> list[tuple[Face, bool]]:
    """The faces to conceal (True) or to review, as their scores say, or a closer look at those that are unsure."""
    unsure = [face for face in faces if recipe.threshold <= face.score < max(CLEAR, _needed(face, recipe, todo))]
    unsure.sort(key=lambda face: -face.box.height)
    most = min(math.ceil(recipe.closer * size.pixels / 1e6), CLOSER)
    step = picture.shape[1] / size.width
    seen = {id(face): _seen(picture, face.box.scaled(step)) for face in unsure[:most]}
    judged = []
    for face in faces:
        verdict = seen.get(id(face))
        if verdict:
            models = tuple(sorted({*face.models, "centerface"}))
            judged.append((replace(face, models=models, votes=face.votes + 1), True))
        elif _doubtful(face, recipe, todo):
            judged.append((face, _sure(face, recipe, todo) and verdict is None))
    return judged


def _detectors(recipe: Recipe) -> dict[str, Detector]:
    return {name: registry.load(name) for name in recipe.detectors}


def _take(looks: Sequence[Look], detectors: dict[str, Detector], picture: RGB, gathered: "_Gathered") -> None:
    """All looks, from fine to coarse, so that each scale is shrunk from the one before."""
    scaled = picture
    for look in reversed(looks):
        # Tiles of a much enlarged picture are made one by one: the whole of it would take too much memory.
        if look.size.width > picture.shape[1] or look.size.height > picture.shape[0]:
            source = scaling.resized(picture, look.size) if look.size.pixels <= WHOLE else None
        else:
            scaled = source = scaling.resized(scaled, look.size)
        for tile in look.tiles:
            crop = _enlarged(picture, look.size, tile) if source is None else _cut(source, tile)
            height, width = crop.shape[:2]
            for hit in _detect(detectors[look.model], scaling.turned(crop, look.turn)):
                upright = scaling.unturned(hit, look.turn, width, height)
                origin, vote = (tile.x, tile.y), (look.model, look.size.width)
                gathered.add(upright, vote, look.size, origin, weight=TURNED if look.turn else 1.0)


def _cut(scaled: RGB, tile: Tile) -> RGB:
    return scaled[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]


def _enlarged(picture: RGB, scaled: Size, tile: Tile) -> RGB:
    """A tile of the picture scaled up to `scaled`, without the rest."""
    width, height = min(tile.width, scaled.width - tile.x), min(tile.height, scaled.height - tile.y)
    box = Box(tile.x, tile.y, width, height)
    fx, fy = picture.shape[1] / scaled.width, picture.shape[0] / scaled.height
    source = Box(box.x * fx, box.y * fy, box.width * fx, box.height * fy)
    return scaling.window(picture, source, Size(width, height))[0]


def _again(detector: Detector, picture: RGB, box: Box, turn: int, gathered: "_Gathered") -> None:
    """One closer look at the surroundings of a box (of the original), turned."""
    step = picture.shape[1] / gathered.size.width
    crop, back = _closer(picture, box.scaled(step), turn)
    for hit in _detect(detector, crop):
        found = back(hit)
        # A turned square brings back a box that is too large; it says something of this face, nothing of others.
        if turn == 0 or found.box.iou(box.scaled(step)) > NEAR:
            whole = Size(picture.shape[1], picture.shape[0])
            gathered.add(found, (detector.name, 0), whole, exact=turn == 0, weight=TURNED if turn else 1.0)


def _closer(picture: RGB, box: Box, turn: int = 0) -> tuple[RGB, Callable[[Detection], Detection]]:
    """A box of the picture with its surroundings, so large that a face in it is well seen; and the way back."""
    side = max(box.width, box.height) * PATCH / PATCH_FACE
    cx, cy = box.center
    return scaling.window(picture, Box(cx - side / 2, cy - side / 2, side, side), Size(PATCH, PATCH), turn)


class _Gathered:
    """The hits so far, each checked, brought to pixels of the original and to sane bounds."""

    def __init__(self, size: Size, recipe: Recipe) -> None:
        self.size = size
        self.recipe = recipe
        self.strong = 0
        self.hits: list[Hit] = []

    def add(
        self,
        hit: Detection,
        look: tuple[str, int],
        scaled: Size,
        origin: tuple[int, int] = (0, 0),
        *,
        exact: bool = True,
        weight: float = 1.0,
    ) -> None:
        """Take a hit in a tile at `origin` of the picture scaled to `scaled`."""
        left, top = origin
        box = hit.box
        marks = hit.landmarks
        values = (hit.score, box.x, box.y, box.width, box.height, *chain.from_iterable(marks or ()))
        if not all(map(math.isfinite, values)):
            raise DetectionFailed(f"the detector {hit.model!r} answered with a number that is not finite")
        if hit.score < self.recipe.floor or box.width <= 0 or box.height <= 0:
            return
        sx, sy = self.size.width / scaled.width, self.size.height / scaled.height
        place = Box((box.x + left) * sx, (box.y + top) * sy, box.width * sx, box.height * sy)
        bounded = _bounded(place, self.size)
        if bounded is None:
            return
        self.strong += hit.score >= self.recipe.threshold
        if self.strong > FLOOD or len(self.hits) >= WEAK_FLOOD:
            raise DetectionFailed("the detectors reported far more hits than any photo has faces")
        if marks is not None:
            marks = tuple(((x + left) * sx, (y + top) * sy) for x, y in marks)
        self.hits.append(Hit(Detection(bounded, hit.score, hit.model, marks), look, exact, weight))


def _bounded(box: Box, size: Size) -> Box | None:
    """The box held to the picture and half of itself around; None if none of it shows."""
    if box.clipped(size) is None:
        return None
    mx, my = min(box.width, size.width) / 2, min(box.height, size.height) / 2
    x, y = max(box.x, -mx), max(box.y, -my)
    return Box(x, y, min(box.right, size.width + mx) - x, min(box.bottom, size.height + my) - y)


def _picture(preview: Preview, step: int, size: Size) -> RGB:
    picture = preview(step)
    expected = (math.ceil(size.height / step), math.ceil(size.width / step), 3)
    if picture.shape != expected or picture.dtype != "uint8":
        raise DetectionFailed("the picture to search does not have the size that its file states")
    return scaling.exposed(picture)


def _detect(detector: Detector, image: RGB) -> list[Detection]:
    try:
        hits = list(detector(image))
        if not all(isinstance(hit, Detection) and len(hit.landmarks or (0,) * 5) == 5 for hit in hits):
            raise TypeError("an answer that is no list of detections")
        return hits
    except CloakError:
        raise
    except Exception as error:
        if starved(error):
            raise without_memory() from error
        # The cause's own words may hold anything: they stay out of the message.
        raise DetectionFailed(f"the detector {detector.name!r} failed: {type(error).__name__}") from error


def _needed(face: Face, recipe: Recipe, plan: Plan) -> float:
    return recipe.needed(face.box.height, plan.smallest, plan.usual)


def _sure(face: Face, recipe: Recipe, plan: Plan) -> bool:
    return face.score >= _needed(face, recipe, plan)


def _doubtful(face: Face, recipe: Recipe, plan: Plan) -> bool:
    return face.score >= _needed(face, recipe, plan) * recipe.review


def _search(judged: Sequence[tuple[Face, bool]], looks: int, plan: Plan) -> Search:
    sure = tuple(face for face, conceal in judged if conceal)
    doubtful = tuple(face for face, conceal in judged if not conceal)
    return Search(sure, doubtful, looks, plan.smallest)
