"""TIFF read: 1 to 16 bits, grey, RGB, palette, CMYK, alpha; strips and tiles; every page.

Section numbers are those of TIFF 6.0 (1992).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from cloak.errors import Corrupt, TooLarge, Unsupported
from cloak.geometry import Pixels, Size
from cloak.metadata.ifd import is_page, open_block
from cloak.metadata.listing import Span
from cloak.photo import tiff_write
from cloak.photo.base import Limits
from cloak.photo.pixels import Alpha, Frame, full_range, indexed, reduced, to_8bit, upright, with_alpha
from cloak.photo.raster import Carry, RasterPhoto, check
from cloak.photo.tiff_page import OLD_DEFLATE, WHITE_IS_ZERO, Page, read_page
from cloak.photo.tiff_strips import Strips
from cloak.photo.tiff_write import ASSOCIATED, DEFLATE, GREY, LZW, NONE, PALETTE, RGB, SEPARATED

PALETTE_LEFT = "A page has more than 256 colours once concealed: it is stored as RGB instead of a palette."
DEPTH_LEFT = "A page needs shades once concealed: it is stored with 8 bits a pixel."
COMPRESSION_LEFT = "The compression of a page was replaced by deflate, without loss."
EXTRA_LEFT = "A channel of unspecified meaning was dropped."


@dataclass(frozen=True, slots=True, eq=False)
class Tiff:
    """An opened TIFF."""

    data: bytes
    order: str
    pages: tuple[Page, ...]
    dropped: bool
    format: str = "tiff"
    embeds: bool = True
    exact: bool = True

    @property
    def size(self) -> Size:
        return self.pages[0].upright

    @property
    def frames(self) -> int:
        return len(self.pages)

    def decode(self, index: int) -> Frame:
        page = self.pages[index]
        samples = Strips(self.data, self.order, page).samples()
        colour = cast(Pixels, np.ascontiguousarray(samples[..., : page.colours]))
        alpha: Alpha | None = None
        if page.extra:
            alpha = cast(Alpha, np.ascontiguousarray(samples[..., page.colours]))
        if page.photometric == PALETTE:
            pixels: Pixels = _palette(page)[colour[..., 0]]
        else:
            pixels = full_range(colour, page.bits)
            if page.photometric == WHITE_IS_ZERO:
                pixels = np.invert(pixels)
        if alpha is not None and page.extra == ASSOCIATED:
            pixels = _divided(pixels, alpha)
        return upright(Frame(pixels, alpha, page.profile), page.orientation)

    def indexed(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        page = self.pages[index]
        if page.photometric != PALETTE:
            return None
        indices = Strips(self.data, self.order, page).samples()[..., 0]
        return cast(npt.NDArray[np.uint8], indices), _palette(page)

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        notes: dict[str, None] = {}
        if self.dropped:
            notes["Reduced pictures (previews) and masks of the file were dropped."] = None
        stored = []
        for page, frame in zip(self.pages, frames, strict=True):
            if page.samples > page.colours and not page.extra:
                notes[EXTRA_LEFT] = None
            stored.append(tiff_write.store(_layout(page, frame, notes)))
        return tiff_write.assemble(stored, carry.exif, carry.xmp), tuple(notes)


def _layout(page: Page, frame: Frame, notes: dict[str, None]) -> tiff_write.Page:
    """How a concealed page is stored: as it was, or in the nearest layout that holds it."""
    compression = {OLD_DEFLATE: DEFLATE}.get(page.compression, page.compression)
    if compression not in (NONE, LZW, DEFLATE):
        compression = DEFLATE
        notes[COMPRESSION_LEFT] = None
    pixels, alpha = frame.pixels, frame.alpha
    if page.photometric == PALETTE and alpha is None:
        by_palette = indexed(to_8bit(pixels), None)
        if by_palette is not None:
            colours = by_palette.palette[:, :3]
            bits = page.bits if len(colours) <= 1 << page.bits else 8
            if bits != page.bits:
                notes[DEPTH_LEFT] = None
            return tiff_write.Page(by_palette.indices[..., None], bits, PALETTE, compression, colours, 0, frame.profile)
        notes[PALETTE_LEFT] = None
    photometric = {1: GREY, 3: RGB, 4: SEPARATED}[pixels.shape[2]]
    if page.bits < 8 and photometric == GREY and alpha is None:
        levels = reduced(pixels, page.bits)
        # Two levels cannot show an effect; four and sixteen can.
        if page.bits > 1 or np.array_equal(full_range(levels, page.bits), pixels):
            return tiff_write.Page(levels, page.bits, GREY, compression, profile=frame.profile)
        notes[DEPTH_LEFT] = None
    extra = 0
    if alpha is not None:
        extra = page.extra
        if extra == ASSOCIATED:
            _multiply(pixels, alpha)
        pixels = with_alpha(pixels, alpha)
    bits = 8 * pixels.dtype.itemsize
    return tiff_write.Page(pixels, bits, photometric, compression, extra=extra, profile=frame.profile)


def open_tiff(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the directories of a TIFF; raises `Corrupt`, `TooLarge`, `Unsupported` or `NotAnImage`.

    Directories marked as reduced pictures or masks are left behind; so is whatever hangs on sub-directories.
    """
    block = open_block(Span(data, 0, len(data)))
    if block is None:
        raise Corrupt("the TIFF header is broken")
    pages: list[Page] = []
    seen: set[int] = set()
    place, dropped, pixels, coded = block.first, False, 0, 0
    while place:
        if place in seen:
            raise Corrupt("the TIFF's pages form a loop")
        if len(seen) >= limits.frames:
            raise TooLarge(f"more than {limits.frames} pages")
        seen.add(place)
        directory = block.directory(place)
        if directory is None or not directory.whole:
            raise Corrupt("a directory of the TIFF is cut off")
        if not is_page(block, directory):
            if not pages:
                raise Unsupported("the TIFF begins with a preview; its main picture lies elsewhere (a camera's raw?)")
            dropped = True
        else:
            page = read_page(block, directory, limits)
            pixels += page.decoded
            check(Size(pixels, 1), 1, limits)
            # Each part is read once: a small file whose parts lie over each other would be read without end.
            coded += sum(page.counts)
            if coded > len(data):
                raise Corrupt("parts of the TIFF's pictures overlap")
            pages.append(page)
        place = directory.next
    if not pages:
        raise Corrupt("the TIFF has no pages")
    if any(page.upright != pages[0].upright for page in pages):
        raise Unsupported("the TIFF's pages differ in size")
    return RasterPhoto(Tiff(data, block.order, tuple(pages), dropped))


def _palette(page: Page) -> npt.NDArray[np.uint8]:
    """(256, 3) uint8; colours are stored with 16 bits, or by some writers with 8."""
    if len(page.colormap) != 3 << page.bits:
        raise Corrupt("the TIFF has no palette")
    colours = np.array(page.colormap, np.uint16).reshape(3, -1).T
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours if colours.max() < 256 else colours >> 8
    return palette


def _divided(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Colour that was multiplied by alpha (section 18), set free; `_multiply` gives back the very same values."""
    top = np.uint32(np.iinfo(pixels.dtype).max)
    out = np.empty_like(pixels)
    for y in range(pixels.shape[0]):
        a = np.maximum(alpha[y, :, None].astype(np.uint64), 1)
        out[y] = np.minimum((pixels[y].astype(np.uint64) * top + a // 2) // a, top)
    return out


def _multiply(pixels: Pixels, alpha: Pixels) -> None:
    top = np.uint64(np.iinfo(pixels.dtype).max)
    for y in range(pixels.shape[0]):
        pixels[y] = (pixels[y].astype(np.uint64) * alpha[y, :, None] + top // 2) // top
