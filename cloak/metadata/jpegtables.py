"""Quantisation and Huffman tables of a JPEG, and whether anything uses them (ITU-T T.81, B.2.4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cloak.metadata.base import Kind
from cloak.metadata.listing import Listing, Span

Key = tuple[str, int]
"""("DQT", "DC" or "AC", number)."""

DQT, DHT = 0xDB, 0xC4


def tables(code: int, payload: Span) -> Iterator[tuple[Key, Span]]:
    """The tables in a DQT or DHT segment; stops at the first one that is not whole."""
    at = payload.start
    while at < payload.end:
        head = payload.data[at]
        if code == DQT:
            key, size = ("DQT", head & 15), 129 if head >> 4 else 65
        elif at + 17 <= payload.end:
            key, size = ("AC" if head >> 4 else "DC", head & 15), 17 + sum(payload.data[at + 1 : at + 17])
        else:
            return
        if at + size > payload.end or head >> 4 > 1:
            return
        yield key, payload.cut(at, at + size)
        at += size


@dataclass(slots=True)
class Usage:
    """Tables that were defined and have not been used since: 64 to 256 bytes each that no decoder looks at."""

    waiting: dict[Key, Span] = field(default_factory=dict)
    idle: list[tuple[Key, Span]] = field(default_factory=list)
    quantisers: dict[int, int] = field(default_factory=dict)  # component -> number of its table

    def define(self, code: int, payload: Span) -> None:
        for key, table in tables(code, payload):
            if key in self.waiting:
                self.idle.append((key, self.waiting[key]))
            self.waiting[key] = table

    def frame(self, payload: Span) -> None:
        for i in range(payload.number(payload.start + 5, 1)):
            at = payload.start + 6 + 3 * i
            self.quantisers[payload.number(at, 1)] = payload.number(at + 2, 1)

    def scan(self, payload: Span, progressive: bool) -> None:
        count = payload.number(payload.start, 1)
        spectral = payload.start + 1 + 2 * count
        first, refined = payload.number(spectral, 1), payload.number(spectral + 2, 1) >> 4
        for i in range(count):
            at = payload.start + 1 + 2 * i
            selectors = payload.number(at + 1, 1)
            self.waiting.pop(("DQT", self.quantisers.get(payload.number(at, 1), -1)), None)
            if not progressive or (first == 0 and not refined):
                self.waiting.pop(("DC", selectors >> 4), None)
            if not progressive or first > 0:
                self.waiting.pop(("AC", selectors & 15), None)

    def report(self, listing: Listing) -> None:
        for (kind, _), table in [*self.idle, *self.waiting.items()]:
            name = "DQT" if kind == "DQT" else "DHT"
            listing.note(f"{name} unused table", Kind.UNKNOWN, table, name)
