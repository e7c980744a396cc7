"""JPEG pixels by way of libjpeg: a strict decode, and an encode with a file's own tables and sampling."""

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from cloak.errors import ConcealmentFailed, Corrupt, starved
from cloak.geometry import RGB, Pixels, Size
from cloak.photo import jpeg_write
from cloak.photo.base import Limits
from cloak.photo.jpeg_header import ZIGZAG, Component, Header, parse
from cloak.photo.jpeg_layout import TURNS

U8 = npt.NDArray[np.uint8]


def decode(
    data: bytes, header: Header, reduction: int = 1, *, sound: Callable[[], bool] = lambda: False, smooth: bool = True
) -> U8:
    """Pixels as stored (orientation not applied), (ceil(H / reduction), ceil(W / reduction), C) uint8.

    C is 1, 3 (RGB) or 4 (CMYK, 0 = no ink). Raises `Corrupt` where libjpeg sees as much as a reason to warn.

    Args:
        data: a file as `jpeg_write.normalised` makes it.
        reduction: 1, 2, 4 or 8; libjpeg then transforms fewer coefficients.
        sound: whether the entropy-coded data is; only asked where libjpeg cannot tell.
        smooth: chroma is interpolated; False repeats it, which takes a quarter less, for pixels only to be looked at.
    """
    space = {"grey": "GRAY", "cmyk": "CMYK", "ycck": "CMYK"}.get(header.colour, "RGB")
    height, width = -(-header.size.height // reduction), -(-header.size.width // reduction)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, space, min_height=height, min_width=width, strict=True, fastupsample=not smooth
        )
    except ValueError as error:
        if "subsampling" in str(error):
            if not sound():
                raise Corrupt("a JPEG with a rare chroma subsampling whose data could not be checked") from None
            return _decode_unusual(data, header, reduction)
        if starved(error):
            raise MemoryError from None
        raise Corrupt("the JPEG does not decode in full") from None
    if pixels.shape[:2] != (height, width):
        # TurboJPEG picks the smallest scale that is large enough: tiny pictures may come back larger.
        raise Corrupt("the JPEG decodes to another size than it states")
    return np.asarray(255 - pixels if space == "CMYK" else pixels, np.uint8)


