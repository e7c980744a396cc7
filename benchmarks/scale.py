"""Runs over a bucket: photos a second of Ray beside the local pool, and peak memory whatever the number of photos.

    python -m benchmarks.scale [--photos 60] [--workers 1 2] [--counts 100 1000 10000] [--rounds 3]

A bucket of moto's S3 server, on this machine, holds the photos; it takes a part of the cores, from both engines alike.
Rates are taken after start-up: from the first outcome told to the last. They are medians of rounds in which the engines
take turns. On a machine that is busy with other things, compare core-seconds a photo instead: what all processes of a
run took between the same two outcomes. Memory is the largest resident set seen of each kind of process; what it holds
beside ours are libraries.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image

from benchmarks.measure import ROOT, SCRATCH, cloak_command
from tests.s3 import Server

KINDS = {"driver": "the command itself", "actor": "of Ray", "worker": "a process that conceals", "raylet": "of Ray"}


@dataclass(slots=True)
class Measured:
    """One run: seconds until the first outcome, photos a second after it, core-seconds a photo after it, and peak
    resident MB a kind of process."""

    photos: int
    start: float = 0.0
    rate: float = 0.0
    core_seconds: float = 0.0
    wall: float = 0.0
    peaks: dict[str, float] = field(default_factory=dict)


def fill(server: Server, bucket: str, count: int, side: int) -> None:
    """So many portraits of that height, no two alike."""
    server.bucket(bucket)
    image = Image.open(ROOT / "tests" / "data" / "faces" / "astronaut.jpg").convert("RGB")
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS)).copy()
    for number in range(count):
        pixels[-1, :3] = [number >> 16 & 255, number >> 8 & 255, number & 255]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        server.put(bucket, f"shoots/{number:06}.jpg", buffer.getvalue())


def measure(server: Server, bucket: str, out: str, photos: int, *options: str) -> Measured:
    """A run of its own process; its outcomes are timed as they are told. Ray may not start on a busy machine: again."""
    for _ in range(9):
        if made := _measure(server, bucket, out, photos, *options):
            return made
    raise RuntimeError(f"{options}: it did not start")


def _measure(server: Server, bucket: str, out: str, photos: int, *options: str) -> Measured | None:
    command = [*cloak_command(), "run", f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/{out}", "--report", "-", "-q"]
    environment = server.environment() | {"CLOAK_STORE_TIMEOUT": "60"}
    made = Measured(photos)
    started = time.monotonic()
    with subprocess.Popen([*command, *options], env=environment, stdout=subprocess.PIPE, text=True) as process:
        done = threading.Event()
        spent: dict[int, float] = {}
        watcher = threading.Thread(target=_watch, args=(process.pid, made.peaks, spent, done))
        watcher.start()
        assert process.stdout is not None
        times, before, after = [], 0.0, 0.0
        told: Counter[str] = Counter()
        for number, line in enumerate(process.stdout):
            times.append(time.monotonic())
            told[line if line[:1] != "{" else str(json.loads(line)["source"])] += 1
            if not number or times[-1] < times[0] + 0.05:  # see `first`
                before = _spent(process.pid, spent)
            if number == photos - 1:
                after = _spent(process.pid, spent)
        process.wait()
        done.set()
        watcher.join()
    if process.returncode == 2 and not times:
        return None
    if process.returncode not in {0, 4} or len(times) != photos:
        odd = [words for words, count in told.items() if count > 1 or "/shoots/" not in words]
        raise RuntimeError(f"{options}: exit code {process.returncode}, {len(times)} of {photos} photos; {odd[:5]}")
    made.start, made.wall = times[0] - started, time.monotonic() - started
    first = sum(moment < times[0] + 0.05 for moment in times)  # Ray tells of a whole task at once
    if photos > first:
        made.rate = (photos - first) / (times[-1] - times[0])
        made.core_seconds = (after - before) / (photos - first)
    return made


def _watch(root: int, peaks: dict[str, float], spent: dict[int, float], done: threading.Event) -> None:
    while not done.wait(0.25):
        for pid, kind, size, seconds in _family(root):
            peaks[kind] = max(peaks.get(kind, 0.0), size)
            spent[pid] = seconds


def _spent(root: int, spent: dict[int, float]) -> float:
    """Core-seconds of all processes of a run so far, of those that have ended too."""
    return sum((spent | {pid: seconds for pid, _, _, seconds in _family(root)}).values())


def _family(root: int) -> Iterator[tuple[int, str, float, float]]:
    """Number, kind, resident MB and core-seconds of the processes below one, itself included."""
    parents, lines, sizes, seconds = {}, {}, {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as line:
                fields = stat.read().rpartition(")")[2].split()
                parents[int(name)] = int(fields[1])
                seconds[int(name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                lines[int(name)] = line.read().replace("\0", " ")
            with open(f"/proc/{name}/statm") as memory:
                sizes[int(name)] = int(memory.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            continue
    for pid in sizes:
        above = pid
        while above not in {root, 0, 1} and above in parents:
            above = parents[above]
        if above != root:
            continue
        yield pid, "driver" if pid == root else _kind(lines[pid]), sizes[pid], seconds[pid]


def _kind(line: str) -> str:
    if line.startswith("ray::"):
        return "actor" if "MapWorker" in line else "other"
    if "forkserver" in line or "multiprocessing" in line:
        return "worker"
    return "raylet" if "raylet" in line else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=60, help="of the rates, of 1,000 pixels a side")
    parser.add_argument("--counts", type=int, nargs="*", default=[100, 1000, 10_000], help="small photos, for memory")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="for which rates are taken")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    server = Server()
    try:
        found: dict[str, object] = {"rates": {}, "memory": {}}
        fill(server, "rates", arguments.photos, 1000)
        engines = [(engine, jobs) for jobs in arguments.workers for engine in ("local", "ray")]
        rates: dict[str, list[Measured]] = {f"{engine}, {jobs}": [] for engine, jobs in engines}
        for turn in range(arguments.rounds):
            for engine, jobs in engines:
                out = f"{engine}-{jobs}-{turn}"
                options = ("--engine", engine, "-j", str(jobs))
                rates[f"{engine}, {jobs}"].append(measure(server, "rates", out, arguments.photos, *options))

        def median(engine: str, jobs: int, what: str) -> float:
            return statistics.median(getattr(run, what) for run in rates[f"{engine}, {jobs}"])

        print("photos of 1 MP        photos/s   core-seconds a photo   until the first")
        for engine, jobs in engines:
            rate, cores, start = (median(engine, jobs, what) for what in ("rate", "core_seconds", "start"))
            print(f"{engine + f', {jobs}':<20}{rate:>10.2f}{cores:>23.2f}{start:>16.1f} s")
        for jobs in arguments.workers:
            rate = median("ray", jobs, "rate") / median("local", jobs, "rate")
            cores = median("local", jobs, "core_seconds") / median("ray", jobs, "core_seconds")
            print(f"Ray beside the local pool, {jobs} workers: {rate:.2f}x by the clock, {cores:.2f}x by core-seconds")
        found["rates"] = {name: [asdict(run) for run in runs] for name, runs in rates.items()}

        print("\nsmall photos   photos/s   driver MB   actor MB   worker MB   raylet MB")
        memory = {}
        for count in arguments.counts:
            fill(server, f"small-{count}", count, 96)
            options = ("--engine", "ray", "-j", "2", "--recall", "fast")
            run = memory[count] = measure(server, f"small-{count}", "out", count, *options)
            peaks = [run.peaks.get(kind, 0.0) for kind in KINDS]
            print(f"{count:>12,}{run.rate:>11.1f}" + "".join(f"{peak:>12.0f}" for peak in peaks), flush=True)
        found["memory"] = {count: asdict(run) for count, run in memory.items()}
        SCRATCH.mkdir(parents=True, exist_ok=True)
        (SCRATCH / "scale.json").write_text(json.dumps(found, indent=1))
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
