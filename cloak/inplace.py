"""Photos cleaned where they lie: the original is replaced, or left as it is and named. Quick to import."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cloak.errors import NotWritten
from cloak.files import NEUTRAL_TIME, read, write

Name = TypeVar("Name", str, Path)
Said = TypeVar("Said")

DOUBTS = {
    "doubtful": "weak hits were left bare",
    "faceless": "people without a face, as from behind, are bare",
    "unprotected": "recognisers still find faces",
}
"""By the name of what a report counts: why a person should look at a photo that was replaced."""


def doubts(counts: Mapping[str, Any]) -> str:
    """Why a person should look at a photo; "" if nobody need."""
    return ", ".join(words for name, words in DOUBTS.items() if counts.get(name))


def once(paths: Iterable[Name]) -> list[Name]:
    """The files, each once: one that is named twice, or by a link too, would be found changed, or without its faces."""
    return list({os.path.realpath(path): path for path in paths}.values())


def replace(
    path: Path, limit: int, work: Callable[[bytes], tuple[bytes, Said]], *, preserve_times: bool = False
) -> Said:
    """Replace a file by its clean form, at once and whole, with the permissions that it has, its owner and its group.

    Args:
        path: the file; a link is followed, so that the original behind it does not survive.
        limit: the largest file to read, in bytes.
        work: from the bytes to clean ones, and what is to be said of them.
        preserve_times: keep the modification time; otherwise `NEUTRAL_TIME`.

    Raises `Unreadable`, `TooLarge`, `NotWritten` and what `work` raises; the file is as it was then, or the words of
    `NotWritten` say that it was replaced.
    """
    real = Path(os.path.realpath(path))
    data = read(real, limit)
    before = real.stat()
    _refuse_names(before)
    clean, said = work(data)
    now = real.stat()
    _refuse_names(now)
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, len(data), before.st_mtime_ns):
        raise NotWritten("it changed while it was worked on", next_step="Run again when it is finished.")
    time = now.st_mtime if preserve_times else NEUTRAL_TIME
    write(real, clean, time, now.st_mode & 0o7777, only=True, owner=now)
    return said


def _refuse_names(status: os.stat_result) -> None:
    if status.st_nlink > 1:
        raise NotWritten("it has another name (a hard link), under which the original would stay")
