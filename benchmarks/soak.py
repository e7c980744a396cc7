"""One long run, and one that is killed again and again: memory, descriptors, speed, and every photo exactly once.

    python -m benchmarks.soak [--small 20000] [--large 200] [--killed 1000] [--plot docs/images/soak.png]

The photos lie in as many folders as there are large ones, and each folder holds the same pictures (hard links): so the
CPU time of any folder is that of any other, and what grows from lap to lap is a leak or a slowdown. Every process of
the run is sampled through /proc. Then a run over the first photos is killed ten times at random moments with all its
processes, and finished. A JSON document holds all figures; the exit code is 1 if any promise is broken.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import ROOT, SCRATCH, cloak_command
from cloak.ledger import Ledger
from cloak.records import beside

LARGE = (8000, 6000)
KILLS = 10
SPEED = 0.05
"""Share by which the CPU time of a lap may grow from the first quarter of the run to the last."""
MEMORY = 0.05
"""Share by which the memory of a process may grow, from the level that it has reached after a quarter of the run."""


@dataclass(slots=True)
class Sample:
    """The run at one moment: photos done; MB, open files and CPU seconds of each of its processes."""

    at: float
    done: int
    memory: dict[int, float] = field(default_factory=dict)
    files: dict[int, int] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)


def lay_out(folder: Path, small: int, large: int) -> int:
    """The laps; returns how many small photos each has. One photo in three shows a face."""
    shutil.rmtree(folder, ignore_errors=True)
    laps, each = max(large, 1), small // max(large, 1)
    first = folder / "lap-0000"
    first.mkdir(parents=True)
    chance = random.Random(1)
    scene = cv2.imread(str(ROOT / "samples" / "landscape.jpg"))
    face = cv2.imread(str(ROOT / "tests" / "data" / "faces" / "astronaut.jpg"))
    for number in range(each):
        width, height = chance.randint(160, 240), chance.randint(160, 240)
        x, y = chance.randrange(scene.shape[1] - width), chance.randrange(scene.shape[0] - height)
        picture = scene[y : y + height, x : x + width].copy()
        if number % 3 == 0:
            side = chance.randint(110, 150)
            picture[-side:, :side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, chance.randint(75, 95)]
        cv2.imwrite(str(first / f"{number:05}.jpg"), picture, quality)
    if large:
        canvas = cv2.resize(scene, LARGE, interpolation=cv2.INTER_CUBIC)
        for x in range(0, LARGE[0] - 900, 2300):
            canvas[2500:3300, x : x + 800] = cv2.resize(face, (800, 800), interpolation=cv2.INTER_CUBIC)
        grain = np.random.default_rng(1).normal(0, 3, canvas.shape[:2]).astype(np.float32)[..., None]
        picture = np.clip(canvas + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(first / "large.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    for lap in range(1, laps):
        other = folder / f"lap-{lap:04}"
        other.mkdir()
        for path in first.iterdir():
            os.link(path, other / path.name)
    return each


def command(photos: Path, out: Path, recall: str, jobs: int) -> list[str]:
    run = ["run", str(photos), "--out", str(out), "--recall", recall, "--jobs", str(jobs), "--quiet", "--report", "-"]
    return [*cloak_command(), *run]


def soak(photos: Path, out: Path, recall: str, jobs: int, every: float) -> tuple[list[Sample], list[float], int]:
    """One run from end to end: the samples, the CPU seconds when each photo was done, and the exit code."""
    process = subprocess.Popen(command(photos, out, recall, jobs), stdout=subprocess.PIPE, text=True)
    samples: list[Sample] = []
    spent: list[float] = []
    over, started = threading.Event(), time.monotonic()

    def watch() -> None:
        while not over.wait(every):
            samples.append(_sample(process.pid, time.monotonic() - started, len(spent)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert process.stdout is not None
    ticks: dict[int, float] = {}
    for _ in process.stdout:
        ticks.update(_cpu(_family(process.pid)))
        spent.append(sum(ticks.values()))
    code = process.wait()
    over.set()
    watcher.join()
    return samples, spent, code


def killed(photos: Path, out: Path, recall: str, jobs: int, seed: int) -> dict[str, Any]:
    """A run that is killed with all its processes `KILLS` times at random moments, then finished."""
    chance, wanted = random.Random(seed), len(_files(photos))
    identity: dict[str, int] = {}
    redone, foreign, moments = 0, 0, []
    for number in range(KILLS + 1):
        process = subprocess.Popen(
            command(photos, out, recall, jobs), stdout=subprocess.DEVNULL, start_new_session=True
        )
        if number < KILLS:
            # Spread over the whole of the work, the start-up and single steps of a photo included.
            mark = chance.uniform(number, number + 1) * wanted / (KILLS + 1)
            while process.poll() is None and len(_files(out)) < mark:
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 0.3))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _gone(process.pid)
        standing = {name: (out / name).stat().st_ino for name in _files(out)}
        redone += sum(standing.get(name) != inode for name, inode in identity.items())
        identity |= standing
        moments.append(len(standing))
    with Ledger(beside(out), lock=False) as ledger:
        for name in _files(out):
            entry = ledger.find(name)
            digest = hashlib.sha256((out / name).read_bytes()).hexdigest()
            foreign += entry is None or entry.published != digest
    return {
        "photos": wanted, "published when killed": moments, "published": len(_files(out)), "done again": redone,
        "not as the ledger says": foreign, "temporary files": len(_temporary(out)), "exit code": code,
    }  # fmt: skip


def judge(samples: list[Sample], spent: list[float], each: int, laps: int) -> dict[str, Any]:
    """Figures of a soak: medians of the quarters."""
    lap = each + 1
    costs = [spent[min((n + 1) * lap, len(spent)) - 1] - (spent[n * lap - 1] if n else 0.0) for n in range(laps)]
    quarter = max(laps // 4, 1)
    # Without the first lap, in which the workers start and load their models.
    first, last = (statistics.median(part) for part in (costs[1 : quarter + 1] or costs, costs[-quarter:]))
    memory, files = {}, {}
    for pid, name in _names(samples).items():
        seen = [s for s in samples if pid in s.memory]
        part = max(len(seen) // 4, 1)
        for table, into in (("memory", memory), ("files", files)):
            values = [getattr(s, table)[pid] for s in seen]
            # The peak of a quarter: a worker's memory rises and falls with the size of what it works on.
            into[name] = {"second quarter": max(values[part : 2 * part] or values), "last": max(values[-part:])}
    return {
        "lap": {"photos": lap, "CPU s, first quarter": first, "CPU s, last quarter": last, "all": costs},
        "drift": last / first - 1, "memory, MB": memory, "open files": files,
    }  # fmt: skip


def plot(samples: list[Sample], figures: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (above, middle, below) = pyplot.subplots(3, figsize=(8, 7), layout="constrained")
    names = _names(samples)
    for axes, table, label in ((above, "memory", "resident, MB"), (middle, "files", "open files")):
        for pid, name in names.items():
            points = [(s.done, getattr(s, table)[pid]) for s in samples if pid in s.memory]
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axes.set(ylabel=label, xlabel="photos done", ylim=(0, None))
        axes.grid(alpha=0.3)
    above.legend(ncols=2, fontsize=8)
    costs = figures["lap"]["all"]
    below.plot(range(1, len(costs) + 1), costs, linewidth=1, marker=".")
    below.set(ylabel="CPU s a lap", xlabel="lap", ylim=(0, None))
    below.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _names(samples: list[Sample]) -> dict[int, str]:
    """The processes that lived long, by what they are: those that use the CPU most are the workers."""
    lived = Counter(pid for sample in samples for pid in sample.memory)
    pids = [pid for pid in lived if lived[pid] > len(samples) / 2]
    cpu = {pid: max(s.cpu.get(pid, 0.0) for s in samples) for pid in pids}
    names = {pids[0]: "parent"}
    for number, pid in enumerate(sorted(pids[1:], key=lambda pid: -cpu[pid]), 1):
        names[pid] = f"worker {number}" if cpu[pid] > 0.1 * max(cpu.values()) else f"helper {number}"
    return names


def _sample(pid: int, at: float, done: int) -> Sample:
    family = _family(pid)
    sample = Sample(at, done, cpu=_cpu(family))
    for one in family:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            resident = next(line for line in lines if line.startswith("VmRSS"))
            files = len(os.listdir(f"/proc/{one}/fd"))
            sample.memory[one], sample.files[one] = int(resident.split()[1]) / 1024, files
    return sample


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            found += [below for child in children for below in _family(int(child))]
    return found


def _cpu(family: list[int]) -> dict[int, float]:
    """User and system seconds of each process, to a microsecond where the kernel keeps count of them."""
    spent = {}
    for pid in family:
        with contextlib.suppress(OSError, ValueError):
            threads = os.listdir(f"/proc/{pid}/task")
            run = sum(int(Path(f"/proc/{pid}/task/{t}/schedstat").read_text().split()[0]) for t in threads)
            spent[pid] = run / 1e9
    return spent


def _gone(group: int) -> None:
    """Wait until no process of a killed run is left."""
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.05)


def _files(folder: Path) -> list[str]:
    """Photos below a folder, by name; those under temporary names are none."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg")) if folder.exists() else []


