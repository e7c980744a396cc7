"""The second look at a published JPEG's pixels: nothing may hide inside or behind its scans.

Written for the verifier and on purpose without the parser, the tables and the scanner that the writer uses.
"""

from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg

from cloak.errors import VerificationFailed

NATIVE = find_spec("cloak.photo._check") is not None
if NATIVE:
    from cloak.photo import _check

Table: TypeAlias = npt.NDArray[np.int32]
"""(64,) int32: the steps of quantisation, in the order of DQT."""


def check_scan(data: bytes) -> None:
    """Decode a sequential JPEG to its last MCU and require that the next bytes are the next segment, and EOI the last.

    Without the native part libjpeg does it, which warns of surplus data too, though not of the last few bytes.

    Raises `VerificationFailed` where entropy-coded data is left over or missing, codes are wrong, padding bits are no
    ones, coefficients are so large that decoders show different pictures (the native part only), a table or a scan is
    there that no component needs, the file is not sequential, or bytes follow EOI.
    """
    if not NATIVE:
        _by_libjpeg(data)
        return
    try:
        _walk(data)
    except (IndexError, ValueError) as error:
        raise VerificationFailed("the JPEG's structure cannot be followed") from error


def _by_libjpeg(data: bytes) -> None:
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"\xda", b"", b"\xd9"):
        at += 2 + max(int.from_bytes(data[at + 2 : at + 4]), 2)
    # Segments may hold any bytes; from the first scan on, these two are EOI.
    if data[at : at + 2] != b"\xff\xda" or data.find(b"\xff\xd9", at) != len(data) - 2:
        raise VerificationFailed("the JPEG does not end with its first EOI")
    try:
        _, _, space, _ = simplejpeg.decode_jpeg_header(data)
        kind = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB")
        simplejpeg.decode_jpeg(data, kind, strict=True)
    except ValueError as error:
        raise VerificationFailed("libjpeg warns about the JPEG's data") from error


