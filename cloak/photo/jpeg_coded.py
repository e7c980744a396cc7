"""The coefficients of a JPEG, MCU by MCU, and their way back into entropy-coded data (native part only)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloak.geometry import Size
from cloak.photo import _stream, jpeg_huffman, jpeg_write
from cloak.photo._splice import Writer
from cloak.photo._stream import Damaged, Full, Missing, Stream
from cloak.photo.jpeg_header import Header, Huffman, Scan
from cloak.photo.jpeg_layout import Layout, Turn, layout, turn

Coefficients = npt.NDArray[np.int16]
"""(n, blocks, 64) int16: MCUs, their blocks in coding order, quantised coefficients in zigzag order, DC absolute."""

BLOCKS = 10
"""Of an MCU of several components, at most (T.81 B.2.3); a scan of one component has no such bound."""

Unable = Damaged
"""Why a file cannot be edited in place: its data breaks a rule, or cannot be written as the baseline has it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """MCUs that get new coefficients: their numbers, ascending, and a row for each."""

    mcus: npt.NDArray[np.int64]
    coefficients: Coefficients


def no_changes(grid: Layout) -> Changes:
    return Changes(np.empty(0, np.int64), np.empty((0, grid.blocks, 64), np.int16))


@dataclass(frozen=True, slots=True)
class Written:
    """A frame with one scan.

    Attributes:
        parts: in order, to be put behind what `jpeg_write.start` gives; in parts because copies of a photo are large.
        copied: bits of unchanged MCUs were copied, with their tables.
    """

    parts: tuple[bytes | memoryview, ...]
    copied: bool

    def behind(self, head: bytes) -> bytes:
        """The whole file."""
        return b"".join((head, *self.parts))


def indexable(header: Header) -> bool:
    """Whether the file is one interleaved sequential scan with Huffman tables that are all there."""
    scan = header.scans[0]
    whole = len(header.scans) == 1 and len(scan.components) == len(header.components)
    return whole and header.coding in ("baseline", "extended") and None not in scan.dc and None not in scan.ac


@dataclass(frozen=True, slots=True)
class Indexed:
    """Coefficients read from the entropy-coded data where they are wanted.

    Attributes:
        stream: a copy of the data, and 24 bytes an MCU that say where it lies.
        surplus: whether data is left over behind the last MCU of a restart interval; it is never carried over.
    """

    header: Header
    layout: Layout
    stream: Stream
    surplus: bool

    def read(self, mcus: npt.NDArray[np.int64]) -> Coefficients:
        out = np.empty((len(mcus), self.layout.blocks, 64), np.int16)
        self.stream.read(mcus, out)
        return out

    def write(self, changes: Changes, orientation: int, *, optimize: bool = False) -> Written:
        """The picture with the changes made and turned upright; bits are copied where nothing is turned.

        Raises `Unable` where a coefficient cannot be coded.
        """
        if orientation == 1 and not optimize:
            try:
                return self._splice(changes)
            except Missing:
                pass  # the file's tables are not complete: all tables are made anew
        slots = np.full(self.layout.mcus, -1, np.int32)
        slots[changes.mcus] = np.arange(len(changes.mcus))
        scan = self.header.scans[0]
        grouped = [_number(_known(scan)[0], scan.dc[i]) for i in range(len(scan.dc))]
        return _recode(self.stream, self.layout, slots, changes.coefficients, orientation, grouped, scan.restart)

    def _splice(self, changes: Changes) -> Written:
        scan = self.header.scans[0]
        tables = _tables(scan)
        codes = np.stack([jpeg_huffman.codes(t) for t in tables])

        def attempt(out: npt.NDArray[np.uint8]) -> Writer:
            writer = Writer(out, codes)
            writer.splice(self.stream, changes.mcus, changes.coefficients)
            return writer

        room = scan.end - scan.start + changes.coefficients.size // 2
        entropy = _grown(attempt, room)
        dcs, acs = _known(scan)
        named = dict(enumerate(dcs)) | {16 | i: t for i, t in enumerate(acs)}
        numbers = [(_number(dcs, d), _number(acs, a)) for d, a in zip(scan.dc, scan.ac, strict=True)]
        return Written(_frame(self.layout, named, numbers, scan.restart, entropy), copied=True)


@dataclass(frozen=True, slots=True)
class Planes:
    """All coefficients of a picture in memory: progressive files, and those of several scans."""

    layout: Layout
    coefficients: Coefficients

    def read(self, mcus: npt.NDArray[np.int64]) -> Coefficients:
        return self.coefficients[mcus]

    def write(self, changes: Changes, orientation: int, *, optimize: bool = True) -> Written:
        """The picture with the changes made and turned upright, as one baseline scan with the best tables."""
        del optimize  # there are no tables to keep
        self.coefficients[changes.mcus] = changes.coefficients
        slots = np.arange(self.layout.mcus, dtype=np.int32)
        # As usual, one table for brightness (and black), one for colour.
        grouped = [0, 1, 1, 0][: len(self.layout.components)]
        return _recode(None, self.layout, slots, self.coefficients, orientation, grouped, 0)


