"""One page of a TIFF: what its directory says of the picture, checked; section numbers are those of TIFF 6.0."""

from dataclasses import dataclass

from cloak.errors import Corrupt, TooLarge, Unsupported
from cloak.geometry import Size
from cloak.metadata.ifd import Block, Directory, first
from cloak.photo.base import Limits
from cloak.photo.exif import ORIENTATION
from cloak.photo.pixels import swaps
from cloak.photo.raster import check
from cloak.photo.tiff_write import ASSOCIATED, DEFLATE, GREY, LZW, NONE, PALETTE, RGB, SEPARATED, UNASSOCIATED

WHITE_IS_ZERO, YCBCR = 0, 6
GROUP4, JPEG, OLD_DEFLATE, PACKBITS = 4, 7, 32946, 32773
_COMPRESSIONS = (NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, JPEG, GROUP4)
_CHANNELS = {WHITE_IS_ZERO: 1, GREY: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3}
_RAW_TAGS = (50706, 33421)  # DNGVersion, CFARepeatPatternDim
_MAX_PROFILE = 4_000_000
_MAX_SEGMENTS = 500_000


@dataclass(frozen=True, slots=True)
class Page:
    """What a directory says of its picture."""

    size: Size
    bits: int
    compression: int
    photometric: int
    samples: int
    extra: int  # of the channel behind the colours: ASSOCIATED, UNASSOCIATED, 0: unspecified or absent
    planar: bool
    predictor: int
    reversed_bits: bool
    orientation: int
    tile: Size  # a strip counts as a tile as wide as the picture
    decoded: int  # pixels of all its strips or tiles: a tile is decoded in full, however far it sticks out
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    colormap: tuple[int, ...]
    tables: bytes
    profile: bytes

    @property
    def upright(self) -> Size:
        return Size(self.size.height, self.size.width) if swaps(self.orientation) else self.size

    @property
    def colours(self) -> int:
        return _CHANNELS[self.photometric]


def _all(block: Block, directory: Directory, tag: int, limit: int) -> tuple[int, ...]:
    entry = directory.find(tag)
    if entry is None:
        return ()
    if not entry.whole or entry.count > limit:
        raise Corrupt("a field of the TIFF is cut off or too long")
    return tuple(block.integers(entry, limit))


def _blob(directory: Directory, tag: int, limit: int) -> bytes:
    entry = directory.find(tag)
    return entry.value.raw() if entry is not None and entry.whole and len(entry.value) <= limit else b""


def read_page(block: Block, directory: Directory, limits: Limits) -> Page:
    """One directory as a page; raises for what cannot be made safe."""

    def value(tag: int, default: int) -> int:
        return first(block, directory, tag, default)

    size = Size(value(256, 0), value(257, 0))
    check(size, 1, limits)
    photometric, compression = value(262, -1), value(259, 1)
    samples = value(277, 1)
    bits = _all(block, directory, 258, 64) or (1,)
    if any(directory.find(tag) for tag in _RAW_TAGS) or photometric in (32803, 34892):
        raise Unsupported("this is a camera's raw file")
    if photometric not in _CHANNELS or (photometric == YCBCR and compression != JPEG):
        raise Unsupported(f"TIFF pixels of the photometric kind {photometric} are not supported")
    if compression not in _COMPRESSIONS:
        raise Unsupported(f"TIFF compression {compression} is not supported")
    if any(form not in (1, 4) for form in _all(block, directory, 339, 64)):
        raise Unsupported("TIFF pixels that are no whole numbers from 0 on are not supported")
    colours = _CHANNELS[photometric]
    if set(bits) not in ({1}, {2}, {4}, {8}, {16}) or len(bits) not in (1, samples):
        raise Unsupported("TIFF pixels of this depth are not supported")
    if samples not in (colours, colours + 1) or (photometric == PALETTE and (samples > 1 or bits[0] == 16)):
        raise Unsupported(f"{samples} channels are not supported for the photometric kind {photometric}")
    if bits[0] < 8 and samples > 1:
        raise Unsupported("TIFF pixels of this depth are not supported")
    if compression in (JPEG, GROUP4) and bits[0] != (8 if compression == JPEG else 1):
        raise Unsupported("TIFF pixels of this depth are not supported in this compression")
    if photometric == SEPARATED and value(332, 1) != 1:
        raise Unsupported("inks other than CMYK are not supported")
    predictor = value(317, 1) if compression in (LZW, DEFLATE, OLD_DEFLATE) else 1
    if predictor not in (1, 2) or (predictor == 2 and bits[0] < 8):
        raise Unsupported(f"TIFF predictor {predictor} is not supported at this depth")
    planar = value(284, 1) == 2 and samples > 1
    tiled = directory.find(322) is not None
    if tiled:
        tile = Size(value(322, 0), value(323, 0))
        # A tile may stick out, but not without bound: it is decoded in full.
        if not (0 < tile.width <= size.width + 4096 and 0 < tile.height <= size.height + 4096):
            raise Corrupt("the TIFF's tiles have no valid size")
    else:
        tile = Size(size.width, max(1, min(value(278, size.height), size.height)))
    places = -(-size.width // tile.width) * -(-size.height // tile.height)
    segments = places * (samples if planar else 1)
    if segments > _MAX_SEGMENTS:
        raise TooLarge(f"the picture is cut into {segments} parts")
    offsets = _all(block, directory, 324 if tiled else 273, segments)
    counts = _all(block, directory, 325 if tiled else 279, segments)
    if len(offsets) != segments or len(counts) != segments:
        raise Corrupt("the TIFF misses parts of its picture")
    if any(not 0 < count <= len(block.span.data) - offset for offset, count in zip(offsets, counts, strict=True)):
        raise Corrupt("the TIFF is cut off")
    extra = (_all(block, directory, 338, 64) or (0,))[0] if samples > colours else 0
    return Page(
        size=size,
        bits=bits[0],
        compression=compression,
        photometric=photometric,
        samples=samples,
        extra=extra if extra in (ASSOCIATED, UNASSOCIATED) else 0,
        planar=planar,
        predictor=predictor,
        reversed_bits=value(266, 1) == 2,
        orientation=value(ORIENTATION, 1) if 1 <= value(ORIENTATION, 1) <= 8 else 1,
        tile=tile,
        decoded=places * tile.pixels if tiled else size.pixels,
        offsets=offsets,
        counts=counts,
        colormap=_all(block, directory, 320, 3 << 8) if photometric == PALETTE else (),
        tables=_blob(directory, 347, 1 << 20),
        profile=_blob(directory, 34675, _MAX_PROFILE),
    )
