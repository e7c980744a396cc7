"""Many photos at once: from a store to a store, on an engine, with a ledger that lets a run go on."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from cloak.bursts import Bare, Bursts
from cloak.engine import Engine, open_engine
from cloak.errors import CloakError, UsageError
from cloak.files import printable
from cloak.intake import Item, LeftOut, numbered, unique, walk
from cloak.job import Job, refuse
from cloak.ledger import Ledger
from cloak.naming import Naming, earlier_names
from cloak.place import Url
from cloak.records import Records
from cloak.report import Outcome, flagged
from cloak.sidecars import unfitting
from cloak.store import Folder, Store
from cloak.work import open_ledger, open_store

__all__ = ["Job", "Run", "find"]


class Run:
    """A run over many photos.

    Attributes:
        left_out: what was found and is no photo; of stores, as they are listed: empty it when it is told.
        leftovers: what earlier runs or reviews made, of other photos or under other names: published files, decisions.
        total: how many photos there are; of stores, at most and so far.

    >>> with Run(job) as run:  # doctest: +SKIP
    ...     for outcome in run:
    ...         print(outcome.source, outcome.status)
    """

    def __init__(self, job: Job) -> None:
        refuse(job)
        self.job = job
        self.left_out: list[LeftOut] = []
        self.leftovers: list[LeftOut] = []
        self.items: Iterable[Item] = self._photos()
        self.total = 0
        if not any(isinstance(given, Url) for given in job.inputs):
            self.items = list(self.items)
            self.total = len(self.items)
            if self.total > 1 and job.decisions is not None and not job.decisions.is_dir():
                raise UsageError(
                    "a file of decisions is of one photo, not of several",
                    next_step="Name the folder that it lies in: photos find theirs by name.",
                )
            if job.decisions is not None and job.decisions.is_dir():
                self.leftovers += unfitting(job.decisions, (item.own or item.name for item in self.items))
        # Frames of a burst are found among the photos of folders; those of stores are too many to remember.
        known = self.items if isinstance(self.items, list) else []
        self._numbers = {item.source: number for number, item in enumerate(known)}
        self._bursts = Bursts([str(item.path.parent) for item in known])
        self._bare: dict[int, list[Bare]] = {}
        self._named: Callable[[Item], Item] = _as_is
        self._store: Store | None = None
        self._ledger: Records | None = None
        self._engine: Engine | None = None

    def __enter__(self) -> "Run":
        job = self.job
        try:
            if not job.dry_run:
                self._store = open_store(job.out)
                self._ledger = open_ledger(job.records)
                self._store.sweep()
                self._give_names(self._store, self._ledger)
            self._engine = open_engine(job, self._ledger)
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
            if self._store is not None and self._ledger is not None:
                # A worker that died or was killed may have left something half-written among what is published.
                with contextlib.suppress(OSError):
                    self._store.sweep()
        finally:
            if self._ledger is not None:
                self._ledger.close()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes as they come. An interrupt leaves photos in work: `finish` yields those."""
        assert self._engine is not None
        return map(self._compared, self._engine.map(self.items))

    def over(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The same for other photos of these inputs, such as those that came later; they are in no burst."""
        assert self._engine is not None
        return map(self._compared, self._engine.map(map(self._named, items)))

    def own_names(self) -> dict[Path, PurePath]:
        """What earlier runs called photos before a policy gave them other names; of a store nothing is known."""
        return self._ledger.own_names() if isinstance(self._ledger, Ledger) else {}

    def finish(self) -> Iterator[Outcome]:
        """After an interrupt: what was in work, and nothing more."""
        assert self._engine is not None
        return map(self._compared, self._engine.drain())

    def bare(self) -> Iterator[tuple[str, list[Bare]]]:
        """Once all outcomes are in: the photos in which a face is bare that a neighbouring frame has concealed.

        Only photos of this run are compared, not those that an earlier one has done. The ledger takes note.
        """
        for number, places in sorted(self._bare.items()):
            assert isinstance(self.items, list)
            item = self.items[number]
            # Nobody publishes or withdraws it between the look and the note.
            with self._ledger.transaction() if isinstance(self._ledger, Ledger) else contextlib.nullcontext():
                if self._ledger is not None and (entry := self._ledger.find(printable(item.name))) is not None:
                    self._ledger.record(printable(item.name), replace(entry, row=flagged(entry.row, places)))
            yield printable(item.source), places

    def _compared(self, answered: tuple[Item, Outcome]) -> Outcome:
        item, outcome = answered
        if (number := self._numbers.get(item.source)) is not None:
            for at, bare in self._bursts.add(number, printable(item.path.name), outcome.glance):
                self._bare.setdefault(at, []).append(bare)
        return outcome

    def _give_names(self, store: Store, ledger: Records) -> None:
        if isinstance(self.items, list) and isinstance(ledger, Ledger) and any(item.namesake for item in self.items):
            self.items = numbered(self.items, ledger.own_names())
        if self.job.pipeline.names == "keep":
            return
        # Whatever else a job names, `refuse` has refused.
        assert isinstance(store, Folder)
        assert isinstance(ledger, Ledger)
        assert isinstance(self.items, list)
        self.leftovers += earlier_names(self.job.pipeline.names, ledger, store)
        self._named = Naming(self.job.pipeline.names, ledger, store)
        with ledger.together():
            self.items = list(map(self._named, self.items))

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


def _hidden(job: Job) -> list[Url]:
    """What is never taken for originals: the output and its ledger."""
    ours = (job.out,) if job.dry_run else (job.out, job.records)
    return [place for place in ours if isinstance(place, Url)]


def _as_is(item: Item) -> Item:
    return item
