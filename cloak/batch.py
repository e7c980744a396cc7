"""Many photos at once: files in, files out, on a pool of workers, with a ledger that lets a run go on."""

import glob
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import tomli_w

from cloak.anonymizer import Status, anonymize
from cloak.bursts import Bare, Bursts
from cloak.consent import People
from cloak.decisions import SUFFIX, Decisions, dump, fitted, own_name, parse
from cloak.errors import CloakError, DecisionsUnfit, NotWritten, Withheld
from cloak.ledger import Entry, Ledger, Origin, beside
from cloak.naming import Naming, earlier_names
from cloak.photo import open_photo
from cloak.pipeline import Pipeline
from cloak.pool import Pool
from cloak.provenance import Signer, signed
from cloak.report import Outcome, attempt, flagged, withheld
from cloak.reviews import Reviewed, Reviews
from cloak.scaled import thumbnail
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
        signer: signs what is published; None: nobody.
        debug: print tracebacks of internal errors on standard error.
        decisions: a sidecar, or a folder of them, of people who reviewed earlier exports of these photos.
        thumbnails: outcomes carry a small picture of what was published.
        people: who consented to be seen.
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
    signer: Signer | None = None
    debug: bool = False
    decisions: Path | None = None
    thumbnails: bool = False
    people: People | None = field(default=None, repr=False)


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
        self._numbers = {item.source: number for number, item in enumerate(self.items)}
        self._bursts = Bursts([str(item.source.parent) for item in self.items])
        self._bare: dict[int, list[Bare]] = {}
        self._named: Callable[[Item], Item] = _as_is
        self._ledger: Ledger | None = None
        self._pool: Pool[Item, Outcome] | None = None

    def __enter__(self) -> "Run":
        job = self.job
        place = job.ledger or beside(job.out)
        if not job.dry_run:
            folder = Folder(job.out)
            self._ledger = Ledger(place)
            folder.sweep()
            self.left_out += earlier_names(job.pipeline.names, self._ledger, folder)
            self._named = Naming(job.pipeline.names, self._ledger, folder)
            with self._ledger.together():
                self.items = list(map(self._named, self.items))
        work = partial(_work, job=replace(job, ledger=place))
        self._pool = Pool(work, job.jobs, job.deadline, set_up)
        return self

    def __exit__(self, *details: object) -> None:
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
        if self._ledger is not None:
            self._ledger.close()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes as they come. An interrupt leaves photos in work: `finish` yields those."""
        assert self._pool is not None
        return map(self._outcome, self._pool.map(self.items))

    def over(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The same for other photos of these inputs, such as those that came later; they are in no burst."""
        assert self._pool is not None
        return map(self._outcome, self._pool.map(map(self._named, items)))

    def finish(self) -> Iterator[Outcome]:
        """After an interrupt: what was in work, and nothing more."""
        assert self._pool is not None
        return map(self._outcome, self._pool.drain())

    def bare(self) -> Iterator[tuple[str, list[Bare]]]:
        """Once all outcomes are in: the photos in which a face is bare that a neighbouring frame has concealed.

        Only photos of this run are compared, not those that an earlier one has done. The ledger takes note.
        """
        for number, places in sorted(self._bare.items()):
            item = self.items[number]
            if self._ledger is not None and (entry := self._ledger.find(printable(item.name))) is not None:
                self._ledger.record(printable(item.name), replace(entry, row=flagged(entry.row, places)))
            yield printable(item.source), places

    def _outcome(self, answered: "tuple[Item, Outcome | Withheld]") -> Outcome:
        item, answer = answered
        outcome = withheld(printable(item.source), answer) if isinstance(answer, Withheld) else answer
        if (number := self._numbers.get(item.source)) is not None:
            for at, bare in self._bursts.add(number, printable(item.source.name), outcome.glance):
                self._bare.setdefault(at, []).append(bare)
        return outcome


def _as_is(item: Item) -> Item:
    return item


def set_up() -> None:
    """In a new worker: one thread each, models loaded when they are first needed."""
    import cv2

    cv2.setNumThreads(1)


def release(item: Item, job: Job, decisions: Decisions, content: str) -> Outcome:
    """One photo as a person decided, by the same steps as in a run; to be called in a worker that `set_up` prepared.

    Args:
        item: the photo.
        job: its output folder, pipeline, key and ledger are used.
        decisions: with a verdict.
        content: the ledger's key of the bytes that the person saw; others are withheld.
    """
    if decisions.verdict == "hold":
        return _guarded(item, job, lambda source: _hold(item, source, job))
    return _guarded(item, job, lambda source: _photo(item, source, job, decisions, content))


def _work(item: Item, *, job: Job) -> Outcome:
    """One photo, in a worker. Only an error of the set-up is raised; whatever is wrong with the photo is an outcome."""
    return _guarded(item, job, lambda source: _photo(item, source, job))


def _guarded(item: Item, job: Job, work: Callable[[str], Outcome]) -> Outcome:
    source = printable(item.source)
    return attempt(source, lambda: work(source), job.debug)


@lru_cache(maxsize=1)
def _ledger(path: Path) -> Ledger:
    """One connection a worker; its parent holds the lock."""
    return Ledger(path, lock=False)


