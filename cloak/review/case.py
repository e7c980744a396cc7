"""One photo on the desk: what the run recorded, what people decided, and what the page is told of it."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from cloak.bursts import Bare
from cloak.decisions import Change
from cloak.detect import Face
from cloak.detect.cover import cover
from cloak.effects import name_of
from cloak.geometry import Region, Size
from cloak.pipeline import Pipeline, parse
from cloak.records import Entry, Origin
from cloak.review.queue import Doubt
from cloak.reviews import Reviewed


@dataclass(frozen=True, slots=True)
class Case:
    """One photo on the desk.

    Attributes:
        id: by which the page knows it; tells nothing.
        name: as in the ledger, safe to print.
        entry, origin: what the run recorded.
        reason, rank: its place in the queue.
        review: the latest word on it.
        bare: what it shows bare, and a neighbour in a burst has concealed.
        withdrawn: names of what stood of the same bytes and was taken back with the latest verdict of this session.
    """

    id: str
    name: str
    entry: Entry
    origin: Origin
    reason: Doubt
    rank: float
    review: Reviewed
    bare: tuple[Bare, ...] = ()
    withdrawn: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        return msgspec.convert(self.entry.row["size"], Size)

    @property
    def frames(self) -> int:
        return int(self.entry.row["frames"])

    @property
    def settings(self) -> Pipeline:
        return settings(self.origin.settings, self.origin.pipeline_name)

    @property
    def record(self) -> str:
        """What a page has to have seen: another one once a run finds other bytes, settings or faces under this name."""
        told = msgspec.json.encode((self.entry.content, self.origin.pipeline, self.found()))
        return sha256(told).hexdigest()[:20]

    @property
    def state(self) -> str:
        """waiting, publishing, failed, accepted or held."""
        if self.review.verdict is None or self.review.content != self.entry.content:
            return "waiting"
        if self.review.failure:
            return "failed"
        if self.review.done != self.review.version:
            return "publishing"
        if self.review.verdict == "hold":
            return "held"
        return "accepted" if self.entry.published else "waiting"

    @property
    def changes(self) -> tuple[Change, ...]:
        """What people changed about just these bytes. At first that is nothing, even if the run left somebody bare:
        consent can be withdrawn, and stored with a verdict it would be a person's decision for good."""
        if self.review.decisions is not None and self.review.content == self.entry.content:
            return self.review.decisions.changes
        return ()

    def found(self) -> list[list[Face]]:
        """Every face that the detectors found, whatever was decided about it, a list a frame."""
        rows = (self.entry.row.get(key, []) for key in ("detections", "revealed", "replaced"))
        frames: list[list[Face]] = [[] for _ in range(self.frames)]
        for row in rows:
            for frame, faces in zip(frames, msgspec.convert(row, list[list[Face]]), strict=False):
                frame += faces
        return [sorted(frame, key=lambda face: (-face.score, face.box.x)) for frame in frames]

    def weak(self) -> list[list[Face]]:
        """Hits too weak to be concealed unasked, a list a frame."""
        return msgspec.convert(self.entry.row.get("doubtful", []), list[list[Face]])

    def faceless(self) -> list[list[Face]]:
        """Heads of people of whom no face was found, a list a frame."""
        return msgspec.convert(self.entry.row.get("faceless", []), list[list[Face]])

    def cover(self, face: Face) -> Region:
        """What conceals a face unless a person says otherwise."""
        return cover(face, shape=self.settings.cover.shape, scale=self.settings.cover.scale)


@lru_cache(maxsize=16)
def settings(text: str, name: str) -> Pipeline:
    """A pipeline from its TOML, read once."""
    return parse(text.encode(), name)


@dataclass(slots=True)
class Claim:
    """Who has a photo, and until when (monotonic seconds)."""

    client: str
    editor: str
    until: float


def summary(case: Case, holder: Claim | None) -> dict[str, Any]:
    """What the queue shows of a photo."""
    decided = case.review.decisions if case.state != "waiting" else None
    return {
        "id": case.id,
        "name": case.name,
        "reason": str(case.reason),
        "state": case.state,
        "verdict": decided.verdict if decided else None,
        "published": case.entry.published is not None,
        "version": case.review.version,
        "record": case.record,
        "faces": sum(map(len, case.found())),
        "weak": sum(map(len, case.weak())),
        "width": case.size.width,
        "height": case.size.height,
        "claim": {"client": holder.client, "editor": holder.editor} if holder else None,
        "by": decided.reviewer if decided else "",
        "at": decided.at if decided else "",
        "why": decided.reason if decided else "",
        "failure": case.review.failure,
        "withdrawn": case.withdrawn,
    }


def detail(case: Case, holder: Claim | None) -> dict[str, Any]:
    """What the page needs to show and change a photo."""

    def told(face: Face) -> dict[str, Any]:
        return {"box": face.box, "score": face.score, "models": face.models, "area": case.cover(face)}

    plain: dict[str, Any] = msgspec.to_builtins(
        {
            "frames": case.frames,
            "effect": name_of(case.settings.effect),
            "effects": case.settings.permitted,
            "found": [[told(face) for face in frame] for frame in case.found()],
            "weakFaces": [[told(face) for face in frame] for frame in case.weak()],
            "faceless": [[told(face) for face in frame] for frame in case.faceless()],
            "changes": case.changes,
            "bare": [
                {"box": one.box, "neighbour": one.neighbour, "area": case.cover(Face(one.box, 0.0, ()))}
                for one in case.bare
            ],
        }
    )
    return summary(case, holder) | plain
