"""The report of a run as a file: a JSON document, lines of JSON, or Parquet; on this machine or in a store."""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cloak.bucket import ends, make_room, open_writer, refuse_strangers, remove, writing
from cloak.bursts import Bare
from cloak.errors import MissingExtra, OutputError, Unreadable, UsageError
from cloak.files import create_near, printable, read
from cloak.place import Place, Url, lies_in
from cloak.report import Totals, document, flagged
from cloak.result import Status

LINES = (".ndjson", ".jsonl")
TABLE = ".parquet"

GROUP = 1000
"""Rows that a Parquet file gets at once: what a report of any length holds in memory."""

EDGE = 1 << 16
"""Bytes at both ends of what stands at a report's name, by which it is known for a report of an earlier run."""

WORDS = ("source", "status", "target", "reason", "message", "next")


class Rows(Protocol):
    """A report in the making."""

    def add(self, row: Mapping[str, Any]) -> None:
        """One more photo."""

    def flag(self, source: str, places: list[Bare]) -> None:
        """Say of a photo told before that a face is bare in it which its neighbour has concealed."""

    def leave_out(self, source: str, reason: str) -> None:
        """Name what is no photo. Only a document tells of it, as only it holds whatever there is."""

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None:
        """The run is over."""


@contextlib.contextmanager
def open_report(place: Place | None, out: Place | None) -> Iterator[Rows]:
    """A report at a place, its form told by the suffix: .ndjson or .jsonl, .parquet, else one JSON document.

    It stands at its name when the run is over, or was interrupted; lines and Parquet hold no more than `GROUP` rows in
    memory. The place is tried before any work is done.

    Raises `UsageError` if it cannot be written there, would replace what is no report, would be published, or could be
    read by anybody.
    """
    if place is None:
        yield _Nothing()
        return
    _refuse_published(place, out, "report")
    suffix = os.path.splitext(place.name)[1].lower()
    form = _Lines if suffix in LINES else _Table if suffix == TABLE else _Document
    sink = _Object(place, form.LIKE) if isinstance(place, Url) else _File(place, "report", form.LIKE)
    rows: _Ending | None = None
    try:
        rows = _Ending(form(sink))
        yield rows
    finally:
        sink.finish(whole=rows is not None and rows.ended)


@contextlib.contextmanager
def open_sheet(path: Path | None, out: Place | None) -> Iterator[Callable[[Callable[[], str]], None]]:
    """A function that writes a contact sheet at a path, if there is to be one.

    Raises `UsageError` as `open_report` does, before any work is done.
    """
    if path is not None:
        _refuse_published(path, out, "contact sheet")
    like = re.compile(rb"<!doctype html>.{,900}<title>Contact sheet: ", re.DOTALL)
    with open_page(path, "contact sheet", like) as save:
        yield lambda make: save(lambda: make().encode())


@contextlib.contextmanager
def open_page(path: Path | None, what: str, like: re.Pattern[bytes]) -> Iterator[Callable[[Callable[[], bytes]], None]]:
    """A function that writes a file at a path, if there is to be one; it stands there when the function returns.

    Args:
        path: where it shall stand; tried before any work is done.
        what: it is.
        like: what the first and last bytes of one match; only such a file, or an empty one, is replaced.

    Raises `UsageError` if it cannot be written there, or would replace what is no such file.
    """
    if path is None:
        yield lambda _: None
        return
    sink = _File(path, what, like)

    def save(make: Callable[[], bytes]) -> None:
        sink.write(make())
        sink.finish(whole=True)  # not at the end: the report, which is written next, tells how this went

    try:
        yield save
    finally:
        sink.finish(whole=False)


def _refuse_published(place: Place, out: Place | None, what: str) -> None:
    if lies_in(place, out):
        raise UsageError(
            f"the {what} names original files and must not lie in the folder that is published",
            next_step="Name a place outside --out.",
        )


class _File(io.RawIOBase):
    """A file that stands at its name when it is finished whole.

    Args:
        path: where it shall stand.
        what: it is.
        like: what the first and last bytes of one match; only such a file, or an empty one, is replaced.
    """

    def __init__(self, path: Path, what: str, like: re.Pattern[bytes]) -> None:
        self._path, self._what = path, what
        if os.path.lexists(path):
            _refuse_other(path, what, _ends(path), like)
        try:
            self._partial, self._file = create_near(path)
        except OSError as error:
            raise UsageError(f"the {what} cannot be written: {error.strerror}") from None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        # A Parquet writer that is thrown away writes its end all the same.
        if self._file.closed:
            return len(data)
        with self._told():
            return self._file.write(data)

    def finish(self, *, whole: bool) -> None:
        with self._told():
            try:
                self._file.close()
                if whole:
                    self._partial.replace(self._path)
            finally:
                self._partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"the {self._what} cannot be written: {error.strerror or 'input/output error'}",
                next_step="Check its place, then run again: what is done stays done.",
            ) from None


