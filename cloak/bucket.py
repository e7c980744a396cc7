"""Object stores: listed, read with bounds, published whole or not at all. The extra `stores`: obstore."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from cloak.errors import CloakError, MissingExtra, NotWritten, OutputError, SetupError, TooLarge, Unreadable, UsageError
from cloak.intake import Item, LeftOut, passed_over, promises_photo
from cloak.metadata import sniff
from cloak.place import READ_ONLY, Place, Url
from cloak.process import span_of

DIGEST = "cloak-sha256"
"""Metadata of a published object: its own SHA-256, which anybody can compute. It tells what cloak wrote."""

_UNANSWERED = ("the store did not answer in time", "the connection failed")

LOOKS = 32
"""Objects whose names promise nothing are looked into, this many at a time."""


@lru_cache(maxsize=8)
def connect(root: str, *, stranger: bool = False) -> Any:
    """The client of a bucket, one a process. Credentials come from where the platform keeps them, never from cloak; a
    stranger has none."""
    try:
        from obstore import store
    except ImportError:
        raise MissingExtra("a store", "stores") from None
    # For one request, its body included; a request that failed is tried again, for up to four times as long.
    seconds = span_of("CLOAK_STORE_TIMEOUT", 60)
    client: Any = {"timeout": timedelta(seconds=seconds), "connect_timeout": timedelta(seconds=10)}
    retry: Any = {
        "max_retries": 10,
        "retry_timeout": timedelta(seconds=4 * seconds),
        "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=15), "base": 2},
    }
    scheme = root.partition("://")[0]
    # What is said here replaces what obstore would read of the environment.
    if scheme == "http" or os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"}:
        client["allow_http"] = True
    provider = _profile() if scheme == "s3" and not stranger else None
    known: Any = {"skip_signature": True} if stranger else {"credential_provider": provider}
    try:
        if scheme in READ_ONLY:
            return store.HTTPStore.from_url(root, client_options=client, retry_config=retry)
        return store.from_url(root, client_options=client, retry_config=retry, **known)
    except Exception as error:
        raise SetupError(
            f"the store cannot be used: {_words(error)}", next_step="Check the URL, the region and the credentials."
        ) from None


def _profile() -> Any:
    """Credentials of a profile or a login, which only Amazon's own library reads; None to use what obstore finds."""
    if "AWS_ACCESS_KEY_ID" in os.environ or not (
        "AWS_PROFILE" in os.environ or (Path.home() / ".aws" / "credentials").exists()
    ):
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider()


