"""The ledger in an object store: records in Parquet parts, each of a range of names, so that millions can be searched.

    OUT.cloak/meta.json       version, and the secret of the keyed digests
    OUT.cloak/parts/*.parquet records; names begin with the time of writing, so that the latest record of a name wins
    OUT.cloak/index.parquet   the range of names of each part, made anew when a run begins

Keys are listed in order and worked on in blocks, so parts overlap little, and one or two are read to find a name.
"""

import io
import json
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from hmac import digest as keyed_digest
from typing import Any

from cloak.bucket import read_object, refuse_strangers, try_put, under
from cloak.errors import MissingExtra, OutputError
from cloak.place import Url
from cloak.records import VERSION, Entry

ROWS = 256
"""Records a part at most; what is killed before a part is written is done again."""

AGE = 60.0
"""Seconds after which a part is written even if it is small."""

KEPT = 64
"""Parts held in memory to look names up."""

COLUMNS = ("name", "content", "pipeline", "published", "row")


class Parts:
    """The record of one output in a store.

    Runs on one output at once do not harm each other: parts are only ever added, and the same photo done twice is
    published whole twice. One of them is waste, so start one.

    Args:
        place: the prefix of the ledger. Keep it private: it holds names of originals.
        lock: make what is missing, and index the parts of earlier runs. Workers of the run that did pass False.
        fresh: look at the parts of earlier runs, without writing an index; for those who only read.

    Raises `OutputError` if the store fails or the ledger is damaged, `UsageError` if anybody could read it.
    """

    def __init__(self, place: Url, *, lock: bool = True, fresh: bool = False) -> None:
        self._parquet = _parquet()
        self.place = place
        meta = read_object(place / "meta.json")
        if meta is None and lock:
            made = json.dumps({"version": VERSION, "secret": secrets.token_hex(32)}).encode()
            new = try_put(place / "meta.json", made, new=True)
            meta = made if new else read_object(place / "meta.json")
            refuse_strangers(place / "meta.json", "ledger", new=new)
        elif lock:
            refuse_strangers(place / "meta.json", "ledger", new=False)
        try:
            known = json.loads(meta or b"")
            version, self._secret = known["version"], bytes.fromhex(known["secret"])
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                "the ledger is missing or damaged",
                next_step="Move it away (work is then done again), or name another with --ledger.",
            ) from None
        if version != VERSION:
            raise OutputError(
                "the ledger was written by another version of cloak",
                next_step="Move the ledger away; work is then done again.",
            )
        self._ranges = self._index(store=lock) if lock or fresh else self._load_index()
        self._latest = max((int(part.partition("-")[0]) for part in self._ranges), default=0)
        self._loaded: OrderedDict[str, dict[str, Entry]] = OrderedDict()
        self._waiting: dict[str, Entry] = {}
        self._since = time.monotonic()

    def key(self, data: bytes) -> str:
        """The keyed digest under which a photo's content, or its version in the store, is known here only."""
        return keyed_digest(self._secret, sha256(data).digest(), "sha256").hex()

    def find(self, name: str) -> Entry | None:
        """The latest record of a name, of those that there were when the run began and those made here."""
        if name in self._waiting:
            return self._waiting[name]
        for part, (least, most) in self._ranges.items():
            if least <= name <= most and (entry := self._part(part).get(name)):
                return entry
        return None

    def record(self, name: str, entry: Entry) -> None:
        """Keep a record until the next part is written: at `ROWS`, after `AGE`, or by `flush`."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting[name] = entry
        if len(self._waiting) >= ROWS or time.monotonic() - self._since > AGE:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a part. Raises `OutputError`."""
        if not self._waiting:
            return
        names = sorted(self._waiting)
        rows = [self._waiting[name] for name in names]
        columns: dict[str, list[Any]] = {
            "name": names,
            "content": [row.content for row in rows],
            "pipeline": [row.pipeline for row in rows],
            "published": [row.published for row in rows],
            "row": [json.dumps(row.row) for row in rows],
        }
        # Later than all before, even if the clock was set back: the latest record of a name wins.
        self._latest = max(time.time_ns(), self._latest + 1)
        part = f"{self._latest:020}-{secrets.token_hex(4)}.parquet"
        try_put(self.place / "parts" / part, self._encode(columns))
        self._ranges = {part: (names[0], names[-1])} | self._ranges  # the latest first: it wins
        self._keep(part, self._waiting)
        self._waiting = {}

    def close(self) -> None:
        self.flush()

    def _part(self, name: str) -> dict[str, Entry]:
        if name in self._loaded:
            self._loaded.move_to_end(name)
            return self._loaded[name]
        columns = self._decode(read_object(self.place / "parts" / name))
        entries = {
            row[0]: Entry(row[1], row[2], row[3], json.loads(row[4]))
            for row in zip(*(columns[column] for column in COLUMNS), strict=True)
        }
        self._keep(name, entries)
        return entries

    def _keep(self, name: str, entries: dict[str, Entry]) -> None:
        self._loaded[name] = entries
        if len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)

    def _index(self, *, store: bool) -> dict[str, tuple[str, str]]:
        """Index the parts that are not in the index yet."""
        ranges = self._load_index()
        new = [part for part in under(self.place / "parts") if part.endswith(".parquet") and part not in ranges]
        if not new:
            return ranges

        def measure(part: str) -> tuple[str, str]:
            names = self._decode(read_object(self.place / "parts" / part))["name"]
            return min(names), max(names)

        with ThreadPoolExecutor(16) as threads:
            ranges |= dict(zip(new, threads.map(measure, new), strict=True))
        ranges = dict(sorted(ranges.items(), reverse=True))  # the latest first: it wins
        if store:
            least, most = zip(*ranges.values(), strict=True)
            table = {"part": list(ranges), "least": list(least), "most": list(most)}
            try_put(self.place / "index.parquet", self._encode(table))
        return ranges

    def _load_index(self) -> dict[str, tuple[str, str]]:
        data = read_object(self.place / "index.parquet")
        if data is None:
            return {}
        table = self._decode(data)
        return dict(zip(table["part"], zip(table["least"], table["most"], strict=True), strict=True))

    def _encode(self, columns: dict[str, list[Any]]) -> bytes:
        arrow, parquet = self._parquet
        buffer = io.BytesIO()
        schema = arrow.schema([(name, arrow.string()) for name in columns])
        parquet.write_table(arrow.table(columns, schema=schema), buffer, compression="zstd")
        return buffer.getvalue()

    def _decode(self, data: bytes | None) -> dict[str, list[Any]]:
        arrow, parquet = self._parquet
        try:
            table: dict[str, list[Any]] = parquet.read_table(io.BytesIO(data or b"")).to_pydict()
        except arrow.ArrowException:
            raise OutputError(
                "a part of the ledger is missing or damaged",
                next_step="Move the ledger away (work is then done again), or name another with --ledger.",
            ) from None
        return table


def _parquet() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("a ledger in a store", "stores") from None
    return pyarrow, pyarrow.parquet
