"""What a run would cost, before it is started: the work counted, a sample of it done here, the rest extrapolated."""

import contextlib
import math
import os
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cloak.batch import find
from cloak.engine import Local
from cloak.files import printable
from cloak.intake import Item
from cloak.job import Job, refuse
from cloak.ledger import Ledger
from cloak.records import Records
from cloak.result import Status
from cloak.work import treatment

SAMPLE = 20
"""Photos done here to learn how long one takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of a run, and what it is expected to take.

    Attributes:
        photos, bytes: found among the inputs.
        done: of these, what the ledger says is done; of files it goes by their names.
        left_bytes: of those that are not.
        sampled, withheld: photos done here, and how many of these were withheld.
        seconds, error: of one core for one photo, reading included: mean, and twice its standard error.
        core_hours: for all that is left.
        cost: for all that is left, in the unit of the price; None without a price.
    """

    photos: int
    bytes: int
    done: int
    left_bytes: int
    sampled: int
    withheld: int
    seconds: float
    error: float
    core_hours: float
    cost: float | None

    @property
    def left(self) -> int:
        return self.photos - self.done


def make_plan(job: Job, price: float | None = None, size: int = SAMPLE) -> Plan:
    """Count the photos of a run, do a sample of those that are left without writing anything, and extrapolate.

    Args:
        job: as for a run; nothing of it is written.
        price: of a core for an hour, in any unit.
        size: of the sample, drawn evenly and the same for the same photos.

    Raises what a run would refuse, and what listing the inputs raises.
    """
    refuse(job)
    ledger, draw = _ledger(job), random.Random(0)  # noqa: S311 - no secret hangs on it
    photos = total = done = left = 0
    sample: list[Item] = []
    with contextlib.closing(ledger) if ledger else contextlib.nullcontext():
        for item in find(job):
            if not isinstance(item, Item):
                continue
            weight = item.size if not isinstance(item.source, Path) else _size(item.source)
            photos, total = photos + 1, total + weight
            if ledger and _is_done(ledger, item, job):
                done += 1
                continue
            left += weight
            # Every photo that is left has the same chance, however many there are (Vitter's algorithm R).
            place = len(sample) if len(sample) < size else draw.randrange(photos - done)
            if place < size:
                sample[place : place + 1] = [item]
    seconds, withheld = _time(sample, replace(job, dry_run=True))
    mean = statistics.fmean(seconds) if seconds else 0.0
    error = 2 * statistics.stdev(seconds) / math.sqrt(len(seconds)) if len(seconds) > 1 else 0.0
    hours = mean * (photos - done) / 3600
    cost = None if price is None else price * hours
    return Plan(photos, total, done, left, len(sample), withheld, mean, error, hours, cost)


def _ledger(job: Job) -> Records | None:
    """What was done; None if nothing was yet. Raises `OutputError` where a run would, e.g. for a damaged one."""
    place = job.records
    if isinstance(place, Path):
        try:
            nothing = place.stat().st_size == 0  # a run was killed while it made it
        except OSError as error:
            nothing = isinstance(error, FileNotFoundError)  # of any other, the ledger says what it is
        return None if nothing else Ledger(place, lock=False)
    from cloak.bucket import read_object
    from cloak.parts import Parts

    return None if read_object(place / "meta.json") is None else Parts(place, lock=False, fresh=True)


def _is_done(ledger: Records, item: Item, job: Job) -> bool:
    name: str | None = printable(item.name)
    if job.pipeline.names != "keep":
        assert isinstance(ledger, Ledger)  # see `refuse`
        name = ledger.name_given(job.pipeline.names, os.fsencode(item.name))
    known = ledger.find(name) if name else None
    if known is None or job.force or known.pipeline != treatment(job, ledger):
        return False
    return not item.version or known.content == ledger.key(item.version.encode())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _time(sample: Sequence[Item], job: Job) -> tuple[list[float], int]:
    """Seconds of one worker a photo, and how many photos were withheld."""
    seconds: list[float] = []
    withheld = 0
    if not sample:
        return seconds, withheld
    engine = Local(job, 1)
    try:
        list(engine.map(sample[:1]))  # models are loaded once a worker, not once a photo
        started = time.monotonic()
        for _, outcome in engine.map(sample):
            seconds.append(time.monotonic() - started)
            withheld += outcome.status is Status.WITHHELD
            started = time.monotonic()
    finally:
        engine.close()
    return seconds, withheld
