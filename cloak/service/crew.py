"""The workers of a service: bounded, with a deadline for each request, replaced when they hang or crash."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cloak import memory
from cloak.clock import Stopwatch
from cloak.errors import CloakError, ConcealmentFailed, SetupError, TimedOut, Unavailable
from cloak.pipeline import Pipeline
from cloak.pool import ATTEMPTS, Worker
from cloak.service.settings import Settings
from cloak.service.work import Answer, Task, setup, work

_log = logging.getLogger("cloak.service")


class Crew:
    """The workers, and the places of requests: from before their body is read until their answer is taken.

    Args:
        settings: how many.
        pipeline: the one whose models each worker loads before it takes work.
        replaced: told why ("crashed", "stuck", "swollen", "worn") when a worker is replaced.
    """

    def __init__(self, settings: Settings, pipeline: Pipeline, replaced: Callable[[str], None]) -> None:
        self._settings, self._replaced = settings, replaced
        self._warm = Task("warm", b"", replace(pipeline, no_face="publish"))
        self._workers: list[Worker[Task, Answer | CloakError]] = []
        self._idle: asyncio.Queue[Worker[Task, Answer | CloakError]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._most = settings.max_memory or memory.share(settings.workers)
        self._loaded = 0
        self._ended = False
        self._seconds = 1.0  # of a photo, a running mean: for Retry-After
        self.places = 0
        self.busy = 0
        self.untaken = 0
        self.stopping = False
        self.failure: CloakError | None = None

    @property
    def ready(self) -> bool:
        """All workers have started and loaded their models."""
        return self._loaded == self._settings.workers and not self.stopping

    @property
    def queued(self) -> int:
        """Requests that are being received or wait for a worker."""
        return max(0, self.places - self.busy - self.untaken)

    @property
    def idle(self) -> bool:
        """No request has a place."""
        return self.places == 0

    async def start(self) -> None:
        """Start the workers, one after the other; `failure` tells when processes or models cannot be."""
        try:
            for _ in range(self._settings.workers):
                worker = await asyncio.to_thread(Worker, work, setup)
                self._workers.append(worker)
                await self._prepare(worker)
                self._loaded += 1
                self._idle.put_nowait(worker)
        except (CloakError, BrokenProcessPool) as error:
            self.failure = (
                error if isinstance(error, CloakError) else SetupError("a worker died while it loaded models")
            )

    def stop(self) -> None:
        """Refuse new requests; those in flight end."""
        self.stopping = True

    async def end(self) -> None:
        """End all workers; what they are doing is lost."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.end) for worker in self._workers))

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request. Raises `Unavailable` when all are taken or the service is stopping."""
        if self.stopping:
            raise Unavailable("the service is stopping")
        if self.places >= self._settings.workers + self._settings.queue:
            wait = self._seconds * self.places / self._settings.workers
            raise Unavailable("all workers are busy and the queue is full", retry_after=max(1, math.ceil(wait)))
        self.places += 1
        try:
            yield
        finally:
            self.places -= 1

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While a request that has a place waits for its client to take the answer."""
        self.untaken += 1
        try:
            yield
        finally:
            self.untaken -= 1

    async def do(self, task: Task, until: float, watch: Stopwatch) -> Answer:
        """Work on a photo until a point of the loop's time; `watch` gets the steps "wait" and "work".

        Raises `TimedOut` past it, `ConcealmentFailed` when workers crash on it, and what the worker answers.
        """
        for _ in range(ATTEMPTS):
            try:
                with watch("wait"):
                    async with asyncio.timeout_at(until):
                        worker = await self._idle.get()
            except TimeoutError:
                raise TimedOut("no worker was free before the deadline", next_step="Try again later.") from None
            # A task of its own: when the client leaves, the worker still ends its photo and is free only then.
            try:
                with watch("work"):
                    answer: Answer | CloakError = await asyncio.shield(self._spawn(self._employ(worker, task, until)))
            except BrokenProcessPool:
                continue
            if isinstance(answer, CloakError):
                raise answer
            return answer
        raise ConcealmentFailed(
            f"the worker died {ATTEMPTS} times", next_step="The photo may need more memory than there is."
        )

    async def _employ(self, worker: Worker[Task, Answer | CloakError], task: Task, until: float) -> Answer | CloakError:
        self.busy += 1
        started = time.monotonic()
        work = asyncio.wrap_future(worker.submit(task))
        try:
            async with asyncio.timeout_at(until):
                while not (await asyncio.wait({work}, timeout=memory.INTERVAL))[0]:
                    if worker.memory() > self._most:
                        self._spawn(self._replace(worker, "swollen"))
                        return memory.too_much(self._most)
            answer = work.result()
        except TimeoutError:
            self._spawn(self._replace(worker, "stuck"))
            return TimedOut(f"not done after {self._settings.deadline:g} seconds")
        except BrokenProcessPool:
            self._spawn(self._replace(worker, "crashed"))
            raise
        finally:
            work.cancel()  # nobody waits for it any more
            self.busy -= 1
        self._seconds += 0.1 * (time.monotonic() - started - self._seconds)
        if worker.worn(self._most):
            self._spawn(self._replace(worker, "worn"))
        else:
            self._idle.put_nowait(worker)
        return answer

    async def _replace(self, worker: Worker[Task, Answer | CloakError], why: str) -> None:
        _log.warning("a worker is replaced: %s", why)
        self._replaced(why)
        self._loaded -= 1
        while not self._ended:
            try:
                await asyncio.to_thread(worker.replace)
                await self._prepare(worker)
                break
            except (CloakError, BrokenProcessPool) as error:
                _log.error("a worker cannot be started: %s", error)
                await asyncio.sleep(5)
        self._loaded += 1
        self._idle.put_nowait(worker)

    async def _prepare(self, worker: Worker[Task, Answer | CloakError]) -> None:
        answer = await asyncio.wrap_future(worker.submit(self._warm))
        if isinstance(answer, CloakError):
            raise answer
        worker.worn(self._most)  # what it holds before the first photo

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)
        return task
