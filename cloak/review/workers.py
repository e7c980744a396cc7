"""Those who carry out verdicts: the steps of a run, in processes of their own, while people go on looking."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

from cloak.decisions import Decisions
from cloak.errors import CloakError, Withheld, of_failure
from cloak.intake import Item
from cloak.job import Job
from cloak.memory import share
from cloak.pool import Pool
from cloak.work import release, set_up

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A verdict to be carried out; see `cloak.work.release`."""

    id: str
    version: int
    item: Item
    job: Job
    decisions: Decisions
    content: str = field(repr=False)


class Workers:
    """Workers, each a process with a thread that waits for it.

    Args:
        count: how many.
        done: called in a worker's thread with (id, version, why it failed or "", names of what was withdrawn with it).
    """

    def __init__(self, count: int, deadline: float, done: Callable[[str, int, str, Names], None]) -> None:
        self._deadline, self._done = deadline, done
        self._queues: list[SimpleQueue[Task | None]] = [SimpleQueue() for _ in range(count)]
        self._threads = [threading.Thread(target=self._serve, args=(queue,), daemon=True) for queue in self._queues]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Have a verdict carried out. Those on one photo go to one worker, in the order in which they were given."""
        self._queues[int(task.id, 16) % len(self._queues)].put(task)

    def end(self) -> None:
        """Let work in hand end; what waits is found in the ledger by the next start."""
        for queue in self._queues:
            while not queue.empty():
                queue.get()
            queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, queue: "SimpleQueue[Task | None]") -> None:
        """Each verdict is answered, even while no process can be started: the next one then tries it anew."""
        task: Task | None = None  # taken, and not yet answered
        ended = False

        def tasks() -> Iterator[Task]:
            nonlocal task, ended
            task = task or queue.get()
            while task is not None:
                yield task
                task = queue.get()
            ended = True

        while True:
            try:
                with Pool(_carry_out, 1, self._deadline, set_up, share(len(self._queues))) as pool:
                    for _, answer in pool.map(tasks()):
                        self._answer(task, *((_told(answer), ()) if isinstance(answer, Withheld) else answer))
                        task = None
                return
            except Exception as error:
                self._answer(task, _told(of_failure(error)))
                task = None if ended else queue.get()
                if task is None:
                    return

    def _answer(self, task: Task | None, failure: str, withdrawn: Names = ()) -> None:
        if task is not None:
            with contextlib.suppress(Exception):  # who asked has gone: the next start finds it in the ledger
                self._done(task.id, task.version, failure, withdrawn)


def _carry_out(task: Task) -> tuple[str, Names]:
    """In a worker: why a verdict could not be carried out, or "", and names of what was withdrawn with it."""
    try:
        outcome = release(task.item, task.job, task.decisions, task.content)
    except CloakError as error:
        return _told(error), ()
    return f"{outcome.message}. {outcome.next_step}" if outcome.reason else "", outcome.withdrawn


def _told(error: CloakError) -> str:
    return f"{error}. {error.next_step}"
