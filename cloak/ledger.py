"""The ledger of a run on this machine: a SQLite file."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from cloak.errors import LedgerDamaged, OutputError
from cloak.files import printable
from cloak.records import VERSION, Entry, Origin

_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite raises; of a damaged file it cannot always decode its own words. (That there is no memory is told of the
photo that it was wanted for.)"""

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
CREATE TABLE IF NOT EXISTS origin (
    name TEXT PRIMARY KEY,       -- as in photo
    source BLOB NOT NULL,        -- the original's path, in the system's own bytes
    target BLOB NOT NULL,        -- the name below the output folder, likewise
    pipeline TEXT NOT NULL       -- hash
) STRICT;
CREATE TABLE IF NOT EXISTS path (
    source BLOB NOT NULL,        -- as in origin, where another original may have taken the name since
    name TEXT NOT NULL,          -- as in photo; never removed: what is held is known by where it lies
    PRIMARY KEY (source, name)
) STRICT;
CREATE TABLE IF NOT EXISTS pipeline (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    settings TEXT NOT NULL       -- as TOML
) STRICT;
CREATE TABLE IF NOT EXISTS review (
    name TEXT PRIMARY KEY,       -- as in photo
    version INTEGER NOT NULL,    -- counts what was changed or decided
    content TEXT NOT NULL,       -- as in photo: the bytes that the person saw
    decisions TEXT NOT NULL,     -- the latest, as in a sidecar
    done INTEGER NOT NULL,       -- the version that the output folder shows
    failure TEXT NOT NULL        -- why it does not show the latest verdict; "" if nothing failed
) STRICT;
CREATE TABLE IF NOT EXISTS hold (
    name TEXT NOT NULL,          -- as in review, where something else has taken its place
    content TEXT NOT NULL,       -- as in review
    decisions TEXT NOT NULL,     -- as in a sidecar
    PRIMARY KEY (name, content)
) STRICT;
CREATE TABLE IF NOT EXISTS verdict (
    id INTEGER PRIMARY KEY,      -- in the order in which they were given; never changed, never removed
    name TEXT NOT NULL,
    at TEXT NOT NULL,            -- ISO 8601, UTC
    reviewer TEXT NOT NULL,
    verdict TEXT NOT NULL,       -- "" of a sidecar that a run took as a start
    decisions TEXT NOT NULL      -- as in a sidecar; one that a run took, as it was given
) STRICT;
CREATE INDEX IF NOT EXISTS photo_content ON photo (content);
CREATE INDEX IF NOT EXISTS review_content ON review (content);
CREATE INDEX IF NOT EXISTS verdict_name ON verdict (name);
CREATE INDEX IF NOT EXISTS given_own ON given (own);
CREATE INDEX IF NOT EXISTS origin_source ON origin (source);
"""


def _words(error: Exception) -> str:
    """What is told of an error: never a path."""
    return str(getattr(error, "strerror", None) or error)


def companion(ledger: Path, name: str) -> Path:
    """A file or folder that belongs to a ledger of this machine, however its path is written.

    It lies beside the ledger, under that name in a folder that `beside` made; anywhere else, where other ledgers or
    somebody's files may lie too, the name begins with the ledger's own.
    """
    real = Path(os.path.realpath(ledger))
    alone = real.name == "ledger.sqlite" and real.parent.name.endswith(".cloak")
    return real.with_name(name if alone else f"{real.name}.{name}")


class Ledger:
    """The record of one output folder; one run at a time may write it.

    Args:
        path: of the SQLite file; made with its folder, readable by the owner only.
        lock: take the lock of the run, and make what is missing. Workers of the run that holds it pass False.

    Raises `OutputError` when it cannot be opened, is damaged, or another run holds it.
    """

    def __init__(self, path: Path, *, lock: bool = True) -> None:
        self.path = path
        with contextlib.ExitStack() as undone:
            undone.callback(self.close)
            self._open(path, lock)
            undone.pop_all()

    def _open(self, path: Path, lock: bool) -> None:
        try:
            if not lock:
                self._db = sqlite3.connect(
                    f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=60
                )
                self._db.execute("PRAGMA synchronous = FULL")
            else:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
                self._lock = lock_file(companion(path, "lock"), "another run is writing to this output folder")
                self._db = sqlite3.connect(path, isolation_level=None)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
                # Of a ledger that an earlier version made, it is known where each original lies now.
                self._db.execute("INSERT OR IGNORE INTO path SELECT source, name FROM origin")
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (VERSION,))
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))
            meta = dict(self._db.execute("SELECT name, value FROM meta"))
            self._file = os.stat(path)
        except MemoryError:  # also what a damaged file says of its sizes
            raise OutputError(
                f"the ledger {path.name!r} cannot be used: there is no memory for it, or it is damaged",
                next_step="Run again when there is memory; if it stays so, take the ledger from a backup.",
            ) from None
        except (*_ERRORS, OSError) as error:
            damaged = not isinstance(error, sqlite3.OperationalError | OSError)
            away = "Move the ledger's folder away (work is then done again), or name another with --ledger."
            raise OutputError(
                f"the ledger {path.name!r} cannot be used: {_words(error)}",
                next_step=away if damaged else "Check space and permissions where it lies, or name another --ledger.",
            ) from None
        if meta.get("version") != VERSION:
            raise OutputError(
                "the ledger was written by another version of cloak",
                next_step="Move the ledger's folder away; work is then done again.",
            )
        if not isinstance(meta.get("secret"), bytes):
            raise LedgerDamaged
        self.secret: bytes = meta["secret"]

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self) -> None:
        """Nothing waits: a record is written at once."""

    def close(self) -> None:
        """Let go of what was opened, as far as it was."""
        with contextlib.suppress(AttributeError):
            self._db.close()
        with contextlib.suppress(AttributeError):
            os.close(self._lock)

    def key(self, data: bytes) -> str:
        """The keyed digest under which a photo's content is known here, and only here."""
        return hmac.digest(self.secret, hashlib.sha256(data).digest(), "sha256").hex()

    def find(self, name: str) -> Entry | None:
        """The record of what stands at a name below the output folder."""
        found = self.query("SELECT content, pipeline, published, row FROM photo WHERE name = ?", (name,))
        return next((Entry(content, pipeline, to, _row(row)) for content, pipeline, to, row in found), None)

    def record(
        self, name: str, entry: Entry, origin: Origin | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        """Write a record, on the disk when this returns or the transaction around it ends.

        Args:
            name, entry, origin: of the photo.
            check: called when nobody else can write any more; nothing is written where it raises.

        Raises `OutputError`.
        """
        values = (name, entry.content, entry.pipeline, entry.published, json.dumps(entry.row))
        with self.transaction() as db:
            check()
            db.execute("INSERT OR REPLACE INTO photo VALUES (?, ?, ?, ?, ?)", values)
            if origin is not None:
                paths = os.fsencode(origin.source), os.fsencode(origin.target)
                db.execute("INSERT OR REPLACE INTO origin VALUES (?, ?, ?, ?)", (name, *paths, origin.pipeline))
                db.execute("INSERT OR IGNORE INTO path VALUES (?, ?)", (paths[0], name))
                db.execute(
                    "INSERT OR IGNORE INTO pipeline VALUES (?, ?, ?)",
                    (origin.pipeline, origin.pipeline_name, origin.settings),
                )

    def origins(self, content: str | None = None) -> Iterator[tuple[str, Entry, Origin]]:
        """Every photo whose original is known, by name; or those whose original has this content."""
        every = (
            "SELECT photo.name, content, photo.pipeline, published, row, source, target, origin.pipeline, "
            "pipeline.name, settings FROM photo JOIN origin USING (name) JOIN pipeline ON hash = origin.pipeline "
        )
        if content is None:
            rows = self.query(every + "ORDER BY photo.name", ())
        else:
            rows = self.query(every + "WHERE content = ? ORDER BY photo.name", (content,))
        for name, content, pipeline, published, row, source, target, *settings in rows:
            origin = Origin(Path(_name(source)), _name(target), *settings)
            yield name, Entry(content, pipeline, published, _row(row)), origin

    def published_of(self, content: str, unlike: str | None = None) -> list[PurePath]:
        """The names, below the output folder, of what is published of originals with this content, unless it was done
        by the pipeline with the hash `unlike`."""
        rows = self.query(
            "SELECT target FROM photo JOIN origin USING (name) "
            "WHERE content = ? AND published IS NOT NULL AND photo.pipeline IS NOT ?",
            (content, unlike),
        )
        return [_name(target) for (target,) in rows]

    def published_as(self) -> dict[str, str]:
        """A name of each published file, by the SHA-256 of its bytes."""
        return dict(self.query("SELECT published, name FROM photo WHERE published IS NOT NULL", ()))

    def source(self, name: str) -> Path | None:
        """Where the original lies of which a name has a record."""
        found = self.query("SELECT source FROM origin WHERE name = ?", (name,))
        return Path(_name(found[0][0])) if found else None

    def own_names(self) -> dict[Path, PurePath]:
        """What each original was called below the output, before a policy gave it another name."""
        rows = self.query("SELECT source, target, own FROM origin LEFT JOIN given USING (name)", ())
        return {Path(_name(source)): _name(target if own is None else own) for source, target, own in rows}

    def stamp(self) -> tuple[int, int]:
        """Differs from an earlier one when anybody wrote to the ledger in between."""
        return self._db.execute("PRAGMA data_version").fetchone()[0], self._db.total_changes

    def query(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """The rows that a statement finds. Raises `OutputError`."""
        try:
            return self._db.execute(statement, values).fetchall()
        except _ERRORS as error:
            raise OutputError(
                f"the ledger cannot be read: {_words(error)}",
                next_step="If it is of an earlier version of cloak, run cloak on the photos again.",
            ) from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that are all on the disk afterwards, or none of them; nobody else writes meanwhile.

        One within another is a part of it. Raises `OutputError`.
        """
        if self._db.in_transaction:
            yield self._db
            return
        try:
            # SQLite goes on writing to a file that was removed: what is noted there, nobody finds again.
            if not os.path.samestat(os.stat(self.path), self._file):
                raise FileNotFoundError
        except OSError:
            raise OutputError(
                "the ledger was moved or removed while it was in use", next_step="Put it back, then run again."
            ) from None
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except _ERRORS as error:
            raise OutputError(f"the ledger cannot be written: {_words(error)}") from None

    def name_given(self, policy: str, own: bytes) -> str | None:
        """The name that an original was given by an earlier run."""
        found = self.query("SELECT name FROM given WHERE policy = ? AND own = ?", (policy, own))
        return str(found[0][0]) if found else None

    def own_name(self, name: str) -> PurePath | None:
        """The name below its input of the original that was given a name; None if no policy gave it."""
        found = self.query("SELECT own FROM given WHERE name = ?", (name,))
        return _name(found[0][0]) if found else None

    def aliases(self, name: str, own: PurePath, source: Path | None) -> set[str]:
        """Names below the output that an original has here beside this one, by whatever policy or inputs."""
        rows = self.query(
            "SELECT name FROM given WHERE own = ? UNION SELECT name FROM path WHERE source = ?",
            (os.fsencode(own), os.fsencode(source) if source else None),
        )
        return {printable(own), *(str(alias) for (alias,) in rows)} - {name}

    def names_given(self, policy: str) -> int:
        """How many names a policy has given."""
        return int(self.query("SELECT count(*) FROM given WHERE policy = ?", (policy,))[0][0])

    def give_name(self, policy: str, own: bytes, name: str) -> bool:
        """Note a name for an original; False if another one has it, by whatever policy. Raises `OutputError`."""
        if self.find(name) is not None:
            return False
        try:
            done = self._db.execute("INSERT OR IGNORE INTO given VALUES (?, ?, ?)", (policy, own, name))
        except _ERRORS as error:
            raise OutputError(f"the ledger cannot be written: {_words(error)}") from None
        return done.rowcount == 1

    def forget_name(self, name: str) -> None:
        """Give a name back that nothing was published under. Raises `OutputError`."""
        with self.transaction() as db:
            db.execute("DELETE FROM given WHERE name = ?", (name,))

    def under_other_names(self, policy: str) -> list[tuple[PurePath, bool]]:
        """Names, below the output folder, of published files that another policy than this one has given, or none;
        and whether it was none."""
        rows = self.query(
            "SELECT target, given.name IS NULL FROM photo JOIN origin USING (name) LEFT JOIN given USING (name) "
            "WHERE published IS NOT NULL AND given.policy IS NOT ? ORDER BY name",
            (policy,),
        )
        return [(_name(target), bool(own)) for target, own in rows]

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


def _row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise LedgerDamaged from None
    if not isinstance(row, dict):
        raise LedgerDamaged
    return row


def _name(stored: Any) -> PurePath:
    try:
        return PurePath(os.fsdecode(stored))
    except (TypeError, ValueError):
        raise LedgerDamaged from None


def lock_file(path: Path, refusal: str) -> int:
    """An exclusive lock that the system takes back when the process ends, however it ends: its descriptor.

    Raises `OutputError` with the refusal when another process has it.
    """
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
        raise OutputError(refusal, next_step="Wait for it, or name another --out.") from None
    return descriptor
