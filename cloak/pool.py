"""Worker processes that may crash or hang without harm: each is replaced, its work is named or tried again."""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, Literal, TypeVar

from cloak.errors import ConcealmentFailed, SetupError, TimedOut, Withheld

Item = TypeVar("Item")
Answer = TypeVar("Answer")

ATTEMPTS = 2
"""A worker may die of another's hunger for memory: an item is tried once more before it is given up."""


@dataclass(slots=True)
class _Slot(Generic[Item, Answer]):
    """One worker process and what it is busy with.

    An executor of one process each, not one of many: when a process dies, it is plain whose work killed it, and the
    others go on.
    """

    executor: ProcessPoolExecutor
    pid: int
    item: Item | None = None
    future: "Future[Answer] | None" = None
    started: float = 0.0
    attempts: int = field(default=0)


class Pool(Generic[Item, Answer]):
    """At most `workers` processes that answer items one at a time.

    Args:
        function: what a worker does; importable, and with an answer that pickles.
        workers: how many processes.
        deadline: seconds for one item, after which its worker is killed.
        setup: called once in each new worker, e.g. to load models.

    Use as a context manager: leaving it ends the processes.
    """

    def __init__(
        self, function: Callable[[Item], Answer], workers: int, deadline: float, setup: Callable[[], None]
    ) -> None:
        self._function, self._deadline, self._setup = function, deadline, setup
        self._context = multiprocessing.get_context(_method())
        self._slots: list[_Slot[Item, Answer]] = []
        self._workers = workers

    def __enter__(self) -> "Pool[Item, Answer]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in self._slots:
            _end(slot)

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer | Withheld]]:
        """Pairs of item and answer, in the order in which they are ready.

        No more items are taken than there are workers, so that whatever makes them may be endless. A worker that dies
        or passes the deadline yields a `Withheld` in place of an answer. An exception of the function is raised here.

        When the consumer is interrupted, items in work are finished and yielded by `drain`.
        """
        source = iter(items)
        more = True
        while True:
            while more and (slot := self._free()) is not None:
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                    break
                self._submit(slot, item, attempt=1)
            if not self._busy():
                return
            yield from self._collect()

    def drain(self) -> Iterator[tuple[Item, Answer | Withheld]]:
        """What was in work when `map` was left; no new items are taken."""
        while self._busy():
            yield from self._collect()

    def _busy(self) -> "list[_Slot[Item, Answer]]":
        return [slot for slot in self._slots if slot.future is not None]

    def _free(self) -> "_Slot[Item, Answer] | None":
        for slot in self._slots:
            if slot.future is None:
                return slot
        if len(self._slots) < self._workers:
            slot = self._start()
            self._slots.append(slot)
            return slot
        return None

    def _start(self) -> "_Slot[Item, Answer]":
        executor = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin, initargs=(self._setup,))
        try:
            return _Slot(executor, executor.submit(os.getpid).result())
        except (OSError, BrokenProcessPool) as error:
            executor.shutdown(wait=False)
            words = getattr(error, "strerror", None) or type(error).__name__
            raise SetupError(
                f"no worker process can be started: {words}",
                next_step="Check the limits on processes and open files, and that the temporary folder is writable.",
            ) from None

    def _submit(self, slot: "_Slot[Item, Answer]", item: Item, attempt: int) -> None:
        slot.item, slot.started, slot.attempts = item, time.monotonic(), attempt
        slot.future = slot.executor.submit(self._function, item)

    def _collect(self) -> Iterator[tuple[Item, Answer | Withheld]]:
        busy = self._busy()
        first = min(slot.started for slot in busy) + self._deadline
        futures = [slot.future for slot in busy if slot.future is not None]
        wait(futures, timeout=max(first - time.monotonic(), 0.05), return_when=FIRST_COMPLETED)
        for slot in busy:
            future, item = slot.future, slot.item
            assert future is not None
            if future.done():
                try:
                    answer: Answer | Withheld = future.result()
                except BrokenProcessPool:
                    attempt = slot.attempts + 1
                    self._replace(slot)
                    if attempt <= ATTEMPTS:
                        self._submit(slot, item, attempt)  # type: ignore[arg-type]
                        continue
                    answer = ConcealmentFailed(
                        f"the worker died {ATTEMPTS} times",
                        next_step="The photo may need more memory than there is: run with fewer --jobs.",
                    )
            elif time.monotonic() > slot.started + self._deadline:
                self._replace(slot)
                answer = TimedOut(f"not done after {self._deadline:g} seconds")
            else:
                continue
            slot.future, slot.item = None, None
            yield item, answer  # type: ignore[misc]

    def _replace(self, slot: "_Slot[Item, Answer]") -> None:
        _end(slot)
        fresh = self._start()
        slot.executor, slot.pid, slot.future = fresh.executor, fresh.pid, None


def prepare(*modules: str) -> None:
    """Start the process from which workers are forked, and let it import `modules` while the caller goes on.

    Each worker then has them without importing anything. Without effect where workers are not forked.
    """
    if _method() != "forkserver":
        return
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    # A worker has one thread; and libraries that start theirs when imported could not be forked safely.
    threads = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))
    try:
        forkserver.ensure_running()
    finally:
        for name, value in threads.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _method() -> Literal["forkserver", "spawn"]:
    """How workers are started: forked from a clean server process, so that no lock or thread of the parent is copied.

    The server is reached through a socket in the temporary folder, whose name may have 103 bytes at most on some
    systems, 33 of them the socket's; Windows has no such server.
    """
    if sys.platform == "win32" or len(os.fsencode(tempfile.gettempdir())) > 70:
        return "spawn"
    return "forkserver"


def _begin(setup: Callable[[], None]) -> None:
    # Ctrl-C reaches the whole group: the parent decides, workers finish what they have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    setup()


def _end_with(parent: "BaseProcess | None") -> None:
    """A worker whose parent was killed would wait for work for ever, its photo and models in memory."""
    if parent is not None:
        parent.join()
        os._exit(1)


def _end(slot: "_Slot[Item, Answer]") -> None:
    busy = slot.future is not None and not slot.future.done()
    if busy:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(slot.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    slot.executor.shutdown(wait=True, cancel_futures=True)
