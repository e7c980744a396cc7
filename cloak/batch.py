"""Many photos at once: files in, files out, on a pool of workers, with a ledger that lets a run go on."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from cloak.anonymizer import Status, anonymize
from cloak.errors import NotWritten, Withheld
from cloak.ledger import Entry, Ledger, beside
from cloak.pipeline import Pipeline
from cloak.pool import Pool
from cloak.report import Outcome, attempt, withheld
from cloak.store import Folder, Item, LeftOut, printable, read, refuse_overlap, same_file, walk


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a run needs to know.

    Attributes:
        inputs: files and folders.
        out: the output folder.
        pipeline: the settings.
        key: secret that seeds the noise; drawn anew for each run unless given, and never stored.
        jobs: worker processes.
        deadline: seconds for one photo.
        dry_run: write no photo, and no ledger.
        force: do again what the ledger says is done, and replace files that cloak did not write.
        preserve_times: give published files their originals' modification times.
        ledger: where the ledger lies; None: beside the output folder.
        debug: print tracebacks of internal errors on standard error.
    """

    inputs: tuple[Path, ...]
    out: Path
    pipeline: Pipeline
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    deadline: float = 300.0
    dry_run: bool = False
    force: bool = False
    preserve_times: bool = False
    ledger: Path | None = None
    debug: bool = False


class Run:
    """A run over many photos.

    >>> with Run(job) as run:  # doctest: +SKIP
    ...     for outcome in run:
    ...         print(outcome.source, outcome.status)
    """

    def __init__(self, job: Job) -> None:
        refuse_overlap(job.inputs, job.out)
        self.job = job
        self.left_out: list[LeftOut] = []
        self.items: list[Item] = []
        for found in walk(job.inputs, job.out):
            if isinstance(found, Item):
                self.items.append(found)
            else:
                self.left_out.append(found)
        self._ledger: Ledger | None = None
        self._pool: Pool[Item, Outcome] | None = None

    def __enter__(self) -> "Run":
        job = self.job
        place = job.ledger or beside(job.out)
        if not job.dry_run:
            folder = Folder(job.out)
            self._ledger = Ledger(place)
            folder.sweep()
        work = partial(_work, job=replace(job, ledger=place))
        self._pool = Pool(work, job.jobs, job.deadline, _setup)
        return self

    def __exit__(self, *details: object) -> None:
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
        if self._ledger is not None:
            self._ledger.close()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes as they come. An interrupt leaves photos in work: `finish` yields those."""
        return self.over(self.items)

    def over(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The same for other photos of these inputs, such as those that came later."""
        assert self._pool is not None
        return map(_outcome, self._pool.map(items))

    def finish(self) -> Iterator[Outcome]:
        """After an interrupt: what was in work, and nothing more."""
        assert self._pool is not None
        return map(_outcome, self._pool.drain())


def _outcome(answered: "tuple[Item, Outcome | Withheld]") -> Outcome:
    item, answer = answered
    return withheld(printable(item.source), answer) if isinstance(answer, Withheld) else answer


def _setup() -> None:
    """In a new worker: one thread each, models loaded when they are first needed."""
    import cv2

    cv2.setNumThreads(1)


def _work(item: Item, *, job: Job) -> Outcome:
    """One photo, in a worker. Only an error of the set-up is raised; whatever is wrong with the photo is an outcome."""
    source = printable(item.source)
    return attempt(source, lambda: _photo(item, source, job), job.debug)


@lru_cache(maxsize=1)
def _ledger(path: Path) -> Ledger:
    """One connection a worker; its parent holds the lock."""
    return Ledger(path, lock=False)


def _photo(item: Item, source: str, job: Job) -> Outcome:
    data = read(item.source, job.pipeline.limits.bytes)
    if job.dry_run:
        report = anonymize(data, job.pipeline, key=job.key).report
        return Outcome(source, "", report.status, report)

    folder = Folder(job.out)
    ledger = _ledger(job.ledger or beside(job.out))
    target, digest = printable(item.name), job.pipeline.hash()
    content, known = ledger.key(data), ledger.find(target)
    place = folder.path(item.name)
    if known and not job.force and (known.content, known.pipeline) == (content, digest):
        unchanged = known.published is None or known.published == _sha256(place, job.pipeline.limits.bytes)
        if unchanged:
            return Outcome(source, known.row.get("target", ""), Status(known.row["status"]), earlier=known.row)
    _refuse_foreign(item, place, known, job)

    result = anonymize(data, job.pipeline, key=job.key)
    outcome = Outcome(source, target if result.data else "", result.report.status, result.report)
    # The row comes first, with the digest of what is about to stand there: a kill in between leaves a row that does
    # not fit the disk, so the photo is done again; the other order would leave a file that nobody knows.
    published = hashlib.sha256(result.data).hexdigest() if result.data else None
    ledger.record(target, Entry(content, digest, published, outcome.row()))
    if result.data:
        folder.publish(item.name, result.data, item.source.stat().st_mtime if job.preserve_times else None)
    return outcome


def _refuse_foreign(item: Item, place: Path, known: Entry | None, job: Job) -> None:
    """Nothing that cloak did not write is replaced, and never an original."""
    if not place.exists():
        return
    if any(same_file(place, given) for given in (item.source, *job.inputs)):
        raise NotWritten("its output would replace an original", next_step="Name another folder with --out.")
    if known is None and not job.force:
        raise NotWritten(
            "a file that cloak did not write has its name in the output folder",
            next_step="Move that file away, or use --force to replace it.",
        )


def _sha256(path: Path, limit: int) -> str:
    try:
        return hashlib.sha256(read(path, limit)).hexdigest()
    except Withheld:
        return ""
