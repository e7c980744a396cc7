"""The directories of TIFF (TIFF 6.0, 1992, section 2; BigTIFF), which EXIF and MPF use as well."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cloak.metadata.listing import Span

MAX_DIRECTORIES = 1_000
MAX_ENTRIES = 10_000

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each field type."""

_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One field. `value` is clipped to the block; `whole` tells whether all of it was there."""

    tag: int
    type: int
    count: int
    value: Span
    inline: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """One IFD: where it lies, its fields, and the position of the next one (0: none)."""

    span: Span
    entries: tuple[Entry, ...]
    next: int
    whole: bool

    def find(self, tag: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True, slots=True)
class Block:
    """A TIFF structure: offsets in it count from the first byte of `span`."""

    span: Span
    order: str  # "big" or "little"
    wide: bool  # BigTIFF: 8-byte offsets
    first: int  # position in the buffer of the first directory, 0 if none

    @property
    def header(self) -> int:
        return 16 if self.wide else 8

    def integers(self, entry: Entry, limit: int) -> list[int]:
        """At most `limit` values of a field of integers."""
        code = _NUMBERS.get(entry.type, "")
        if code in ("", "f", "d"):
            return []
        size = SIZES[entry.type]
        count = min(len(entry.value) // size, entry.count, limit)
        raw = entry.value.raw(count * size)
        return list(struct.unpack(("<" if self.order == "little" else ">") + str(count) + code, raw))

    def rationals(self, entry: Entry, limit: int) -> list[float]:
        """At most `limit` values of a field of fractions; a division by zero gives 0."""
        if entry.type not in (5, 10):
            return []
        count = min(len(entry.value) // 8, entry.count, limit)
        code = ("<" if self.order == "little" else ">") + str(2 * count) + ("I" if entry.type == 5 else "i")
        raw = struct.unpack(code, entry.value.raw(count * 8))
        return [raw[i] / raw[i + 1] if raw[i + 1] else 0.0 for i in range(0, 2 * count, 2)]

    def at(self, offset: int) -> int:
        """The buffer's position of an offset in the block; 0 if it points outside or into the header."""
        place = self.span.start + offset
        return place if self.header <= offset and place < self.span.end else 0

    def directory(self, place: int, chained: bool = True) -> Directory | None:
        """The directory at a position of the buffer; None if not even its count is there.

        Directories of EXIF, GPS and Interop are not `chained`: the offset of a next one means nothing there, and some
        writers (piexif) leave it out.
        """
        span, order = self.span, self.order
        head, step, room = (8, 20, 8) if self.wide else (2, 12, 4)
        if place <= 0 or place + head > span.end:
            return None
        count = span.number(place, head, order)
        fits = min(count, (span.end - place - head) // step)
        entries = []
        for i in range(min(fits, MAX_ENTRIES)):
            at = place + head + i * step
            tag, kind = span.number(at, 2, order), span.number(at + 2, 2, order)
            number = span.number(at + 4, room, order)
            length = number * SIZES.get(kind, 1)
            field = at + 4 + room
            if length <= room:
                value, inline = span.cut(field, field + length), True
            else:
                offset = span.start + span.number(field, room, order)
                value, inline = span.cut(offset, offset + length), False
            entries.append(Entry(tag, kind, number, value, inline, len(value) == length))
        end = place + head + fits * step
        tail = span.cut(end, end + room)
        if not chained and any(tail.raw()):
            tail = span.cut(end, end)
        follows = chained and fits == count and len(tail) == room
        following = self.at(span.number(end, room, order)) if follows else 0
        whole = fits == count == len(entries) and (len(tail) == room or not chained)
        return Directory(span.cut(place, tail.end if fits == count else end), tuple(entries), following, whole)


def open_block(span: Span) -> Block | None:
    """The TIFF structure that a span holds; None if its header is not one."""
    order = {b"II": "little", b"MM": "big"}.get(span.data[span.start : span.start + 2])
    if order is None or len(span) < 8:
        return None
    magic = span.number(span.start + 2, 2, order)
    if magic == 43:
        if span.number(span.start + 4, 4, order) != (8 if order == "little" else 8 << 16):
            return None
        offset, wide = span.number(span.start + 8, 8, order), True
    else:
        offset, wide = span.number(span.start + 4, 4, order), False
    if magic not in (42, 43):
        return None
    block = Block(span, order, wide, 0)
    return Block(span, order, wide, block.at(offset))


def first(block: Block, directory: Directory, tag: int, default: int) -> int:
    """The first value of a field of integers."""
    entry = directory.find(tag)
    values = block.integers(entry, 1) if entry else []
    return values[0] if values else default


def is_page(block: Block, directory: Directory) -> bool:
    """Whether a directory is neither a smaller version nor a mask of another page (NewSubfileType, SubfileType)."""
    return not first(block, directory, 0x00FE, 0) & 5 and first(block, directory, 0x00FF, 1) != 2


POINTERS = {0x8769: "ExifIFD", 0x8825: "GPS", 0xA005: "Interop", 0x014A: "SubIFD", 0x0190: "GlobalIFD"}
"""Tags whose values are offsets of further directories."""

_CHAINED = {"IFD", "SubIFD"}


@dataclass(slots=True)
class Walk:
    """Every directory of a block, each once; `complete` turns False if something could not be followed."""

    block: Block
    complete: bool = True

    def __iter__(self) -> Iterator[tuple[str, Directory]]:
        """Pairs of a name ("IFD0", "IFD1", "ExifIFD", "SubIFD", ...) and a directory."""
        seen: set[int] = set()
        entries = page = 0
        queue = [("IFD", self.block.first)]
        while queue:
            name, place = queue.pop(0)
            if place in seen or len(seen) >= MAX_DIRECTORIES or entries >= MAX_ENTRIES:
                self.complete = False
                continue
            seen.add(place)
            directory = self.block.directory(place, name in _CHAINED)
            if directory is None:
                self.complete = False
                continue
            self.complete &= directory.whole
            entries += len(directory.entries)
            children: list[tuple[str, int]] = []
            for entry in directory.entries:
                child = POINTERS.get(entry.tag)
                if child is not None and entry.type in (3, 4, 13, 16, 18) and len(children) < MAX_DIRECTORIES:
                    offsets = self.block.integers(entry, MAX_DIRECTORIES)
                    children += [(child, self.block.at(offset)) for offset in offsets if offset]
            # A chain may hang on any directory; only that of the first one holds pages.
            if directory.next:
                children.append((name, directory.next))
            inner = [child for child in children if child[0] != "IFD"]
            following = [child for child in children if child[0] == "IFD"]
            queue = (inner + queue + following)[: MAX_DIRECTORIES + 1]
            yield (f"IFD{page}" if name == "IFD" else name), directory
            page += name == "IFD"
