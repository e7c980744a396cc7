"""What has been done: a SQLite file beside the output folder, so that a run goes on where the last one stopped."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cloak.errors import OutputError

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
CREATE TABLE IF NOT EXISTS given (
    policy TEXT NOT NULL,        -- one of cloak.naming.NAMES
    own BLOB NOT NULL,           -- the original's name below its input, as the system stores it
    name TEXT NOT NULL UNIQUE,   -- what it is published as
    PRIMARY KEY (policy, own)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo's record."""

    content: str
    pipeline: str
    published: str | None
    row: dict[str, Any]


def beside(out: Path) -> Path:
    """Where the ledger of an output folder lies: next to it, never in what is published."""
    whole = Path(os.path.abspath(out))
    return whole.with_name(whole.name + ".cloak") / "ledger.sqlite"


class Ledger:
    """The record of one output folder; one run at a time may write it.

    Args:
        path: of the SQLite file; made with its folder, readable by the owner only.
        lock: take the lock of the run, and make what is missing. Workers of the run that holds it pass False.

    Raises `OutputError` when it cannot be opened, is damaged, or another run holds it.
    """

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

    def name_given(self, policy: str, own: bytes) -> str | None:
        """The name that an original was given by an earlier run."""
        found = self._db.execute("SELECT name FROM given WHERE policy = ? AND own = ?", (policy, own)).fetchone()
        return str(found[0]) if found else None

    def names_given(self, policy: str) -> int:
        """How many names a policy has given."""
        return int(self._db.execute("SELECT count(*) FROM given WHERE policy = ?", (policy,)).fetchone()[0])

    def give_name(self, policy: str, own: bytes, name: str) -> bool:
        """Note a name for an original; False if another one has it, by whatever policy. Raises `OutputError`."""
        if self.find(name) is not None:
            return False
        try:
            done = self._db.execute("INSERT OR IGNORE INTO given VALUES (?, ?, ?)", (policy, own, name))
        except sqlite3.Error as error:
            raise OutputError(f"the ledger cannot be written: {error}") from None
        return done.rowcount == 1

    def under_own_names(self) -> list[str]:
        """Names of published files that were not given by a policy."""
        query = "SELECT name FROM photo WHERE published IS NOT NULL AND name NOT IN (SELECT name FROM given)"
        return sorted(str(name) for (name,) in self._db.execute(query))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside reaches the disk at once, at the end; nothing of it if an error leaves the block."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


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
