"""Where photos come from and go to: files of this machine, read with bounds, published whole or not at all.

`Store` is what an output can do; `Folder` here and `cloak.bucket.Bucket` are the two there are.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Protocol

from cloak.errors import NotWritten, OutputError, UsageError, Withheld
from cloak.files import NEUTRAL_TIME, TEMPORARY, digest, printable, read, sync_folder, write
from cloak.metadata import sniff
from cloak.place import Place, Url

__all__ = [
    "NEUTRAL_TIME",
    "PHOTOS",
    "SIDECARS",
    "TEMPORARY",
    "Folder",
    "Item",
    "LeftOut",
    "Store",
    "is_among",
    "passed_over",
    "portraits",
    "printable",
    "promises_photo",
    "read",
    "refuse_overlap",
    "same_file",
    "unique",
    "walk",
]

SIDECARS = frozenset({".xmp", ".aae", ".thm", ".mov", ".pp3", ".dop", ".cos", ".cop", ".on1", ".lrv", ".json"})
"""Files that editors and phones lay beside photos. They hold metadata or moving pictures of the same scene."""

PHOTOS = frozenset(
    """.jpg .jpeg .jpe .jfif .png .apng .webp .tif .tiff .gif .bmp .dib .heic .heif .hif .avif .jxl .jp2 .j2k .psd .psb
    .svg .eps .pdf .tga .ico .dng .arw .cr2 .cr3 .crw .nef .nrw .orf .pef .raf .raw .rw2 .srw .x3f .exr .hdr""".split()
)
"""Suffixes that promise a picture: such a file is published or withheld, never passed over."""

LITTER = frozenset({"thumbs.db", "desktop.ini", "icon\r"})


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of a run.

    Attributes:
        source: where it lies.
        name: below the output.
        version: by which a store tells that it is unchanged (its etag); "" where only the bytes tell.
        size: bytes, as a store lists it; 0 for files.
        namesake: other photos of the run have its name below their inputs.
    """

    source: Place
    name: PurePath
    version: str = ""
    size: int = 0
    namesake: bool = False

    @property
    def path(self) -> Path:
        """Of a file of this machine; for what works with these only."""
        assert isinstance(self.source, Path)
        return self.source


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that is not taken for a photo, and why."""

    source: Place
    reason: str


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


def walk(inputs: Sequence[Path], out: Path | None) -> Iterator[Item | LeftOut]:
    """All files below the inputs, each with its name below the output folder; folders keep their structure.

    The output folder itself is passed over where it lies inside an input. Links to folders are followed, once: a loop
    is left out. A folder that cannot be read stands for the photos in it. Names are made unique without regard to
    case, as some disks have it, by a number: deterministic for the same inputs.
    """
    taken: dict[str, int] = {}
    met = list(_met(inputs, os.path.realpath(out) if out else None))
    often = Counter(str(found.name).casefold() for found in met if isinstance(found, Item))
    for found in met:
        if isinstance(found, LeftOut):
            yield found
        else:
            yield Item(found.source, unique(found.name, taken), namesake=often[str(found.name).casefold()] > 1)


def _met(inputs: Sequence[Path], published: str | None) -> Iterator[Item | LeftOut]:
    """All files below the inputs, each with its name below its input."""
    sidecars: dict[Path, list[Path]] = {}
    for given in inputs:
        if not os.path.isdir(given):
            # Also one that is not there: it was asked for, so whoever reads it says that it failed.
            yield Item(given, PurePath(given.name))
            yield from (found for found in _sidecars(given, sidecars) if found.source not in inputs)
            continue
        for found in _tree(given, published):
            if isinstance(found, LeftOut):
                yield found
            else:
                name = found.relative_to(given)
                yield Item(found, name if name.parts else PurePath(given.name))


def _tree(root: Path, published: str | None) -> Iterator[Path | LeftOut]:
    seen: set[tuple[int, int]] = set()
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield folder  # what photos it has nobody knows: whoever reads it says that it failed
            continue
        if (status.st_dev, status.st_ino) in seen:
            yield LeftOut(folder, "a link back to a folder already seen")
            continue
        seen.add((status.st_dev, status.st_ino))
        folders = []
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(entry):
                if published is not None and os.path.realpath(path) == published:
                    yield LeftOut(path, "it is the output folder")
                else:
                    folders.append(path)
            elif reason := _no_photo(path):
                yield LeftOut(path, reason)
            else:
                yield path
        stack.extend(reversed(folders))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that is shut: whoever reads it says so
        return False


def _sidecars(photo: Path, known: dict[Path, list[Path]]) -> Iterator[LeftOut]:
    """Sidecars of a photo that was named itself; those in folders are met on the way. `known` is by folder."""
    folder = photo.parent
    if folder not in known:
        try:
            found = sorted(entry.name for entry in os.scandir(folder))
        except OSError:
            found = []
        known[folder] = [folder / name for name in found if os.path.splitext(name)[1].lower() in SIDECARS]
    for path in [path for path in known[folder] if path.stem in {photo.stem, photo.name}]:
        known[folder].remove(path)  # it is said once
        yield LeftOut(path, "a sidecar, never copied")


def _no_photo(path: Path) -> str:
    """Why a file found in a folder is not taken for a photo; "" if it is one by its name or its content."""
    if reason := passed_over(path.name):
        return reason
    if promises_photo(path.name):
        return ""
    try:
        return "" if sniff(read(path, 1 << 40, most=64)) else "not an image"
    except Withheld:
        return ""  # it cannot be told: the run names it with the reason


def passed_over(name: str) -> str:
    """Why a file of that name is never looked at; "" if it is."""
    if PurePath(name).suffix.lower() in SIDECARS:
        return "a sidecar, never copied"
    return "a hidden file" if name.startswith(".") or name.lower() in LITTER else ""


def promises_photo(name: str) -> bool:
    """Whether a name says that the file is a picture."""
    return PurePath(name).suffix.lower() in PHOTOS


def unique(name: PurePath, taken: dict[str, int]) -> PurePath:
    """The name, or the next free one with a number, without regard to case; `taken` remembers."""
    folded = str(name).casefold()
    count = taken.get(folded, 0) + 1
    taken[folded] = count
    if count == 1:
        return name
    numbered = name.with_name(f"{name.stem}-{count}{name.suffix}")
    return unique(numbered, taken)


def portraits(folder: Path, limit: int) -> dict[str, list[bytes]]:
    """Photos of people by name: the files of each sub-folder of `folder`, none longer than `limit` bytes.

    Raises `UsageError` when the folder is none, has photos that belong to nobody, or one that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            "the folder of people to keep is not there", next_step="Name a folder with one for each person."
        )
    found: dict[str, list[bytes]] = {}
    for place in sorted(folder.iterdir()):
        if place.name.startswith(".") or place.name.lower() in LITTER:
            continue
        name = printable(place.name)
        if not place.is_dir():
            raise UsageError(
                f"{name!r} lies beside the people to keep", next_step="Put it into the folder of the person it shows."
            )
        found[name] = []
        for item in walk([place], None):
            if isinstance(item, Item):
                try:
                    found[name].append(read(item.path, limit))
                except Withheld as error:
                    raise UsageError(f"a portrait of {name!r} cannot be read: {error}") from None
    return found


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
        for folder, _, names in os.walk(self.root):
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


def is_among(path: Path, inputs: tuple[Place, ...], out: Path) -> bool:
    """Whether a path leads to one of the photos of a run, whichever of its inputs that is found in."""
    status = path.stat()
    return (status.st_dev, status.st_ino) in _identities(inputs, out)


@lru_cache(maxsize=1)
def _identities(inputs: tuple[Place, ...], out: Path) -> frozenset[tuple[int, int]]:
    """Device and number of each photo's file. Originals are those that the run began with, so they are listed once."""
    found: set[tuple[int, int]] = set()
    for item in walk([given for given in inputs if isinstance(given, Path)], out):
        with contextlib.suppress(OSError):
            if isinstance(item, Item):
                found.add(((status := item.path.stat()).st_dev, status.st_ino))
    return frozenset(found)


def same_file(a: Path, b: Path) -> bool:
    """Whether two names lead to one file on the disk, by links or otherwise."""
    try:
        return a.samefile(b)
    except OSError:
        return False
