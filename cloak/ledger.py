"""What has been done, kept beside the output, so that a run goes on where the last one stopped.

`Records` is what every ledger can do; `Ledger` is a SQLite file, `cloak.parts.Parts` lies in an object store.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, overload

from cloak.errors import OutputError, UsageError
from cloak.place import Place, Url

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value ANY) STRICT;
CREATE TABLE IF NOT EXISTS photo (
    name TEXT PRIMARY KEY,       -- below the output folder
    content TEXT NOT NULL,       -- keyed digest of the original: nobody without this ledger can look it up
    pipeline TEXT NOT NULL,      -- hash of the pipeline
    published TEXT,              -- SHA-256 of the published bytes; NULL if nothing was published
    row TEXT NOT NULL            -- the report's row, JSON
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo's record."""

    content: str
    pipeline: str
    published: str | None
    row: dict[str, Any]


class Records(Protocol):
    """A ledger: a record for each name below the output.

    Attributes:
        first: a record is on the disk when `record` returns, so that it is written before the photo is published; else
            whoever collects the outcomes records them, after.
    """

    first: bool

    def key(self, data: bytes) -> str:
        """The keyed digest under which a photo's content is known here, and only here."""

    def find(self, name: str) -> Entry | None:
        """The latest record of a name."""

    def record(self, name: str, entry: Entry) -> None:
        """Write a record, at the latest with the next `flush`."""

    def flush(self) -> None:
        """All records are stored when this returns."""

    def close(self) -> None:
        """Flush, and let go."""


@overload
def beside(out: Path) -> Path: ...
@overload
def beside(out: Url) -> Url: ...
def beside(out: Place) -> Place:
    """Where the ledger of an output lies: next to it, never in what is published."""
    if isinstance(out, Url):
        if not out.key:
            raise UsageError(
                "the ledger must not lie in the bucket that is published as a whole",
                next_step="Name another place with --ledger, or publish below a prefix.",
            )
        return Url(out.root, out.key + ".cloak")
    whole = Path(os.path.abspath(out))
    return whole.with_name(whole.name + ".cloak") / "ledger.sqlite"


class Ledger:
    """The record of one output folder; one run at a time may write it.

    Args:
        path: of the SQLite file; made with its folder, readable by the owner only.
        lock: take the lock of the run, and make what is missing. Workers of the run that holds it pass False.

    Raises `OutputError` when it cannot be opened, is damaged, or another run holds it.
    """

    first = True

    def __init__(self, path: Path, *, lock: bool = True) -> None:
        self.path = path
        try:
            if not lock:
                self._db = sqlite3.connect(
                    f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=60
                )
                self._db.execute("PRAGMA synchronous = FULL")
            else:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
                self._lock = _lock(path.with_name("lock"))
                self._db = sqlite3.connect(path, isolation_level=None)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (VERSION,))
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))
            meta = dict(self._db.execute("SELECT name, value FROM meta"))
        except (sqlite3.Error, OSError) as error:
            raise OutputError(
                f"the ledger {path.name!r} cannot be used: {error}",
                next_step="Move the ledger's folder away (work is then done again), or name another with --ledger.",
            ) from None
        if meta.get("version") != VERSION:
            raise OutputError(
                "the ledger was written by another version of cloak",
                next_step="Move the ledger's folder away; work is then done again.",
            )
        self._secret: bytes = meta["secret"]

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self) -> None:
        """Nothing waits: a record is written at once."""

    def close(self) -> None:
        self._db.close()
        with contextlib.suppress(AttributeError):
            os.close(self._lock)

    def key(self, data: bytes) -> str:
        """The keyed digest under which a photo's content is known here, and only here."""
        return hmac.digest(self._secret, hashlib.sha256(data).digest(), "sha256").hex()

    def find(self, name: str) -> Entry | None:
        """The record of what stands at a name below the output folder."""
        found = self._db.execute(
            "SELECT content, pipeline, published, row FROM photo WHERE name = ?", (name,)
        ).fetchone()
        return Entry(found[0], found[1], found[2], json.loads(found[3])) if found else None

    def record(self, name: str, entry: Entry) -> None:
        """Write a record, on the disk when this returns. Raises `OutputError`."""
        values = (name, entry.content, entry.pipeline, entry.published, json.dumps(entry.row))
        try:
            self._db.execute("INSERT OR REPLACE INTO photo VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.Error as error:
            raise OutputError(f"the ledger cannot be written: {error}") from None


def _lock(path: Path) -> int:
    """An exclusive lock that the system takes back when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OutputError(
            "another run is writing to this output folder", next_step="Wait for it, or name another --out."
        ) from None
    return descriptor
