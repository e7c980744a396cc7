"""Progressive JPEGs, and those of several scans: all scans read into one array of coefficients (native part only)."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cloak.photo import _loud, _stream, jpeg_huffman
from cloak.photo._progressive import Reader
from cloak.photo._stream import Damaged, Disputed
from cloak.photo.jpeg_coded import Coefficients, Planes
from cloak.photo.jpeg_header import Header, Scan
from cloak.photo.jpeg_layout import Layout, layout

Known: TypeAlias = npt.NDArray[np.int64]
"""(components, 64): the lowest bit of each coefficient (zigzag order) that scans have told so far; 14 for none."""


def planes(data: bytes, header: Header) -> Planes:
    """All coefficients of a Huffman-coded file; 128 bytes a block. Raises `Damaged`.

    `open_jpeg` has made sure that the file holds a bit for each block at least.
    """
    if header.coding not in ("baseline", "extended", "progressive"):
        raise Damaged("the file is arithmetic-coded")
    grid = layout(header)
    out = np.zeros((grid.mcus, grid.blocks, 64), np.int16)
    known = np.full((len(grid.components), 64), 14, np.int64)
    for scan in header.scans:
        _read(data, header, scan, grid, known, out)
    if known.any():
        # libjpeg shows an estimate of what is missing; what was looked at would not be what is published.
        raise Damaged("scans are missing")
    if not _loud.tame(out, grid.steps()):
        raise Disputed("it has blocks that decoders do not agree on")
    return Planes(grid, out)


def _read(data: bytes, header: Header, scan: Scan, grid: Layout, known: Known, out: Coefficients) -> None:
    mode, start, end, low = _mode(header, scan, known)
    first_block = np.cumsum([0, *(c.h * c.v for c in grid.components)])
    members = [np.arange(first_block[c], first_block[c + 1]) for c in scan.components]
    blocks = np.concatenate(members).astype(np.int32)
    which = np.repeat(np.arange(len(scan.components)), [len(m) for m in members])
    columns, rows, across, down = grid.columns, grid.rows, 1, 1
    if len(scan.components) == 1:
        c = grid.components[scan.components[0]]
        across, down = c.h, c.v
        # Blocks that hold at least a sample of the component; rounding up twice is rounding up once.
        columns = -(-grid.size.width * c.h // (8 * grid.hmax))
        rows = -(-grid.size.height * c.v // (8 * grid.vmax))
    look = np.stack([jpeg_huffman.lookup(t) if t else np.zeros(65536, np.uint16) for t in scan.dc + scan.ac])
    entropy = memoryview(data)[scan.start : scan.end]
    bits = np.empty(len(entropy) + _stream.PADDING, np.uint8)
    interval = scan.restart or columns * rows
    first = np.zeros(-(-columns * rows // interval), np.uint64)
    last = np.zeros_like(first)
    _stream.unstuff(entropy, bits, first, last)
    reader = Reader(
        bits,
        first,
        last,
        look,
        blocks,
        np.array(scan.components, np.int32)[which],
        which.astype(np.int32),
        (which + len(scan.dc)).astype(np.int32),
        out,
    )
    reader.scan(mode, start, end, low, interval, columns, rows, across, down, grid.columns)


def _mode(header: Header, scan: Scan, known: Known) -> tuple[int, int, int, int]:
    """How to read a scan; the order of progressive scans is checked (T.81 G.1.1.1)."""
    if header.coding != "progressive":
        known[list(scan.components)] = 0
        return 0, 0, 63, 0
    start, end = scan.spectral
    high, low = scan.approximation
    possible = (start == 0 and end == 0) or (0 < start <= end < 64 and len(scan.components) == 1)
    if not possible or low > 13 or (high and high != low + 1):
        raise Damaged("an impossible progressive scan")
    band = known[list(scan.components), start : end + 1]
    # A first scan of coefficients that are known, or a refinement of others than those of the bit before.
    if (band != (high or 14)).any() or (start and (known[list(scan.components), 0] == 14).any()):
        raise Damaged("progressive scans out of order")
    known[list(scan.components), start : end + 1] = low
    return (1 if start == 0 else 3) + (1 if high else 0), start, end, low
