"""What a person decided about one photo: a value that is applied to what the detectors found, matched by position.

Stored beside a photo as `NAME.cloak.json`, it holds places and words: no pixels, no crops, nothing derived from a face.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from cloak.detect import Face
from cloak.effects import EFFECTS
from cloak.errors import DecisionsUnfit, UnknownName, UsageError
from cloak.geometry import FARTHEST, Box, Ellipse, Region, Size
from cloak.identity import is_seal

SUFFIX = ".cloak.json"
"""Ends the name of a sidecar: the photo's own name, then this."""

FORMAT = 1

MOST = 10_000
"""More changes than this were not made by hand."""

SAME = 0.5
"""Intersection over union from which a face that is found now is the one that was decided about."""

PLAINLY = 0.9
"""... and from which its own cover may give way to the area that a person chose instead, however small. Large faces of
re-exports have 0.85 to 0.99, whoever takes somebody's place in another portrait may have 0.8."""

CONSTELLATION = 0.8
"""Share of the faces seen then that must be found again before anything is decided about any of them: where they are
missing, it is another picture, and the place of the speaker may be the place of somebody else."""

SAME_PICTURE = 0.5
"""Likewise, where no face was decided about, but an area drawn: a weaker search may find fewer, one that was cropped in
its own proportions has hardly any of them at its place."""

