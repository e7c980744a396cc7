"""What is said about a run: a row a photo, totals, the exit code. Rows hold no pixels, places, values or hashes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cloak.anonymizer import Report, Status
from cloak.bursts import Bare, Glance
from cloak.detect import Face
from cloak.detect.cover import cover
from cloak.errors import Withheld
from cloak.geometry import Region
from cloak.pipeline import Cover


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
    glance: Glance | None = field(default=None, repr=False)

    def row(self) -> dict[str, Any]:
        """For JSON."""
        if self.earlier is not None:
            return self.earlier | {"source": self.source, "resumed": True}
        row: dict[str, Any] = {"source": self.source, "status": str(self.status)}
        if self.target:
            row["target"] = self.target
        if self.reason:
            row |= {"reason": self.reason, "message": self.message, "next": self.next_step}
        if self.report is not None:
            row |= msgspec.to_builtins(self.report) | {"status": str(self.status), "faces": self.report.faces}
        return row


def flagged(row: Mapping[str, Any], bare: Iterable[Bare]) -> dict[str, Any]:
    """The row with the places that are bare here, and a concealed face in a neighbouring frame of the same scene."""
    return {**row, "bare_in_burst": [*row.get("bare_in_burst", ()), *msgspec.to_builtins(list(bare))]}


def withheld(source: str, error: Withheld) -> Outcome:
    """The outcome of a photo that failed."""
    return Outcome(source, "", Status.WITHHELD, None, error.slug, str(error), error.next_step)


def internal(source: str, error: BaseException) -> Outcome:
    """The outcome of a photo on which cloak itself failed. The error's own words may hold values: its kind is told."""
    next_step = "Run with --debug and report it as a bug; the photo stays unpublished."
    return Outcome(source, "", Status.WITHHELD, None, "internal", f"internal error: {type(error).__name__}", next_step)


@dataclass(slots=True)
class Totals:
    """Counts of a run, and the exit code that follows from them."""

    concealed: int = 0
    no_face: int = 0
    held: int = 0
    withheld: int = 0
    faces: int = 0
    doubtful: int = 0
    resumed: int = 0
    left_out: int = 0
    bare: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def photos(self) -> int:
        return self.concealed + self.no_face + self.held + self.withheld

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Count a row."""
        attribute = outcome["status"].replace("-", "_")
        setattr(self, attribute, getattr(self, attribute) + 1)
        self.faces += int(outcome.get("faces", 0))
        self.resumed += bool(outcome.get("resumed"))
        self.doubtful += any(outcome.get("doubtful", ()))
        self.bare += bool(outcome.get("bare_in_burst"))
        if reason := outcome.get("reason"):
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def exit_code(self) -> int:
        """0 all published, 1 some withheld, 3 nothing matched, 4 published or held, but a person should look."""
        if self.photos == 0:
            return 3
        if self.withheld:
            return Withheld.exit_code
        return 4 if self.held or self.doubtful or self.bare else 0

    def lines(self) -> list[str]:
        """The table that ends a run."""
        rows = [("concealed", self.concealed, f"{self.faces} faces")]
        if self.no_face:
            rows.append(("no face found", self.no_face, "published stripped: look at them"))
        if self.held:
            rows.append(("no face found", self.held, "held back: nothing published, a person must look"))
        if self.withheld:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.reasons.items()))
            rows.append(("withheld", self.withheld, reasons))
        if self.doubtful:
            rows.append(("to review", self.doubtful, "weak hits were left bare: see the report"))
        if self.bare:
            rows.append(("to review", self.bare, "a face concealed in a neighbouring frame is bare: see the report"))
        if self.left_out:
            rows.append(("left out", self.left_out, "sidecars, hidden files, links: never copied"))
        if self.resumed:
            rows.append(("of these", self.resumed, "done by an earlier run"))
        rows.append(("seconds", round(self.seconds, 1), ""))  # type: ignore[arg-type]
        return [f"{name:<14}{count:>8}  {words}".rstrip() for name, count, words in rows]


def document(
    rows: Iterable[Mapping[str, Any]], totals: Totals, pipeline: Mapping[str, Any], digest: str
) -> dict[str, Any]:
    """The whole report of a run, for JSON."""
    return {
        "cloak": _version(),
        "pipeline": dict(pipeline),
        "pipeline_hash": digest,
        "totals": msgspec.to_builtins(totals) | {"exit_code": totals.exit_code},
        "photos": list(rows),
    }


def concealed(row: Mapping[str, Any]) -> list[list[Region]]:
    """The regions of each frame that a row says were concealed."""
    frames = msgspec.convert(row["detections"], list[list[Face]])
    settings = msgspec.convert(row["cover"], Cover)
    return [[cover(face, shape=settings.shape, scale=settings.scale) for face in frame] for frame in frames]


def _version() -> str:
    from importlib.metadata import version

    return version("cloak-images")
