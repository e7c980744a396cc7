"""What is said about a run: a row a photo, totals, the exit code. Rows hold no pixels, places, values or hashes."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec

from cloak.bursts import Bare, Glance
from cloak.decisions import region
from cloak.detect import Face
from cloak.detect.cover import cover
from cloak.errors import CloakError, LedgerDamaged, TooLarge, Withheld, starved, traced
from cloak.geometry import Region, somewhere
from cloak.photo.resample import Resampling
from cloak.pipeline import Cover
from cloak.result import Report, Status

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo of a run.

    Attributes:
        source: its name as the user gave it, safe to print.
        target: its name below the output folder, safe to print; "" if nothing was published.
        status: see `Status`.
        report: what was done; None if it failed before there was anything to say.
        reason, message, next_step: why it was withheld.
        earlier: the row of an earlier run that did it, if it is unchanged since.
        withdrawn: names of what stood of the same bytes and was taken back with this photo.
        replaces: the original, elsewhere, of what stood at its name; safe to print; "" if nothing did.
        thumbnail: a small JPEG of what was published, if the run was asked for them; never in a row.
        glance: to compare it with its neighbours in a burst; never in a row.
    """

    source: str
    target: str
    status: Status
    report: Report | None = None
    reason: str = ""
    message: str = ""
    next_step: str = ""
    earlier: dict[str, Any] | None = None
    withdrawn: tuple[str, ...] = ()
    replaces: str = ""
    thumbnail: bytes | None = None
    glance: Glance | None = field(default=None, repr=False)

    def withdrawals(self) -> list[str]:
        """A line for each file that went with this photo."""
        now = f"published as {self.target}" if self.target else self.status
        told = [f"withdrawn  {name}: {self.source} has its bytes, and is {now}" for name in self.withdrawn]
        if self.replaces:
            told.append(f"replaced   {self.replaces}: {self.source} has its name now, and is {now}")
        return told

    def row(self) -> dict[str, Any]:
        """For JSON."""
        if self.earlier is not None:
            told = {key: value for key, value in self.earlier.items() if key != "decided"}  # the ledger's own
            return told | {"source": self.source, "resumed": True}
        row: dict[str, Any] = {"source": self.source, "status": str(self.status)}
        if self.target:
            row["target"] = self.target
        if self.reason:
            row |= {"reason": self.reason, "message": self.message, "next": self.next_step}
        if self.report is not None:
            row |= msgspec.to_builtins(self.report) | {"status": str(self.status), "faces": self.report.faces}
        if self.withdrawn:
            row["withdrawn"] = list(self.withdrawn)
        if self.replaces:
            row["replaces"] = self.replaces
        return row


def flagged(row: Mapping[str, Any], bare: Iterable[Bare]) -> dict[str, Any]:
    """The row with the places that are bare here, and a concealed face in a neighbouring frame of the same scene."""
    return {**row, "bare_in_burst": [*row.get("bare_in_burst", ()), *msgspec.to_builtins(list(bare))]}


def withheld(source: str, error: Withheld) -> Outcome:
    """The outcome of a photo that failed."""
    return Outcome(source, "", Status.WITHHELD, None, error.slug, str(error), error.next_step)


def attempt(source: str, work: Callable[[], Answer], debug: bool = False) -> Answer | Outcome:
    """What work on one photo answers, or the outcome of its failure; errors of the set-up are raised.

    Args:
        source: the photo's name, safe to print.
        work: what is done.
        debug: print tracebacks of internal errors on standard error.
    """
    try:
        return work()
    except Exception as error:
        return failed(source, error, debug)


def failed(source: str, error: Exception, debug: bool) -> Outcome:
    """The outcome of a photo on which work failed so; errors of the set-up are raised. See `attempt`."""
    if isinstance(error, Withheld):
        return withheld(source, error)
    if isinstance(error, CloakError):
        raise error
    if starved(error):
        return withheld(source, TooLarge("it needs more memory than there is", next_step="Run with fewer --jobs."))
    if debug:
        print(traced(error), file=sys.stderr, end="", flush=True)
    return internal(source, error)


