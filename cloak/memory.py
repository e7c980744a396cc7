"""How much memory one photo may take, seen from outside the process that works on it.

The worker's parent looks, because a decoder that holds the interpreter's lock can be stopped by nobody inside, and it
looks at resident memory. RLIMIT_AS would count what is merely reserved: onnxruntime and thread stacks reserve gigabytes
that they never touch, macOS does not keep to it and Windows has none. In the fifth of a second between two looks, a
decoder can fill some hundred megabytes more than it may; shares leave that much free.
"""

import contextlib
from pathlib import Path

import psutil

from cloak.errors import TooLarge

INTERVAL = 0.2
"""Seconds between two looks."""

_SHARED_OUT = 0.8
"""Of the machine's memory, to all workers together; the rest is for their parent and everybody else."""

_LEAST = 2_000_000_000
"""A worker may hold so much however many there are, as far as the machine has it: the largest photos of cameras take
half of it (AVIF, 48 MP: 1.6 GB), and it is rare that all workers have one at once."""


def held(pid: int) -> int:
    """Bytes of memory that a process holds; 0 if there is none."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def share(workers: int) -> int:
    """Bytes that each of so many workers may hold, of the machine's memory or of its container's."""
    limits = [psutil.virtual_memory().total]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups, version 2 and 1
        with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
            limits.append(int(Path("/sys/fs/cgroup", name).read_text()))
    whole = int(_SHARED_OUT * min(limits))
    return max(whole // workers, min(whole, _LEAST))


def too_much(limit: int) -> TooLarge:
    """What becomes of a photo whose worker held more than it may."""
    return TooLarge(
        f"it took more than {limit // 1_000_000:,} MB of memory",
        next_step="If you trust the file, run with fewer workers (--jobs), or raise --max-memory.",
    )