class Bucket:
    """A prefix of a bucket as an output: the same promises as `cloak.store.Folder` gives.

    A put is one request, never of several parts: it is whole or it is not there, and a killed run leaves no parts.
    """

    def __init__(self, url: Url) -> None:
        if url.scheme in READ_ONLY:
            raise UsageError("a web server can only be read", next_step="Name a folder or a bucket with --out.")
        self.url = url
        self._client = connect(url.root)

    def standing(self, name: PurePath) -> str | None:
        """The SHA-256 of the object that cloak published at a name; "" if another stands there, None if none."""
        try:
            found = _obstore().get(self._client, self._key(name), options={"head": True})
        except FileNotFoundError:
            return None
        except _errors() as error:
            raise _failed(error) from None
        return str(found.attributes.get(DIGEST, ""))

    def ours(self, standing: str, published: str | None) -> bool:  # noqa: ARG002
        """What cloak wrote says so itself: a run that was killed has left objects without a record."""
        return bool(standing)

    def original(self, name: PurePath, sources: Iterable[Place]) -> bool:
        """Whether publishing would replace one of the originals."""
        return self.url / self._relative(name) in sources

    def publish(
        self,
        name: PurePath,
        data: bytes,
        times: float | None = None,  # noqa: ARG002
        turn: contextlib.AbstractContextManager[object] | None = None,
    ) -> None:
        """Put verified bytes at a name, in one request.

        Raises `NotWritten`, or `OutputError` if nothing can be put there at all; nothing of the object is left then.
        """
        attributes = {DIGEST: sha256(data).hexdigest(), "Content-Type": _media_type(data)}
        with turn or contextlib.nullcontext():
            self._put(self._key(name), data, attributes)

    def _put(self, key: str, data: bytes, attributes: dict[str, str]) -> None:
        try:
            _obstore().put(self._client, key, data, attributes=attributes, use_multipart=False)
        except _errors() as error:
            raise _failed(error) from None

    def withdraw(self, name: PurePath) -> None:
        """Remove a published object, if it is there. Raises `NotWritten`."""
        try:
            _obstore().delete(self._client, self._key(name))
        except FileNotFoundError:
            return
        except _errors() as error:
            raise NotWritten(
                f"it could not be withdrawn: {_words(error)}",
                next_step="Allow deleting below --out, then run again; or remove the object.",
            ) from None

    def sweep(self) -> int:
        """Nothing half-written is ever in a store."""
        return 0

    def _key(self, name: PurePath) -> str:
        return (self.url / self._relative(name)).key

    @staticmethod
    def _relative(name: PurePath) -> str:
        text = name.as_posix()
        if name.is_absolute() or ".." in name.parts or not name.parts or not text.isprintable():
            raise NotWritten("its name leads outside the output, or has characters that a store does not take")
        return text


def objects(url: Url, hidden: Sequence[Url]) -> Iterator[Item | LeftOut]:
    """The objects below a URL, or the one that it names, page by page; in the order of their keys where stores sort.

    Args:
        url: where to look.
        hidden: places below it that are not looked into: the output and its ledger.

    Raises `OutputError` or `SetupError` if it cannot be listed.
    """
    with ThreadPoolExecutor(LOOKS) as threads:
        for page in _pages(url):
            yield from threads.map(lambda meta: _told(url, meta, hidden), page)


def count(url: Url, hidden: Sequence[Url]) -> Iterator[int]:
    """How many objects are below a URL, page by page: an upper bound of its photos, found without looking into any."""
    for page in _pages(url):
        yield sum(not any(place.holds(Url(url.root, meta["path"])) for place in hidden) for meta in page)


def _pages(url: Url) -> Iterator[Sequence[Any]]:
    obstore, client, last = _obstore(), connect(url.root), ""
    try:
        if url.key and (one := _one(client, url.key)):
            yield [one]
            return
        try:
            for page in obstore.list(client, url.key or None, chunk_size=1000):
                yield page
                last = page[-1]["path"]
        except obstore.exceptions.InvalidPathError:
            if url.scheme != "s3":
                raise
            # One name that obstore does not take (`..`, control characters) would hide a whole bucket.
            yield from _raw_pages(url, last)
    except _errors() as error:
        if isinstance(error, obstore.exceptions.InvalidPathError):
            raise OutputError(
                "the store holds an object whose name leads elsewhere (.., empty or unprintable parts)",
                next_step="Rename or remove it, or name a prefix without it.",
            ) from None
        raise OutputError(
            f"the store cannot be listed: {_words(error)}", next_step="Check the URL, the region and the credentials."
        ) from None


def _raw_pages(url: Url, after: str) -> Iterator[Sequence[Any]]:
    """The keys of an S3 bucket as they are, by Amazon's own library, from the one after `after` on."""
    import boto3

    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    client = boto3.client("s3", endpoint_url=endpoint)
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=url.root.partition("://")[2], Prefix=f"{url.key}/" if url.key else "", StartAfter=after
    )
    for page in pages:
        yield [
            {"path": found["Key"], "size": found["Size"], "e_tag": found["ETag"]} for found in page.get("Contents", ())
        ]


def _one(client: Any, key: str) -> Any:
    try:
        return _obstore().head(client, key)
    except FileNotFoundError:
        return None


