"""Files of this machine: read with bounds, written whole or not at all. Imports nothing that takes time to load."""

import contextlib
import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from cloak.errors import NotWritten, TooLarge, Unreadable

NEUTRAL_TIME = 946_684_800
"""2000-01-01 UTC: the time that published files carry, so that it tells nothing of when the photo was taken."""

PIECE = 1 << 26
"""Bytes that are read at once: all of most photos."""

TEMPORARY = ".cloak-"
"""Prefix of names that hold a file while it is written; in an output, only verified bytes are ever in one."""

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are not printed."""


def printable(place: object) -> str:
    """A file name or URL that is safe to print: undecodable bytes, control and direction characters become escapes.

    No two names are printed alike: ledgers know photos by this. (On Windows a backslash is no part of a name.)
    """
    return "".join(map(_printable, os.fsencode(str(place)).decode("utf-8", "surrogateescape")))


def _printable(character: str) -> str:
    if character == "\\" and os.sep != "\\":
        return "\\\\"  # or it would look like the escapes
    if unicodedata.category(character) not in HIDDEN:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no text
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0x80 <= code <= 0xFF else character.encode("unicode_escape").decode()


def read(path: Path, limit: int, *, most: int | None = None) -> bytes:
    """The bytes of a regular file of at most `limit` bytes, or only the first `most` of them.

    Raises `Unreadable` (also for pipes, devices and folders) and `TooLarge`.
    """
    with _regular(path) as file:
        return read_stream(file, limit) if most is None else file.read(most)


def digest(path: Path) -> str:
    """The SHA-256 of a regular file of any length, of which only a piece is held. Raises `Unreadable`."""
    with _regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _regular(path: Path) -> Iterator[BufferedReader]:
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is not a regular file")
            yield file
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror or 'input/output error'}") from None


def read_stream(file: BinaryIO, limit: int) -> bytes:
    """All of a stream that has at most `limit` bytes. Raises `TooLarge`, and `OSError`."""
    # In pieces: Python makes room for as much as it is asked for, and a limit may be any number.
    pieces, left = [], limit + 1
    while left and (piece := file.read(min(left, PIECE))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise TooLarge(
            f"it has more than {limit:,} bytes", next_step="If you trust the file, raise limits.bytes in the pipeline."
        )
    return b"".join(pieces)


def create_near(target: Path) -> tuple[Path, BinaryIO]:
    """A new file for the owner only, in the folder of another one that it is to replace, and under a name that nobody
    can foresee: no link that somebody laid there is followed. Raises `OSError`."""
    path = target.with_name(TEMPORARY + os.urandom(8).hex() + ".tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return path, open(os.open(path, flags, 0o600), "wb")


def write(
    target: Path,
    data: bytes,
    time: float,
    mode: int | None = None,
    turn: contextlib.AbstractContextManager[object] | None = None,
    *,
    only: bool = False,
    owner: os.stat_result | None = None,
) -> None:
    """Write verified bytes at a path: to a temporary name in the same folder, to the disk, then renamed.

    Args:
        target: where they shall stand; what stands there is replaced.
        data: the whole file.
        time: modification time in seconds since 1970.
        mode: permissions; None for those of any new file.
        turn: entered for the moment in which the file gets its name; what it raises is raised.
        only: once it has its name, the file stands whatever happens, for there is no other copy.
        owner: the status of a file whose owner and group it gets, as far as the system lets this process give it.

    Raises `NotWritten`; nothing of the file is left then, or with `only` the words say that it stands.
    """
    said = "it could not be stored"
    try:
        temporary, file = create_near(target)
        try:
            with file:
                file.write(data)
                file.flush()
                if owner is not None:
                    _give(file.fileno(), owner)
                os.fsync(file.fileno())
            os.utime(temporary, (time, time))
            permissions = 0o666 & ~_umask() if mode is None else mode
            if permissions != 0o600:  # as it was made; a disk of FAT would refuse these
                temporary.chmod(permissions)
            with turn or contextlib.nullcontext():
                os.replace(temporary, target)
        except BaseException:
            # Where it cannot be removed, nobody else shall see it until it can be.
            with contextlib.suppress(OSError):
                temporary.chmod(0o600)
            temporary.unlink(missing_ok=True)
            raise
        try:
            sync_folder(target.parent)
        except OSError:
            if not only:
                target.unlink(missing_ok=True)
            else:
                said = "it was replaced, but the disk did not confirm that"
            raise
    except OSError as error:
        raise NotWritten(f"{said}: {error.strerror or 'input/output error'}") from None


def _give(descriptor: int, owner: os.stat_result) -> None:
    """Give a file away, or where only root may do that, to the group at least, as its members may."""
    if os.name != "posix":
        return
    for user in (owner.st_uid, -1):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, user, owner.st_gid)
            return


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """The rename itself reaches the disk; Windows and some network disks have no such call. Raises `OSError`."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def may_be(place: Path) -> bool:
    """Whether something lies there, or nobody can tell."""
    try:
        place.stat()
    except OSError as error:  # what has too long a name is nowhere
        return not isinstance(error, FileNotFoundError | NotADirectoryError) and error.errno != errno.ENAMETOOLONG
    return True
