"""Where photos come from and go to: files of this machine, read with bounds, published whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from cloak.errors import NotWritten, OutputError, UsageError, Withheld
from cloak.files import NEUTRAL_TIME, TEMPORARY, printable, read, write
from cloak.metadata import sniff

__all__ = [
    "NEUTRAL_TIME",
    "PHOTOS",
    "SIDECARS",
    "TEMPORARY",
    "Folder",
    "Item",
    "LeftOut",
    "printable",
    "read",
    "refuse_overlap",
    "same_file",
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
    """One photo of a run: where it lies, and its name below the output folder."""

    source: Path
    name: PurePath


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that is not taken for a photo, and why."""

    source: Path
    reason: str


def walk(inputs: Sequence[Path], out: Path | None) -> Iterator[Item | LeftOut]:
    """All files below the inputs, each with its name below the output folder; folders keep their structure.

    The output folder itself is passed over where it lies inside an input. Links to folders are followed, once: a loop
    is left out. Names are made unique without regard to case, as some disks have it, by a number: deterministic for
    the same inputs.
    """
    taken: dict[str, int] = {}
    published = os.path.realpath(out) if out else None
    for given in inputs:
        if not given.exists():
            reason = "a link that leads nowhere" if given.is_symlink() else "there is no such file"
            yield Item(given, PurePath(given.name)) if given.is_symlink() else LeftOut(given, reason)
            continue
        if not given.is_dir():
            yield Item(given, _unique(PurePath(given.name), taken))
            continue
        for found in _tree(given, published):
            if isinstance(found, LeftOut):
                yield found
            else:
                yield Item(found, _unique(found.relative_to(given), taken))


def _tree(root: Path, published: str | None) -> Iterator[Path | LeftOut]:
    seen: set[tuple[int, int]] = set()
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield LeftOut(folder, f"the folder cannot be read: {error.strerror}")
            continue
        if (status.st_dev, status.st_ino) in seen:
            yield LeftOut(folder, "a link back to a folder already seen")
            continue
        seen.add((status.st_dev, status.st_ino))
        folders = []
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir():
                if published is not None and os.path.realpath(path) == published:
                    yield LeftOut(path, "it is the output folder")
                else:
                    folders.append(path)
            elif reason := _no_photo(path):
                yield LeftOut(path, reason)
            else:
                yield path
        stack.extend(reversed(folders))


def _no_photo(path: Path) -> str:
    """Why a file found in a folder is not taken for a photo; "" if it is one by its name or its content."""
    suffix = path.suffix.lower()
    if suffix in SIDECARS:
        return "a sidecar, never copied"
    if path.name.startswith(".") or path.name.lower() in LITTER:
        return "a hidden file"
    if suffix in PHOTOS:
        return ""
    try:
        return "" if sniff(read(path, 1 << 40, most=64)) else "not an image"
    except Withheld:
        return ""  # it cannot be told: the run names it with the reason


def _unique(name: PurePath, taken: dict[str, int]) -> PurePath:
    folded = str(name).casefold()
    count = taken.get(folded, 0) + 1
    taken[folded] = count
    if count == 1:
        return name
    numbered = name.with_name(f"{name.stem}-{count}{name.suffix}")
    return _unique(numbered, taken)


class Folder:
    """An output folder. Nothing is ever written outside it, and no half-written file is ever at a published name.

    Raises `OutputError` when it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
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

    def publish(self, name: PurePath, data: bytes, times: float | None = None) -> None:
        """Write verified bytes at a name: to a temporary name in the same folder, to the disk, then renamed.

        Args:
            name: below the folder.
            data: the whole file.
            times: modification time in seconds since 1970; None for `NEUTRAL_TIME`.

        Raises `NotWritten`; nothing of the file is left then.
        """
        target = self.path(name)
        try:
            self._make_parents(target)
            if target.is_dir():
                raise NotWritten("a folder of that name is in the output")
            write(target, data, NEUTRAL_TIME if times is None else times)
        except OSError as error:
            raise NotWritten(f"it could not be stored: {error.strerror or 'input/output error'}") from None

    def sweep(self) -> int:
        """Remove what a killed run left under temporary names; only for the one who holds the ledger's lock."""
        count = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.startswith(TEMPORARY) and name.endswith(".tmp"):
                    (Path(folder) / name).unlink(missing_ok=True)
                    count += 1
        return count

    def _make_parents(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        real = os.path.realpath(target.parent)
        if os.path.commonpath([real, self._real]) != self._real:
            raise NotWritten("a link in the output folder leads outside it")


def refuse_overlap(inputs: Sequence[Path], out: Path) -> None:
    """Raise `UsageError` if publishing into `out` could replace an original."""
    for given in inputs:
        folder = given if given.is_dir() else given.parent
        if os.path.realpath(folder) == os.path.realpath(out):
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
