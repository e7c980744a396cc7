"""The size of a coded picture, as its own stream tells it: the container may tell another, and decoders then show less.

HEVC: ITU-T H.265, 7.3.2.2 and 7.3.3. AV1: bitstream specification, 5.5 and 5.9.
"""

from cloak.metadata.listing import Span

_SPS = 33
_MAX_HEADER = 256  # bytes that are looked at


class _Bits:
    """Numbers of a stream's header, bit by bit; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1) if self._left >= 0 else 0

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code (H.265, 9.2), which AV1 calls uvlc."""
        zeros = 0
        while self._left > 0 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def hevc_size(configuration: Span) -> tuple[int, int] | None:
    """Width and height that the sequence parameter set of an `hvcC` shows; None if it shows less than is coded.

    The picture is coded in whole blocks; only what fills up the last of them may be cropped.
    """
    at, end = configuration.start + 23, configuration.end
    while at + 5 <= end:
        kind, count, length = (
            configuration.data[at] & 63,
            configuration.number(at + 1, 2),
            configuration.number(at + 3, 2),
        )
        if kind == _SPS:
            unit = configuration.cut(at + 5, at + 5 + length).raw(_MAX_HEADER)
            return _sequence(_Bits(unit[2:].replace(b"\0\0\3", b"\0\0")))
        at += 3
        for _ in range(count):
            at += 2 + configuration.number(at, 2)
    return None


def _sequence(bits: _Bits) -> tuple[int, int] | None:
    bits.read(4)
    layers = bits.read(3)
    bits.read(1 + 88 + 8)  # nesting, profile, level
    if layers:  # a still has none
        return None
    bits.golomb()
    chroma = bits.golomb()
    bits.read(chroma == 3)
    width, height = bits.golomb(), bits.golomb()
    left, right, top, bottom = (bits.golomb() for _ in range(4)) if bits.read(1) else (0, 0, 0, 0)
    for _ in range(3):  # depths, and the length of a number
        bits.golomb()
    bits.read(1)
    for _ in range(3):  # of buffers
        bits.golomb()
    block = 8 << min(bits.golomb(), 3)
    across, down = right * (2 if chroma in (1, 2) else 1), bottom * (2 if chroma == 1 else 1)
    if left or top or across >= block or down >= block:
        return None
    return width - across, height - down


def av1_size(header: bytes, frame: bytes) -> tuple[int, int] | None:
    """Width and height of a still by its sequence header; None if its frame may have others.

    Args:
        header, frame: what is in the two units.
    """
    bits = _Bits(header[:_MAX_HEADER])
    bits.read(3 + 1)
    reduced = bits.read(1)
    interval = 0  # bits of a time in the frame's header
    if reduced:
        bits.read(5)
    else:
        interval = _operating_points(bits)
    wide, high = bits.read(4) + 1, bits.read(4) + 1
    size = bits.read(wide) + 1, bits.read(high) + 1
    if reduced:
        return size
    number = bits.read(4) + bits.read(3) + 3 if bits.read(1) else 0
    bits.read(3 + 4)
    order = bits.read(1)
    bits.read(2 * order)
    tools = 2 if bits.read(1) else bits.read(1)
    vectors = 2
    if tools and not bits.read(1):
        vectors = bits.read(1)
    bits = _Bits(frame[:_MAX_HEADER])
    if bits.read(4) != 0b0001:  # a key frame, coded here and shown
        return None
    bits.read(interval + 1)
    if (bits.read(1) if tools == 2 else tools) and vectors == 2:
        bits.read(1)
    bits.read(number)
    return None if bits.read(1) else size


def _operating_points(bits: _Bits) -> int:
    """Read over them; returns how many bits a frame's time has."""
    equal, model, delay, interval = 0, 0, 0, 0
    if bits.read(1):
        bits.read(64)
        equal = bits.read(1)
        if equal:
            bits.golomb()
        model = bits.read(1)
        if model:
            delay = bits.read(5) + 1
            bits.read(32 + 5)
            interval = bits.read(5) + 1
    display = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        bits.read(bits.read(5) > 7)
        if model and bits.read(1):
            bits.read(2 * delay + 1)
        if display and bits.read(1):
            bits.read(4)
    return 0 if equal else interval
