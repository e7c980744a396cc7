"""A hot folder: photos that appear in it are published into another, whatever way they come."""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from threading import Event

from cloak.batch import Job, Run
from cloak.errors import Corrupt, MissingExtra, NotAnImage, NotWritten, Unreadable, UsageError
from cloak.files import printable
from cloak.intake import Item, as_before, unique, walk
from cloak.report import Outcome

UNFINISHED = frozenset({".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".opdownload"})
"""Suffixes under which programs write files that they rename when they are whole."""

LATER = frozenset({kind.slug for kind in (Corrupt, NotAnImage, Unreadable, NotWritten)})
"""Reasons that a copy which pauses gives too: such a file is tried again before it is named."""

TRIES = 4
"""Times that a file is tried, each after twice the rest of the last."""

TICK = 0.5
SWEEP = 30.0
"""Seconds after which the folder is looked through without any event: network folders and full queues lose some."""

REST = 9
"""Times as long as a look through the folder took, the next one waits: a folder that holds ever more, and gets more all
the time, must not be looked through all the time."""


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of a file in the folder.

    Attributes:
        item: where it lies and what it will be called.
        stamp: its size, time and identity; another one means that it is still being written, or new.
        since: when it was first seen so, on the monotonic clock.
        tries: how often it failed so.
        done: it was published, or named.
    """

    item: Item
    stamp: tuple[int, int, int]
    since: float
    tries: int = 0
    done: bool = False


class Watch:
    """Publishes the photos of a folder as they appear, and those that are there already.

    Events of the file system only wake it up: what is to be done is read off the folder itself, so that none is lost
    and a restart catches up; the ledger tells what was done before.

    Args:
        job: one input, a folder; see `cloak.batch`.
        settle: seconds for which a file must not have changed before it is opened.
    """

    def __init__(self, job: Job, settle: float = 2.0) -> None:
        folders = [given for given in job.inputs if isinstance(given, Path) and given.is_dir()]
        if len(folders) != 1 or len(job.inputs) != 1:
            raise UsageError("only one folder can be watched", next_step="Name a folder that exists.")
        if not isinstance(job.out, Path):
            raise UsageError("a watched folder is published into a folder only", next_step="Name a folder with --out.")
        self._folder, self._out, self._job, self._settle = folders[0], job.out, job, settle
        self._files: dict[Path, _File] = {}
        self._earlier: dict[Path, PurePath] = {}
        self._stop = Event()

    def stop(self) -> None:
        """End: photos in work are finished. May be called by a signal's handler."""
        self._stop.set()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes as photos come, until `stop`. Raises `MissingExtra`, and `OutputError` as a run does."""
        try:
            import watchfiles  # noqa: F401
        except ImportError:
            raise MissingExtra("watching a folder", "watch") from None
        with Run(self._job) as run:
            self._earlier = run.own_names()
            swept, due, news = -math.inf, -math.inf, False
            for came in self._events():
                now = time.monotonic()
                news = news or came
                if now >= due and (news or now - swept > SWEEP):
                    self._look(now)
                    swept, news = now, False
                    due = time.monotonic() + REST * (time.monotonic() - now)
                yield from self._publish(run, now)

    def _events(self) -> Iterator[bool]:
        """Every `TICK`, whether something may have come.

        A name that is no text ends the watching, as do a folder that is shut and too many of them: it begins anew
        after a rest, twice as long each time that it ended at once. Meanwhile the folder is swept.
        """
        from watchfiles import watch

        rest = 1
        while True:
            news = True  # what came while nobody watched has told nobody
            with contextlib.suppress(OSError, RuntimeError):
                for events in watch(
                    self._folder, watch_filter=None, stop_event=self._stop, debounce=int(TICK * 1000),
                    rust_timeout=int(TICK * 1000), yield_on_timeout=True, raise_interrupt=False,
                ):  # fmt: skip
                    yield news or bool(events)
                    news, rest = False, 1
                return
            for _ in range(rest):
                if self._stop.wait(TICK):
                    return
                yield False
            rest = min(2 * rest, int(SWEEP / TICK))

    def _look(self, now: float) -> None:
        """Note what lies in the folder. What is known, here or to the ledger, keeps its name, whatever comes later."""
        walked = [item for item in walk([self._folder], self._out) if isinstance(item, Item)]
        items = [item for item in walked if item.path.suffix.lower() not in UNFINISHED]
        names = as_before(items, {path.absolute(): file.item.name for path, file in self._files.items()}, self._earlier)
        taken = {str(name).casefold(): 1 for name in names.values()}
        found: dict[Path, _File] = {}
        for item in items:
            if (stamp := _stamp(item.path)) is None:
                continue
            known = self._files.get(item.path)
            if known is None:
                named = replace(item, name=names.get(item.path) or unique(item.path.relative_to(self._folder), taken))
                found[item.path] = _File(named, stamp, now)
            else:
                found[item.path] = known if known.stamp == stamp else _File(known.item, stamp, now)
        self._files = found

    def _publish(self, run: Run, now: float) -> Iterator[Outcome]:
        """Do what has rested long enough."""
        ready: dict[str, _File] = {}
        for path, file in list(self._files.items()):
            if file.done or now - file.since < self._settle * 2**file.tries:
                continue
            if (stamp := _stamp(path)) == file.stamp:
                ready[printable(path)] = file
            elif stamp is None:
                del self._files[path]
            else:  # one that grows without events starts its rest anew
                self._files[path] = _File(file.item, stamp, now)
        if not ready:
            return
        outcomes = run.over(file.item for file in ready.values() if not self._stop.is_set())
        for outcome in outcomes:
            file = ready[outcome.source]
            # What stood of the same bytes was whole: no copy pauses here, and nobody would hear of it later.
            again = outcome.reason in LATER and file.tries + 1 < TRIES and not outcome.withdrawn
            self._files[file.item.path] = replace(file, tries=file.tries + 1, done=not again)
            if not again:
                yield outcome


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """By what a file is known to have changed; None if it was renamed or removed meanwhile."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
