"""Worker processes that may crash, hang or swell without harm: each is replaced, its work is named or tried again."""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Generic, Literal, TypeVar

from cloak import memory
from cloak.errors import ConcealmentFailed, SetupError, TimedOut, Withheld
from cloak.process import SECRETS, fleeting, leave_behind, no_core_dumps

Item = TypeVar("Item")
Answer = TypeVar("Answer")

SEARCH = ("cloak.anonymizer", "cloak.detect.yunet", "onnxruntime")
"""Modules that take most of a worker's start."""

ATTEMPTS = 2
"""A worker may die of another's hunger for memory: an item is tried once more before it is given up."""

LOST = 100_000_000
"""Bytes that an idle worker may hold more than after its first item: allocators keep some for the next."""

PAUSE = 0.2
"""Seconds in which the system notices that a process has ended."""

GRACE = 10.0
"""Seconds for a killed process to end. One that waits for a disk which does not answer ends with the disk's answer."""


class Worker(Generic[Item, Answer]):
    """One process that answers items one at a time, and that may be killed and started anew.

    An executor of one process each, not one of many: when a process dies, it is plain whose work killed it, and the
    others go on.

    Args:
        function: what it does; importable, and with an answer that pickles.
        setup: called once in each new process, e.g. to bound its threads.

    Raises `SetupError` when no process can be started.
    """

    def __init__(self, function: Callable[[Item], Answer], setup: Callable[[], None]) -> None:
        self._function, self._setup = function, setup
        self._future: Future[Answer] | None = None
        self._at_first = 0
        self._start()

    def _start(self) -> None:
        self._at_first = 0
        try:
            try:
                self._launch()
            except (EOFError, ConnectionError):
                # The process from which workers are forked was killed just now: whoever asks again gets another.
                time.sleep(PAUSE)
                self._launch()
        except (OSError, EOFError, RuntimeError) as error:  # the last: it broke, or no thread can be started
            words = getattr(error, "strerror", None) or type(error).__name__
            raise SetupError(
                f"no worker process can be started: {words}",
                next_step="Check the limits on processes and open files, and that the temporary folder is writable.",
            ) from None

    def _launch(self) -> None:
        self._executor = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context(_method()), initializer=_begin, initargs=(self._setup,)
        )
        try:
            self.pid: int = self._executor.submit(os.getpid).result()
        except BaseException:
            self._executor.shutdown(wait=False)
            raise

    def submit(self, item: Item) -> "Future[Answer]":
        """Begin an item. The future raises `BrokenProcessPool` when the process dies of it."""
        try:
            self._future = self._executor.submit(self._function, item)
        except BrokenProcessPool as error:  # it died while it was idle
            self._future = Future()
            self._future.set_exception(error)
        return self._future

    def memory(self) -> int:
        """Bytes of memory that the process holds."""
        return memory.held(self.pid)

    def worn(self, most: int) -> bool:
        """Whether the process, idle after an item, has lost half of what an item may take before it holds `most`.

        Libraries lose memory, on damaged files above all. The photo that came next would be withheld for it.
        """
        held = self.memory()
        self._at_first = self._at_first or held  # models are loaded by then
        return held - self._at_first > max((most - self._at_first) // 2, LOST)

    def replace(self) -> None:
        """End the process, whatever it is doing, and start another."""
        self.end()
        self._start()

    def end(self) -> None:
        """End the process; what it is doing is lost."""
        if self._future is not None and not self._future.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            if wait([self._future], GRACE).not_done:
                leave_behind(self.pid)
                self._executor.shutdown(wait=False, cancel_futures=True)
                return
        self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(slots=True)
class _Slot(Generic[Item, Answer]):
    """A worker and what it is busy with."""

    worker: Worker[Item, Answer]
    item: Item | None = None
    future: "Future[Answer] | None" = None
    started: float = 0.0
    attempts: int = 0


class Pool(Generic[Item, Answer]):
    """At most `workers` processes that answer items one at a time.

    Args:
        function: what a worker does; importable, and with an answer that pickles.
        workers: how many processes.
        deadline: seconds for one item, after which its worker is killed.
        setup: called once in each new worker, e.g. to load models.
        most: bytes of memory for one worker, past which it is killed; 0: its share of the machine's.

    Use as a context manager: leaving it ends the processes.
    """

    def __init__(
        self,
        function: Callable[[Item], Answer],
        workers: int,
        deadline: float,
        setup: Callable[[], None],
        most: int = 0,
    ) -> None:
        self._function, self._deadline, self._setup = function, deadline, setup
        self._most = most or memory.share(workers)
        self._slots: list[_Slot[Item, Answer]] = []
        self._workers = workers

    def __enter__(self) -> "Pool[Item, Answer]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in self._slots:
            slot.worker.end()

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer | Withheld]]:
        """Pairs of item and answer, in the order in which they are ready.

        No more items are taken than there are workers, so that whatever makes them may be endless. A worker that dies,
        passes the deadline or takes too much memory yields a `Withheld` in place of an answer. An exception of the
        function is raised here.

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
                if slot.worker.worn(self._most):
                    slot.worker.replace()
                return slot
        if len(self._slots) < self._workers:
            slot = _Slot(Worker(self._function, self._setup))
            self._slots.append(slot)
            return slot
        return None

    def _submit(self, slot: "_Slot[Item, Answer]", item: Item, attempt: int) -> None:
        slot.item, slot.started, slot.attempts = item, time.monotonic(), attempt
        slot.future = slot.worker.submit(item)

    def _collect(self) -> Iterator[tuple[Item, Answer | Withheld]]:
        busy = self._busy()
        until = min(min(slot.started for slot in busy) + self._deadline, time.monotonic() + memory.INTERVAL)
        futures = [slot.future for slot in busy if slot.future is not None]
        wait(futures, timeout=max(until - time.monotonic(), 0.05), return_when=FIRST_COMPLETED)
        for slot in busy:
            future, item = slot.future, slot.item
            assert future is not None
            if future.done():
                try:
                    answer: Answer | Withheld = future.result()
                except BrokenProcessPool:
                    attempt = slot.attempts + 1
                    slot.worker.replace()
                    if attempt <= ATTEMPTS:
                        self._submit(slot, item, attempt)  # type: ignore[arg-type]
                        continue
                    answer = ConcealmentFailed(
                        f"the worker died {ATTEMPTS} times",
                        next_step="The photo may need more memory than there is: run with fewer --jobs.",
                    )
            elif time.monotonic() > slot.started + self._deadline:
                slot.worker.replace()
                answer = TimedOut(f"not done after {self._deadline:g} seconds")
            elif slot.worker.memory() > self._most:
                slot.worker.replace()  # and not tried again: it would take as much
                answer = memory.too_much(self._most)
            else:
                continue
            slot.future, slot.item = None, None
            yield item, answer  # type: ignore[misc]


def prepare(*modules: str) -> None:
    """Start the process from which workers are forked, and let it import `modules` while the caller goes on.

    Each worker then has them, and what every search for faces takes, without importing anything. Without effect where
    workers are not forked.
    """
    if _method() != "forkserver":
        return
    from multiprocessing import forkserver, resource_tracker
    from multiprocessing.util import get_temp_dir

    multiprocessing.get_context("forkserver").set_forkserver_preload([*SEARCH, *modules])
    # A worker has one thread; and libraries that start theirs when imported could not be forked safely. The folder in
    # which the user stands is no place to import from: it may hold anything, and be named like a library.
    extra = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    # Huge pages: a network's activations are so large that it spends a tenth of its time on the pages' addresses.
    extra["GLIBC_TUNABLES"] = os.environ.get("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    # Whatever is ended at once leaves semaphores to the tracker, which frees them and need not say so.
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    extra["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    before = {name: os.environ.get(name) for name in (*extra, *SECRETS)}
    os.environ.update(extra)
    for name in SECRETS:  # whoever calls may not have read them yet, and nobody below needs them
        os.environ.pop(name, None)
    # A service manager signals all processes at once, a terminal its whole group. Should this one die of it, workers
    # that finish what they have would be taken for dead: it tells who lives. It inherits the mask and ends with the
    # caller. (The tracker, without which it does not start, would unblock what is blocked.)
    resource_tracker.ensure_running()
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        forkserver.ensure_running()
        fleeting(Path(get_temp_dir()))  # where its socket is
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _method() -> Literal["forkserver", "spawn"]:
    """How workers are started: forked from a clean server process, so that no lock or thread of the parent is copied.

    The server is reached through a socket in the temporary folder, whose name may have 103 bytes at most on some
    systems, 33 of them the socket's; Windows has no such server, and some machines no temporary folder.
    """
    try:
        short = len(os.fsencode(tempfile.gettempdir())) <= 70
    except FileNotFoundError:
        short = False
    return "forkserver" if short and sys.platform != "win32" else "spawn"


def _begin(setup: Callable[[], None]) -> None:
    no_core_dumps()
    # Ctrl-C reaches the whole group, a service manager's SIGTERM all processes of a service: the parent decides,
    # workers finish what they have.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    setup()


def _end_with_parent() -> None:
    """A parent that was killed could not end its workers: they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