def internal(source: str, error: BaseException) -> Outcome:
    """The outcome of a photo on which cloak itself failed. The error's own words may hold values: its kind is told."""
    next_step = "Run with --debug and report it as a bug; the photo stays unpublished."
    return Outcome(source, "", Status.WITHHELD, None, "internal", f"internal error: {type(error).__name__}", next_step)


@dataclass(slots=True)
class Totals:
    """Counts of a run, and the exit code that follows from them."""

    concealed: int = 0
    perturbed: int = 0
    no_face: int = 0
    revealed: int = 0
    held: int = 0
    withheld: int = 0
    faces: int = 0
    visible: int = 0
    unprotected: int = 0
    doubtful: int = 0
    ambiguous: int = 0
    faceless: int = 0
    resumed: int = 0
    left_out: int = 0
    leftovers: int = 0
    bare: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: int = 0
    """The exit code of a run that ended before all photos were done: 130 interrupted, 2 something failed."""

    @property
    def photos(self) -> int:
        return self.concealed + self.perturbed + self.no_face + self.revealed + self.held + self.withheld

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Count a row."""
        attribute = outcome["status"].replace("-", "_")
        setattr(self, attribute, getattr(self, attribute) + 1)
        if outcome["status"] in {Status.CONCEALED, Status.PERTURBED}:
            # A perturbed face is in sight, and never counted among those concealed.
            sight = [face for frame in outcome.get("protections", ()) for face in frame]
            self.visible += len(sight)
            self.unprotected += sum(not face["protected"] for face in sight)
            self.faces += int(outcome.get("faces", 0)) - len(sight)
        self.resumed += bool(outcome.get("resumed"))
        if not outcome.get("accepted"):
            self.doubtful += any(outcome.get("doubtful", ()))
            self.ambiguous += any(outcome.get("ambiguous", ()))
            self.faceless += any(outcome.get("faceless", ()))
        self.bare += bool(outcome.get("bare_in_burst"))
        if reason := outcome.get("reason"):
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def exit_code(self) -> int:
        """0 all published, 1 some withheld, 3 nothing matched, 4 published or held, but a person should look."""
        if self.stopped:
            return self.stopped
        if self.photos == 0:
            return 3
        if self.withheld:
            return Withheld.exit_code
        unsure = self.doubtful or self.ambiguous or self.faceless or self.bare or self.unprotected
        return 4 if self.held or unsure else 0

    def lines(self) -> list[str]:
        """The table that ends a run."""
        rows = [("concealed", self.concealed, f"{self.faces} faces")]
        if self.perturbed:
            rows.append(("perturbed", self.perturbed, f"{self.visible} faces in sight: hardened, not anonymous"))
        if self.unprotected:
            rows.append(("not protected", self.unprotected, "faces that recognisers still find: see the report"))
        if self.no_face:
            rows.append(("no face found", self.no_face, "published stripped: look at them"))
        if self.revealed:
            rows.append(
                ("revealed", self.revealed, "published: every face was left bare, by a person's decision or by consent")
            )
        if self.held:
            rows.append(("held back", self.held, "nothing published: a person must look (cloak review)"))
        if self.withheld:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.reasons.items()))
            rows.append(("withheld", self.withheld, reasons))
        if self.doubtful:
            rows.append(("to review", self.doubtful, "weak hits were left bare: see the report"))
        if self.ambiguous:
            rows.append(("to review", self.ambiguous, "concealed faces that may be of people to keep: see the report"))
        if self.faceless:
            rows.append(("to review", self.faceless, "people without a face, as from behind, are bare: see the report"))
        if self.bare:
            rows.append(("to review", self.bare, "a face concealed in a neighbouring frame is bare: see the report"))
        if self.left_out:
            rows.append(("left out", self.left_out, "not taken for photos (sidecars, hidden files, ...): never copied"))
        if self.leftovers:
            rows.append(
                (
                    "left over",
                    self.leftovers,
                    "files and decisions of earlier runs, not of this one: look at them",
                )
            )
        if self.resumed:
            rows.append(("of these", self.resumed, "done by an earlier run"))
        rows.append(("seconds", round(self.seconds, 1), ""))  # type: ignore[arg-type]
        return [f"{name:<14}{count:>8}  {words}".rstrip() for name, count, words in rows]


def document(
    rows: Iterable[Mapping[str, Any]],
    totals: Totals,
    pipeline: Mapping[str, Any],
    digest: str,
    left_out: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The whole report of a run, for JSON; `left_out` are printable names and reasons."""
    return {
        "cloak": _version(),
        "pipeline": dict(pipeline),
        "pipeline_hash": digest,
        "totals": msgspec.to_builtins(totals) | {"exit_code": totals.exit_code},
        "photos": list(rows),
        "left_out": [{"source": source, "reason": reason} for source, reason in left_out],
    }


