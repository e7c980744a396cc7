"""Where photos lie: a path of this machine, or a URL of an object store."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from cloak.errors import UsageError

BUCKETS = ("s3", "s3a", "gs", "az", "abfs", "abfss")
READ_ONLY = ("http", "https")


@dataclass(frozen=True, slots=True)
class Url:
    """A place in an object store. It holds no credentials: a URL that does is refused by `place`.

    Attributes:
        root: scheme and bucket, "s3://bucket".
        key: of an object or of a prefix, without slashes at its ends; "" for the whole bucket.
    """

    root: str
    key: str

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    @property
    def scheme(self) -> str:
        return self.root.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part, as of a path."""
        return self.key.rpartition("/")[2] or self.root.rpartition("/")[2]

    def __truediv__(self, name: str) -> "Url":
        return replace(self, key=f"{self.key}/{name}" if self.key else name)

    def holds(self, other: "Url") -> bool:
        """Whether another place is this one or lies below it."""
        below = not self.key or other.key == self.key or other.key.startswith(self.key + "/")
        return self.root == other.root and below


Place = Path | Url


def lies_in(place: Place, out: Place | None) -> bool:
    """Whether a place lies below another one, links followed; or, in a store, is that one."""
    if isinstance(place, Url):
        return isinstance(out, Url) and out.holds(place)
    return isinstance(out, Path) and Path(os.path.realpath(out)) in Path(os.path.realpath(place)).parents


def place(text: str) -> Place:
    """A path, or the URL of a store if it begins with a scheme that is known.

    Raises `UsageError` for an unknown scheme, and for a URL with credentials, a query or a fragment; the message does
    not repeat them.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        return Path(text)
    if scheme == "file":
        return Path(url2pathname(urlsplit(text).path))
    if scheme not in (*BUCKETS, *READ_ONLY):
        known = ", ".join(f"{name}://" for name in (*BUCKETS, *READ_ONLY))
        raise UsageError(f"unknown kind of store {scheme!r}", next_step=f"Use a path or one of {known}.")
    bucket, _, key = rest.partition("/")
    # abfs://container@account.dfs...: the one @ that is no user.
    user = "@" in bucket and not (scheme.startswith("abfs") and ":" not in bucket.partition("@")[0])
    if user or "?" in rest or "#" in rest:
        raise UsageError(
            "a URL of a store must hold no user, password, query or fragment",
            next_step="Give credentials where the platform looks for them: environment, profile or role.",
        )
    if not bucket:
        raise UsageError("the URL names no bucket or host", next_step="Write it as s3://bucket/prefix.")
    key = unquote(key) if scheme in READ_ONLY else key
    parts = key.strip("/").split("/") if key.strip("/") else []
    if any(part in {"", ".", ".."} or not part.isprintable() for part in parts):
        raise UsageError("the URL has an empty, relative or unprintable part", next_step="Name the plain prefix.")
    return Url(f"{'s3' if scheme == 's3a' else scheme}://{bucket}", "/".join(parts))
