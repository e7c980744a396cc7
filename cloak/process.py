"""What a process that holds photos or secrets must not leave behind, and how it ends."""

import os
import sys
from typing import NoReturn

SECRETS = ("CLOAK_NOISE_KEY", "CLOAK_TOKEN")
"""Variables of the environment that hold secrets."""

_LEFT_BEHIND: list[int] = []


def no_core_dumps() -> None:
    """The system must not write the memory of this process, and of those that it starts, to the disk when they crash.

    The limit is one byte, not none: below a page nothing is written, and Linux does not start the program that its
    core_pattern names either, which a limit of 0 does not prevent (fs/coredump.c, since 2.6.32).
    """
    try:
        import resource
    except ImportError:  # Windows writes none unless told to
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    least = 1 if most != 0 else 0  # who was given none cannot have more
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def take_secret(name: str) -> str:
    """A secret out of the environment, "" if there is none: processes that are started from here on do not get it."""
    assert name in SECRETS
    return os.environ.pop(name, "")


def is_token(text: str) -> bool:
    """Whether the header of a request can carry a secret: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


def leave_behind(pid: int) -> None:
    """Nobody waits any more for a child that was killed and does not end: it hangs in the system, on a disk that does
    not answer. It runs no code of ours again, and ends when the system lets it."""
    _LEFT_BEHIND.append(pid)


def leave(code: int) -> NoReturn:
    """End this process. Python would wait for its children, also for those that were left behind."""
    if not _LEFT_BEHIND:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
