"""Where the photos of a run are worked on: the cores of this machine, or a cluster."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Protocol

from cloak.errors import Withheld
from cloak.files import printable
from cloak.intake import Item
from cloak.job import Job
from cloak.memory import share
from cloak.place import Url
from cloak.pool import Pool
from cloak.records import Records
from cloak.report import Outcome, withheld
from cloak.work import Done, open_ledger, set_up, work


class Engine(Protocol):
    """Where the photos of a run are worked on."""

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Outcome]]:
        """Outcomes as they come; items are taken as there is room for them. An error of the set-up is raised."""

    def drain(self) -> Iterator[tuple[Item, Outcome]]:
        """After `map` was left: what was in work, if the engine can tell."""

    def close(self) -> None:
        """End the workers; what they did is in the ledger."""


class Local:
    """The engine of one machine: a pool of workers, and the ledger of a store, where this process alone notes.

    Args:
        job: the run.
        workers: processes at most; 0: one for every core.
        ledger: that of the run, if it is in this process: what is noted here, the run must find there. Whoever opened
            it closes it.
    """

    def __init__(self, job: Job, workers: int, ledger: Records | None = None) -> None:
        late = not job.dry_run and isinstance(job.records, Url)
        self._opened = open_ledger(job.records, lock=False) if late and ledger is None else None
        self._ledger = (ledger or self._opened) if late else None
        count = workers or os.cpu_count() or 1
        # Ray starts an engine for each core, so that each has as many neighbours.
        most = job.memory or share(max(count, os.cpu_count() or 1) if job.engine == "ray" else count)
        self._pool: Pool[Item, Done] = Pool(partial(work, job=job), count, job.deadline, set_up, most)

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Outcome]]:
        return map(self._note, self._pool.map(items))

    def drain(self) -> Iterator[tuple[Item, Outcome]]:
        return map(self._note, self._pool.drain())

    def flush(self) -> None:
        """The records of all outcomes so far are stored when this returns."""
        if self._ledger is not None:
            self._ledger.flush()

    def close(self) -> None:
        self._pool.__exit__(None, None, None)
        self.flush()
        if self._opened is not None:
            self._opened.close()

    def _note(self, answered: tuple[Item, Done | Withheld]) -> tuple[Item, Outcome]:
        item, answer = answered
        if isinstance(answer, Withheld):
            return item, withheld(printable(item.source), answer)
        if answer.record is not None and self._ledger is not None:
            self._ledger.record(*answer.record)
        return item, answer.outcome


def open_engine(job: Job, ledger: Records | None = None) -> Engine:
    """The engine that a job asks for, for the run that has opened a ledger. Raises `SetupError` or `MissingExtra` if
    there is none."""
    if job.engine == "ray":
        from cloak.cluster import Cluster

        return Cluster(partial(Local, job, 1), job.jobs, job.address)
    return Local(job, job.jobs, ledger)
