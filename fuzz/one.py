"""One target in a process of its own, guided by coverage where atheris is installed: see `fuzz.__main__`."""

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzz.targets import Target

try:
    import atheris
except ImportError:  # no wheel for this system or version of Python
    atheris = None

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that found something, by target."""

SECONDS = 5.0
"""Of the processor, for one small input: more is a hang."""

CLOCK = 1200
"""Seconds of the clock after which an input that does not end is cut off. The clock runs on while the process is
stopped for others: a minute would report whatever input it was stopped in."""

MEGABYTES = 2_500
"""Resident memory of the whole process."""


AFRESH = 0.3
"""Share of inputs that start from a whole file instead of from the corpus that guidance has built."""


@dataclass(slots=True)
class Watch:
    """What became of the inputs so far; written down every second, because libFuzzer ends the process as it likes."""

    run: Callable[[bytes], str]
    folder: Path
    began: float = field(default_factory=time.process_time)
    executions: int = 0
    slowest: float = 0.0
    endings: Counter[str] = field(default_factory=Counter)
    findings: dict[str, int] = field(default_factory=dict)
    written: float = 0.0

    def __call__(self, data: bytes) -> None:
        self.executions += 1
        began = time.process_time()
        try:
            self.endings[self.run(data)] += 1
        except Exception as error:
            self._keep(_place(error), data, traceback.format_exc())
        spent = time.process_time() - began
        self.slowest = max(self.slowest, spent)
        if spent > SECONDS:
            self._keep(f"slow-{int(spent)}", data, f"{spent:.1f} CPU seconds")
        if time.monotonic() > self.written + 1:
            self.write()

    def _keep(self, name: str, data: bytes, words: str) -> None:
        """One input for each place in the code that failed: the shortest."""
        self.endings["FINDING"] += 1
        if len(data) < self.findings.get(name, sys.maxsize):
            self.findings[name] = len(data)
            (self.folder / f"finding-{name}").write_bytes(data)
            (self.folder / f"finding-{name}.txt").write_text(words)

    @property
    def spent(self) -> float:
        """Seconds of the processor since it began, without the start of the process."""
        return time.process_time() - self.began

    def write(self) -> None:
        self.written = time.monotonic()
        state = {
            "executions": self.executions, "slowest": round(self.slowest, 2), "endings": dict(self.endings),
            "cpu": round(self.spent), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }  # fmt: skip
        (self.folder / "state.json").write_text(json.dumps(state))


def _place(error: Exception) -> str:
    """Where it happened: the innermost line of cloak, or of what checks it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/cloak/" in f.filename or "/fuzz/targets" in f.filename or "/fuzz/jpeg" in f.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, nargs="*", default=[])
    parser.add_argument("--random", type=int, default=1)
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args()
    guided = atheris is not None and not options.blind
    with atheris.instrument_imports(include=["cloak"]) if guided else nullcontext():
        from fuzz import targets
    from fuzz.mutate import mutate

    target = targets.TARGETS[options.target]
    seeds = seeds_of(options.target, target, map(Path.read_bytes, _files(options.seeds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watch = Watch(target.run, options.folder)
    if guided:
        _guided(watch, target, seeds, mutate, options)
    blind(watch, target, seeds, options.seconds, options.random)


def seeds_of(name: str, target: "Target", given: Iterable[bytes]) -> list[bytes]:
    """Where a target's inputs start from: its own seeds, what was found before, and what it takes of other files."""
    found = map(Path.read_bytes, _files([CORPUS / name]))
    taken = (seed for data in given for seed in target.taken(data))
    return [seed for seed in dict.fromkeys([*target.seeds(), *found, *taken]) if len(seed) <= target.largest]


def blind(watch: Watch, target: "Target", seeds: list[bytes], seconds: float, number: int) -> None:
    """Mutations without guidance, for some seconds of the processor; `number` seeds them."""
    from fuzz.mutate import mutate

    rng = random.Random(number)
    for seed in seeds:
        watch(seed)
    while watch.spent < seconds:
        data = mutate(rng.choice(seeds), target.form, seeds, rng)[: target.largest]
        (watch.folder / "current").write_bytes(data)  # what a crash leaves behind
        watch(data)
    watch.write()


def _files(folders: list[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def _guided(watch: Watch, target: "Target", seeds: list[bytes], mutate: Callable[..., bytes], options: Any) -> None:
    corpus = options.folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for seed in seeds:
        (corpus / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)

    def changed(data: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        # The corpus fills with files that are refused in new ways; what comes of those is mostly refused early.
        data = rng.choice(seeds) if rng.random() < AFRESH else data
        return bytes(mutate(data, target.form, seeds, rng, lambda piece: atheris.Mutate(piece, len(piece) + 64))[:most])

    def once(data: bytes) -> None:
        watch(data)
        if watch.spent > options.seconds:  # libFuzzer knows the clock's time only
            watch.write()
            os._exit(0)

    arguments = [
        f"-timeout={CLOCK}", f"-report_slow_units={CLOCK}", f"-rss_limit_mb={MEGABYTES}", f"-seed={options.random}",
        f"-max_len={target.largest}", f"-artifact_prefix={options.folder}/", "-len_control=0", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *arguments], once, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
