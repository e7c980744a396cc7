"""WebP: lossy and lossless (each kept as it was), alpha, animation; containers are written by hand.

RFC 9649 describes both the container and the bitstreams.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, WebPImagePlugin

from cloak.errors import ConcealmentFailed, Corrupt, TooLarge
from cloak.geometry import Pixels, Size
from cloak.photo import exif
from cloak.photo.base import Limits
from cloak.photo.pixels import Frame, changed, swaps, upright, with_alpha
from cloak.photo.raster import Carry, Decoding, RasterPhoto, check

QUALITY = 92
"""For lossy files: WebP stores no quality; at 92 the second loss stays under what the first one left."""

_ANIMATION, _XMP, _EXIF, _ALPHA, _ICC = 0x02, 0x04, 0x08, 0x10, 0x20
_MAX_PROFILE = 4_000_000


@dataclass(slots=True, eq=False)
class WebP:
    """An opened WebP.

    Attributes:
        lossless: of each frame.
        durations: of each frame, in milliseconds.
        unused: of each frame, its lossless bitstream where that says that its alpha is not used, else b"".
        plays: how often an animation is shown, 0 for ever.
    """

    data: bytes
    canvas: Size
    orientation: int
    profile: bytes
    has_alpha: bool
    animated: bool
    plays: int
    lossless: tuple[bool, ...]
    durations: tuple[int, ...]
    unused: tuple[bytes, ...]
    format: str = "webp"
    embeds: bool = True
    _reader: tuple[int, WebPImagePlugin.WebPImageFile] | None = field(default=None, repr=False)

    @property
    def size(self) -> Size:
        return Size(self.canvas.height, self.canvas.width) if swaps(self.orientation) else self.canvas

    @property
    def frames(self) -> int:
        return len(self.lossless)

    @property
    def exact(self) -> bool:
        return all(self.lossless)

    def decode(self, index: int) -> Frame:
        samples = self._composed(index) if self.animated else np.asarray(imagecodecs.webp_decode(self.data))
        if samples.shape[:2] != (self.canvas.height, self.canvas.width):
            raise Corrupt("the picture's size is not what its header says")
        alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 and self.has_alpha else None
        return upright(Frame(np.ascontiguousarray(samples[..., :3]), alpha, self.profile), self.orientation)

    def _composed(self, index: int) -> npt.NDArray[np.uint8]:
        """The canvas as frame `index` shows it."""
        following, image = self._reader or (0, None)
        if image is None or following > index:
            image = WebPImagePlugin.WebPImageFile(io.BytesIO(self.data))
        self._reader = None
        image.seek(index)
        samples = np.asarray(image)
        self._reader = (index + 1, image)
        return samples

    def indexed(self, index: int) -> None:  # noqa: ARG002 - has no palettes
        return None

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        if self.animated:
            return self._animation(frames, carry), ()
        frame = next(frames)
        body = _coded(frame, lossless=self.lossless[0], quality=carry.quality)
        if not (frame.profile or carry.exif or carry.xmp) and body[0][0] != b"ALPH":
            return _riff(body), ()  # the simple layout
        return _riff(_extended(_size(frame), frame.profile, carry, body, alpha=frame.alpha is not None)), ()

    def _animation(self, frames: Iterator[Frame], carry: Carry) -> bytes:
        body: list[tuple[bytes, bytes]] = [(b"ANIM", struct.pack("<IH", 0, self.plays))]
        first: Frame | None = None
        previous: Frame | None = None
        for lossless, duration, frame in zip(self.lossless, self.durations, frames, strict=True):
            x, y, (height, width) = 0, 0, frame.pixels.shape[:2]
            if previous is not None and all(self.lossless):
                x, y, width, height = changed(previous, frame)
                x, y, width, height = x - x % 2, y - y % 2, width + x % 2, height + y % 2  # offsets are even
            area = slice(y, y + height), slice(x, x + width)
            part = Frame(frame.pixels[area], None if frame.alpha is None else frame.alpha[area])
            flags = 0b10  # replaces what lies under it, and stays
            head = b"".join(_u24(value) for value in (x // 2, y // 2, width - 1, height - 1, duration))
            coded = _coded(part, lossless=lossless, quality=carry.quality)
            body.append((b"ANMF", head + bytes([flags]) + b"".join(_chunk(*chunk) for chunk in coded)))
            first, previous = first or frame, frame
        if first is None:
            raise ConcealmentFailed("there is no frame to write")
        return _riff(
            _extended(_size(first), first.profile, carry, body, alpha=first.alpha is not None, flags=_ANIMATION)
        )


class WebPPhoto(RasterPhoto):
    """A photo whose lossless pictures may hold an alpha plane that they say they do not use."""

    def surplus(self, frame: int = 0) -> str:
        """See `Photo.surplus`: a viewer shows no such plane, but a decoder that is asked for RGBA hands it out."""
        codec = cast(WebP, self.codec)
        if codec.unused[frame]:
            with Decoding(self.format):
                samples = imagecodecs.webp_decode(_riff([(b"VP8L", codec.unused[frame])]), hasalpha=True)
            if samples[..., 3].min() < 255:
                return "an alpha plane that it says it does not use"
        return super().surplus(frame)


def open_webp(data: bytes, limits: Limits) -> RasterPhoto:
    """Read the chunks of a WebP; raises `Corrupt`, `TooLarge` or `NotAnImage`."""
    (length,) = struct.unpack_from("<I", data, 4)
    end = 8 + length
    if end > len(data):
        raise Corrupt("the WebP is cut off")
    chunks = list(_chunks(data, 12, end))
    names = [name for name, _, _ in chunks]
    if not names or names[0] not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise Corrupt("the WebP holds no picture")
    found = {name: data[start : start + size] for name, start, size in reversed(chunks) if name in _HEADS}
    flags = found[b"VP8X"][0] if names[0] == b"VP8X" else 0
    animated = bool(flags & _ANIMATION)
    if names[0] == b"VP8X":
        width, height = (int.from_bytes(found[b"VP8X"][i : i + 3], "little") + 1 for i in (4, 7))
    else:
        width, height = _coded_size(data, *chunks[0])
    canvas = Size(width, height)
    check(canvas, 1, limits)
    lossless: list[bool] = []
    durations: list[int] = []
    unused: list[bytes] = []
    pictures = chunks
    if animated:
        pictures = []
        for name, start, size in chunks:
            if name != b"ANMF" or size < 16:
                continue
            if len(lossless) >= limits.frames:
                raise TooLarge(f"more than {limits.frames} frames")
            inner = list(_chunks(data, start + 16, start + size))
            lossless.append(any(name == b"VP8L" for name, _, _ in inner))
            unused.append(_unused(data, inner))
            pictures += inner
            durations.append(int.from_bytes(data[start + 12 : start + 15], "little"))
    else:
        picture = next((chunk for chunk in chunks if chunk[0] in (b"VP8 ", b"VP8L")), None)
        if picture is None or _coded_size(data, *picture) != (width, height):
            raise Corrupt("the WebP's picture has another size than its header says")
        lossless.append(picture[0] == b"VP8L")
        unused.append(_unused(data, [picture]))
        durations.append(0)
    check(canvas, len(lossless), limits)
    # Some viewers go by what a lossless picture says in its bitstream, whatever the header says.
    has_alpha = bool(flags & _ALPHA) or any(
        name == b"VP8L" and _declares_alpha(data, start) for name, start, _ in pictures
    )
    loops = found.get(b"ANIM", b"")
    photo = WebP(
        data=data[:end],
        canvas=canvas,
        orientation=exif.orientation(found.get(b"EXIF", b"")),
        profile=found.get(b"ICCP", b"")[:_MAX_PROFILE],
        has_alpha=has_alpha,
        animated=animated,
        plays=int.from_bytes(loops[4:6], "little"),
        lossless=tuple(lossless),
        durations=tuple(durations),
        unused=tuple(unused),
    )
    return WebPPhoto(photo)


_HEADS = (b"VP8X", b"ANIM", b"EXIF", b"ICCP")


def _chunks(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the body, its length); raises `Corrupt` for one that is cut off."""
    while place + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, place)
        if place + 8 + size > end:
            raise Corrupt("the WebP is cut off")
        yield name, place + 8, size
        place += 8 + size + size % 2


