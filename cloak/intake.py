"""Where photos come from: which files are taken for photos, and what each is called below the output."""

import contextlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath

from cloak.errors import UsageError, Withheld
from cloak.files import printable, read
from cloak.metadata import sniff
from cloak.place import Place

SIDECARS = frozenset({".xmp", ".aae", ".thm", ".mov", ".pp3", ".dop", ".cos", ".cop", ".on1", ".lrv", ".json"})
"""Files that editors and phones lay beside photos. They hold metadata or moving pictures of the same scene."""

PHOTOS = frozenset(
    """.jpg .jpeg .jpe .jfif .png .apng .webp .tif .tiff .gif .bmp .dib .heic .heif .hif .avif .jxl .jp2 .j2k .psd .psb
    .svg .eps .pdf .tga .ico .dng .arw .cr2 .cr3 .crw .nef .nrw .orf .pef .raf .raw .rw2 .srw .x3f .exr .hdr""".split()
)
"""Suffixes that promise a picture: such a file is published or withheld, never passed over."""

LITTER = frozenset({"thumbs.db", "desktop.ini", "icon\r"})


LONGEST_NAME = 255
"""Bytes that the name of a file may have, on nearly all systems."""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of a run.

    Attributes:
        source: where it lies.
        name: below the output.
        version: by which a store tells that it is unchanged (its etag); "" where only the bytes tell.
        size: bytes, as a store lists it; 0 for files.
        own: its name below its input, before numbers or other names were given; None where that is its name.
        namesake: other photos of the run have its own name.
        akin: other photos of the run have its own name but for the suffix.
    """

    source: Place
    name: PurePath
    version: str = ""
    size: int = 0
    own: PurePath | None = None
    namesake: bool = False
    akin: bool = False

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


def walk(inputs: Sequence[Path], out: Path | None) -> Iterator[Item | LeftOut]:
    """All files below the inputs, each with its name below the output folder; folders keep their structure.

    The output folder itself is passed over where it lies inside an input. Links to folders are followed, once: a loop
    is left out. A folder that cannot be read stands for the photos in it. Names are made unique without regard to
    case, as some disks have it, by a number: deterministic for the same inputs. What is named twice is met once.
    """
    taken: dict[str, int] = {}
    once: dict[object, Item | LeftOut] = {}
    for found in _met(inputs, os.path.realpath(out) if out else None):
        once.setdefault(os.path.abspath(found.path) if isinstance(found, Item) else found, found)
    met = list(once.values())
    own = [found.name for found in met if isinstance(found, Item)]
    whole, plain = Counter(map(spoken, own)), Counter(spoken(without_suffix(str(name))) for name in own)
    for found in met:
        if isinstance(found, LeftOut):
            yield found
        else:
            same, alike = whole[spoken(found.name)], plain[spoken(without_suffix(str(found.name)))]
            yield Item(found.source, unique(found.name, taken), own=found.name, namesake=same > 1, akin=alike > same)


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
    return os.path.splitext(name)[1].lower() in PHOTOS


def spoken(name: PurePath | str) -> str:
    """What a person calls a photo: neither case nor how accents are written tells two names apart."""
    return unicodedata.normalize("NFC", str(name).casefold())


def without_suffix(name: str) -> str:
    """A photo's name before the suffix of its format, if it has one: what follows a dot may be a part of the name."""
    return os.path.splitext(name)[0] if promises_photo(name) else name


def unique(name: PurePath, taken: dict[str, int]) -> PurePath:
    """The name, or the next free one with a number, without regard to case; `taken` remembers."""
    folded = str(name).casefold()
    count = taken.get(folded, 0) + 1
    taken[folded] = count
    if count == 1:
        return name
    return unique(_numbered(name, count), taken)


def _numbered(name: PurePath, count: int) -> PurePath:
    """With a number; shorter by as much where a file's name may not be longer."""
    stem, end = name.stem, f"-{count}{name.suffix}"
    while len(stem) > 1 and len(os.fsencode(stem + end)) > LONGEST_NAME:
        stem = stem[:-1]
    return name.with_name(stem + end)


def as_before(items: Sequence[Item], *earlier: Mapping[Path, PurePath]) -> dict[Path, PurePath]:
    """The names that photos had before, by their paths: in their own folder, and each given once.

    Args:
        earlier: names by absolute paths; those before count more.
    """
    names: dict[Path, PurePath] = {}
    taken = set[str]()
    for known in earlier:
        for item in items:
            name = known.get(item.path.absolute())
            if name is None or item.path in names or str(name).casefold() in taken:
                continue
            if name.parent == (item.own or item.name).parent:
                names[item.path] = name
                taken.add(str(name).casefold())
    return names


def numbered(items: Sequence[Item], earlier: Mapping[Path, PurePath]) -> list[Item]:
    """Photos with the names that they had before, whatever the order of the inputs: a hold is of a name.

    A photo that is new, and whose own name is another's, gets a number.
    """
    names = as_before(items, earlier)
    given = {str(name).casefold() for name in names.values()}
    free = [item.path not in names and not item.namesake and str(item.name).casefold() not in given for item in items]
    taken = dict.fromkeys(given, 1)
    taken |= {str(item.name).casefold(): 1 for item, own in zip(items, free, strict=True) if own}
    return [
        item if own else replace(item, name=names.get(item.path) or unique(item.own or item.name, taken))
        for item, own in zip(items, free, strict=True)
    ]


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
