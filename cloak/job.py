"""Everything that a run needs to know, and what cannot be asked of it."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cloak.consent import People
from cloak.errors import UsageError
from cloak.pipeline import Pipeline
from cloak.place import Place, Url, lies_in
from cloak.provenance import Signer
from cloak.records import beside
from cloak.store import refuse_overlap


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a run needs to know.

    Attributes:
        inputs: files, folders, and URLs of objects or prefixes.
        out: the output folder, or the URL of a prefix.
        pipeline: the settings.
        key: secret that seeds the noise; drawn anew for each run unless given, and never stored.
        jobs: worker processes; 0: every core that the engine has.
        deadline: seconds for one photo.
        memory: bytes that a worker may hold; 0: its share of the machine's.
        dry_run: write no photo, and no ledger.
        force: do again what the ledger says is done, and replace files that cloak did not write.
        preserve_times: give published files their originals' modification times.
        ledger: where the ledger lies; None: beside the output.
        signer: signs what is published; None: nobody.
        debug: print tracebacks of internal errors on standard error.
        decisions: a sidecar, or a folder of them, of people who reviewed earlier exports of these photos.
        thumbnails: outcomes carry a small picture of what was published.
        people: who consented to be seen.
        engine: "local", the cores of this machine, or "ray", those of a Ray cluster.
        address: of the Ray cluster; None starts one on this machine for the run.
    """

    inputs: tuple[Place, ...]
    out: Place
    pipeline: Pipeline
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    deadline: float = 300.0
    memory: int = 0
    dry_run: bool = False
    force: bool = False
    preserve_times: bool = False
    ledger: Place | None = None
    signer: Signer | None = None
    debug: bool = False
    decisions: Path | None = None
    thumbnails: bool = False
    people: People | None = field(default=None, repr=False)
    engine: Literal["local", "ray"] = "local"
    address: str | None = None

    @property
    def records(self) -> Place:
        """Where the ledger lies."""
        return self.ledger or beside(self.out)

    @property
    def places(self) -> tuple[Place, ...]:
        """All places that the workers of the run must reach."""
        return (*self.inputs, self.out, *(() if self.dry_run else (self.records,)))


def refuse(job: Job) -> None:
    """Raise `UsageError` for what cannot be done, before anything is."""
    refuse_overlap(job.inputs, job.out)
    if job.ledger is not None and lies_in(job.ledger, job.out):
        raise UsageError(
            "the ledger names original files and must not lie in the folder that is published",
            next_step="Name a place outside --out with --ledger.",
        )
    stores = [isinstance(place, Url) for place in job.places]
    if job.preserve_times and any(stores):
        raise UsageError("times can be preserved between folders only", next_step="Leave --preserve-times out.")
    if job.address is not None and job.engine != "ray":
        raise UsageError("an address of a cluster goes with --engine ray", next_step="Add --engine ray.")
    if job.address is not None and not all(stores):
        raise UsageError(
            "the machines of a cluster do not see this machine's folders",
            next_step="Name URLs of a store for the photos, --out and --ledger, or leave --address out.",
        )
    if job.engine == "ray" and job.people is not None:
        raise UsageError(
            "templates of people's faces do not leave this machine", next_step="Leave --keep-people or Ray out."
        )
    if job.engine == "ray" and job.signer is not None:
        raise UsageError("a private key does not leave this machine", next_step="Leave --c2pa-sign or Ray out.")
    if job.engine == "ray" or any(stores):
        _refuse_far(job)


def _refuse_far(job: Job) -> None:
    """What rests on folders, and on a ledger in which everything can be looked up."""
    where = "works between folders of this machine only, neither with URLs nor with Ray"
    if job.pipeline.review == "required":
        raise UsageError(
            f'review = "required" {where}',
            next_step='Leave --review out, or write review = "optional" into a copy of the pipeline.',
        )
    if job.pipeline.names != "keep":
        raise UsageError(f'names = "{job.pipeline.names}" {where}', next_step="Add --names keep.")
    if job.decisions is not None:
        raise UsageError(f"--decisions {where}", next_step="Leave --decisions out.")
    if job.thumbnails:
        raise UsageError(f"--contact-sheet {where}", next_step="Leave --contact-sheet out, and use --report.")
