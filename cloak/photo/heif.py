"""HEIC by libheif, and what HEIC and AVIF have in common: the checks before anything is decoded.

ISO/IEC 23008-12. Turns, mirrors and crops of the container are applied, so that the pictures are upright; EXIF's
orientation means nothing here (section 6.5.10 there; Annex A.2.1).
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pillow_heif

from cloak.errors import Corrupt, TooLarge, Unsupported
from cloak.geometry import Pixels, Size
from cloak.metadata import sniff
from cloak.metadata.items import Meta, boxes, parse_meta
from cloak.metadata.listing import Span
from cloak.photo.avif_write import Colours
from cloak.photo.base import Limits
from cloak.photo.pixels import BAND, Frame, with_alpha
from cloak.photo.raster import Carry, RasterPhoto, check

QUALITY = 90
"""For HEVC and AV1, which store no quality: the second loss stays under what cameras' and phones' first one left."""

GAIN_MAP_LEFT = "The gain map was dropped: the picture looks on every screen as it did on a standard one."
FURTHER_LEFT = "Further pictures of the file were dropped."

_MODES = {1: ("L", "LA"), 3: ("RGB", "RGBA")}
_CODED = {b"hvc1", b"hev1", b"av01"}
_DERIVED = {b"grid", b"iovl", b"iden"}
_TILE = 1024
_TILED_FROM = 4_000_000  # pixels; in one piece the encoder takes 20 times the picture's size
_PRESET = {"preset": "ultrafast"}
"""At 12 MP it takes a third of "superfast"'s time, at the same size and 0.2 dB less."""

_LARGE_BLOCKS = {"x265:min-cu-size": "32"}
"""Without blocks under 32 pixels it takes half of that, for 2 % more bytes and 0.05 dB less. The encoder refuses it for
tiny pictures."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """What the decoder said of one picture before decoding it."""

    bits: int
    chroma: int
    colours: Colours
    profile: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Heic:
    """An opened HEIC."""

    data: bytes
    size: Size
    pictures: tuple[_Picture, ...]
    notes: tuple[str, ...]
    format: str = "heif"
    embeds: bool = True
    exact: bool = False

    @property
    def frames(self) -> int:
        return len(self.pictures)

    def decode(self, index: int) -> Frame:
        picture = self.pictures[index]
        # Opened anew: the library keeps a second and a third copy of what it decoded.
        samples = np.asarray(_opened(self.data)[index])
        if samples.ndim == 2:
            samples = samples[..., None]
        if samples.dtype == np.uint16:
            samples = _expanded(samples, picture.bits)
        alpha = np.ascontiguousarray(samples[..., -1]) if samples.shape[2] in (2, 4) else None
        pixels = np.ascontiguousarray(samples[..., :-1]) if alpha is not None else samples
        return Frame(pixels, alpha, picture.profile)

    def indexed(self, index: int) -> None:  # noqa: ARG002 - has no palettes
        return None

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        out = pillow_heif.HeifFile()
        quality = QUALITY if carry.quality is None else carry.quality
        pixels = 0
        for picture, frame in zip(self.pictures, frames, strict=True):
            info: dict[str, object] = {"bit_depth": picture.bits, **_nclx(picture.colours, picture.profile)}
            if frame.profile:
                info |= {"icc_profile": frame.profile, "icc_profile_type": "prof"}
            mode, samples = _samples(frame, picture.bits)
            size = (frame.pixels.shape[1], frame.pixels.shape[0])
            pixels = max(pixels, size[0] * size[1])
            out.add_frombytes(mode, size, samples.data.cast("B")).info.update(info)
        if carry.exif:
            out[0].info["exif"] = b"Exif\0\0" + carry.exif
        if carry.xmp:
            out[0].info["xmp"] = carry.xmp
        buffer = io.BytesIO()
        tiled = {"tile_size": _TILE} if pixels > _TILED_FROM else {}
        chroma = self.pictures[0].chroma
        enc = dict(_PRESET, **(_LARGE_BLOCKS if pixels > _TILED_FROM else {}))  # the library writes into it
        out.save(buffer, save_all=True, quality=quality, chroma=chroma, primary_index=0, enc_params=enc, **tiled)
        return buffer.getvalue(), self.notes


def open_heif(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the items of a HEIC or AVIF; raises `Corrupt`, `TooLarge`, `Unsupported` or `NotAnImage`."""
    meta = meta_of(data)
    kinds = {box.type for box in boxes(Span(data, 0, len(data)))}
    if b"moov" in kinds or b"moof" in kinds:
        raise Unsupported("image sequences and videos are not supported", next_step="Export its frames one by one.")
    check_items(data, meta, limits)
    if sniff(data) == "avif":
        from cloak.photo.avif import open_avif

        return open_avif(data, meta, limits)
    images = _opened(data)
    if not len(images):
        raise Corrupt("the HEIC holds no picture")
    sizes = [Size(*image.size) for image in images]
    check(sizes[0], len(sizes), limits)
    if any(size != sizes[0] for size in sizes):
        raise Unsupported("the HEIC's pictures differ in size")
    if any(image.premultiplied_alpha for image in images):
        raise Unsupported("colour that is multiplied by its alpha is not supported")
    if images.primary_index != 0:
        raise Unsupported("the HEIC's main picture is not its first")
    pictures = tuple(_picture(image) for image in images)
    gain = any(item.role in ("gain map", "tone map") for item in meta.items.values())
    return RasterPhoto(Heic(data, sizes[0], pictures, (GAIN_MAP_LEFT,) if gain else ()))