def _photo(
    item: Item, source: str, job: Job, decisions: Decisions | None = None, content_seen: str | None = None
) -> Outcome:
    data = read(item.source, job.pipeline.limits.bytes)
    digest = job.pipeline.hash() + (job.signer.digest if job.signer else "")
    sidecar = _sidecar(item, job) if decisions is None else None
    if sidecar is not None:
        decisions, digest = sidecar, hashlib.sha256(digest.encode() + dump(sidecar)).hexdigest()
    if job.dry_run:
        result = anonymize(data, job.pipeline, key=job.key, decisions=decisions, people=job.people)
        return Outcome(source, "", result.report.status, result.report, glance=result.glance)

    folder = Folder(job.out)
    ledger = _ledger(job.ledger or beside(job.out))
    target = printable(item.name)
    if job.people is not None:
        # Whoever joins or leaves the people to keep has the photos done again. Keyed as originals are: without this
        # ledger's secret nobody can look the portraits up.
        digest = hashlib.sha256((digest + ledger.key(job.people.seal)).encode()).hexdigest()
    content, known = ledger.key(data), ledger.find(target)
    if content_seen not in {None, content}:
        raise DecisionsUnfit("the original has changed since it was searched", next_step="Run cloak on it again.")
    reviews = Reviews(ledger)
    if decisions is None:
        decisions = _reviewed(reviews.latest(target), content)
    place = folder.path(item.name)
    again = job.force or content_seen is not None
    if known and not again and (known.content, known.pipeline) == (content, digest):
        unchanged = known.published is None or known.published == _sha256(place, job.pipeline.limits.bytes)
        if unchanged:
            status, name = Status(known.row["status"]), known.row.get("target", "")
            return Outcome(source, name, status, earlier=known.row, thumbnail=_thumbnail(place if name else None, job))
    _refuse_foreign(item, place, known, job)

    result = signed(anonymize(data, job.pipeline, key=job.key, decisions=decisions, people=job.people), job.signer)
    outcome = Outcome(
        source, target if result.data else "", result.report.status, result.report,
        glance=result.glance, thumbnail=_thumbnail(result.data, job),
    )  # fmt: skip
    # The row comes first, with the digest of what is about to stand there: a kill in between leaves a row that does
    # not fit the disk, so the photo is done again; the other order would leave a file that nobody knows.
    published = hashlib.sha256(result.data).hexdigest() if result.data else None
    ledger.record(target, Entry(content, digest, published, outcome.row()), _origin(item, job))
    if result.data:
        folder.publish(item.name, result.data, item.source.stat().st_mtime if job.preserve_times else None)
    elif known and known.published and known.published == _sha256(place, job.pipeline.limits.bytes):
        folder.withdraw(item.name)  # what an earlier run or verdict published is no longer to be seen
    if sidecar is not None:
        reviews.adopt(target, content, fitted(sidecar, result.report.size))
    return outcome


def _hold(item: Item, source: str, job: Job) -> Outcome:
    """Keep a photo unpublished; what was published of it is withdrawn."""
    ledger, target = _ledger(job.ledger or beside(job.out)), printable(item.name)
    known = ledger.find(target)
    if known is not None and known.published is not None:
        _refuse_changed(job.out / item.name, known.published, job)
        row = {key: value for key, value in known.row.items() if key != "target"} | {"status": str(Status.HELD)}
        ledger.record(target, replace(known, published=None, row=row))
        Folder(job.out).withdraw(item.name)
    return Outcome(source, "", Status.HELD)


def _origin(item: Item, job: Job) -> Origin:
    settings = tomli_w.dumps(job.pipeline.table())
    return Origin(item.source.absolute(), item.name, job.pipeline.hash(), job.pipeline.name, settings)


def _sidecar(item: Item, job: Job) -> Decisions | None:
    """The decisions that belong to a photo by its name; another suffix of the re-export does not matter.

    Raises `DecisionsUnfit` when there are some that cannot be read: not to apply them would reveal or hide the wrong.
    """
    if job.decisions is None:
        return None
    place = job.decisions
    if place.is_dir():
        own = own_name(item.name, item.source, job.pipeline.names)
        exact = place / own.with_name(own.name + SUFFIX)
        others = sorted(exact.parent.glob(f"{glob.escape(own.stem)}.*{SUFFIX}"))
        found = [exact] if exact.exists() else others
        if not found:
            return None
        if len(found) > 1:
            raise DecisionsUnfit("several files of decisions have its name")
        place = found[0]
    try:
        decisions = parse(read(place, 10_000_000))
    except (CloakError, OSError) as error:
        raise DecisionsUnfit(f"its decisions cannot be used: {error}") from None
    # Where a person must accept every photo, a verdict on another export of it is no verdict on this one.
    return replace(decisions, verdict=None) if _overruled(decisions, job) else decisions


def _reviewed(review: Reviewed, content: str) -> Decisions | None:
    """What was decided about a photo in an earlier review into the same folder: a run that starts over must neither
    undo it nor apply it to other bytes."""
    if review.decisions is None:
        return None
    if review.content == content and review.verdict is not None:
        return review.decisions
    changed = "the original has changed since its review" if review.content != content else "its review is not finished"
    return Decisions(review.decisions.size, verdict="hold", reason=changed)


def _overruled(decisions: Decisions, job: Job) -> bool:
    return job.pipeline.review == "required" and decisions.verdict == "accept"


def _thumbnail(published: bytes | Path | None, job: Job) -> bytes | None:
    """A small picture of what is published, never of what came in."""
    if not job.thumbnails or published is None:
        return None
    data = read(published, job.pipeline.limits.bytes) if isinstance(published, Path) else published
    return thumbnail(open_photo(data, job.pipeline.limits))


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


def _refuse_changed(place: Path, published: str, job: Job) -> None:
    """Raise `NotWritten` if what stands at a published name is not what cloak published."""
    if place.exists() and _sha256(place, job.pipeline.limits.bytes) != published:
        raise NotWritten(
            "the published file was changed by somebody else", next_step="Move that file away, then decide again."
        )


def _sha256(path: Path, limit: int) -> str:
    try:
        return hashlib.sha256(read(path, limit)).hexdigest()
    except Withheld:
        return ""
