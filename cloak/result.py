"""What `anonymize` answers: the bytes to publish, and a report of what was done to a photo."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from cloak.bursts import Glance
from cloak.detect import Face
from cloak.errors import Held
from cloak.geometry import Region, Size
from cloak.photo.resample import Resampling
from cloak.pipeline import Cover
from cloak.protection import Protection

Hold = Literal["decided", "review", "no-face"]
"""Why a photo is held: a person's verdict, a pipeline that wants one for every photo, or for those without a face."""


class Status(StrEnum):
    """What became of a photo."""

    CONCEALED = "concealed"  # published; every face found is concealed
    PERTURBED = "perturbed"  # published; faces are in sight, changed against recognisers: nobody is anonymous
    NO_FACE = "no-face"  # published stripped; no face was found, which is not the same as none being there
    REVEALED = "revealed"  # published; all faces found stay bare, by a person's decision or by consent
    HELD = "held"  # not published: a person must look first, or looked and held it back
    WITHHELD = "withheld"  # not published: something failed


@dataclass(frozen=True, slots=True)
class Carrier:
    """A part of the original that the published file does not have: its name, kind and bytes, never its values."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to one photo, in words and numbers that may be logged: no pixels, places, values or hashes of it.

    Attributes:
        status: what became of it.
        format, size, frames: of the photo, upright.
        detections: the faces concealed, and those that `protections` say are in sight; one tuple a frame.
        doubtful: weak hits that were left bare, one tuple a frame: a person should look.
        ambiguous: faces concealed that may be of people who consented, or at whose place the file hides another, one
            tuple a frame: a person should look.
        faceless: where the heads of people should be of whom no face was found, left bare, one tuple a frame: a person
            should look.
        revealed: faces that a person decided to leave bare, or whose owners consented, one tuple a frame.
        replaced: faces that have an area of a person's in place of their own, one tuple a frame.
        areas: what a person had concealed, one tuple a frame.
        accepted: a person released it, weak hits and people without a face included.
        effect: name and settings of what replaced the faces.
        cover: how faces became areas.
        carriers: what was removed.
        kept: names of the metadata fields that were written anew.
        verified: names of the checks that the published bytes passed.
        path: "spliced", "recoded-coefficients" or "re-encoded".
        notes: what a careful user would want to know.
        resampling: the window of the photo that was published, and its size; None: the whole, pixel by pixel.
        risks: why the settings are below the floor, if `accept_risk` allowed it.
        pipeline: hash of the pipeline.
        milliseconds: wall clock a step.
        protections: what perturb achieved for each face that it left in sight, one tuple a frame.
    """

    status: Status
    format: str
    size: Size
    frames: int
    detections: tuple[tuple[Face, ...], ...]
    doubtful: tuple[tuple[Face, ...], ...]
    effect: dict[str, object]
    cover: Cover
    carriers: tuple[Carrier, ...]
    kept: tuple[str, ...]
    verified: tuple[str, ...]
    path: str
    notes: tuple[str, ...]
    risks: tuple[str, ...]
    pipeline: str
    milliseconds: dict[str, float]
    resampling: Resampling | None = None
    revealed: tuple[tuple[Face, ...], ...] = ()
    replaced: tuple[tuple[Face, ...], ...] = ()
    areas: tuple[tuple[Region, ...], ...] = ()
    accepted: bool = False
    ambiguous: tuple[tuple[Face, ...], ...] = ()
    faceless: tuple[tuple[Face, ...], ...] = ()
    protections: tuple[tuple[Protection, ...], ...] = ()

    @property
    def faces(self) -> int:
        return sum(len(frame) for frame in self.detections)

    @property
    def unprotected(self) -> int:
        """Faces left in sight that recognisers still find, or that could not be changed."""
        return sum(not face.protected for frame in self.protections for face in frame)

    @property
    def needs_review(self) -> bool:
        """Published, or held, with something that a person should look at."""
        unsure = any(self.doubtful) or any(self.ambiguous) or any(self.faceless)
        return self.status is Status.HELD or (unsure and not self.accepted) or self.unprotected > 0


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one photo.

    Attributes:
        data: the bytes to publish; None if the photo is held.
        regions: what was concealed, one tuple a frame, in pixels of the upright photo (before any resampling).
        report: what was done.
        glance: what the published photo (its first picture) looks like from afar, to compare it with its neighbours in
            a burst; for this run's memory only.
        hold: why there are no bytes to publish.
    """

    data: bytes | None
    regions: tuple[tuple[Region, ...], ...]
    report: Report
    glance: Glance | None = None
    hold: Hold | None = None

    def published(self) -> bytes:
        """The bytes to publish. Raises `Held`, which says why, where a person must look first."""
        if self.hold == "decided":
            raise Held("a person held it back", next_step="Leave it, or decide anew: cloak review.")
        if self.hold == "review":
            raise Held(
                "its pipeline publishes nothing before a person has accepted it",
                next_step='Accept it (cloak run, then cloak review), or take a pipeline without review = "required".',
            )
        if self.data is None:
            raise Held
        return self.data
