"""What a process that holds photos or secrets must not leave behind, how it begins and how it ends."""

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from cloak.errors import UsageError

SECRETS = ("CLOAK_NOISE_KEY", "CLOAK_TOKEN")
"""Variables of the environment that hold secrets."""

_LEFT_BEHIND: list[int] = []

_FLEETING: list[Path] = []


def ready_streams() -> None:
    """Give every standard stream a file, and let none fail at a file name that its encoding does not know.

    A stream that the caller has closed would hand its number to the next file that is opened, such as a ledger's lock,
    and that file would get what is meant for the stream. What Python itself sets to None stays so, but for standard
    error, to which others write without asking.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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


def is_span(seconds: float) -> bool:
    """Whether a time limit is one: a number above 0, and no more than a day, which every clock can count."""
    return 0 < seconds <= 86_400


def span_of(name: str, otherwise: float) -> float:
    """A time limit out of the environment, in seconds. Raises `UsageError`."""
    try:
        seconds = float(os.environ.get(name, otherwise))
    except ValueError:
        seconds = 0
    if not is_span(seconds):
        raise UsageError(
            f"{name} is not a valid number of seconds", next_step="Give one above 0, and no more than a day."
        )
    return seconds


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
    end_at_once(code)


def fleeting(path: Path) -> None:
    """A file or folder of this process must not outlive it, also where it ends without Python's tidying."""
    _FLEETING.append(path)


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for anything; its workers end when they notice."""
    for path in _FLEETING:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    os._exit(code)