def meta_of(data: bytes) -> Meta:
    """The items of a file; an empty table if it has none."""
    box = next((box for box in boxes(Span(data, 0, len(data))) if box.type == b"meta"), None)
    return parse_meta(box.content) if box else Meta()


def check_items(data: bytes, meta: Meta, limits: Limits) -> None:
    """Refuse what is cut off, over a limit, or coded in a way that we do not decode."""
    if meta.primary not in meta.items or not meta.complete:
        raise Corrupt("the file's table of pictures is broken")
    shown = [item for item in meta.items.values() if item.role.startswith(("primary", "alpha", "further image"))]
    for item in shown:
        if item.type not in _CODED | _DERIVED:
            raise Unsupported("the picture is coded by a method that is not supported")
        if item.type not in _DERIVED and not item.extents:
            raise Corrupt("the picture's data are missing")
        end = len(data) if item.method == 0 else len(meta.idat or ())
        if item.method > 1 or any(offset + length > end for offset, length in item.extents):
            raise Corrupt("the picture is cut off")
    for item in shown:
        for index in item.properties:
            box = meta.properties[index - 1] if 0 < index <= len(meta.properties) else None
            if box is not None and box.type == b"ispe":
                start = box.content.start
                check(Size(box.body.number(start, 4), box.body.number(start + 4, 4)), 1, limits)
    if len(shown) > 10 * limits.frames:
        raise TooLarge("the picture has too many parts")


def _picture(image: pillow_heif.HeifImage) -> _Picture:
    info = image.info
    nclx = info.get("nclx_profile") or {}
    colours = Colours(
        int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2)), matrix=6, full_range=1
    )
    chroma = int(info.get("chroma", 420))
    bits = int(info.get("bit_depth", 8))
    if bits not in (8, 10, 12):
        raise Unsupported(f"HEIC with {bits} bits a channel is not supported")
    return _Picture(bits, chroma if chroma in (420, 422, 444) else 420, colours, info.get("icc_profile") or b"")


def _opened(data: bytes) -> pillow_heif.HeifFile:
    return pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)


def _expanded(samples: Pixels, bits: int) -> Pixels:
    """libheif puts 10 and 12 bits at the top of 16; repeated below, they span the full range to within one step."""
    out = np.empty_like(samples)
    for y in range(0, samples.shape[0], BAND):
        band = samples[y : y + BAND]
        np.bitwise_or(band, band >> np.uint16(bits), out=out[y : y + BAND])
    return out


def _reduce(pixels: Pixels, bits: int) -> None:
    """The nearest of `bits` levels, at the top of 16 bits, in place; undoes `_expanded` exactly."""
    half, kept = np.uint16(1 << (15 - bits)), np.uint16((0xFFFF << (16 - bits)) & 0xFFFF)
    for y in range(0, pixels.shape[0], BAND):
        band = pixels[y : y + BAND]
        band -= band >> np.uint16(bits)
        band += half
        band &= kept


def _nclx(colours: Colours, profile: bytes) -> dict[str, int]:
    """The numbers that say what decoded values mean; where there was a profile, that does, or they are sRGB's now."""
    unknown = bool(profile) or (colours.primaries, colours.transfer) == (2, 2)
    return {
        "color_primaries": 1 if unknown else colours.primaries,
        "transfer_characteristics": 13 if unknown else colours.transfer,
        "matrix_coefficients": colours.matrix,
        "full_range_flag": colours.full_range,
    }


def _samples(frame: Frame, bits: int) -> tuple[str, Pixels]:
    mode = _MODES[frame.pixels.shape[2]][frame.alpha is not None]
    pixels = with_alpha(frame.pixels, frame.alpha)
    if pixels.dtype == np.uint16:
        _reduce(pixels, bits)
        return f"{mode};16", pixels
    return mode, cast(Pixels, np.ascontiguousarray(pixels))
