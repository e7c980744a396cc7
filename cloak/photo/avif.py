"""AVIF stills: 8, 10 and 12 bits, alpha, grids; turns, mirrors and crops applied."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import AvifImagePlugin, Image

from cloak.errors import Corrupt, Unsupported
from cloak.geometry import Pixels, Size
from cloak.metadata.items import Box, Meta, shown
from cloak.photo import avif_write
from cloak.photo.avif_write import Colours
from cloak.photo.base import Limits
from cloak.photo.heif import GAIN_MAP_LEFT, QUALITY
from cloak.photo.pixels import Frame, full_range, reduced, with_alpha
from cloak.photo.raster import Carry, RasterPhoto, check

_SPEED = 8
_MAX_PROFILE = 4_000_000

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Step:
    """One turn, mirror or crop, by its box's type; `area` is a crop's left, top, width, height."""

    kind: bytes
    value: int = 0
    area: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Avif:
    """An opened AVIF."""

    data: bytes
    coded: Size
    size: Size
    steps: tuple[_Step, ...]
    bits: int
    grey: bool
    subsampling: str
    has_alpha: bool
    colours: Colours
    profile: bytes
    notes: tuple[str, ...]
    format: str = "avif"
    frames: int = 1
    embeds: bool = True
    exact: bool = False

    def decode(self, index: int) -> Frame:  # noqa: ARG002 - a still
        samples = self._samples()
        if samples.shape[:2] != (self.coded.height, self.coded.width):
            raise Corrupt("the picture's size is not what its header says")
        alpha = None
        if samples.shape[2] in (2, 4):
            alpha = _moved(samples[..., -1], self.steps) if self.has_alpha else None
            samples = samples[..., :-1]
        pixels = _moved(samples[..., :1] if self.grey else samples, self.steps)
        return Frame(pixels, alpha, self.profile)

    def _samples(self) -> Samples:
        if self.bits > 8:
            # One still, so never by its index: imagecodecs writes past its buffer then.
            samples = np.asarray(imagecodecs.avif_decode(self.data, numthreads=1))
            return full_range(samples if samples.ndim == 3 else samples[..., None], self.bits)
        # Not Image.open: its limit on pixels is global and is not ours.
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(self.data))
        samples = cast(Samples, np.asarray(image))
        return samples if samples.ndim == 3 else samples[..., None]

    def indexed(self, index: int) -> None:  # noqa: ARG002 - has no palettes
        return None

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        frame = next(frames)
        quality = QUALITY if carry.quality is None else carry.quality
        samples: Pixels = frame.pixels
        grey = samples.shape[2] == 1
        if grey:
            samples = cast(Pixels, np.repeat(samples, 3, axis=2)) if self.bits == 8 else samples
        samples = with_alpha(samples, frame.alpha)
        if self.bits == 8:
            buffer = io.BytesIO()
            options = {"quality": quality, "subsampling": "4:0:0" if grey else self.subsampling, "speed": _SPEED}
            Image.fromarray(np.ascontiguousarray(samples)).save(buffer, "AVIF", range="full", **options)
            coded = buffer.getvalue()
        else:
            # By its member: which names it also goes by depends on the version of imagecodecs.
            form = imagecodecs.AVIF.PIXEL_FORMAT["YUV" + ("400" if grey else self.subsampling.replace(":", ""))]
            levels = np.ascontiguousarray(reduced(samples, self.bits))
            coded = bytes(
                imagecodecs.avif_encode(
                    levels, level=quality, speed=_SPEED, bitspersample=self.bits, pixelformat=form, numthreads=1
                )
            )
        colours = Colours() if frame.profile else Colours(1, 13) if self.profile else self.colours
        return avif_write.rewrap(coded, colours, frame.profile, carry), self.notes


def open_avif(data: bytes, meta: Meta, limits: Limits) -> RasterPhoto:
    """Read the properties of the main picture, whose items `heif.check_items` has accepted."""
    if shown(meta) > 1:
        raise Unsupported("the AVIF holds several pictures")
    if any(kind == b"prem" for kind, _, _ in meta.references):
        raise Unsupported("colour that is multiplied by its alpha is not supported")
    own = _properties(meta, meta.primary)
    sizes = [box for box in own if box.type == b"ispe"]
    # A grid may leave the coding to its tiles.
    tiles = [item.id for item in meta.items.values() if item.role == "primary tile"]
    coding = next((box for n in (meta.primary, *tiles) for box in _properties(meta, n) if box.type == b"av1C"), None)
    if not sizes or coding is None or len(coding.body) < 4:
        raise Corrupt("the AVIF misses a header of its picture")
    start = sizes[0].content.start
    coded = Size(sizes[0].body.number(start, 4), sizes[0].body.number(start + 4, 4))
    check(coded, 1, limits)
    size, steps = _steps(own, coded)
    flags = coding.body.number(coding.body.start + 2, 1)  # AV1 in ISOBMFF section 2.3.3
    bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    grey = bool(flags & 0x10)
    subsampling = {0x0C: "4:2:0", 0x08: "4:2:2"}.get(flags & 0x0C, "4:4:4")
    roles = {item.role for item in meta.items.values()}
    colours, profile = _colour(own)
    photo = Avif(
        data=data,
        coded=coded,
        size=size,
        steps=steps,
        bits=bits,
        grey=grey,
        subsampling=subsampling,
        has_alpha="alpha" in roles,
        colours=colours,
        profile=profile,
        notes=(GAIN_MAP_LEFT,) if roles & {"gain map", "tone map"} else (),
    )
    return RasterPhoto(photo)


def _properties(meta: Meta, number: int) -> list[Box]:
    item = meta.items.get(number)
    indices = item.properties if item is not None else []
    return [meta.properties[index - 1] for index in indices if 0 < index <= len(meta.properties)]


def _colour(own: list[Box]) -> tuple[Colours, bytes]:
    """The numbers and the profile of `colr` boxes; each of the two kinds may be there."""
    colours, profile = Colours(1, 13), b""
    for box in own:
        if box.type == b"colr":
            kind = box.body.raw(4)
            if kind == b"nclx" and len(box.body) >= 11:
                at = box.body.start + 4
                stated = Colours.stated(box.body.number(at, 2), box.body.number(at + 2, 2))
                if stated != Colours():
                    colours = stated
            elif kind in (b"prof", b"rICC") and len(box.body) <= _MAX_PROFILE:
                profile = box.body.raw()[4:]
    return colours, profile


def _steps(own: list[Box], size: Size) -> tuple[Size, tuple[_Step, ...]]:
    """Turns, mirrors and crops in the order in which they apply, and the size that they lead to."""
    steps: list[_Step] = []
    for box in own:
        at = box.body.start
        if box.type == b"irot":
            quarters = box.body.number(at, 1) & 3
            steps.append(_Step(b"irot", quarters))
            size = Size(size.height, size.width) if quarters % 2 else size
        elif box.type == b"imir":
            steps.append(_Step(b"imir", box.body.number(at, 1) & 1))
        elif box.type == b"clap":
            step = _crop(box, size)
            size = Size(*step.area[2:])
            steps.append(step)
    return size, tuple(steps)


def _crop(box: Box, size: Size) -> _Step:
    """A clean aperture (ISO/IEC 14496-12 section 12.1.4): width, height, offsets of its centre, as fractions."""
    numbers = [box.body.number(box.body.start + 4 * i, 4) for i in range(8)]
    signed = [n - (1 << 32) if n >= 1 << 31 else n for n in numbers]
    if not all(numbers[1::2]):
        raise Corrupt("the picture's crop is broken")
    width, height = numbers[0] // numbers[1], numbers[2] // numbers[3]
    left = round((size.width - width) / 2 + signed[4] / numbers[5])
    top = round((size.height - height) / 2 + signed[6] / numbers[7])
    if width < 1 or height < 1 or left < 0 or top < 0 or left + width > size.width or top + height > size.height:
        raise Corrupt("the picture's crop is broken")
    return _Step(b"clap", area=(left, top, width, height))


def _moved(samples: Samples, steps: tuple[_Step, ...]) -> Samples:
    for step in steps:
        if step.kind == b"irot":
            samples = np.rot90(samples, step.value)
        elif step.kind == b"imir":
            samples = samples[:, ::-1] if step.value else samples[::-1]
        else:
            left, top, width, height = step.area
            samples = samples[top : top + height, left : left + width]
    return cast(Samples, np.ascontiguousarray(samples))
