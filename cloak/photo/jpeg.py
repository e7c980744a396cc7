"""JPEG: concealed in place where the file allows it, re-encoded with its own tables where it does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np

from cloak.errors import ConcealmentFailed, Corrupt
from cloak.geometry import RGB, Pixels, Size
from cloak.masks import Mask
from cloak.metadata import icc
from cloak.metadata.write import exif_payload, iptc_payload, photoshop_payload, xmp_packet
from cloak.photo import jpeg_agreement, jpeg_pixels, jpeg_write
from cloak.photo.base import Encoded, Limits, Output, Paint, Rendering
from cloak.photo.colour import plain
from cloak.photo.jpeg_colour import Plan, rebuilds, settle
from cloak.photo.jpeg_header import Header, parse
from cloak.photo.jpeg_layout import can_turn, layout, turned
from cloak.photo.pixels import Frame
from cloak.photo.renderings import SQUARE, rendered, renderings
from cloak.photo.resample import resampled

# Without a compiler at installation they are missing; a module that is there but broken is an error, not a fallback.
NATIVE = all(find_spec(f"cloak.photo._{name}") for name in ("loud", "stream", "splice", "dct", "progressive"))
if NATIVE:
    from cloak.photo import _loud, jpeg_coded, jpeg_margin, jpeg_scans, jpeg_window
    from cloak.photo._stream import Disputed

FINE = 64
"""Steps up to here take no sample farther than 224 from where it was, whatever is rounded: decoders agree on it."""


def engine() -> str:
    """Which implementation edits JPEGs here: "native" or "fallback"."""
    return "native" if NATIVE else "fallback"


def open_jpeg(data: bytes, limits: Limits, *, checked: bool = False) -> "JpegPhoto":
    """Opens a JPEG: its header is read and checked, its pixels are not yet decoded.

    `checked`: see `JpegPhoto`.

    Raises `NotAnImage`, `TooLarge`, `Corrupt` or `Unsupported`.
    """
    header = parse(data, limits)
    # A Huffman code has a bit at least: no memory and no time for a picture that cannot be there.
    held = 8 * sum(scan.end - scan.start for scan in header.scans)
    if "arithmetic" not in header.coding and held < layout(header).coded_blocks:
        raise Corrupt("the JPEG has too little data for its size")
    return JpegPhoto(data, header, checked)


@dataclass(slots=True, eq=False)
class JpegPhoto:
    """An opened JPEG (see `cloak.photo.base.Photo`).

    Attributes:
        data: the file. header: what its segments say.
        checked: `jpeg_check.check_scan` passes it before any pixel is asked for: nothing can hide between its MCUs.
    """

    data: bytes = field(repr=False)
    header: Header = field(repr=False)
    checked: bool = False
    _index: "jpeg_coded.Indexed | None" = field(default=None, repr=False)
    _damaged: bool = False

    @property
    def format(self) -> str:
        return "jpeg"

    @property
    def size(self) -> Size:
        stored = self.header.size
        return Size(stored.height, stored.width) if self.header.orientation >= 5 else stored

    @property
    def frames(self) -> int:
        return 1

    def renderings(self, frame: int = 0) -> tuple[Rendering, ...]:
        """See `Photo.renderings`: in a JPEG, inks can hide one another, and a profile can show what the values hide."""
        if frame != 0:
            raise IndexError(frame)
        if self.header.colour not in ("cmyk", "ycck"):
            return ("shown", "managed") if rebuilds(self.header) else ("shown",)
        return renderings(Frame(self._decoded(SQUARE, smooth=False)), 1)

    def surplus(self, frame: int = 0) -> str:
        """See `Photo.surplus`: `jpeg_check` looks at all that a JPEG's scans hold."""
        del frame
        return ""

    def preview(self, reduction: int = 1, frame: int = 0, rendering: Rendering = "shown") -> RGB:
        """The upright picture, (ceil(H / reduction), ceil(W / reduction), 3) uint8 RGB; see `Photo.preview`."""
        if reduction not in (1, 2, 4, 8):
            raise ValueError("reduction is 1, 2, 4 or 8")
        if frame != 0:
            raise IndexError(frame)
        pixels = np.asarray(rendered(Frame(self._decoded(reduction, smooth=False)), rendering).pixels, np.uint8)
        if rendering == "managed" and self.header.icc is not None:
            pixels = np.asarray(icc.convert(pixels, self.header.icc, plain(self.header.icc)), np.uint8)
        return np.ascontiguousarray(jpeg_pixels.upright(jpeg_pixels.rgb(pixels), self.header.orientation))

    def conceal(self, masks: Sequence[Sequence[Mask]], paint: Paint, output: Output) -> Encoded:
        """A new JPEG with every mask painted; see `Photo.conceal`."""
        if len(masks) != 1:
            raise ConcealmentFailed(f"masks for {len(masks)} pictures were given, the photo has 1")
        plan = settle(self.header, output)
        if plan.convert is not None:
            return self._reencoded(masks[0], paint, output, plan, ())
        if output.resampling is not None:
            return self._reencoded(masks[0], paint, output, plan, (output.resampling.note,))
        if output.quality is not None:
            return self._reencoded(masks[0], paint, output, plan, (f"Re-encoded at quality {output.quality}.",))
        if output.bake_orientation and not can_turn(layout(self.header), self.header.orientation):
            note = "Re-encoded: the size allows no lossless turn, and the orientation was to be baked in."
            return self._reencoded(masks[0], paint, output, plan, (note,))
        if not NATIVE:
            return self._reencoded(masks[0], paint, output, plan, ("Re-encoded: the native part is not installed.",))
        if output.agreed and not jpeg_agreement.agreed(self._plain(), self.header):
            note = "Re-encoded: reduced, or without its colours, it may show more than as it was searched."
            return self._reencoded(masks[0], paint, output, plan, (note,), FINE)
        try:
            return self._edited(masks[0], paint, output, plan)
        except jpeg_coded.Unable as reason:
            coarsest = FINE if isinstance(reason, Disputed) else None
            return self._reencoded(masks[0], paint, output, plan, (f"Re-encoded: {reason}.",), coarsest)

    def written(self, mask: Mask, output: Output) -> Callable[[Pixels], Pixels]:
        """See `Photo.written`: exact where the file is edited in place."""
        if not NATIVE or output.quality is not None or settle(self.header, output).convert is not None:
            return lambda pixels: pixels
        try:
            return jpeg_window.trial(self._source(), self.header.colour, self.header.orientation, mask)
        except jpeg_coded.Unable:
            return lambda pixels: pixels

    def _edited(self, masks: Sequence[Mask], paint: Paint, output: Output, plan: Plan) -> Encoded:
        """Only the MCUs under the masks change; raises `jpeg_coded.Unable` where the file does not allow it."""
        source = self._source()
        notes = list(plan.notes)
        stored = self.header.orientation
        turns = can_turn(source.layout, stored)
        if not turns:
            notes.append("The stored orientation is kept: the size allows no lossless turn.")
        changes = jpeg_window.edit(source, self.header.colour, stored, masks, paint)
        changes = jpeg_margin.emptied(source, changes)
        if not _loud.tame(changes.coefficients, source.layout.steps()):
            raise Disputed("rounding to its steps makes blocks that decoders do not agree on")
        written = source.write(changes, stored if turns else 1, optimize=output.optimize)
        self._index = None
        del source, changes  # a copy of the data and all masks' coefficients
        size = self.size if turns else self.header.size
        data = written.behind(_head(self.header.colour, size, output, plan.profile, None if turns else stored))
        if written.copied:
            return Encoded(data, "spliced", tuple(notes))
        notes.append("Every coefficient outside the masks is kept; the Huffman codes are new.")
        return Encoded(data, "recoded-coefficients", tuple(notes))

    def _reencoded(
        self,
        masks: Sequence[Mask],
        paint: Paint,
        output: Output,
        plan: Plan,
        notes: tuple[str, ...],
        coarsest: int | None = None,
    ) -> Encoded:
        """Every pixel is decoded and coded again, with the file's own tables and sampling unless told otherwise.

        Steps of quantisation larger than `coarsest` are made that, if it is given.
        """
        pixels = jpeg_pixels.upright(self._decoded(), self.header.orientation).copy()
        components = turned(self.header.components, self.header.orientation)
        if coarsest is not None:
            components = jpeg_pixels.no_coarser(components, coarsest)
        if output.quality is not None:
            components = jpeg_pixels.at_quality(components, output.quality)
        for mask in masks:
            rows, columns = mask.window()
            window = pixels[rows, columns]
            if mask.top < 0 or mask.left < 0 or window.shape[:2] != mask.core.shape:
                raise ConcealmentFailed("a mask lies outside the picture")
            painted = paint(window.copy(), mask, 0)
            if painted.shape != window.shape or painted.dtype != np.uint8:
                raise ConcealmentFailed("an effect returned pixels of another shape or depth")
            np.copyto(window, painted, where=(mask.core | (mask.weight > 0))[..., None])
        colour = self.header.colour
        if plan.convert is not None:
            pixels = np.asarray(icc.convert(pixels, *plan.convert), np.uint8)
            if pixels.shape[2] == 3 and len(components) == 4:
                colour, components = "ycc", components[:3]
        size = self.size
        if output.resampling is not None:
            pixels = np.asarray(resampled(Frame(pixels), output.resampling).pixels, np.uint8)
            size = output.resampling.size
        head = _head(colour, size, output, plan.profile, None)
        data = jpeg_pixels.encode(pixels, colour, components, head)
        return Encoded(data, "re-encoded", (*plan.notes, *notes), plan.convert is not None)

    def _decoded(self, reduction: int = 1, *, smooth: bool = True) -> jpeg_pixels.U8:
        """Pixels as stored."""
        return jpeg_pixels.decode(self._plain(), self.header, reduction, sound=self._sound, smooth=smooth)

    def _plain(self) -> bytes:
        """What libjpeg gets to see is what is published, without a byte more."""
        found = None if self.checked else self._indexed()
        data = jpeg_write.normalised(self.data, self.header)
        if found is not None and found.surplus:
            written = found.write(jpeg_coded.no_changes(found.layout), 1)
            data = written.behind(jpeg_write.start(self.header.colour))
        return data

    def _sound(self) -> bool:
        """Whether the entropy-coded data was read to its end; that of several scans is read here, which takes time."""
        if self.checked or self._indexed() is not None:
            return True
        if not NATIVE:
            return False
        try:
            jpeg_scans.planes(self.data, self.header)
        except jpeg_coded.Unable:
            return False
        return True

    def _source(self) -> "jpeg_coded.Indexed | jpeg_coded.Planes":
        return self._indexed() or jpeg_scans.planes(self.data, self.header)

    def _indexed(self) -> "jpeg_coded.Indexed | None":
        """The places of all MCUs, None where the file cannot be read this way."""
        if self._index is None and not self._damaged and NATIVE and jpeg_coded.indexable(self.header):
            try:
                self._index = jpeg_coded.index(self.data, self.header)
            except jpeg_coded.Unable:
                self._damaged = True  # libjpeg decides what the file is worth
        return self._index


def _head(colour: str, size: Size, output: Output, profile: bytes | None, orientation: int | None) -> bytes:
    exif = exif_payload(output.fields, orientation, size, srgb=profile is None)
    xmp = xmp_packet(output.fields)
    photoshop = photoshop_payload(iptc_payload(output.fields))
    return jpeg_write.start(colour, exif=exif, xmp=xmp, icc=profile, photoshop=photoshop)
