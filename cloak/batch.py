"""Many photos at once: from a store to a store, on an engine, with a ledger that lets a run go on."""

import contextlib
import os
import secrets
import threading
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

from cloak.anonymizer import Status, anonymize
from cloak.bursts import Bare, Bursts
from cloak.errors import CloakError, NotWritten, TooLarge, UsageError, Withheld
from cloak.ledger import Entry, Ledger, Records, beside
from cloak.pipeline import Pipeline
from cloak.place import Place, Url
from cloak.pool import Pool
from cloak.report import Outcome, flagged, internal, withheld
from cloak.store import Folder, Item, LeftOut, Store, printable, read, refuse_overlap, unique, walk


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
        dry_run: write no photo, and no ledger.
        force: do again what the ledger says is done, and replace files that cloak did not write.
        preserve_times: give published files their originals' modification times.
        ledger: where the ledger lies; None: beside the output.
        debug: print tracebacks of internal errors on standard error.
        engine: "local", the cores of this machine, or "ray", those of a Ray cluster.
        address: of the Ray cluster; None starts one on this machine for the run.
    """

    inputs: tuple[Place, ...]
    out: Place
    pipeline: Pipeline
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    deadline: float = 300.0
    dry_run: bool = False
    force: bool = False
    preserve_times: bool = False
    ledger: Place | None = None
    debug: bool = False
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


class Engine(Protocol):
    """Where the photos of a run are worked on."""

    def map(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcomes as they come; items are taken as there is room for them. An error of the set-up is raised."""

    def drain(self) -> Iterator[Outcome]:
        """After `map` was left: what was in work, if the engine can tell."""

    def close(self) -> None:
        """End the workers; what they did is in the ledger."""


class Local:
    """The engine of one machine: a pool of workers, and the ledger where their work is noted after it is published."""

    def __init__(self, job: Job, workers: int) -> None:
        late = not job.dry_run and isinstance(job.records, Url)
        self._ledger = open_ledger(job.records, lock=False) if late else None
        self._pool: Pool[Item, _Done] = Pool(partial(_work, job=job), workers, job.deadline, _setup)

    def map(self, items: Iterable[Item]) -> Iterator[Outcome]:
        return map(self._note, self._pool.map(items))

    def drain(self) -> Iterator[Outcome]:
        return map(self._note, self._pool.drain())

    def flush(self) -> None:
        """The records of all outcomes so far are stored when this returns."""
        if self._ledger is not None:
            self._ledger.flush()

    def close(self) -> None:
        self._pool.__exit__(None, None, None)
        if self._ledger is not None:
            self._ledger.close()

    def _note(self, answered: "tuple[Item, _Done | Withheld]") -> Outcome:
        item, answer = answered
        if isinstance(answer, Withheld):
            return withheld(printable(item.source), answer)
        if answer.record is not None and self._ledger is not None:
            self._ledger.record(*answer.record)
        return answer.outcome


