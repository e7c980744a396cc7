"""How the MCUs of a JPEG cover its picture (ITU-T T.81, A.2)."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cloak.geometry import Size
from cloak.photo.jpeg_header import ZIGZAG, Component, Header

# Orientation (EXIF, CIPA DC-008 4.6.5.1.6): (transpose first, then mirror top to bottom, mirror left to right).
TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, slots=True)
class Rect:
    """Rows top to bottom - 1 and columns left to right - 1, of pixels or of MCUs."""

    top: int
    left: int
    bottom: int
    right: int

    def meets(self, other: "Rect") -> bool:
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The grid of MCUs of an interleaved scan of all components.

    Attributes:
        size: in pixels. components: likewise.
        hmax, vmax: the largest sampling factors: an MCU has 8 hmax x 8 vmax pixels. blocks: of an MCU.
    """

    size: Size
    components: tuple[Component, ...]
    hmax: int = field(init=False)
    vmax: int = field(init=False)
    blocks: int = field(init=False)

    def __post_init__(self) -> None:
        # Asked for many times a mask.
        object.__setattr__(self, "hmax", max(c.h for c in self.components))
        object.__setattr__(self, "vmax", max(c.v for c in self.components))
        object.__setattr__(self, "blocks", sum(c.h * c.v for c in self.components))

    @property
    def columns(self) -> int:
        return -(-self.size.width // (8 * self.hmax))

    @property
    def rows(self) -> int:
        return -(-self.size.height // (8 * self.vmax))

    @property
    def mcus(self) -> int:
        return self.rows * self.columns

    @property
    def coded_blocks(self) -> int:
        """Blocks that hold samples of the picture: the least that any file of this size codes."""
        return sum(
            -(-self.size.width * c.h // (8 * self.hmax)) * -(-self.size.height * c.v // (8 * self.vmax))
            for c in self.components
        )

    def component_of_block(self) -> npt.NDArray[np.int32]:
        return np.repeat(np.arange(len(self.components), dtype=np.int32), [c.h * c.v for c in self.components])

    def steps(self) -> npt.NDArray[np.int32]:
        """(blocks, 64): of quantisation, for each block of an MCU, in zigzag order."""
        return np.array([c.quant for c in self.components], np.int32)[self.component_of_block()]

    def mcus_around(self, pixels: Rect) -> Rect:
        """The MCUs that a rectangle of pixels touches."""
        w, h = 8 * self.hmax, 8 * self.vmax
        return Rect(pixels.top // h, pixels.left // w, -(-pixels.bottom // h), -(-pixels.right // w))

    def pixels_of(self, mcus: Rect) -> Rect:
        """The pixels of a rectangle of MCUs, without what lies outside the picture."""
        w, h = 8 * self.hmax, 8 * self.vmax
        bottom, right = min(mcus.bottom * h, self.size.height), min(mcus.right * w, self.size.width)
        return Rect(mcus.top * h, mcus.left * w, bottom, right)

    def numbers(self, mcus: Rect) -> npt.NDArray[np.int64]:
        """(rows, columns) int64: the MCUs of a rectangle by their place in the scan."""
        rows = np.arange(mcus.top, mcus.bottom, dtype=np.int64)[:, None] * self.columns
        return rows + np.arange(mcus.left, mcus.right, dtype=np.int64)


def layout(header: Header) -> Layout:
    return Layout(header.size, header.components)


def stored_rect(upright: Rect, size: Size, orientation: int) -> Rect:
    """Where a rectangle of the upright picture (of `size`) lies in the stored one."""
    transpose, down, right = TURNS[orientation]
    top, bottom = (size.height - upright.bottom, size.height - upright.top) if down else (upright.top, upright.bottom)
    left, end = (size.width - upright.right, size.width - upright.left) if right else (upright.left, upright.right)
    return Rect(left, top, end, bottom) if transpose else Rect(top, left, bottom, end)


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of MCUs, blocks and coefficients when a picture is turned upright without decoding it.

    Attributes:
        layout: of the upright picture.
        order: for each MCU of the upright picture, that of the stored one.
        blocks: for each block of an upright MCU, that of the stored one.
        positions, signs: for each coefficient (zigzag order), which stored one it is, and times what.
    """

    layout: Layout
    order: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    signs: npt.NDArray[np.int16]


def can_turn(stored: Layout, orientation: int) -> bool:
    """Whether the sides that move from the far to the near edge end with a whole MCU."""
    transpose, down, right = TURNS[orientation]
    mirror_rows, mirror_columns = (right, down) if transpose else (down, right)
    return not (mirror_rows and stored.size.height % (8 * stored.vmax)) and not (
        mirror_columns and stored.size.width % (8 * stored.hmax)
    )


def turn(stored: Layout, orientation: int) -> Turn:
    """The turn for an EXIF orientation; `can_turn` must hold."""
    transpose, down, right = TURNS[orientation]

    def grid(rows: int, columns: int) -> npt.NDArray[np.int64]:
        numbers = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
        numbers = numbers.T if transpose else numbers
        return numbers[:: -1 if down else 1, :: -1 if right else 1].ravel()

    blocks, first = [], 0
    for c in stored.components:
        blocks.append(first + grid(c.v, c.h))
        first += c.h * c.v
    natural = np.array(ZIGZAG)
    u, v = natural >> 3, natural & 7
    zigzag = np.empty(64, np.int32)
    zigzag[natural] = np.arange(64)
    # cos((2 (7 - x) + 1) u pi / 16) = (-1)^u cos((2 x + 1) u pi / 16): a mirror negates the odd frequencies across it.
    signs = np.where(down, 1 - 2 * (u & 1), 1) * np.where(right, 1 - 2 * (v & 1), 1)
    size = Size(stored.size.height, stored.size.width) if transpose else stored.size
    return Turn(
        layout=Layout(size, turned(stored.components, orientation)),
        order=grid(stored.rows, stored.columns),
        blocks=np.concatenate(blocks).astype(np.int32),
        positions=zigzag[(v * 8 + u) if transpose else natural].astype(np.int32),
        signs=signs.astype(np.int16),
    )


def turned(components: tuple[Component, ...], orientation: int) -> tuple[Component, ...]:
    """The components of the upright picture: a quarter turn swaps sampling factors and transposes tables."""
    if not TURNS[orientation][0]:
        return components
    place = {z: k for k, z in enumerate(ZIGZAG)}
    order = [place[(z % 8) * 8 + z // 8] for z in ZIGZAG]
    return tuple(Component(c.v, c.h, tuple(c.quant[k] for k in order)) for c in components)