def _told(url: Url, meta: Any, hidden: Sequence[Url]) -> Item | LeftOut:
    """Whether an object is a photo of the run, by its name, or by its first bytes if the name tells nothing."""
    source = Url(url.root, meta["path"])
    relative = source.key.removeprefix(url.key).removeprefix("/") if source.key != url.key else source.name
    parts = relative.split("/")
    if any(place.holds(source) for place in hidden):
        return LeftOut(source, "it is the output")
    if relative.endswith("/") or (source.key == url.key and meta["size"] == 0):
        return LeftOut(source, "it stands for a folder")
    # A name that leads elsewhere is no name of an output: the run withholds it, and says so.
    whole = PurePath(relative if all(p not in {"", ".", ".."} and p.isprintable() for p in parts) else "/" + relative)
    item = Item(source, whole, version=meta["e_tag"] or "", size=meta["size"])
    if reason := passed_over(parts[-1]):
        return LeftOut(source, reason)
    if promises_photo(parts[-1]) or whole.is_absolute():
        return item
    try:
        start = _obstore().get_range(connect(url.root), source.key, start=0, length=min(64, meta["size"]))
        return item if sniff(bytes(start)) else LeftOut(source, "not an image")
    except _errors():
        return item  # it cannot be told: the run names it with the reason


def fetch(item: Item, limit: int) -> bytes:
    """The bytes of an object as it was listed. Raises `Unreadable` and `TooLarge`, and `SetupError` for credentials."""
    assert isinstance(item.source, Url)
    if item.name.is_absolute():
        raise Unreadable("its name leads elsewhere (.., empty or unprintable parts)", next_step="Rename the object.")
    options: Any = {"if_match": item.version} if item.version else {}
    try:
        found = _obstore().get(connect(item.source.root), item.source.key, options=options)
        if found.meta["size"] > limit:
            raise TooLarge(
                f"it has more than {limit:,} bytes",
                next_step="If you trust the file, raise limits.bytes in the pipeline.",
            )
        return bytes(found.bytes())
    except _errors() as error:
        if _is(error, "UnauthenticatedError"):
            raise _failed(error) from None
        raise Unreadable(f"it cannot be read: {_words(error)}", next_step="Check the store, then run again.") from None


def read_object(url: Url) -> bytes | None:
    """A small object of cloak's own, such as a part of a ledger; None if there is none. Raises `OutputError`."""
    try:
        return bytes(_obstore().get(connect(url.root), url.key).bytes())
    except FileNotFoundError:
        return None
    except _errors() as error:
        raise OutputError(f"the ledger cannot be read: {_words(error)}") from None


def try_put(url: Url, data: bytes, *, new: bool = False) -> bool:
    """Put a small object of cloak's own; False if it is to be new and is there already. Raises `OutputError`."""
    try:
        mode = "create" if new else "overwrite"
        _obstore().put(connect(url.root), url.key, data, use_multipart=False, mode=mode)
    except _errors() as error:
        if _is(error, "AlreadyExistsError", "FileExistsError"):
            return False
        words = "there is no such bucket" if _is(error, "FileNotFoundError") else _words(error)
        raise OutputError(f"the ledger cannot be written: {words}") from None
    return True


def make_room(url: Url) -> bool:
    """See that an object can be put at a URL, by an empty one if there is none yet: True. Raises `OutputError`."""
    try:
        return not _one(connect(url.root), url.key) and try_put(url, b"", new=True)
    except _errors() as error:
        raise OutputError(f"the store cannot be reached: {_words(error)}") from None


def remove(url: Url) -> None:
    """Remove an object of cloak's own, if that is allowed."""
    with contextlib.suppress(*_errors()):
        _obstore().delete(connect(url.root), url.key)