def _temporary(folder: Path) -> list[Path]:
    return list(folder.rglob(".cloak-*"))


def _digest(folder: Path) -> str:
    """Of all originals and their names."""
    whole = hashlib.sha256()
    for name in _files(folder):
        whole.update(name.encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return whole.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=200, help="photos of 48 MP, and as many laps")
    parser.add_argument("--killed", type=int, default=1000, help="photos of the run that is killed")
    parser.add_argument("--recall", default="fast")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between samples")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=SCRATCH / "soak")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    photos, broken = options.folder / "photos", []
    each = lay_out(photos, options.small, options.large)
    laps, wanted, before = max(options.large, 1), len(_files(photos)), _digest(photos)
    for name in ("out", "out.cloak", "killed", "killed.cloak"):
        shutil.rmtree(options.folder / name, ignore_errors=True)

    samples, spent, code = soak(photos, options.folder / "out", options.recall, options.jobs, options.every)
    figures = judge(samples, spent, each, laps)
    published = len(_files(options.folder / "out"))
    report = {"photos": wanted, "published": published, "exit code": code, **figures}
    if published != wanted or len(spent) != wanted or code not in (0, 4):
        broken.append("not every photo was published")
    if figures["drift"] > SPEED:
        broken.append("it became slower")
    if any(table["last"] > table["second quarter"] * (1 + MEMORY) for table in figures["memory, MB"].values()):
        broken.append("memory grew")
    if any(table["last"] > table["second quarter"] for table in figures["open files"].values()):
        broken.append("open files grew")
    if options.plot:
        plot(samples, figures, options.plot)

    few = options.folder / "few"
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir()
    small = [name for name in _files(photos) if not name.endswith("large.jpg")]
    for number, name in enumerate(small[: options.killed]):
        os.link(photos / name, few / f"{number:05}.jpg")
    report["killed"] = end = killed(few, options.folder / "killed", options.recall, options.jobs, options.seed)
    if end["published"] != end["photos"] or end["exit code"] not in (0, 4):
        broken.append("a killed run did not end whole")
    if end["done again"] or end["not as the ledger says"] or end["temporary files"]:
        broken.append("a photo was not done exactly once")
    if _digest(photos) != before:
        broken.append("originals were changed")

    report["broken promises"] = broken
    document = {"settings": {k: str(v) for k, v in vars(options).items()}, **report, "samples": [*map(asdict, samples)]}
    (options.folder / "soak.json").write_text(json.dumps(document, indent=1))
    print(json.dumps(report, indent=1))
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