def _decode_unusual(data: bytes, header: Header, reduction: int) -> U8:
    """Samplings that TurboJPEG refuses. Pillow hides libjpeg's warnings: only for validated data."""
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        pixels = np.asarray(image.convert("RGB") if header.colour in ("ycc", "rgb") else image, np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Corrupt("the JPEG does not decode in full") from None
    height, width = -(-header.size.height // reduction), -(-header.size.width // reduction)
    if reduction > 1:
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels.reshape(height, width, -1)


def rgb(pixels: U8) -> RGB:
    """8-bit RGB of grey, RGB or CMYK pixels (plain conversion: no profile, good enough to find faces)."""
    if pixels.shape[2] == 3:
        return pixels
    if pixels.shape[2] == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    light = 255 - pixels
    return np.dstack([cv2.multiply(light[..., i], light[..., 3], scale=1 / 255) for i in range(3)])


def upright(pixels: U8, orientation: int) -> U8:
    """Stored pixels turned as EXIF's orientation says; returns a view."""
    transpose, down, right = TURNS[orientation]
    pixels = pixels.swapaxes(0, 1) if transpose else pixels
    return pixels[:: -1 if down else 1, :: -1 if right else 1]


def stored(pixels: U8, orientation: int) -> U8:
    """The inverse of `upright`."""
    transpose, down, right = TURNS[orientation]
    pixels = pixels[:: -1 if down else 1, :: -1 if right else 1]
    return pixels.swapaxes(0, 1) if transpose else pixels


def planes(pixels: U8, colour: str, components: tuple[Component, ...]) -> list[U8]:
    """The samples of each component, chroma box-filtered to its own resolution.

    Args:
        pixels: (H, W, C) as `decode` returns them.
    """
    hmax, vmax = max(c.h for c in components), max(c.v for c in components)
    full = full_planes(pixels, colour)
    return [reduce(p, hmax // c.h, vmax // c.v) for p, c in zip(full, components, strict=True)]


def full_planes(pixels: U8, colour: str) -> list[U8]:
    """The samples of each component for every pixel."""
    if colour == "grey":
        return [pixels[..., 0]]
    if colour == "ycc":
        return _ycc(pixels)
    if colour == "rgb":
        return [pixels[..., i] for i in range(3)]
    # Adobe stores CMYK inverted. YCCK is made by libjpeg from the inverse of that, so that its RGB is ink.
    light = 255 - pixels
    return [*(_ycc(pixels[..., :3]) if colour == "ycck" else [light[..., i] for i in range(3)]), light[..., 3]]


def from_planes(full: list[U8], colour: str) -> U8:
    """Pixels from the samples of all components at full resolution: the inverse of `full_planes`."""
    if colour == "grey":
        return full[0][..., None]
    if colour == "ycc":
        return _rgb(full)
    if colour == "rgb":
        return np.dstack(full)
    ink = _rgb(full[:3]) if colour == "ycck" else 255 - np.dstack(full[:3])
    return np.dstack([ink, 255 - full[3]])


def _rgb(full: list[U8]) -> U8:
    y, cb, cr = full
    return np.asarray(cv2.cvtColor(cv2.merge([y, cr, cb]), cv2.COLOR_YCrCb2RGB), np.uint8)


def _ycc(pixels: U8) -> list[U8]:
    y, cr, cb = cv2.split(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YCrCb))
    return [np.asarray(p, np.uint8) for p in (y, cb, cr)]


def reduce(plane: U8, across: int, down: int) -> U8:
    """Means of `down` x `across` samples; the last ones are repeated where the size is no multiple."""
    if across == down == 1:
        return plane
    height, width = plane.shape
    bottom, right = -height % down, -width % across
    if bottom or right:
        plane = np.asarray(cv2.copyMakeBorder(plane, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    size = (plane.shape[1] // across, plane.shape[0] // down)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def merge(full: U8, stored: U8, touched: npt.NDArray[np.bool_], across: int, down: int) -> U8:
    """`stored` samples where nothing is touched, means of `full` and of them where something is.

    Args:
        full, touched: a sample and whether it counts for every pixel. stored: for each `down` x `across` of them.
    """
    height, width = full.shape
    if (across, down) != (1, 1):
        size = (stored.shape[1] * across, stored.shape[0] * down)
        stored = np.asarray(cv2.resize(stored, size, interpolation=cv2.INTER_NEAREST), np.uint8)[:height, :width]
    mixed = stored.copy()
    cv2.copyTo(full, touched.view(np.uint8), mixed)
    return reduce(mixed, across, down)


def at_quality(components: tuple[Component, ...], quality: int) -> tuple[Component, ...]:
    """The components with the tables of T.81 annex K, scaled as libjpeg does for a quality of 1 to 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = [tuple(min(max((q * scale + 50) // 100, 1), 255) for q in table) for table in (_LUMINANCE, _CHROMINANCE)]
    return tuple(
        replace(c, quant=tables[1 if len(components) > 1 and 1 <= i <= 2 else 0]) for i, c in enumerate(components)
    )


def no_coarser(components: tuple[Component, ...], step: int) -> tuple[Component, ...]:
    """The components with larger steps of quantisation made `step`."""
    return tuple(replace(c, quant=tuple(min(q, step) for q in c.quant)) for c in components)


# T.81 tables K.1 and K.2, in zigzag order.
_LUMINANCE = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip
_CHROMINANCE = (
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
)  # fmt: skip


def encode(pixels: Pixels, colour: str, components: tuple[Component, ...], head: bytes) -> bytes:
    """A JPEG of the given pixels, quantised and sampled as `components` say, behind `head` (from `jpeg_write.start`).

    Pillow offers neither free sampling factors nor a way to write CMYK as YCCK, but the entropy-coded data of a grey
    JPEG is that of a scan of one component (T.81 A.2.2): the file gets one scan for each component.
    """
    size = Size(int(pixels.shape[1]), int(pixels.shape[0]))
    parts = [head, jpeg_write.frame(jpeg_write.sequential(components), size, components)]
    samples = planes(pixels.astype(np.uint8, copy=False), colour, components)
    for i, (plane, c) in enumerate(zip(samples, components, strict=True)):
        natural = [0] * 64
        for k, z in enumerate(ZIGZAG):
            natural[z] = c.quant[k]
        buffer = io.BytesIO()
        try:
            Image.fromarray(np.ascontiguousarray(plane)).save(buffer, "JPEG", qtables=[natural], optimize=True)
        except (OSError, ValueError) as error:
            raise ConcealmentFailed("the JPEG could not be encoded") from error
        made = buffer.getvalue()
        grey = parse(made, Limits())
        (s,) = grey.scans
        if grey.components[0].quant != c.quant or s.dc[0] is None or s.ac[0] is None:
            raise ConcealmentFailed("the JPEG could not be encoded with its own tables")
        parts += [jpeg_write.huffman({0: s.dc[0], 16: s.ac[0]}), jpeg_write.scan([i], [(0, 0)]), made[s.start : s.end]]
    return b"".join([*parts, jpeg_write.EOI])