def refuse_strangers(url: Url, what: str, *, new: bool) -> None:
    """Raise `UsageError` if an object that is there can be read by anybody, without credentials; a new one is removed.

    It shows what the whole world sees. Not what those see who are let in by another way, such as a web server.
    """
    try:
        _obstore().head(connect(url.root, stranger=True), url.key)
    except _errors() as error:
        if _words(error) in _UNANSWERED:
            raise OutputError(f"it cannot be told whether strangers can read the {what}: {_words(error)}") from None
        return
    if new:
        remove(url)
    raise UsageError(
        f"the {what} names original files, and anybody could read it there",
        next_step=f"Name a private place with --{what}, or make this one private.",
    )


def ends(url: Url, most: int) -> bytes:
    """The first and the last bytes of an object, at most so many of each. Raises `OutputError`."""
    client = connect(url.root)
    try:
        size = _obstore().head(client, url.key)["size"]
        starts, stops = [0, max(size - most, 0)], [min(size, most), size]
        return b"".join(map(bytes, _obstore().get_ranges(client, url.key, starts=starts, ends=stops))) if size else b""
    except _errors() as error:
        raise OutputError(f"what stands there cannot be read: {_words(error)}") from None


def open_writer(url: Url) -> Any:
    """A writer of an object of any length, in parts; the object is there once it is closed. Use it within `writing`."""
    return _obstore().open_writer(connect(url.root), url.key)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Failures of a writer become `OutputError`."""
    try:
        yield
    except _errors() as error:
        raise OutputError(f"the store does not take the report: {_words(error)}") from None


def under(url: Url) -> list[str]:
    """The names of the objects below a prefix of cloak's own. Raises `OutputError`."""
    try:
        pages = _obstore().list(connect(url.root), url.key, chunk_size=1000)
        return [meta["path"].removeprefix(url.key + "/") for page in pages for meta in page]
    except _errors() as error:
        raise OutputError(f"the ledger cannot be listed: {_words(error)}") from None


def _media_type(data: bytes) -> str:
    kind = sniff(data)
    return f"image/{kind}" if kind else "application/octet-stream"


def _obstore() -> Any:
    try:
        import obstore
        import obstore.exceptions
    except ImportError:
        raise MissingExtra("a store", "stores") from None
    return obstore


def _errors() -> tuple[type[BaseException], ...]:
    # obstore raises Python's own errors for what has one: a missing object, a path that it cannot parse.
    return (_obstore().exceptions.BaseError, OSError, ValueError)


def _is(error: BaseException, *names: str) -> bool:
    return type(error).__name__ in names


def _failed(error: BaseException) -> CloakError:
    """What a failed put or look at the output means: for this photo, or for the whole run."""
    if _is(error, "PermissionDeniedError", "UnauthenticatedError", "FileNotFoundError"):
        where = "there is no such bucket" if _is(error, "FileNotFoundError") else _words(error)
        return OutputError(f"the store does not take it: {where}", next_step="Check the bucket and the credentials.")
    return NotWritten(f"it could not be stored: {_words(error)}", next_step="Check the store, then run again.")


def _words(error: BaseException) -> str:
    """A store's failure in our own words: its own hold addresses, names and headers."""
    known = {
        "FileNotFoundError": "there is no such object",
        "NotFoundError": "there is no such object",
        "PermissionDeniedError": "access is denied",
        "UnauthenticatedError": "it does not accept the credentials",
        "PreconditionError": "it changed since it was listed",
    }
    if words := known.get(type(error).__name__):
        return words
    text = str(error).partition("Debug source")[0]
    if status := re.search(r"non-2xx status code: (\d{3})", text):
        return f"the store answered {status[1]} again and again"
    if re.search(r"credential|metadata endpoint", text, re.IGNORECASE):
        return "no credentials were found"
    if re.search(r"timed? ?out", text, re.IGNORECASE):
        return _UNANSWERED[0]
    return _UNANSWERED[1] if re.search(r"connect|request|HTTP", text) else type(error).__name__
