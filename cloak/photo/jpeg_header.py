"""Reads what stands before and between the scans of a JPEG, strictly (ITU-T T.81, annex B)."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cloak.errors import Corrupt, NotAnImage, TooLarge, Unsupported
from cloak.geometry import Size
from cloak.photo.base import Limits

# More than any encoder writes; a file of nothing but segments must not cost more than a photo.
_MAX_SEGMENTS = 4096
_MAX_SCANS = 100

# Like libjpeg: bytes that are no marker are passed over, and so are fill bytes and markers that stand alone. In one
# search of `re`: half a gigabyte of FF 00, a marker at a time, took more than a minute.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")

_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the first marker that does not belong to the entropy-coded data
_FRAMES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC9: "arithmetic",
    0xCA: "progressive arithmetic",
}

# T.81 figure A.6: position k of the zigzag order holds coefficient ZIGZAG[k] = 8 * row + column.
ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Huffman:
    """A Huffman table as DHT states it: `counts[i]` codes of i + 1 bits, and the symbols in order of their codes."""

    counts: bytes
    symbols: bytes


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component: its sampling factors and quantisation table (64 values, zigzag order)."""

    h: int
    v: int
    quant: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan.

    Attributes:
        components: indices into the frame's components, in coding order.
        dc, ac: the table of each component of the scan; None where no such table was defined.
        spectral: first and last coefficient. approximation: (high, low) bit positions.
        restart: MCUs between restart markers, 0 for none.
        start, end: the entropy-coded data in the file.
        conditioning: arithmetic coding's parameters, (class << 4 | number) -> value.
        tables: numbers of the (dc, ac) tables, for writing the scan again.
    """

    components: tuple[int, ...]
    dc: tuple[Huffman | None, ...]
    ac: tuple[Huffman | None, ...]
    spectral: tuple[int, int]
    approximation: tuple[int, int]
    restart: int
    start: int
    end: int
    conditioning: tuple[tuple[int, int], ...]
    tables: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Header:
    """All that a JPEG says about its picture.

    Attributes:
        coding: "baseline", "extended", "progressive", "arithmetic" or "progressive arithmetic".
        size: as stored, before the orientation is applied.
        colour: "grey", "ycc", "rgb", "cmyk" or "ycck".
        adobe: the colour transform that an Adobe segment states, None without one.
        icc: the embedded colour profile, None without a complete one.
        orientation: EXIF's 1 to 8.
    """

    coding: str
    size: Size
    components: tuple[Component, ...]
    scans: tuple[Scan, ...]
    colour: str
    adobe: int | None
    icc: bytes | None
    orientation: int

    @property
    def hmax(self) -> int:
        return max(c.h for c in self.components)

    @property
    def vmax(self) -> int:
        return max(c.v for c in self.components)


def parse(data: bytes, limits: Limits) -> Header:
    """The header of a JPEG, every table that its scans use resolved.

    Raises `NotAnImage`, `Corrupt`, `TooLarge`, or `Unsupported` for lossless, hierarchical and 12-bit files and for
    heights that only a DNL segment tells.
    """
    if len(data) > limits.bytes:
        raise TooLarge(f"the file has more than {limits.bytes} bytes")
    if data[:3] != b"\xff\xd8\xff":
        raise NotAnImage("no JPEG: the file does not begin with SOI and a marker")
    state = _State()
    for marker, start, end in _segments(data, state):
        if marker == 0xDA:
            state.scan(data, start, end)
        else:
            state.segment(marker, data[start:end], limits)
    return state.finish()


def _segments(data: bytes, state: "_State") -> Iterator[tuple[int, int, int]]:
    """Marker and payload bounds of each segment, up to EOI; entropy-coded data is stepped over."""
    i, count = 2, 0
    while True:
        match = _MARKER.search(data, i)
        if match is None:
            raise Corrupt("the JPEG ends without EOI")
        marker, i = data[match.end() - 1], match.end()
        if marker == 0xD9:
            return
        if i + 2 > len(data):
            raise Corrupt("the JPEG ends inside a segment")
        length = int.from_bytes(data[i : i + 2])
        if length < 2 or i + length > len(data):
            raise Corrupt("a JPEG segment has an impossible length")
        count += 1
        if count > _MAX_SEGMENTS:
            raise TooLarge("the JPEG has too many segments")
        yield marker, i + 2, i + length
        i = state.position if marker == 0xDA else i + length


class _State:
    """Tables come and go between scans; this is what holds at the place that has been read."""

    def __init__(self) -> None:
        self.position = 0
        self.coding = ""
        self.size = Size(0, 0)
        self.declared: list[tuple[int, int, int, int]] = []  # id, h, v, number of the quantisation table
        self.quant: dict[int, tuple[int, ...]] = {}
        self.latched: dict[int, tuple[int, ...]] = {}  # T.81 B.2.4.1: a component keeps the table of its first scan
        self.huffman: dict[int, Huffman] = {}
        self.conditioning: dict[int, int] = {}
        self.restart = 0
        self.scans: list[Scan] = []
        self.jfif = False
        self.adobe: int | None = None
        self.exif: bytes | None = None
        self.icc: dict[int, bytes] = {}
        self.icc_count: int | None = None
        self.icc_broken = False

    def segment(self, marker: int, body: bytes, limits: Limits) -> None:
        if marker == 0xDB:
            self._dqt(body)
        elif marker == 0xC4:
            self._dht(body)
        elif marker == 0xCC:
            self._dac(body)
        elif marker == 0xDD:
            if len(body) != 2:
                raise Corrupt("DRI has a wrong length")
            self.restart = int.from_bytes(body)
        elif marker in _FRAMES:
            self._sof(marker, body, limits)
        elif 0xC3 <= marker <= 0xCF:
            raise Unsupported("a lossless or hierarchical JPEG")
        elif marker == 0xDC:
            raise Unsupported("a JPEG whose height stands behind its first scan")
        elif marker == 0xE0:
            self.jfif = self.jfif or (body[:5] == b"JFIF\0" and len(body) >= 14)
        elif marker == 0xE1:
            if self.exif is None and body[:6] == b"Exif\0\0":
                self.exif = body[6:]
        elif marker == 0xE2:
            self._icc(body)
        elif marker == 0xEE:
            if body[:5] == b"Adobe" and len(body) >= 12:
                self.adobe = body[11]
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise Corrupt("an unknown marker in a JPEG")

    def _dqt(self, body: bytes) -> None:
        i = 0
        while i < len(body):
            wide, number = body[i] >> 4, body[i] & 15
            length = 128 if wide else 64
            if wide > 1 or number > 3 or i + 1 + length > len(body):
                raise Corrupt("a damaged quantisation table")
            values = struct.unpack_from(">64H" if wide else "64B", body, i + 1)
            if 0 in values:
                raise Corrupt("a quantisation table with a zero")
            self.quant[number] = values
            i += 1 + length

    def _dht(self, body: bytes) -> None:
        i = 0
        while i < len(body):
            number, counts = body[i], body[i + 1 : i + 17]
            total = sum(counts)
            if number & 0xEC or len(counts) < 16 or total > 256 or i + 17 + total > len(body):
                raise Corrupt("a damaged Huffman table")
            # The codes of each length must fit into what the shorter ones leave free.
            free = 1
            for count in counts:
                free = 2 * free - count
                if free < 0:
                    raise Corrupt("a Huffman table with more codes than there is room for")
            symbols = body[i + 17 : i + 17 + total]
            if len(set(symbols)) != total or (number < 16 and any(s > 15 for s in symbols)):
                raise Corrupt("a Huffman table with impossible symbols")
            self.huffman[number] = Huffman(counts, symbols)
            i += 17 + total

    def _dac(self, body: bytes) -> None:
        for i in range(0, len(body) - 1, 2):
            number, value = body[i], body[i + 1]
            if number & 0xEC or (number < 16 and value & 15 > value >> 4) or (number >= 16 and not 1 <= value <= 63):
                raise Corrupt("damaged arithmetic conditioning")
            self.conditioning[number] = value

    def _sof(self, marker: int, body: bytes, limits: Limits) -> None:
        if self.coding:
            raise Corrupt("a JPEG with two frames")
        if len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise Corrupt("SOF has a wrong length")
        precision, height, width, count = struct.unpack_from(">BHHB", body)
        if precision != 8:
            raise Unsupported(f"a JPEG of {precision} bits a sample")
        if height == 0:
            raise Unsupported("a JPEG whose height stands behind its first scan")
        if width == 0 or count == 0:
            raise Corrupt("a JPEG without pixels")
        if width * height > limits.pixels:
            raise TooLarge(f"the photo has more than {limits.pixels} pixels")
        if count not in (1, 3, 4):
            raise Unsupported(f"a JPEG of {count} components")
        for i in range(count):
            name, factors, table = body[6 + 3 * i : 9 + 3 * i]
            h, v = factors >> 4, factors & 15
            if not (1 <= h <= 4 and 1 <= v <= 4) or table > 3:
                raise Corrupt("a JPEG component with impossible sampling factors or table")
            # T.81 A.2: sampling factors of a lone component have no meaning.
            self.declared.append((name, h, v, table) if count > 1 else (name, 1, 1, table))
        if len({name for name, *_ in self.declared}) != count:
            raise Corrupt("two JPEG components of one name")
        hmax, vmax = max(c[1] for c in self.declared), max(c[2] for c in self.declared)
        if any(hmax % h or vmax % v for _, h, v, _ in self.declared):
            raise Unsupported("a JPEG with fractional chroma subsampling")
        self.coding = _FRAMES[marker]
        self.size = Size(width, height)

    def _icc(self, body: bytes) -> None:
        if body[:12] != b"ICC_PROFILE\0" or len(body) < 14:
            return
        number, count = body[12], body[13]
        # Anything but a full, consistent set of chunks is no profile.
        if number in self.icc or not 1 <= number <= count or self.icc_count not in (None, count):
            self.icc_broken = True
        self.icc[number] = body[14:]
        self.icc_count = count

    def scan(self, data: bytes, start: int, end: int) -> None:
        """Notes the scan whose SOS payload is `data[start:end]`, and steps over its entropy-coded data."""
        body = data[start:end]
        if not self.coding:
            raise Corrupt("a JPEG scan before its frame")
        if len(body) < 1 or len(body) != 4 + 2 * body[0] or not 1 <= body[0] <= 4:
            raise Corrupt("SOS has a wrong length")
        if len(self.scans) >= _MAX_SCANS:
            raise TooLarge("the JPEG has too many scans")
        names = [c[0] for c in self.declared]
        components, tables = [], []
        for i in range(body[0]):
            name, selector = body[1 + 2 * i], body[2 + 2 * i]
            if name not in names or selector & 0xCC:
                raise Corrupt("a JPEG scan of an unknown component or table")
            components.append(names.index(name))
            tables.append((selector >> 4, selector & 15))
        if sorted(set(components)) != components:
            raise Corrupt("a JPEG scan with components out of order")
        if len(components) > 1 and sum(self.declared[c][1] * self.declared[c][2] for c in components) > 10:
            raise Corrupt("a JPEG scan with more than ten blocks an MCU")
        first, last, approximation = body[-3:]
        if not self.coding.startswith("progressive"):
            # T.81 fixes these for sequential files; some encoders write other values, and decoders ignore them.
            first, last, approximation = 0, 63, 0
        for c in components:
            table = self.quant.get(self.declared[c][3])
            if c not in self.latched:
                if table is None:
                    raise Corrupt("a JPEG component without its quantisation table")
                self.latched[c] = table
        found = _SCAN_END.search(data, end)
        if found is None:
            raise Corrupt("the JPEG ends without EOI")
        self.position = found.start()
        self.scans.append(
            Scan(
                components=tuple(components),
                dc=tuple(self.huffman.get(d) for d, _ in tables),
                ac=tuple(self.huffman.get(16 | a) for _, a in tables),
                spectral=(first, last),
                approximation=(approximation >> 4, approximation & 15),
                restart=self.restart,
                start=end,
                end=self.position,
                conditioning=tuple(sorted(self.conditioning.items())),
                tables=tuple(tables),
            )
        )

    def finish(self) -> Header:
        if not self.scans:
            raise Corrupt("a JPEG without a scan")
        seen = [c for scan in self.scans for c in scan.components]
        if set(seen) != set(range(len(self.declared))):
            raise Corrupt("a JPEG component without a scan")
        if not self.coding.startswith("progressive") and len(seen) != len(set(seen)):
            raise Corrupt("a JPEG component that is coded twice")
        complete = self.icc_count is not None and not self.icc_broken and len(self.icc) == self.icc_count
        return Header(
            coding=self.coding,
            size=self.size,
            components=tuple(Component(h, v, self.latched[i]) for i, (_, h, v, _) in enumerate(self.declared)),
            scans=tuple(self.scans),
            colour=self._colour(),
            adobe=self.adobe,
            icc=b"".join(self.icc[i] for i in sorted(self.icc)) if complete else None,
            orientation=orientation(self.exif) if self.exif is not None else 1,
        )

    def _colour(self) -> str:
        """The colour space, found as libjpeg's `default_decompress_parms` finds it, so that all viewers agree."""
        if len(self.declared) == 1:
            return "grey"
        if len(self.declared) == 4:
            return "ycck" if self.adobe else "cmyk"
        if self.jfif:
            return "ycc"
        if self.adobe is not None:
            return "rgb" if self.adobe == 0 else "ycc"
        return "rgb" if [c[0] for c in self.declared] == [0x52, 0x47, 0x42] else "ycc"


def orientation(tiff: bytes) -> int:
    """The Orientation tag of an EXIF block (bare TIFF), 1 if there is none or it makes no sense."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for i in range(min(count, (len(tiff) - at - 2) // 12)):
        tag, kind, number, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * i)
        if tag == 0x0112:
            return value if kind == 3 and number == 1 and 1 <= value <= 8 else 1
    return 1
