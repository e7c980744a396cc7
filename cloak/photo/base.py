"""What a photo is to the rest of the house: pixels that can be looked at, and concealed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cloak.geometry import RGB, Pixels, Size
from cloak.masks import Mask
from cloak.metadata.fields import Fields
from cloak.photo.resample import Resampling

Paint = Callable[[Pixels, Mask, int], Pixels]
"""Conceals one window: (pixels under the mask's window, the mask, the frame's number) -> pixels of the same shape."""

Rendering = Literal["shown", "colour", "alpha", "black", "levels", "managed"]
"""A way to look at a picture: as a viewer shows it, its colour without alpha or black ink, its alpha or its black ink
alone as grey, the few levels that a 16-bit picture uses, stretched, or as its colour profile has it shown."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one photo may cost. Checked on the header, before anything is decoded."""

    bytes: int = 500_000_000
    pixels: int = 250_000_000  # of all frames together
    frames: int = 1_000


@dataclass(frozen=True, slots=True)
class Output:
    """How the published bytes are written.

    Attributes:
        fields: the fields to write anew; nothing else of the metadata is carried over.
        icc: write a colour profile if the photo had one; False converts its pixels to sRGB (grey: to its curve) and
            writes none.
        profile: what becomes of a colour profile that is none of the known ones: "convert" its pixels to the nearest
            known space, or "withhold" the photo.
        quality: for lossy formats: 1-100, or None to keep the file's own quantisation (JPEG) or a high default.
        optimize: give a JPEG the Huffman tables that suit it best; a few percent smaller, for a second pass.
        bake_orientation: re-encode a JPEG whose size allows no lossless turn, rather than keep its Orientation tag.
        agreed: look whether all decoders show the same of a JPEG, and re-encode one of which they may not; else its
            coefficients are kept.
        resampling: the pixels are brought to another grid once they are concealed; None leaves them where they are.
    """

    fields: Fields = field(default_factory=Fields)
    icc: bool = True
    profile: str = "convert"
    quality: int | None = None
    optimize: bool = False
    bake_orientation: bool = False
    agreed: bool = False
    resampling: Resampling | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes to be verified and then published.

    Attributes:
        data: the whole file.
        path: how it was made: "spliced", "recoded-coefficients", "re-encoded".
        notes: what a careful user would want to know, a sentence each.
        converted: the colours are in another space than those that were searched: every pixel is new.
    """

    data: bytes
    path: str
    notes: tuple[str, ...] = ()
    converted: bool = False


class Photo(Protocol):
    """An opened photo. Opening has checked the limits and the container's structure, not yet every pixel."""

    @property
    def format(self) -> str:
        """One of `cloak.metadata.base.Contents.format`."""

    @property
    def size(self) -> Size:
        """Of the upright picture."""

    @property
    def frames(self) -> int:
        """How many pictures the file shows, one after the other; each is searched and concealed."""

    def renderings(self, frame: int = 0) -> tuple[Rendering, ...]:
        """In which ways the picture must be searched: "shown", and each that can show what that one hides."""

    def surplus(self, frame: int = 0) -> str:
        """What the picture's samples hold that it cannot be searched for, in a few words; "" if nothing."""

    def preview(self, reduction: int = 1, frame: int = 0, rendering: Rendering = "shown") -> RGB:
        """The upright picture, (ceil(H / reduction), ceil(W / reduction), 3) uint8 RGB, for detection.

        Args:
            reduction: 1, 2, 4 or 8.
            frame: which picture.
            rendering: in which way.

        "shown" has transparent pixels over mid grey, their hidden colour ignored; 16-bit and CMYK are brought to 8-bit
        RGB. Raises `Corrupt` when the pixels do not decode in full.
        """

    def conceal(self, masks: Sequence[Sequence[Mask]], paint: Paint, output: Output) -> Encoded:
        """A new file, with every mask painted (`masks[i]` are those of frame i, over the upright picture).

        Nothing of the old file is in it but pixels outside the masks. Raises `ConcealmentFailed`, `Corrupt` or
        `Unsupported`.
        """

    def written(self, mask: Mask, output: Output) -> Callable[[Pixels], Pixels]:
        """What `conceal` makes of pixels painted over the mask's window: as they will be read from the file.

        As far as that is known in advance: where pictures are encoded as a whole, the pixels as they are.
        """