def _coded_size(data: bytes, name: bytes, start: int, size: int) -> tuple[int, int]:
    """Width and height that a VP8 or VP8L bitstream says (RFC 6386 section 9.1; RFC 9649 section 3.4)."""
    if name == b"VP8L" and size >= 5 and data[start] == 0x2F:
        word = int.from_bytes(data[start + 1 : start + 5], "little")
        return (word & 0x3FFF) + 1, (word >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and size >= 10 and data[start + 3 : start + 6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, start + 6)
        return width & 0x3FFF, height & 0x3FFF
    raise Corrupt("the WebP's picture is broken")


def _declares_alpha(data: bytes, start: int) -> bool:
    return bool(data[start + 4] & 0x10)


def _unused(data: bytes, chunks: Sequence[tuple[bytes, int, int]]) -> bytes:
    """The lossless bitstream among a picture's chunks if it does not declare its alpha."""
    for name, start, size in chunks:
        if name == b"VP8L" and size > 4 and not _declares_alpha(data, start):
            return data[start : start + size]
    return b""


def _coded(frame: Frame, *, lossless: bool, quality: int | None) -> list[tuple[bytes, bytes]]:
    """The bitstream chunks of one picture, by libwebp; nothing of its container is kept."""
    samples = with_alpha(frame.pixels, frame.alpha)
    if samples.shape[2] == 1:
        samples = cast(Pixels, np.repeat(samples, 3, axis=2))
    buffer = io.BytesIO()
    # `exact` keeps the zeros under transparency, which libwebp else fills with a smooth guess from around.
    options = {"lossless": lossless, "exact": lossless, "method": 4}
    level = 70 if lossless else QUALITY if quality is None else quality
    Image.fromarray(np.ascontiguousarray(samples)).save(buffer, "WEBP", quality=level, **options)
    data = buffer.getvalue()
    chunks = [(name, data[start : start + size]) for name, start, size in _chunks(data, 12, len(data))]
    return [(name, body) for name, body in chunks if name in (b"ALPH", b"VP8 ", b"VP8L")]


def _extended(
    size: Size, profile: bytes, carry: Carry, body: Sequence[tuple[bytes, bytes]], *, alpha: bool, flags: int = 0
) -> list[tuple[bytes, bytes]]:
    flags |= _ICC * bool(profile) | _ALPHA * alpha | _EXIF * bool(carry.exif) | _XMP * bool(carry.xmp)
    chunks = [(b"VP8X", bytes([flags, 0, 0, 0]) + _u24(size.width - 1) + _u24(size.height - 1))]
    if profile:
        chunks.append((b"ICCP", profile))
    chunks += body
    if carry.exif:
        chunks.append((b"EXIF", carry.exif))
    if carry.xmp:
        chunks.append((b"XMP ", carry.xmp))
    return chunks


def _size(frame: Frame) -> Size:
    return Size(frame.pixels.shape[1], frame.pixels.shape[0])


def _riff(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    body = b"WEBP" + b"".join(_chunk(*chunk) for chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "little")