def _walk(data: bytes) -> None:
    if data[:2] != b"\xff\xd8":
        raise VerificationFailed("the JPEG does not begin with SOI")
    at, interval = 2, 0
    frame: bytes = b""
    books: dict[int, bytes] = {}
    missing: set[int] = set()
    quantisation: dict[int, Table] = {}
    while True:
        if data[at] != 0xFF:
            raise VerificationFailed("the JPEG has bytes between its segments")
        marker = data[at + 1]
        if marker == 0xD9:
            break
        length = int.from_bytes(data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if length < 2 or at > len(data):
            raise VerificationFailed("a JPEG segment is longer than the file")
        if marker == 0xC4:
            _huffman(body, books)
        elif marker == 0xDB:
            _quantisation(body, quantisation)
        elif marker == 0xDD:
            if len(body) != 2:
                raise VerificationFailed("a damaged restart interval")
            interval = int.from_bytes(body)
        elif marker in (0xC0, 0xC1):
            if frame:
                raise VerificationFailed("the JPEG has two frames")
            frame, missing = body, {body[6 + 3 * i] for i in range(body[5])}
            if len(missing) != body[5] or len(body) != 6 + 3 * body[5]:
                raise VerificationFailed("the JPEG's frame is damaged")
        elif marker == 0xDA:
            names = {body[1 + 2 * i] for i in range(body[0])}
            if not frame or not names or not names <= missing or len(names) != body[0]:
                raise VerificationFailed("a JPEG scan that no component needs")
            missing -= names
            at = _scan(data, at, frame, body, books, quantisation, interval)
        elif not (0xE0 <= marker <= 0xEF):
            raise VerificationFailed("the JPEG has a segment that a published one does not need")
    if missing or not frame:
        raise VerificationFailed("a JPEG component has no scan")
    if set(quantisation) != {frame[8 + 3 * i] for i in range(frame[5])}:
        raise VerificationFailed("the JPEG has a quantisation table that no component needs")
    if at + 2 != len(data):
        raise VerificationFailed("bytes follow the JPEG's EOI")


def _huffman(body: bytes, books: dict[int, bytes]) -> None:
    at = 0
    while at < len(body):
        count = sum(body[at + 1 : at + 17])
        kraft = sum(n << (16 - i) for i, n in enumerate(body[at + 1 : at + 17], 1))
        if at + 17 + count > len(body) or kraft > 65536:
            raise VerificationFailed("a damaged Huffman table")
        books[body[at]] = body[at + 1 : at + 17 + count]
        at += 17 + count


def _quantisation(body: bytes, tables: dict[int, Table]) -> None:
    at = 0
    while at < len(body):
        number, kind = body[at] & 15, np.dtype(">u2" if body[at] >> 4 else ">u1")
        at += 1 + 64 * kind.itemsize
        if at > len(body):
            raise VerificationFailed("a damaged quantisation table")
        tables[number] = np.frombuffer(body, kind, 64, at - 64 * kind.itemsize).astype(np.int32)


def _scan(
    data: bytes,
    at: int,
    frame: bytes,
    sos: bytes,
    books: dict[int, bytes],
    quantisation: dict[int, Table],
    interval: int,
) -> int:
    """The offset behind the scan's data."""
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    factors = {frame[6 + 3 * i]: (frame[7 + 3 * i] >> 4, frame[7 + 3 * i] & 15) for i in range(frame[5])}
    table_of = {frame[6 + 3 * i]: frame[8 + 3 * i] for i in range(frame[5])}
    if any(not (1 <= h <= 4 and 1 <= v <= 4) for h, v in factors.values()) or not width or not height:
        raise VerificationFailed("the JPEG's frame is damaged")
    hmax, vmax = max(h for h, _ in factors.values()), max(v for _, v in factors.values())
    members = [(sos[1 + 2 * i], sos[2 + 2 * i]) for i in range(sos[0])]
    if len(members) == 1:
        # Blocks that hold samples of the component; a frame of one component has no subsampling.
        h, v = factors[members[0][0]] if frame[5] > 1 else (hmax, vmax)
        across, down = 8 * hmax / h, 8 * vmax / v
        blocks = [1]
    else:
        across, down = 8.0 * hmax, 8.0 * vmax
        blocks = [factors[name][0] * factors[name][1] for name, _ in members]
    units = int(-(-width // across) * -(-height // down))
    used = sorted({selector >> 4 for _, selector in members} | {16 | selector & 15 for _, selector in members})
    if not set(used) <= set(books):
        raise VerificationFailed("a JPEG scan without its Huffman table")
    tables: npt.NDArray[np.uint16] = np.zeros((len(used), 65536), np.uint16)
    steps: npt.NDArray[np.uint32] = np.zeros((len(used), 4096), np.uint32)
    for i, number in enumerate(used):
        _check.codebook(books[number], tables[i])
        _check.strides(tables[i], steps[i])
    if not {table_of[name] for name, _ in members} <= set(quantisation):
        raise VerificationFailed("a JPEG scan without its quantisation table")
    component = np.repeat(np.arange(len(members), dtype=np.int32), blocks)
    dc = np.array([used.index(selector >> 4) for _, selector in members], np.int32)[component]
    ac = np.array([used.index(16 | selector & 15) for _, selector in members], np.int32)[component]
    quant = np.stack([quantisation[table_of[name]] for name, _ in members])[component]
    # All steps of more than 2^11 are alike: one coefficient is enough to be looked at closely.
    coarsest = np.maximum.accumulate(np.minimum(quant, 2049) * (np.arange(64) > 0), axis=1).astype(np.uint64) ** 2
    end = _check.scan_end(data, at, tables, steps, dc, ac, quant, coarsest, component, units, interval)
    if end < 0:
        raise VerificationFailed("the JPEG's data does not end where its picture ends, or decoders do not agree on it")
    return end
