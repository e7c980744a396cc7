"""CPU time, wall clock and peak memory of other programs, children included."""

import os
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CLOAK_DATA", ROOT.parent / "shared" / "data"))
SCRATCH = ROOT / "build" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU and wall-clock seconds; peak resident memory in MB of the largest process and of all together."""

    cpu: float
    wall: float
    largest: float
    together: float


def cost(command: Sequence[str | Path], ok: tuple[int, ...] = (0,), **options: object) -> Cost:
    """What a command costs. Raises if its exit code is none of `ok`."""
    started = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    peaks, ticks = {"largest": 0.0, "together": 0.0}, {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            family = _family(process.pid)
            sizes = [_resident(pid) for pid in family]
            # Workers are children of a server that forks them, so the kernel does not add their time to ours.
            ticks.update({pid: spent for pid in family if (spent := _ticks(pid))})
            peaks["largest"] = max(peaks["largest"], *sizes, 0.0)
            peaks["together"] = max(peaks["together"], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, words = process.communicate()
    done.set()
    watcher.join()
    if process.returncode not in ok:
        raise RuntimeError(f"{command} exited with {process.returncode}: {words.decode(errors='replace')[-2000:]}")
    cpu = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")
    return Cost(cpu, time.monotonic() - started, **peaks)


def peer(name: str, *packages: str) -> Path:
    """The Python of a virtual environment of its own with a peer's packages in it."""
    folder = SCRATCH / f"venv-{name}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "ready").touch()
    return python


def cloak_command() -> list[str]:
    return [sys.executable, "-m", "cloak.cli"]


def _family(pid: int) -> list[int]:
    """A process and all below it; of the forkserver's children, too."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task").glob("*/children") if Path(f"/proc/{pid}").exists() else ():
        try:
            found += [p for c in child.read_text().split() for p in _family(int(c))]
        except OSError:
            continue
    return found


def _ticks(pid: int) -> int:
    """User and system time of all threads of a process."""
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(values[11]) + int(values[12])


def _resident(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
