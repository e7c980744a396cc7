"""Where photos go to: published whole or not at all.

`Store` is what an output can do; `Folder` here and `cloak.bucket.Bucket` are the two there are.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Protocol

from cloak.errors import NotWritten, OutputError, UsageError, Withheld
from cloak.files import NEUTRAL_TIME, TEMPORARY, digest, printable, sync_folder, write
from cloak.place import Place, Url
from cloak.records import next_to


class Store(Protocol):
    """An output. Every photo in it is whole, and nothing is ever written outside it."""

    def standing(self, name: PurePath) -> str | None:
        """The SHA-256 of the published file of that name; "" if it cannot be told, None if there is none."""

    def ours(self, standing: str, published: str | None) -> bool:
        """Whether what stands with that digest is cloak's; `published` is the one in its record, None without one."""

    def original(self, name: PurePath, sources: Iterable[Place]) -> bool:
        """Whether publishing at that name would replace one of the originals."""

    def publish(
        self,
        name: PurePath,
        data: bytes,
        times: float | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """Store verified bytes, whole or not at all; `turn` is entered for the moment in which they get their name.

        Raises `NotWritten`, or `OutputError` to end the run.
        """

    def withdraw(self, name: PurePath) -> None:
        """Remove a published file, if it is there. Raises `NotWritten`."""

    def sweep(self) -> int:
        """Remove what a killed run left half-written."""


class Folder:
    """An output folder. Nothing is ever written outside it, and no half-written file is ever at a published name.

    Args:
        root: the folder, made if it is not there.
        private: it is not published: only its owner may look into it, whoever may look at what lies around it.

    Raises `OutputError` when it cannot be made or written.
    """

    def __init__(self, root: Path, *, private: bool = False) -> None:
        self.root, self._mode = root, 0o600 if private else None
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
            if private:
                with contextlib.suppress(PermissionError):  # a disk of FAT has no such thing
                    root.chmod(0o700)
        except FileExistsError:
            raise OutputError(f"the output {root.name!r} is a file, not a folder") from None
        except OSError as error:
            raise OutputError(f"the output folder cannot be made: {error.strerror}") from None
        if not os.access(root, os.W_OK | os.X_OK):
            raise OutputError("the output folder is not writable")
        self._real = os.path.realpath(root)

    def path(self, name: PurePath) -> Path:
        """The place of a name below the folder. Raises `NotWritten` if it would lie outside."""
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise NotWritten("its name leads outside the output folder")
        return self.root / name

    def standing(self, name: PurePath) -> str | None:
        """The SHA-256 of the file at a name; "" if it cannot be read, None if there is none."""
        path = self.path(name)
        try:
            return digest(path) if path.exists() else None
        except Withheld:
            return ""

    def ours(self, standing: str, published: str | None) -> bool:
        """Whose a file is, only the ledger knows: not by its name, by its bytes."""
        return bool(standing) and standing == published

    def original(self, name: PurePath, sources: Iterable[Place]) -> bool:
        """Whether the name leads to one of the originals, by links or otherwise."""
        path = self.path(name)
        return path.exists() and any(same_file(path, source) for source in sources if isinstance(source, Path))

    def publish(
        self,
        name: PurePath,
        data: bytes,
        times: float | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """Write verified bytes at a name: to a temporary name in the same folder, to the disk, then renamed.

        Args:
            name: below the folder.
            data: the whole file.
            times: modification time in seconds since 1970; None for `NEUTRAL_TIME`.
            turn: entered for the moment in which the photo appears; what it raises is raised.

        Raises `NotWritten`; nothing of the file is left then.
        """
        target = self.path(name)
        try:
            self._refuse_outside(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise NotWritten("a folder of that name is in the output")
            write(target, data, NEUTRAL_TIME if times is None else times, self._mode, turn)
        except OSError as error:
            raise NotWritten(f"it could not be stored: {error.strerror or 'input/output error'}") from None

    def date(self, name: PurePath, times: float | None) -> None:
        """Give what stands at a name its times anew; see `publish`. Raises `NotWritten`."""
        target = self.path(name)
        self._refuse_outside(target)
        moment = NEUTRAL_TIME if times is None else times
        try:
            if target.stat().st_mtime != moment:
                os.utime(target, (moment, moment))
        except OSError as error:
            raise NotWritten(f"its times could not be set: {error.strerror or 'input/output error'}") from None

    def withdraw(self, name: PurePath) -> None:
        """Remove a published file. Raises `NotWritten`."""
        target = self.path(name)
        self._refuse_outside(target)
        try:
            target.unlink(missing_ok=True)
            sync_folder(target.parent)
        except OSError as error:
            raise NotWritten(f"it could not be withdrawn: {error.strerror or 'input/output error'}") from None

    def sweep(self) -> int:
        """Remove what a killed run left under temporary names; only for the one who holds the ledger's lock."""
        count = 0
        for folder, folders, names in os.walk(self.root):
            # What lies in the output of another run, which has its own ledger, may be in that one's hands just now.
            others = {name for name in folders if os.path.exists(next_to(Path(folder, name)))}
            folders[:] = [name for name in folders if not {name, name.removesuffix(".cloak")} & others]
            for name in names:
                if name.startswith(TEMPORARY) and name.endswith(".tmp"):
                    (Path(folder) / name).unlink(missing_ok=True)
                    count += 1
        return count

    def _refuse_outside(self, target: Path) -> None:
        real = os.path.realpath(target.parent)  # also of what is still to be made
        if os.path.commonpath([real, self._real]) != self._real:
            raise NotWritten("a link in the output folder leads outside it")


def refuse_overlap(inputs: Sequence[Place], out: Place) -> None:
    """Raise `UsageError` if publishing into `out` could replace an original."""
    for given in inputs:
        if isinstance(given, Url) or isinstance(out, Url):
            # In a store nothing tells whether a URL is an object or a prefix: its parent must not be the output either.
            same = isinstance(given, Url) and isinstance(out, Url) and out.holds(given)
        else:
            folder = given if os.path.isdir(given) else given.parent
            same = os.path.realpath(folder) == os.path.realpath(out)
        if same:
            raise UsageError(
                f"the output folder is the folder of the originals ({printable(given)})",
                next_step="Name another folder with --out; cloak never touches originals.",
            )


def same_file(a: Path, b: Path) -> bool:
    """Whether two names lead to one file on the disk, by links or otherwise."""
    try:
        return a.samefile(b)
    except OSError:
        return False