def index(data: bytes, header: Header) -> Indexed:
    """Find every MCU of an indexable file, and check all its codes and what they stand for; raises `Unable`."""
    grid, scan = layout(header), header.scans[0]
    interval = scan.restart or grid.mcus
    entropy = memoryview(data)[scan.start : scan.end]
    bits = np.empty(len(entropy) + _stream.PADDING, np.uint8)
    first, last, ends = np.zeros((3, -(-grid.mcus // interval)), np.uint64)
    _stream.unstuff(entropy, bits, first, last)
    tables = _tables(scan)
    look = np.stack([jpeg_huffman.lookup(t) for t in tables])
    near, skips = np.zeros((len(tables), 1024), np.uint16), np.zeros((len(tables), 4096), np.uint32)
    for i, table in enumerate(look):
        _stream.runs(table, near[i], skips[i])
    component = grid.component_of_block()
    dc = np.array([tables.index(t) for t in scan.dc if t is not None], np.int32)[component]
    ac = np.array([tables.index(t) for t in scan.ac if t is not None], np.int32)[component]
    mcu = np.zeros((grid.blocks, 64), np.int16)
    places = np.zeros(grid.mcus, np.uint64), ends, np.zeros((grid.mcus, 4), np.int32)
    stream = Stream(bits, first, last, component, dc, ac, look, near, skips, interval, *places, mcu, grid.steps())
    return Indexed(header, grid, stream, stream.scan())


def _tables(scan: Scan) -> list[Huffman]:
    dcs, acs = _known(scan)
    return dcs + acs


def _known(scan: Scan) -> tuple[list[Huffman], list[Huffman]]:
    """The different DC and AC tables of a scan."""
    return list(dict.fromkeys(t for t in scan.dc if t)), list(dict.fromkeys(t for t in scan.ac if t))


def _number(tables: list[Huffman], table: Huffman | None) -> int:
    assert table is not None
    return tables.index(table)


def _recode(
    stream: Stream | None,
    stored: Layout,
    slots: npt.NDArray[np.int32],
    coefficients: Coefficients,
    orientation: int,
    grouped: Sequence[int],
    interval: int,
) -> Written:
    """Code every MCU anew with the best tables; `grouped` gives each component the number of its tables."""
    if stored.blocks > BLOCKS:
        raise Unable("its components have more blocks than one scan may hold")
    way: Turn = turn(stored, orientation)
    component = way.layout.component_of_block()
    number = np.array(grouped, np.int32)
    kinds = max(grouped) + 1
    dc, ac = number[component], number[component] + kinds
    interval = interval if orientation == 1 else 0  # intervals of a turned picture would fall anywhere

    def run(writer: Writer) -> Writer:
        writer.recode(
            stream, way.order, slots, coefficients, way.blocks, way.positions, way.signs, interval, component, dc, ac
        )
        return writer

    counts = np.zeros((2 * kinds, 256), np.int64)
    run(Writer(np.empty(0, np.uint8), np.zeros((2 * kinds, 256), np.uint32), counts))
    tables = [jpeg_huffman.optimal(row.tolist()) for row in counts]
    codes = np.stack([jpeg_huffman.codes(t) for t in tables])
    lengths, sizes = codes >> 16, np.arange(256) & 15
    # The exact number of bits is known; stuffing rarely adds more than one byte in a hundred.
    bits = int((counts * (lengths + sizes)).sum())
    room = bits // 8 + bits // 400 + 16 * stored.mcus // (interval or stored.mcus)
    entropy = _grown(lambda out: run(Writer(out, codes)), room)
    named = {i: tables[i] for i in range(kinds)} | {16 | i: tables[kinds + i] for i in range(kinds)}
    numbers = [(n, n) for n in grouped]
    return Written(_frame(way.layout, named, numbers, interval, entropy), copied=False)


def _grown(attempt: Callable[[npt.NDArray[np.uint8]], Writer], room: int) -> npt.NDArray[np.uint8]:
    room += 4096
    while True:
        out = np.empty(room, np.uint8)
        try:
            return out[: attempt(out).length]
        except Full:
            room *= 2


def _frame(
    grid: Layout,
    tables: dict[int, Huffman],
    numbers: Sequence[tuple[int, int]],
    interval: int,
    entropy: npt.NDArray[np.uint8],
) -> tuple[bytes | memoryview, ...]:
    marker = jpeg_write.sequential(grid.components, 1 + max(n & 15 for n in tables))
    size = Size(grid.size.width, grid.size.height)
    before = jpeg_write.frame(marker, size, grid.components) + jpeg_write.huffman(tables)
    if interval:
        before += jpeg_write.restart(interval)
    return before + jpeg_write.scan(range(len(grid.components)), numbers), entropy.data, jpeg_write.EOI
