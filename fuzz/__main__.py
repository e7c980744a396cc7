"""Fuzzes cloak's readers, the least fuzzed first, and tells what became of it.

    python -m fuzz --minutes 60 --jobs 2             # an hour for each reader, two at a time
    python -m fuzz read-png photo-png --minutes 1    # some of them
    python -m fuzz --seeds ../shared/data/bad        # from other files too; they are copied into --work only

Findings, corpora and figures (results.json) are left in --work; the same command goes on where an earlier one stopped,
until each reader has had its minutes. A finding is an input after which anything but a `CloakError` was raised, a
promise of `fuzz.targets` did not hold, the process crashed, or took too long or too much memory. To keep one, put it
into `fuzz/corpus/TARGET/`: tests run it from then on, and fuzzing starts from it. `fuzz.harvest` collects seeds.

Minutes are the processor's, from the first input on: a job that stands aside for others loses nothing but the clock's.
Without atheris, or with --blind, mutations are not guided. Out-of-bounds accesses in the native modules are looked for
by scripts/fuzz_jpeg.sh.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SLICE = 120
"""Seconds of one process: atheris keeps a little memory of every input, and readers take turns."""

CRASHES = 50
"""A reader that crashes this often is given up: its findings want mending first."""


class Fuzzing:
    """The work on some readers, and what came out so far."""

    def __init__(self, names: list[str], seconds: float, work: Path, seeds: list[Path], blind: bool) -> None:
        self.names, self.seconds, self.work, self.seeds, self.blind = names, seconds, work, seeds, blind
        self.results: dict[str, dict[str, Any]] = {}
        if (work / "results.json").exists():
            self.results = json.loads((work / "results.json").read_text())
        self._running = set[str]()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Fuzz one reader after the other, until none is left."""
        while (name := self._next()) is not None:
            self._slice(name, int(min(max(self.seconds - self._spent(name), 1), SLICE)))
            with self._lock:
                self._running.discard(name)
                (self.work / "results.json").write_text(json.dumps(self.results, indent=1))

    def _next(self) -> str | None:
        with self._lock:
            left = [name for name in self.names if name not in self._running and self._spent(name) < self.seconds - 1]
            left = [name for name in left if self.results.get(name, {}).get("crashes", 0) < CRASHES]
            name = min(left, key=self._spent, default=None)
            self._running |= {name} if name else set()
            return name

    def _spent(self, name: str) -> int:
        return int(self.results.get(name, {}).get("cpu", 0))

    def _slice(self, name: str, seconds: int) -> None:
        """One process of one reader."""
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        log, state, number = folder / "log", folder / "state.json", random.getrandbits(31)
        command = [sys.executable, "-m", "fuzz.one", name, f"--seconds={seconds}", f"--folder={folder}"]
        command += [f"--random={number}", *(["--blind"] if self.blind else []), "--seeds", *map(str, self.seeds)]
        state.unlink(missing_ok=True)
        with log.open("wb") as output:
            done = subprocess.run(command, stdout=output, stderr=output)
        words = log.read_text(errors="replace")
        if not state.exists():
            raise SystemExit(f"{name} did not begin:\n{words[-2000:]}")
        if done.returncode:
            log.replace(folder / f"log-crash-{number}")
            if (folder / "current").exists():
                (folder / "current").replace(folder / f"crash-blind-{number}")
        edges = [int(count) for count in re.findall(r" cov: (\d+)", words)]
        told = json.loads(state.read_text())
        with self._lock:
            result = self.results.setdefault(
                name,
                {"cpu": 0, "executions": 0, "slowest": 0, "megabytes": 0, "crashes": 0, "edges": edges[:1],
                 "endings": {}, "findings": []},
            )  # fmt: skip
            for key in ("cpu", "executions"):
                result[key] += told[key]
            for key in ("slowest", "megabytes"):
                result[key] = max(result[key], told[key])
            result["crashes"] += bool(done.returncode)
            result["edges"] = [*result["edges"][:1], max([*result["edges"], *edges])] if edges else result["edges"]
            for ending, count in told["endings"].items():
                result["endings"][ending] = result["endings"].get(ending, 0) + count
            kept = r"finding-.*(?<!\.txt)$|crash-|oom-|timeout-|slow-unit-"
            result["findings"] = sorted(path.name for path in folder.iterdir() if re.match(kept, path.name))
            print(row(name, result), flush=True)


def row(name: str, result: dict[str, Any]) -> str:
    """A line of the table of all that was done."""
    return (
        f"{name:<14}{result['cpu']:>7}{result['executions']:>10}{' -> '.join(map(str, result['edges'])):>14}"
        f"{result['slowest']:>8.2f}s{result['megabytes']:>6}  {', '.join(result['findings']) or 'none'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--minutes", type=float, default=1.0, help="of the processor, for each reader, in all")
    parser.add_argument("--jobs", type=int, default=1, help="readers at a time")
    parser.add_argument("--work", type=Path, default=Path("fuzzing"), help="folder of findings, corpora and figures")
    parser.add_argument("--seeds", type=Path, action="append", default=[], help="folder of files to start from as well")
    parser.add_argument("--blind", action="store_true", help="without guidance by coverage")
    parser.add_argument("--list", action="store_true", help="print the readers' names as JSON, and nothing else")
    options = parser.parse_args()
    from fuzz.targets import TARGETS

    if options.list:
        print(json.dumps(list(TARGETS)))
        return 0
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(TARGETS)}")
    names = options.targets or list(TARGETS)
    fuzzing = Fuzzing(names, 60 * options.minutes, options.work, options.seeds, options.blind)
    print(f"{'target':<14}{'CPU s':>7}{'inputs':>10}{'edges':>14}{'slowest':>9}{'MB':>6}  findings", flush=True)
    with ThreadPoolExecutor(options.jobs) as threads:
        try:
            for job in [threads.submit(fuzzing.run) for _ in range(options.jobs)]:
                job.result()
        finally:
            fuzzing.names = []  # interrupted, or one reader did not begin: the others end with their slice
    return any(result["findings"] for result in fuzzing.results.values())


if __name__ == "__main__":
    sys.exit(main())