PROPORTIONS = 0.01
"""How much the proportions of a re-export may differ; more is a crop, in which places mean something else."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a person changed.

    Attributes:
        face: the box of the found face that it is about; None: none, a person drew the area.
        area: what is concealed there; None: nothing, the face stays bare.
        frame: the picture it is in; None: every picture of the file.
    """

    face: Box | None = None
    area: Region | None = None
    frame: int | None = 0


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a person decided about one photo; pixels of the upright photo as it was then.

    Attributes:
        size: of that photo.
        changes: in which it differs from what the detectors found.
        seen: boxes of all faces found then, one tuple a frame.
        verdict: "accept" releases the photo, "hold" keeps it unpublished, None has not decided yet.
        reason: why it is held.
        reviewer: who decided.
        at: when, ISO 8601 in UTC.
        namesake: several photos had its name where they were made; of these only a ledger tells whose they are.
        akin: others had its name but for the suffix.
        of: that photo, as `cloak.identity` seals it; "" where only the name tells.
    """

    size: Size
    changes: tuple[Change, ...] = ()
    seen: tuple[tuple[Box, ...], ...] = ()
    verdict: Literal["accept", "hold"] | None = None
    reason: str = ""
    reviewer: str = ""
    at: str = ""
    namesake: bool = field(default=False, compare=False)
    akin: bool = field(default=False, compare=False)
    of: str = field(default="", compare=False)

    def alone(self) -> "Decisions":
        """Without what is only to tell whose they are."""
        return replace(self, namesake=False, akin=False, of="")


@dataclass(frozen=True, slots=True)
class Applied:
    """One frame's faces after a person's decisions.

    Attributes:
        faces: to be concealed as the pipeline says.
        revealed: stay bare.
        replaced: have an area of a person's in place of their own.
        areas: concealed besides: moved, of another effect, or drawn.
        fits: the faces found are by and large those that the person saw, or nobody noted which these were.
    """

    faces: tuple[Face, ...]
    revealed: tuple[Face, ...] = ()
    replaced: tuple[Face, ...] = ()
    areas: tuple[Region, ...] = ()
    fits: bool = True


def fitted(decisions: Decisions, size: Size) -> Decisions:
    """The same decisions for a photo of another size. Raises `DecisionsUnfit` if its proportions differ, unless they
    are about no place in it."""
    if size == decisions.size:
        return decisions
    if not decisions.changes and not any(decisions.seen):
        return replace(decisions, size=size)
    across, along = size.width / decisions.size.width, size.height / decisions.size.height
    if abs(across / along - 1) > PROPORTIONS:
        raise DecisionsUnfit("the decisions were made for a photo of other proportions")
    factor = (across + along) / 2
    moved = tuple(
        replace(c, face=c.face.scaled(factor) if c.face else None, area=c.area.scaled(factor) if c.area else None)
        for c in decisions.changes
    )
    seen = tuple(tuple(box.scaled(factor) for box in frame) for frame in decisions.seen)
    return replace(decisions, size=size, changes=moved, seen=seen)


def apply(
    decisions: Decisions, frame: int, faces: Sequence[Face], size: Size, permitted: Collection[str] = tuple(EFFECTS)
) -> Applied:
    """Lay a person's decisions over what was found in a frame of a photo of `size`. A face nobody decided about stays
    concealed, and so does one that may not be the face whose area a person changed: besides that area. A face
    that the person saw concealed stays so, whether or not it is found again.

    Raises `DecisionsUnfit` where the picture is not the one that the person saw, or an area has an effect of its own
    that is not among those `permitted`.
    """
    if words := refused(decisions, permitted):
        raise DecisionsUnfit(words)
    decisions = fitted(decisions, size)
    here = [change for change in decisions.changes if change.frame in {None, frame}]
    left, revealed, replaced, areas = list(faces), [], [], []
    for change in here:
        least = PLAINLY if change.area is not None else SAME
        face = _match(change.face, left, least) if change.face is not None else None
        if face is not None:
            left.remove(face)
        if change.area is not None:
            areas.append(change.area)
            replaced += [face] if face is not None else []
        elif face is not None:
            revealed.append(face)
        else:
            raise DecisionsUnfit("a face that should stay bare is not where it was")
    fits = not decisions.seen
    if frame < len(decisions.seen):
        then, decided = decisions.seen[frame], [change.face for change in here if change.face is not None]
        found = sum(any(box.iou(face.box) >= SAME for face in faces) for box in then)
        if found < (CONSTELLATION if decided else SAME_PICTURE if here else 0) * len(then):
            raise DecisionsUnfit("the faces are not where they were when the decisions were made")
        fits = found >= CONSTELLATION * max(len(then), len(faces))
        left = _as_accepted(left, then, decided)
    return Applied(tuple(left), tuple(revealed), tuple(replaced), tuple(areas), fits)


def _as_accepted(faces: Sequence[Face], then: Sequence[Box], decided: Sequence[Box]) -> list[Face]:
    """The faces to conceal, so that each box that was seen `then`, and is not at a place that was `decided` about, is
    under the cover of one."""
    faces, then = list(faces), list(then)
    for place in decided:
        best = max(then, key=place.iou, default=None)
        if best is not None and place.iou(best) >= SAME:
            then.remove(best)
    for box in then:
        face = _match(box, faces, SAME)
        if face is None:
            faces.append(Face(box, 0.0, (), votes=0))
        else:
            faces[faces.index(face)] = replace(face, extent=(face.extent or face.box).united(box))
    return faces


def refused(decisions: Decisions, permitted: Collection[str]) -> str:
    """Which effect of an area a pipeline does not permit, in words; "" if all are `permitted`."""
    chosen = {change.area.effect for change in decisions.changes if change.area is not None and change.area.effect}
    strange = sorted(chosen - set(permitted))
    if not strange:
        return ""
    return f"an area has the effect {strange[0]!r}; its pipeline permits only {', '.join(sorted(permitted))}"


def dump(decisions: Decisions) -> bytes:
    """The text of a sidecar."""
    table: dict[str, Any] = {"cloak_decisions": FORMAT, **msgspec.to_builtins(decisions)}
    return (json.dumps(table, indent=1) + "\n").encode()


def parse(text: bytes) -> Decisions:
    """The decisions in a sidecar, or in what a page sent. Raises `UsageError` for anything else."""
    try:
        table = json.loads(text)
        if not isinstance(table, dict) or table.pop("cloak_decisions", None) != FORMAT:
            raise UsageError("it is no file of decisions of this version of cloak")
        reason, reviewer, at = (msgspec.convert(table.get(name, ""), str) for name in ("reason", "reviewer", "at"))
        made = Decisions(
            msgspec.convert(table.get("size"), Size),
            changes(table.get("changes", [])),
            msgspec.convert(table.get("seen", []), tuple[tuple[Box, ...], ...]),
            msgspec.convert(table.get("verdict"), Literal["accept", "hold"] | None),
            reason,
            reviewer,
            at,
            msgspec.convert(table.get("namesake", False), bool),
            msgspec.convert(table.get("akin", False), bool),
            msgspec.convert(table.get("of", ""), str),
        )
    except (ValueError, RecursionError):
        raise UsageError("it is no file of decisions") from None
    check(made)
    return made


def check(decisions: Decisions) -> None:
    """Raise `UsageError` for decisions that nobody can have made: no finite places, far outside, too many, no text."""
    size = decisions.size
    try:
        f"{decisions.reason}{decisions.reviewer}{decisions.at}".encode()
    except UnicodeEncodeError:  # half a character, which no ledger and no page takes
        raise UsageError("a text of the decisions is none") from None
    if decisions.of and not is_seal(decisions.of):
        raise UsageError("what the decisions say of their photo is nothing that can be told")
    if not all(1 <= side < FARTHEST for side in (size.width, size.height)) or len(decisions.changes) > MOST:
        raise UsageError("the decisions have no size, or too many changes")
    for change in decisions.changes:
        if change.face is None and change.area is None:
            raise UsageError("a change is about nothing")
        if change.frame is not None and not 0 <= change.frame < FARTHEST:
            raise UsageError("a change is about no picture of a file")
        for shape in (change.face, change.area.shape if change.area else None):
            if shape is not None and not _inside(shape, size):
                raise UsageError("a place lies outside the photo, or is none")
        if change.area is not None and not abs(change.area.angle) <= 360:
            raise UsageError("an area is turned by no angle")
        if change.area is not None and change.area.effect not in {None, *EFFECTS}:
            raise UnknownName("effect", str(change.area.effect), tuple(EFFECTS))
    for frame in decisions.seen:
        if len(frame) > MOST or not all(_inside(box, size) for box in frame):
            raise UsageError("the faces that were seen are too many, or outside the photo")


def _inside(shape: Box | Ellipse, size: Size) -> bool:
    """Whether a shape is finite, has an area and touches the photo; written so that NaN does not."""
    bounds = shape.bounds()
    most = 4 * max(size.width, size.height)
    sound = min(shape.rx, shape.ry) > 0 and abs(shape.angle) <= 360 if isinstance(shape, Ellipse) else True
    sides = 0 < bounds.width <= most and 0 < bounds.height <= most
    return sound and sides and bounds.clipped(size) is not None


def _match(box: Box, faces: Sequence[Face], least: float) -> Face | None:
    best = max(faces, key=lambda face: box.iou(face.box), default=None)
    return best if best is not None and box.iou(best.box) >= least else None


def region(table: Mapping[str, Any]) -> Region:
    """A region from plain values. Raises `ValueError` (msgspec's) for anything else."""
    shape = msgspec.convert(table, dict[str, Any]).get("shape")
    turned = isinstance(shape, dict) and "rx" in shape
    return Region(
        msgspec.convert(shape, Ellipse) if turned else msgspec.convert(shape, Box),
        msgspec.convert(table.get("angle", 0.0), float),
        msgspec.convert(table.get("effect"), str | None),
    )


def changes(rows: Any) -> tuple[Change, ...]:
    """Changes from plain values. Raises `ValueError` (msgspec's) for anything else."""
    return tuple(
        Change(
            msgspec.convert(row.get("face"), Box | None),
            region(row["area"]) if row.get("area") is not None else None,
            msgspec.convert(row.get("frame", 0), int | None),
        )
        for row in msgspec.convert(rows, list[dict[str, Any]])
    )