def _ends(path: Path) -> bytes | None:
    """The first and the last bytes of a file, as of an object; None if it cannot be read."""
    try:
        head = read(path, sys.maxsize, most=EDGE)  # of a regular file only
        with path.open("rb") as file:
            file.seek(-min(EDGE, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return head + file.read(EDGE)
    except (Unreadable, OSError):
        return None


def _refuse_other(place: Place, what: str, found: bytes | None, like: re.Pattern[bytes]) -> None:
    """Raise `UsageError` if what stands at a place is neither empty nor made by an earlier run."""
    if found is None or (found and not like.match(found)):
        raise UsageError(
            f"{printable(place.name)!r} is there already, and is no {what} of an earlier run",
            next_step="Name another place for it.",
        )


class _Object(io.RawIOBase):
    """An object of any length, of which only a few megabytes are held; it is there when it is finished whole."""

    def __init__(self, url: Url, like: re.Pattern[bytes]) -> None:
        self._url, self._new = url, make_room(url)
        if not self._new:
            _refuse_other(url, "report", ends(url, EDGE), like)
        refuse_strangers(url, "report", new=self._new)
        self._writer = open_writer(url)
        self._finished = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._finished:
            return len(data)
        with writing():
            return int(self._writer.write(bytes(data)))

    def finish(self, *, whole: bool) -> None:
        self._finished = True
        if whole:
            with writing():
                self._writer.close()
        elif self._new:
            remove(self._url)


@dataclass(slots=True)
class _Ending:
    """A report that knows whether it was ended."""

    rows: Rows
    ended: bool = False

    def add(self, row: Mapping[str, Any]) -> None:
        self.rows.add(row)

    def flag(self, source: str, places: list[Bare]) -> None:
        self.rows.flag(source, places)

    def leave_out(self, source: str, reason: str) -> None:
        self.rows.leave_out(source, reason)

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None:
        self.rows.end(totals, pipeline, digest)
        self.ended = True


class _Nothing:
    def add(self, row: Mapping[str, Any]) -> None: ...

    def flag(self, source: str, places: list[Bare]) -> None: ...

    def leave_out(self, source: str, reason: str) -> None: ...

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None: ...


class _Document:
    """One JSON document, totals first."""

    LIKE = re.compile(rb'\{\n "cloak": "')

    def __init__(self, sink: Any) -> None:
        self._sink, self._rows = sink, dict[str, Mapping[str, Any]]()
        self._left_out: list[tuple[str, str]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows[row["source"]] = row

    def flag(self, source: str, places: list[Bare]) -> None:
        if source in self._rows:
            self._rows[source] = flagged(self._rows[source], places)

    def leave_out(self, source: str, reason: str) -> None:
        self._left_out.append((source, reason))

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None:
        whole = document(self._rows.values(), totals, pipeline, digest, self._left_out)
        self._sink.write(json.dumps(whole, indent=1).encode() + b"\n")


class _Lines:
    """A line of JSON a photo."""

    LIKE = re.compile(rb'\{"source": "(?:[^"\\]|\\.)*", "status": "(?:%s)"' % "|".join(Status).encode())

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def add(self, row: Mapping[str, Any]) -> None:
        self._sink.write(json.dumps(row).encode() + b"\n")

    def flag(self, source: str, places: list[Bare]) -> None:
        self.add(flagged({"source": source}, places))

    def leave_out(self, source: str, reason: str) -> None: ...

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None: ...


class _Table:
    """Parquet: columns for what is asked most, and the whole row as JSON; totals and pipeline in its metadata."""

    # Its metadata is at its end: a text under the key "cloak", each with its length before it.
    LIKE = re.compile(rb'PAR1.*\x05cloak\x18.{1,5}\{"cloak": ".*PAR1\Z', re.DOTALL)

    def __init__(self, sink: Any) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtra("a report in Parquet", "stores") from None
        self._arrow = pyarrow
        fields = [(name, pyarrow.string()) for name in WORDS]
        fields += [("faces", pyarrow.int64()), ("resumed", pyarrow.bool_()), ("row", pyarrow.string())]
        self._schema = pyarrow.schema(fields)
        self._writer = pyarrow.parquet.ParquetWriter(sink, self._schema, compression="zstd")
        self._waiting: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        told: dict[str, Any] = {name: row.get(name) for name in WORDS}
        told |= {"faces": row.get("faces", 0), "resumed": bool(row.get("resumed")), "row": json.dumps(row)}
        self._waiting.append(told)
        if len(self._waiting) >= GROUP:
            self._flush()

    def flag(self, source: str, places: list[Bare]) -> None:
        self.add(flagged({"source": source}, places))

    def leave_out(self, source: str, reason: str) -> None: ...

    def end(self, totals: Totals, pipeline: Mapping[str, Any], digest: str) -> None:
        self._flush()
        head = document((), totals, pipeline, digest)
        self._writer.add_key_value_metadata({"cloak": json.dumps({k: v for k, v in head.items() if k != "photos"})})
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []
