"""`Photo` for every format whose pictures are decoded in full, painted on and encoded anew."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloak.errors import CloakError, ConcealmentFailed, Corrupt, NotAnImage, TooLarge, starved
from cloak.geometry import RGB, Pixels, Size
from cloak.masks import Mask
from cloak.metadata.write import exif_payload, xmp_packet
from cloak.photo import colour
from cloak.photo.base import Encoded, Limits, Output, Paint, Rendering
from cloak.photo.pixels import BAND, GREY, Frame, clear_hidden, colour_left, plain_palette, shown
from cloak.photo.renderings import rendered, renderings
from cloak.photo.resample import resampled


@dataclass(frozen=True, slots=True)
class Carry:
    """What goes into the new file beside pixels.

    Attributes:
        exif: a bare TIFF structure, or b"".
        xmp: a packet, or b"".
        quality: 1-100 for lossy formats, or None.
    """

    exif: bytes = b""
    xmp: bytes = b""
    quality: int | None = None


class Codec(Protocol):
    """One opened file of one format: header read and checked, pictures decoded on request."""

    @property
    def format(self) -> str: ...

    @property
    def size(self) -> Size:
        """Of the upright picture."""

    @property
    def frames(self) -> int: ...

    @property
    def embeds(self) -> bool:
        """Whether the format has a place for a colour profile."""

    @property
    def exact(self) -> bool:
        """Whether pixels are stored without loss."""

    def decode(self, index: int) -> Frame:
        """Picture `index`, upright and complete, the caller's own; raises if a part of it is missing."""

    def indexed(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        """Picture `index` as it is stored by a palette: indices, and (N, C) colours; None if it is not."""

    def encode(self, frames: Iterator[Frame], carry: Carry) -> tuple[bytes, Sequence[str]]:
        """A new file of these pictures, and notes. May overwrite the frames."""


@dataclass(slots=True, eq=False)
class RasterPhoto:
    """A photo of any format behind a codec."""

    codec: Codec
    _last: tuple[int, Frame] | None = field(default=None, repr=False)

    @property
    def format(self) -> str:
        return self.codec.format

    @property
    def size(self) -> Size:
        return self.codec.size

    @property
    def frames(self) -> int:
        return self.codec.frames

    def renderings(self, frame: int = 0) -> tuple[Rendering, ...]:
        """See `Photo.renderings`."""
        return renderings(self._decoded(frame))

    def surplus(self, frame: int = 0) -> str:
        """See `Photo.surplus`."""
        if colour_left(self._decoded(frame), exact=self.codec.exact):
            return "colour under full transparency"
        with Decoding(self.format):
            stored = self.codec.indexed(frame)
        return "a palette of equal or unused colours" if stored and not plain_palette(*stored) else ""

    def preview(self, reduction: int = 1, frame: int = 0, rendering: Rendering = "shown") -> RGB:
        """See `Photo.preview`."""
        if reduction not in (1, 2, 4, 8):
            raise ValueError("reduction is 1, 2, 4 or 8")
        return shown(rendered(self._decoded(frame), rendering), reduction)

    def conceal(self, masks: Sequence[Sequence[Mask]], paint: Paint, output: Output) -> Encoded:
        """See `Photo.conceal`."""
        if len(masks) != self.frames:
            raise ConcealmentFailed(f"masks for {len(masks)} pictures were given, the photo has {self.frames}")
        carry = Carry(exif_payload(output.fields), xmp_packet(output.fields), output.quality)
        notes: dict[str, bool] = {}  # and whether it says that colours were converted
        pictures = (self._concealed(i, masks[i], paint, output, notes) for i in range(self.frames))
        try:
            data, more = self.codec.encode(pictures, carry)
        except CloakError:
            raise
        except Exception as error:
            if starved(error):
                raise TooLarge("the photo does not fit in memory") from error
            raise ConcealmentFailed(f"the {self.format} could not be encoded ({type(error).__name__})") from error
        return Encoded(data, "re-encoded", (*notes, *more), any(notes.values()))

    def written(self, mask: Mask, output: Output) -> Callable[[Pixels], Pixels]:
        """See `Photo.written`; the codec's part is not known before the whole picture is encoded."""
        del mask, output
        return lambda pixels: pixels

    def _decoded(self, index: int) -> Frame:
        if not 0 <= index < self.frames:
            raise IndexError(index)
        if self._last is None or self._last[0] != index:
            self._last = None  # two frames at once would double the memory
            with Decoding(self.format):
                self._last = (index, _checked(self.codec.decode(index), self.size))
        return self._last[1]

    def _concealed(
        self, index: int, masks: Sequence[Mask], paint: Paint, output: Output, notes: dict[str, bool]
    ) -> Frame:
        decoded = self._decoded(index)
        self._last = None  # it is painted on; a copy would double the memory
        frame, note, converted = colour.settle(decoded, output, embeds=self.codec.embeds)
        if note:
            notes[note] = converted
        for mask in masks:
            _conceal(frame, mask, paint, index)
        if output.resampling is not None:
            frame = resampled(frame, output.resampling)
            notes[output.resampling.note] = False
        clear_hidden(frame)
        return frame


class Decoding:
    """`with Decoding(name):` turns whatever a decoder raises on broken bytes into `Corrupt`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, CloakError):
            return
        if starved(error):
            raise TooLarge(f"the {self.name} does not fit in memory") from error
        if isinstance(error, Image.DecompressionBombError):
            raise TooLarge(f"the {self.name} is over the image library's limit of pixels") from error
        raise Corrupt(f"the {self.name} does not decode in full ({type(error).__name__})") from error


def check(size: Size, frames: int, limits: Limits) -> None:
    """Raise `NotAnImage` for an empty picture, `TooLarge` for one over the limits."""
    if size.width < 1 or size.height < 1 or frames < 1:
        raise NotAnImage("the picture has no pixels")
    if frames > limits.frames:
        raise TooLarge(f"{frames} frames are over the limit of {limits.frames}")
    if size.pixels * frames > limits.pixels:
        raise TooLarge(f"{size.pixels * frames} pixels are over the limit of {limits.pixels}")


def _checked(frame: Frame, size: Size) -> Frame:
    height, width = frame.pixels.shape[:2]
    if (width, height) != (size.width, size.height):
        raise Corrupt("the picture's size is not what its header says")
    if frame.alpha is not None and frame.alpha.dtype != frame.pixels.dtype:
        raise Corrupt("colour and alpha differ in depth")
    return frame


def _conceal(frame: Frame, mask: Mask, paint: Paint, index: int) -> None:
    """Paint one mask, in place. Pixels of no weight stay, whatever `paint` returns for them."""
    rows, columns = mask.window()
    view = frame.pixels[rows, columns]
    if view.shape[:2] != mask.core.shape or mask.left < 0 or mask.top < 0:
        raise ConcealmentFailed("a mask lies outside the picture")
    window = view.copy()
    top = np.iinfo(view.dtype).max
    if frame.alpha is not None:
        # Hidden colour must not shine through an effect; the effect sees what a viewer and the detector see.
        window[frame.alpha[rows, columns] == 0] = GREY * (top // 255)
    painted = paint(window, mask, index)
    if painted.shape != view.shape or painted.dtype != view.dtype:
        raise ConcealmentFailed("an effect returned pixels of another shape or depth")
    touched = mask.core | (mask.weight > 0)
    for y in range(0, view.shape[0], BAND):
        np.copyto(view[y : y + BAND], painted[y : y + BAND], where=touched[y : y + BAND, :, None])
    if frame.alpha is not None:
        alpha = frame.alpha[rows, columns]
        # The outline of a cut-out head must not tell: opaque inside, at least the weight in the feather.
        weight = np.where(mask.core, np.float32(1), mask.weight)
        np.maximum(alpha, np.rint(weight * np.float32(top)).astype(alpha.dtype), out=alpha)
