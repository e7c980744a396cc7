"""A hot folder into which thousands of photos come at once, by every way, while the program is killed.

    python -m benchmarks.watch [--photos 3000] [--jobs 2]

A third lies there before the start, a third comes as one folder that is renamed into place, a third is copied in two
halves with a rest between that is longer than a file must rest. One file is no photo. When half are published, the
program is killed and started again. Stated are seconds and CPU seconds a photo, peak memory, what was missing, and what
was done twice. Photos are small (96 x 64): what is measured is the watching, not the search for faces.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import ROOT, _family, _resident, _ticks, cloak_command

SETTLE = 0.5


def photos(folder: Path, count: int) -> list[Path]:
    """Small photos, no two alike."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path in paths:
        cv2.imwrite(str(path), noise.integers(0, 256, (64, 96, 3), np.uint8))
    return paths


def in_halves(paths: list[Path], folder: Path) -> None:
    """Copy files as a slow network does: the first half of each, a rest, the other half."""
    folder.mkdir()
    for half in (0, 1):
        for path in paths:
            data = path.read_bytes()
            middle = len(data) // 2
            with open(folder / path.name, "ab") as copy:
                copy.write(data[middle:] if half else data[:middle])
        time.sleep(0 if half else 2 * SETTLE)


class Watching:
    """`cloak watch` on folder/in, and what it costs while it runs."""

    def __init__(self, folder: Path, jobs: int) -> None:
        command = [*cloak_command(), "watch", folder / "in", "--out", folder / "out", "--settle", SETTLE]
        command += ["--recall", "fast", "--jobs", jobs]
        with open(folder / "log", "a") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        self.parent = self.worker = 0.0
        self.ticks: dict[int, int] = {}
        self._log = folder / "log"

    def until(self, done: Callable[[], bool], seconds: float = 1800) -> None:
        """Wait, and note memory in MB and CPU time meanwhile. Raises when the program ends or takes too long."""
        end = time.monotonic() + seconds
        while not done():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"cloak watch: {self._log.read_text()[-2000:]}")
            pid, *others = _family(self.process.pid)
            self.parent = max(self.parent, _resident(pid))
            self.worker = max(self.worker, *map(_resident, others), 0.0)
            self.ticks.update({pid: spent for pid in (pid, *others) if (spent := _ticks(pid))})
            time.sleep(0.25)


def flood(folder: Path, count: int, jobs: int) -> dict[str, float | int | list[str]]:
    """Let photos come, kill and start again, and tell what became of them."""
    paths = photos(folder / "elsewhere", count)
    inbox, out = folder / "in", folder / "out"
    inbox.mkdir()
    first, second, third = paths[::3], paths[1::3], paths[2::3]
    for path in first:
        path.rename(inbox / path.name)
    (inbox / "words.jpg").write_bytes(b"words, not pixels")

    def published() -> int:
        return sum(1 for path in out.rglob("*.jpg")) if out.exists() else 0

    started = time.monotonic()
    watching = [Watching(folder, jobs)]
    try:
        watching[0].until(lambda: published() > 0)
        whole = folder / "day"
        whole.mkdir()
        for path in second:
            path.rename(whole / path.name)
        whole.rename(inbox / "day")
        copying = threading.Thread(target=in_halves, args=(third, inbox / "copied"))
        copying.start()
        watching[0].until(lambda: published() >= count // 2)
        watching[0].process.kill()
        watching[0].process.wait()
        copying.join()
        watching.append(Watching(folder, jobs))
        log = folder / "log"
        watching[1].until(lambda: published() >= count and "withheld" in log.read_text())
        spent = time.monotonic() - started
        watching[1].process.send_signal(signal.SIGTERM)
        code = watching[1].process.wait(60)
    finally:
        for one in watching:
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
            one.process.wait()
    lines = (folder / "log").read_text().splitlines()
    named = Counter(line.split(": ")[0].split("/")[-1] for line in lines)
    wanted = {path.name for path in first} | {f"day/{path.name}" for path in second}
    wanted |= {f"copied/{path.name}" for path in third}
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    return {
        "photos": count, "seconds": spent, "code": code,
        "cpu": sum(sum(one.ticks.values()) for one in watching) / os.sysconf("SC_CLK_TCK") / count,
        "parent_mb": max(one.parent for one in watching), "worker_mb": max(one.worker for one in watching),
        "missing": sorted(wanted - found), "strange": sorted(found - wanted),
        "twice": sorted(name for name, times in named.items() if times > 1),
        "withheld": [line for line in lines if line.startswith("withheld")],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    place = ROOT / "build"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        figures = flood(Path(folder), options.photos, options.jobs)
    print(json.dumps(figures, indent=1))
    good = figures["code"] == 0 and len(figures["withheld"]) == 1
    sys.exit(0 if good and not (figures["missing"] or figures["strange"] or figures["twice"]) else 1)


if __name__ == "__main__":
    main()