def remembered(row: Mapping[str, Any]) -> tuple[list[list[Region]], list[list[Face]], frozenset[str]]:
    """What a ledger's row says of a published file: see `concealed` and `revealed`, and the fields that were kept.

    Raises `LedgerDamaged` when it says nothing of the kind.
    """
    try:
        regions, faces = concealed(row), revealed(row)
        places = [region for frame in regions for region in frame]
        places += [Region(face.box) for frame in faces for face in frame]
        if not all(map(somewhere, places)):
            raise LedgerDamaged
        return regions, faces, frozenset(_KEPT.get(name, name) for name in msgspec.convert(row["kept"], list[str]))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise LedgerDamaged from None


_KEPT = {"date": "datetime", "licensor_url": "licensor"}
"""Fields by names under which they may be kept, where these are others."""


def concealed(row: Mapping[str, Any]) -> list[list[Region]]:
    """The regions of each frame that a row says were concealed, in pixels of what was published."""
    settings = msgspec.convert(row["cover"], Cover)
    frames = [[face for face, seen in frame if not seen] for frame in _detections(row)]
    covers = [[cover(face, shape=settings.shape, scale=settings.scale) for face in frame] for frame in frames]
    areas = [[region(area) for area in frame] for frame in row.get("areas", ())]
    made = [[*regions, *more] for regions, more in zip_longest(covers, areas, fillvalue=())]
    moved = _resampling(row)
    return made if moved is None else [[moved.region(region) for region in frame] for frame in made]


def revealed(row: Mapping[str, Any]) -> list[list[Face]]:
    """The faces of each frame that a person left bare or perturb in sight, in pixels of what was published."""
    bare = msgspec.convert(row.get("revealed", []), list[list[Face]])
    sight = [[face for face, seen in frame if seen] for frame in _detections(row)]
    frames, moved = [[*one, *other] for one, other in zip_longest(bare, sight, fillvalue=())], _resampling(row)
    return frames if moved is None else [[face.moved(moved.into) for face in frame] for frame in frames]


def _detections(row: Mapping[str, Any]) -> list[list[tuple[Face, bool]]]:
    """The faces found in each frame, and whether perturb left them in sight."""
    frames = msgspec.convert(row["detections"], list[list[Face]])
    sight = {(frame, int(one["face"])) for frame, faces in enumerate(row.get("protections", ())) for one in faces}
    return [[(face, (number, i) in sight) for i, face in enumerate(frame)] for number, frame in enumerate(frames)]


def _resampling(row: Mapping[str, Any]) -> Resampling | None:
    return msgspec.convert(row["resampling"], Resampling) if row.get("resampling") else None


def _version() -> str:
    from importlib.metadata import version

    return version("cloak-images")