class Run:
    """A run over many photos.

    Attributes:
        left_out: what was found and is no photo; of stores, as they are listed: empty it when it is told.
        total: how many photos there are; of stores, at most and so far.

    >>> with Run(job) as run:  # doctest: +SKIP
    ...     for outcome in run:
    ...         print(outcome.source, outcome.status)
    """

    def __init__(self, job: Job) -> None:
        _refuse(job)
        self.job = job
        self.left_out: list[LeftOut] = []
        self.items: Iterable[Item] = self._photos()
        self.total = 0
        if not any(isinstance(given, Url) for given in job.inputs):
            self.items = list(self.items)
            self.total = len(self.items)
        # Frames of a burst are found among the photos of folders; those of stores are too many to remember.
        known = self.items if isinstance(self.items, list) else []
        self._numbers = {printable(item.source): number for number, item in enumerate(known)}
        self._bursts = Bursts([str(Path(str(item.source)).parent) for item in known])
        self._bare: dict[int, list[Bare]] = {}
        self._ledger: Records | None = None
        self._engine: Engine | None = None

    def __enter__(self) -> "Run":
        job = self.job
        if not job.dry_run:
            store = open_store(job.out)
            self._ledger = open_ledger(job.records)
            store.sweep()
        try:
            self._engine = _engine(job, len(self.items) if isinstance(self.items, list) else None)
        except BaseException:
            self.__exit__()
            raise
        if not isinstance(self.items, list):
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *details: object) -> None:
        try:
            if self._engine is not None:
                self._engine.close()
        finally:
            if self._ledger is not None:
                self._ledger.close()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes as they come. An interrupt leaves photos in work: `finish` yields those."""
        assert self._engine is not None
        return map(self._compared, self._engine.map(self.items))

    def finish(self) -> Iterator[Outcome]:
        """After an interrupt: what was in work, and nothing more."""
        assert self._engine is not None
        return map(self._compared, self._engine.drain())

    def bare(self) -> Iterator[tuple[str, list[Bare]]]:
        """Once all outcomes are in: the photos in which a face is bare that a neighbouring frame has concealed.

        Only photos of this run are compared, not those that an earlier one has done. The ledger takes note.
        """
        for number, places in sorted(self._bare.items()):
            item = self.items[number]  # type: ignore[index]
            if self._ledger is not None and (entry := self._ledger.find(printable(item.name))) is not None:
                self._ledger.record(printable(item.name), replace(entry, row=flagged(entry.row, places)))
            yield printable(item.source), places

    def _compared(self, outcome: Outcome) -> Outcome:
        number = self._numbers.get(outcome.source)
        if number is not None:
            name = printable(Path(outcome.source).name)
            for other, bare in self._bursts.add(number, name, outcome.glance):
                self._bare.setdefault(other, []).append(bare)
        return outcome

    def _photos(self) -> Iterator[Item]:
        for found in find(self.job):
            if isinstance(found, Item):
                yield found
            else:
                self.left_out.append(found)
                self.total -= 1

    def _count(self) -> None:
        """List the stores ahead of the work, without keeping anything: so that the progress knows what is left."""
        from cloak.bucket import count

        with contextlib.suppress(CloakError):
            for given in self.job.inputs:
                pages = (
                    count(given, _hidden(self.job)) if isinstance(given, Url) else map(len, [list(walk([given], None))])
                )
                for photos in pages:
                    self.total += photos


def find(job: Job) -> Iterator[Item | LeftOut]:
    """All files and objects of a run, each photo with its name below the output; of stores, as they are listed."""
    folder = job.out if isinstance(job.out, Path) else None
    paths = [given for given in job.inputs if isinstance(given, Path)]
    if len(paths) == len(job.inputs):
        yield from walk(paths, folder)
        return
    from cloak.bucket import objects

    taken: dict[str, int] = {}
    for given in job.inputs:
        for found in objects(given, _hidden(job)) if isinstance(given, Url) else walk([given], folder):
            # The keys of one prefix are unique, and too many to remember.
            if isinstance(found, LeftOut) or len(job.inputs) == 1 or found.name.is_absolute():
                yield found
            else:
                yield replace(found, name=unique(found.name, taken))


def open_store(place: Place) -> Store:
    """The output at a place. Raises `OutputError` when it cannot be used."""
    if isinstance(place, Path):
        return Folder(place)
    from cloak.bucket import Bucket

    return Bucket(place)


def open_ledger(place: Place, *, lock: bool = True) -> Records:
    """The ledger at a place; the run itself takes its lock. Raises `OutputError` when it cannot be used."""
    if isinstance(place, Path):
        return Ledger(place, lock=lock)
    from cloak.parts import Parts

    return Parts(place, lock=lock)


def _refuse(job: Job) -> None:
    """What cannot be done, before anything is."""
    refuse_overlap(job.inputs, job.out)
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


def _hidden(job: Job) -> list[Url]:
    """What is never taken for originals: the output and its ledger."""
    ours = (job.out,) if job.dry_run else (job.out, job.records)
    return [place for place in ours if isinstance(place, Url)]


def _engine(job: Job, photos: int | None) -> Engine:
    if job.engine == "ray":
        from cloak.cluster import Cluster

        return Cluster(partial(Local, job, 1), job.jobs, job.address)
    workers = job.jobs or os.cpu_count() or 1
    return Local(job, workers if photos is None else max(1, min(workers, photos)))


@dataclass(frozen=True, slots=True)
class _Done:
    """What a worker answers: the outcome, and the record that its ledger wants after the photo is published."""

    outcome: Outcome
    record: tuple[str, Entry] | None = None


def _setup() -> None:
    """In a new worker: one thread each, models loaded when they are first needed."""
    import cv2

    cv2.setNumThreads(1)


def _work(item: Item, *, job: Job) -> _Done:
    """One photo, in a worker. Only an error of the set-up is raised; whatever is wrong with the photo is an outcome."""
    source = printable(item.source)
    try:
        return _photo(item, source, job)
    except Withheld as error:
        return _Done(withheld(source, error))
    except CloakError:
        raise
    except MemoryError:
        hungry = TooLarge("it needs more memory than there is", next_step="Run with fewer --jobs.")
        return _Done(withheld(source, hungry))
    except Exception as error:
        if job.debug:
            traceback.print_exc()
        return _Done(internal(source, error))


@lru_cache(maxsize=1)
def _edges(out: Place, records: Place) -> tuple[Store, Records]:
    """One connection a worker; its parent holds the lock."""
    return open_store(out), open_ledger(records, lock=False)


def _fetch(item: Item, limit: int) -> bytes:
    if isinstance(item.source, Path):
        return read(item.source, limit)
    from cloak.bucket import fetch

    return fetch(item, limit)


def _photo(item: Item, source: str, job: Job) -> _Done:
    limit = job.pipeline.limits.bytes
    if job.dry_run:
        result = anonymize(_fetch(item, limit), job.pipeline, key=job.key)
        return _Done(Outcome(source, "", result.report.status, result.report, glance=result.glance))

    store, ledger = _edges(job.out, job.records)
    target, digest = printable(item.name), job.pipeline.hash()
    # A store tells by its version that a photo is unchanged; of a file, only the bytes tell.
    data = None if item.version else _fetch(item, limit)
    content = ledger.key(item.version.encode() if data is None else data)
    known = ledger.find(target)
    if known and not job.force and (known.content, known.pipeline) == (content, digest):
        unchanged = known.published is None or known.published == store.standing(item.name, limit)
        if unchanged:
            status = Status(known.row["status"])
            return _Done(Outcome(source, known.row.get("target", ""), status, earlier=known.row))
    if data is None:
        data = _fetch(item, limit)
    _refuse_foreign(item, store, known, job)

    result = anonymize(data, job.pipeline, key=job.key)
    outcome = Outcome(source, target if result.data else "", result.report.status, result.report, glance=result.glance)
    published = sha256(result.data).hexdigest() if result.data else None
    entry = Entry(content, digest, published, outcome.row())
    if ledger.first:
        # The row comes first, with the digest of what is about to stand there: a kill in between leaves a row that does
        # not fit the disk, so the photo is done again; the other order would leave a file that nobody knows. (An
        # object in a store carries its own digest, so that its row can come after, with others.)
        ledger.record(target, entry)
    if result.data:
        times = item.source.stat().st_mtime if job.preserve_times and isinstance(item.source, Path) else None
        store.publish(item.name, result.data, times)
    return _Done(outcome, None if ledger.first else (target, entry))


def _refuse_foreign(item: Item, store: Store, known: Entry | None, job: Job) -> None:
    """Nothing that cloak did not write is replaced, and never an original."""
    if store.original(item.name, (item.source, *job.inputs)):
        raise NotWritten("its output would replace an original", next_step="Name another folder with --out.")
    if known is None and not job.force and store.foreign(item.name):
        raise NotWritten(
            "a file that cloak did not write has its name in the output folder",
            next_step="Move that file away, or use --force to replace it.",
        )
