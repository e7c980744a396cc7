"""Where readers write down what they found; makes any set of findings tile the file."""

import re
from collections import deque
from dataclasses import dataclass, field, replace

from cloak.metadata.base import Contents, Fact, Kind, Part

MAX_TILES = 25_000
MAX_NOTES = 30_000
MAX_JOINED = 200_000
MAX_VALUE = 200
"""Characters of a fact's value; longer ones are cut."""

# Ranks of facts: how directly a statement leads to a person.
PLACE, PERSON, IMAGE, DATE, DEVICE, SOFTWARE, DOCUMENT, HISTORY, TEXT, OTHER = 0, 1, 2, 4, 5, 6, 7, 8, 3, 9

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]+"
)


class Full(ValueError):
    """More parts than one file may have; raised by `Listing` and caught where walks begin."""


def clean(value: str | bytes) -> str:
    """The value without control characters (also those that reorder text), cut to `MAX_VALUE` characters."""
    head = value[: 8 * MAX_VALUE]
    text = head if isinstance(head, str) else _decoded(head)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        # A cut may have split the last character; anything else is an older encoding.
        if error.end == len(value) and error.start > len(value) - 4:
            return value[: error.start].decode("utf-8")
        return value.decode("latin-1")


def fact(label: str, value: str | bytes, rank: int = OTHER) -> tuple[Fact, ...]:
    """One cleaned fact, or none if nothing readable is in the value."""
    text = clean(value)
    return (Fact(label, text, rank),) if text else ()


@dataclass(frozen=True, slots=True)
class Span:
    """A run `[start, end)` of a buffer, and where it lies in the file.

    `home` is None if the buffer is the file itself; otherwise the buffer was decompressed or put together from the
    file's bytes (offset, length), and that is what the parts found in it report.
    """

    data: bytes
    start: int
    end: int
    home: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.end - self.start

    def raw(self, limit: int | None = None) -> bytes:
        end = self.end if limit is None else min(self.end, self.start + limit)
        return self.data[self.start : end]

    def cut(self, start: int, end: int) -> "Span":
        """A part of it; positions are the buffer's, and are kept inside this span."""
        start = min(max(start, self.start), self.end)
        return Span(self.data, start, min(max(end, start), self.end), self.home)

    def startswith(self, prefix: bytes | tuple[bytes, ...]) -> bool:
        return self.data.startswith(prefix, self.start, self.end)

    def number(self, at: int, size: int, order: str = "big") -> int:
        """The unsigned integer at a position of the buffer; 0 if it is not wholly inside."""
        if at < self.start or at + size > self.end:
            return 0
        return int.from_bytes(self.data[at : at + size], "big" if order == "big" else "little")


@dataclass(slots=True)
class Listing:
    """Parts found so far. `tile` claims bytes of the file, `note` tells of something inside a claim."""

    data: bytes
    frames: int = 1
    fault: str = ""
    pending: deque[tuple[str, Span, str]] = field(default_factory=deque)
    _tiles: list[Part] = field(default_factory=list)
    _notes: list[Part] = field(default_factory=list)
    _budget: int = 0
    _joined: int = 0

    def __post_init__(self) -> None:
        # Carriers in carriers are read at most so many times over: keeps hostile nesting linear in the file's size.
        self._budget = 12 * len(self.data) + (1 << 20)

    @property
    def whole(self) -> Span:
        return Span(self.data, 0, len(self.data))

    def complain(self, fault: str) -> None:
        """Keep the first fault."""
        self.fault = self.fault or fault

    def nest(self, reader: str, span: Span, inside: str) -> None:
        """Have a carrier that lies in another one read: "exif", "xmp", "iptc", "resources", "icc", "jumbf", "jpeg"."""
        if not self.spend(len(span)):
            return
        self.pending.append((reader, span, inside))

    @property
    def budget(self) -> int:
        """Nested bytes that may still be read."""
        return max(self._budget - 64, 0)

    def spend(self, cost: int) -> bool:
        """Whether there is budget left to read `cost` more nested bytes."""
        if cost + 64 > self._budget:
            self.complain("carriers are nested too deeply to be read in full")
            self._budget = 0
            return False
        self._budget -= cost + 64
        return True

    def tile(
        self, name: str, kind: Kind, start: int, end: int, facts: tuple[Fact, ...] = (), *, join: bool = False
    ) -> None:
        """Claim bytes of the file; `join` unites them with an equal claim that ends where they start."""
        start, end = max(start, 0), min(end, len(self.data))
        if start >= end:
            return
        if join and self._tiles:
            last = self._tiles[-1]
            if last.name == name and last.kind == kind and last.offset + last.length == start:
                self._joined += 1
                if self._joined > MAX_JOINED:
                    raise Full
                self._tiles[-1] = Part(name, kind, last.offset, end - last.offset, last.facts)
                return
        if len(self._tiles) >= MAX_TILES:
            raise Full
        self._tiles.append(Part(name, kind, start, end - start, facts))

    def note(self, name: str, kind: Kind, span: Span, inside: str, facts: tuple[Fact, ...] = ()) -> None:
        """Tell of a field or a nested part."""
        if len(self._notes) >= MAX_NOTES:
            raise Full
        offset, length = span.home or (span.start, len(span))
        self._notes.append(Part(name, kind, offset, length, facts, inside))

    def put(self, name: str, kind: Kind, span: Span, inside: str, facts: tuple[Fact, ...] = ()) -> None:
        """A tile if nothing holds it, else a note."""
        if inside or span.home is not None:
            self.note(name, kind, span, inside, facts)
        else:
            self.tile(name, kind, span.start, span.end, facts)

    def finish(self, format: str, gap: str = "unknown bytes", pad: int = 0) -> Contents:
        """Everything found, made to tile the file.

        Args:
            format: as in `Contents`.
            gap: the name of bytes that nothing claims.
            pad: zeros of at most this many bytes are called "padding" and count as structure.
        """
        tiles: list[Part] = []
        at = 0

        def fill(end: int) -> None:
            if end - at <= pad and not any(self.data[at:end]):
                tiles.append(Part("padding", Kind.STRUCTURE, at, end - at))
            else:
                tiles.append(Part(gap, Kind.UNKNOWN, at, end - at))

        # Of two claims on the same byte the earlier one wins; what the later one said stays visible as a note.
        for part in sorted(self._tiles, key=lambda part: part.offset):
            if part.offset > at:
                fill(part.offset)
                at = part.offset
            end = part.offset + part.length
            if part.offset < at:
                holder = tiles[-1]
                same = (holder.offset, holder.length) == (part.offset, part.length)
                if not (same and holder.kind == part.kind):
                    self.complain("parts overlap")
                self._notes.append(replace(part, inside=holder.name))
            if end > at:
                tiles.append(replace(part, offset=at, length=end - at))
                at = end
        if at < len(self.data):
            fill(len(self.data))
        parts = sorted((*tiles, *self._notes), key=lambda part: (part.offset, part.inside != "", -part.length))
        return Contents(format, tuple(parts), self.frames, self.fault)
