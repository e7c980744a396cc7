"""Many machines: the engine that gives the photos of a run to the actors of a Ray cluster. The extra `ray`.

The driver lists keys and gathers rows of the report; an actor reads, anonymizes, puts and notes. No photo is ever
handed to Ray, whose object store spills to disks: originals lie in the memory of the worker that conceals them only.
"""

import logging
import os
import pickle
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any, Protocol

from cloak.errors import CloakError, MissingExtra, SetupError

SLICE = 16_384
"""Photos that Ray Data is given at a time, or `SHARE` for each actor if that is more: what it remembers is bounded."""

SHARE = 1024

BLOCK = 64
"""Photos of one task at most. A task that is lost is done again; the report hears of it when it ends."""

_NEXT_STEP = "Check that the cluster runs, and that all its machines have this version of cloak-images with [ray]."


_NEXT_TRY = "Ray gives up after 30 seconds on a busy machine: try again later, or leave --engine ray out."


class Engine(Protocol):
    """What an actor works with: the engine of one machine, with one worker. Items and outcomes are pickled."""

    def map(self, items: Iterable[Any]) -> Iterator[Any]: ...
    def flush(self) -> None: ...


class Cluster:
    """An engine over Ray Data.

    Actors that die are replaced, and what they had in work is done again, in another actor; a photo that kills its
    worker again and again is withheld, by the engine in the actor.

    Args:
        make: makes the engine of an actor; pickled.
        actors: how many, of one core each; 0: as many as the cluster has cores when a slice begins.
        address: of a cluster; None starts one on this machine, and ends it.

    Raises `SetupError` if there is no cluster, `MissingExtra` if there is no Ray.
    """

    def __init__(self, make: Callable[[], Engine], actors: int, address: str | None) -> None:
        self._ray = _ray(ours=address is None)
        self._make, self._actors = make, actors
        self._folder = None if address else _folder()
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
        ours = {
            "num_cpus": actors or None,
            # Without a dashboard, Ray still starts the server of it for its reporter of usage, which, told to report
            # nothing, asks name servers and 169.254.169.254 in which cloud it runs. It goes on without that server when
            # there is no such port.
            "include_dashboard": False,
            "dashboard_port": 65_536,
            "object_store_memory": 100_000_000,  # it holds keys and rows, no photos
            "_temp_dir": self._folder,
        }
        try:
            self._ray.init(address=address, **quiet) if address else self._ray.init(address="local", **quiet, **ours)
        except Exception as error:
            self._remove()
            words = f"no cluster of Ray can be used: {type(error).__name__}"
            raise SetupError(words, next_step=_NEXT_STEP if address else _NEXT_TRY) from None

    def map(self, items: Iterable[Any]) -> Iterator[Any]:
        """Outcomes as tasks end, slice by slice."""
        source = iter(items)
        while True:
            actors = self._actors or int(self._ray.cluster_resources().get("CPU", 1))
            taken = list(islice(source, max(SLICE, SHARE * actors)))
            if not taken:
                return
            work = _far if self._ray.util.client.ray.is_connected() else partial(_slice, folder=self._folder)
            try:
                for answer in work(self._make, taken, max(1, min(actors, len(taken)))):
                    if isinstance(answer, CloakError):
                        raise answer
                    yield answer
            except self._ray.exceptions.RayError as error:
                words = f"the cluster failed: {type(error).__name__}"
                raise SetupError(words, next_step=_NEXT_STEP) from None

    def drain(self) -> Iterator[Any]:
        """Nothing: what is in work is put whole or not at all, and done again by the next run if it was not noted."""
        return iter(())

    def close(self) -> None:
        """Leave the cluster; its actors end."""
        self._ray.shutdown()
        self._remove()

    def _remove(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _slice(make: Callable[[], Engine], items: list[Any], actors: int, folder: str | None = None) -> Iterator[Any]:
    """Outcomes of one dataset of Ray Data; a `CloakError` among them ends the run."""
    import pyarrow
    from ray import data

    for name in ("ray", "ray.data"):  # their progress is not ours; failures come as errors
        logging.getLogger(name).setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Many small tasks, so that all actors end together.
    size = max(1, min(BLOCK, len(items) // (8 * actors)))
    blocks = [
        pyarrow.table({"item": pyarrow.array(map(pickle.dumps, items[i : i + size]), pyarrow.binary())})
        for i in range(0, len(items), size)
    ]
    answers = data.from_arrow(blocks).map_batches(
        _Actor,
        fn_constructor_args=(make, version("cloak-images"), folder),
        compute=data.ActorPoolStrategy(size=actors),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
    )
    for row in answers.iter_rows():
        yield pickle.loads(row["answer"])  # noqa: S301 - of our own actors, whom the cluster trusts with code


def _far(make: Callable[[], Engine], items: list[Any], actors: int) -> Iterator[Any]:
    """The same for a driver outside of the cluster (ray://), where Ray Data does not run: an actor there drives it."""
    import ray

    foreman = ray.remote(num_cpus=0)(_Foreman).remote(make, items, actors)
    while answers := ray.get(foreman.take.remote(BLOCK)):
        yield from answers


class _Foreman:
    """Drives one slice from within the cluster; it ends when its driver has gone."""

    def __init__(self, make: Callable[[], Engine], items: list[Any], actors: int) -> None:
        self._answers = _slice(make, items, actors)

    def take(self, count: int) -> list[Any]:
        """The next outcomes, at most so many; none at the end."""
        return list(islice(self._answers, count))


class _Actor:
    """One core of the cluster. It raises nothing: an error of the set-up is its answer, and ends the run."""

    def __init__(self, make: Callable[[], Engine], driver: str, folder: str | None) -> None:
        if folder:  # what it leaves behind when Ray kills it goes with the cluster
            os.environ["TMPDIR"] = tempfile.tempdir = folder
        self._make, self._driver = make, driver
        self._engine: Engine | None = None

    def __call__(self, batch: Any) -> dict[str, list[bytes]]:
        answers: list[Any] = []
        try:
            if self._driver != version("cloak-images"):
                raise SetupError("the machines of the cluster have another version of cloak", next_step=_NEXT_STEP)
            if self._engine is None:
                self._engine = self._make()
            items = [pickle.loads(item) for item in batch["item"].to_pylist()]  # noqa: S301
            answers.extend(self._engine.map(items))
            self._engine.flush()
        except CloakError as error:
            answers.append(error)
        return {"answer": [pickle.dumps(answer) for answer in answers]}


def _folder() -> str:
    """For the logs and sockets of a cluster of our own. A socket's name may have 107 bytes, 64 of them Ray's."""
    short = len(os.fsencode(tempfile.gettempdir())) < 24 or os.name != "posix"
    return tempfile.mkdtemp(prefix="cloak-ray-", dir=None if short else "/tmp")  # noqa: S108


def _ray(*, ours: bool) -> Any:
    # Ray reports its use to its maker unless told otherwise before it starts; cloak talks to nobody.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if ours:
        # Nobody else on this machine may give it work. Left alone, Ray would keep one token for ever in the home.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        # On the loopback only, as where Ray knows no clusters; nor does it look for this machine's address then.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("the engine 'ray'", "ray") from None
    return ray
