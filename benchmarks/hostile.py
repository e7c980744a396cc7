"""Hostile files for real: what becomes of each, in how many seconds and how much memory.

    python -m benchmarks.hostile FOLDER... [--seconds 10] [--memory 1500] [--slowest 10]

Every file is anonymized in a process of its own that starts with the detector loaded. A crash, an internal error, a
hang, more CPU time than --seconds (wall time tells of the machine's other work too) or a peak over --memory megabytes
is printed and makes the exit code 1. FOLDERs may be test suites of image libraries, e.g. those of an installed package:
files that are no image are refused within milliseconds.
"""

import argparse
import os
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import cloak
from cloak.errors import Withheld
from cloak.photo.base import Limits
from cloak.pipeline import Pipeline, load
from tests.photo.making import picture, saved

PIXELS = 40_000_000
"""The limit on pixels that a careful host would set; the largest real photo of the suites has 33 million."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one file."""

    path: Path
    outcome: str
    seconds: float
    cpu: float
    megabytes: float


def fate(path: Path, pipeline: Pipeline, seconds: int) -> Fate:
    """Anonymize one file in a process of its own."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.alarm(20 * seconds)  # ends it where a hang would not
        os.write(writing, _outcome(path, pipeline).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status, usage = os.wait4(child, 0)
    if status:
        said = f"CRASH by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "CRASH"
    cpu = usage.ru_utime + usage.ru_stime
    return Fate(path, said, time.monotonic() - started, cpu, usage.ru_maxrss / 1024)


def _outcome(path: Path, pipeline: Pipeline) -> str:
    try:
        return str(cloak.anonymize(path.read_bytes(), pipeline, key=b"hostile").report.status)
    except Withheld as error:
        return error.slug
    except BaseException as error:
        return f"INTERNAL {type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--memory", type=int, default=1500, help="megabytes of resident memory")
    parser.add_argument("--slowest", type=int, default=10)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipeline = load("cms", limits={"pixels": PIXELS, "bytes": Limits().bytes})
    cloak.anonymize(saved(picture(), "PNG"), pipeline)  # loads what every file needs
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"a process that does nothing yet: {here:.0f} MB; numpy {np.__version__}")
    files = [file for folder in options.folders for file in sorted(folder.rglob("*")) if file.is_file()]
    fates = [fate(file, pipeline, options.seconds) for file in files]
    for outcome, count in Counter(fate.outcome.split(":")[0] for fate in fates).most_common():
        print(f"{count:6} {outcome}")
    for fate_ in sorted(fates, key=lambda fate: -fate.seconds)[: options.slowest]:
        print(
            f"{fate_.seconds:6.1f} s {fate_.cpu:6.1f} CPU s {fate_.megabytes:6.0f} MB {fate_.outcome} {fate_.path.name}"
        )
    bad = [
        fate for fate in fates
        if fate.outcome.startswith(("CRASH", "INTERNAL")) or fate.cpu > options.seconds
        or fate.megabytes > options.memory
    ]  # fmt: skip
    for fate_ in bad:
        print(f"BAD {fate_.outcome}, {fate_.seconds:.1f} s, {fate_.megabytes:.0f} MB: {fate_.path}")
    print(f"{len(fates)} files, {len(bad)} bad")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
