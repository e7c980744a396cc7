"""A storage that stores no photo but clean ones, however it gets there."""

from dataclasses import dataclass
from operator import call
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages
from django.utils.functional import LazyObject, empty
from django.utils.module_loading import import_string

from cloak.django.cleaning import clean, digest, is_photo, settings
from cloak.django.uploads import CleanUpload, RefusedUpload
from cloak.errors import NotAnImage, TooLarge, Unsupported
from cloak.files import read_stream


class CleanStorage(LazyObject):
    """Wraps another storage; everything but saving is its own.

    Args:
        storage: what is wrapped: an alias in STORAGES, or a dict with BACKEND and OPTIONS.

    Photos that an upload handler has cleaned in this process are stored as they are; all others are cleaned first.
    `save` raises `cloak.errors.Withheld` or `Unavailable` for a photo that cannot be; nothing is stored then.
    """

    def __init__(self, storage: str | dict[str, Any] = "wrapped") -> None:
        self.__dict__["_given"] = storage
        super().__init__()

    def _setup(self) -> None:
        given = self.__dict__["_given"]
        if isinstance(given, str):
            self._wrapped = storages[given]
        else:
            self._wrapped = import_string(given["BACKEND"])(**given.get("OPTIONS", {}))

    def __copy__(self) -> "CleanStorage":
        return _Again(self.__dict__["_given"])()

    def __deepcopy__(self, _: dict[int, Any]) -> "CleanStorage":
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return call, (_Again(self.__dict__["_given"]),)  # migrations write down the first argument

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """For migrations."""
        return _Again(self.__dict__["_given"]).deconstruct()

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a file, clean if it is a photo. Raises what is said above."""
        if self._wrapped is empty:
            self._setup()
        called = name or content.name
        saved: str = self._wrapped.save(called, _ready(called, content), max_length=max_length)
        return saved

    def open(self, name: str, mode: str = "rb") -> Any:
        """Open a file for reading; writing would pass the cleaning by."""
        if set(mode) & set("wax+"):
            raise SuspiciousFileOperation("a storage of clean photos is written by save() only")
        if self._wrapped is empty:
            self._setup()
        return self._wrapped.open(name, mode)


@dataclass(frozen=True, slots=True)
class _Again:
    """A storage as it is copied, pickled and written into migrations: LazyObject would hand out what it wraps, which
    stores photos as they come."""

    storage: str | dict[str, Any]

    def __call__(self) -> CleanStorage:
        return CleanStorage(self.storage)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "cloak.django.storage.CleanStorage", [self.storage], {}


def _ready(name: str, content: Any) -> Any:
    """What may be stored in place of some content."""
    if isinstance(content, RefusedUpload):
        raise NotAnImage("an upload that was refused is not stored")
    file = content if hasattr(content, "chunks") else File(content, name)
    limit = settings().max_bytes
    file.seek(0)
    start = file.read(64)
    file.seek(0)
    start = start.encode() if isinstance(start, str) else start
    if not is_photo(name, getattr(file, "content_type", None) or "", start):
        _refuse_unknown(file)
        return content
    try:
        data = read_stream(file, limit)
    except TooLarge:
        raise TooLarge(f"the photo has more than {limit:,} bytes", next_step="Make it smaller.") from None
    if isinstance(content, CleanUpload) and content.digest == digest(data):
        content.seek(0)
        return content
    ready = ContentFile(clean(data), name)
    ready.content_type = getattr(file, "content_type", None)  # storages tell it to those who fetch the file
    return ready


def _refuse_unknown(file: Any) -> None:
    """Refuse images of the many kinds that Pillow would show and cloak cannot clean."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            kind = image.format
    except Image.DecompressionBombError:
        kind = "Such large"
    except Exception:
        return
    finally:
        file.seek(0)
    raise Unsupported(f"{kind} images are not supported")
