"""What becomes of a picture's colour profile: a known one, converted pixels, or nothing."""

from cloak.errors import Corrupt, Unsupported
from cloak.geometry import Pixels
from cloak.metadata import icc
from cloak.photo.base import Output
from cloak.photo.pixels import Frame

_MODELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_SIGNATURE = slice(16, 20)  # "data colour space" of the header, ICC.1:2022 section 7.2.6

MISFIT = "The colour profile did not fit the picture's channels, as decoders ignore it, and was dropped."
BROKEN = "The colour profile is broken and was dropped."
CONVERTED = "The colour profile is none of the known ones: colours were converted to {}."
UNKEPT = "No colour profile was to be kept: colours were converted to {}."


def settle(frame: Frame, output: Output, *, embeds: bool = True) -> tuple[Frame, str, bool]:
    """The frame in a known colour space, with that space's own fixed profile; a note, or ""; whether it was converted.

    Args:
        frame: as decoded; its arrays are taken over.
        output: says whether a profile is written, and whether unknown ones are converted or withheld.
        embeds: whether the format has a place for a profile; without one colours become sRGB.

    Raises `Unsupported` if the profile is unknown and `output.profile` is not "convert".
    """
    pixels, alpha = _writable(frame.pixels), None if frame.alpha is None else _writable(frame.alpha)
    if not frame.profile:
        return Frame(pixels, alpha), "", False
    if _MODELS.get(frame.profile[_SIGNATURE]) != pixels.shape[2]:
        if output.profile != "convert":
            raise Unsupported("the colour profile does not fit the picture's channels")
        return Frame(pixels, alpha), MISFIT, False
    known = icc.match(frame.profile)
    writes = embeds and output.icc
    if known is not None and writes:
        return Frame(pixels, alpha, known.data), "", False
    if known is not None and known.name in ("srgb", "grey-srgb"):
        return Frame(pixels, alpha), "", False
    if output.profile != "convert" and (known is None or not embeds):
        raise Unsupported(
            "the colour profile is none of the known ones",
            next_step='Convert the photo to sRGB first, or allow it: profile = "convert".',
        )
    target = icc.nearest(frame.profile) if writes else plain(frame.profile)
    try:
        converted = icc.convert(pixels, frame.profile, target)
    except Corrupt:
        # Decoders show such pixels as they are.
        return Frame(pixels, alpha), BROKEN, False
    note = UNKEPT if known is not None and embeds else CONVERTED
    return Frame(converted, alpha, target.data if writes else b""), note.format(target.name), True


def plain(profile: bytes) -> icc.Known:
    """The space that pixels without a profile are in, for those that have one now."""
    return icc.KNOWN["grey-srgb" if profile[_SIGNATURE] == b"GRAY" else "srgb"]


def _writable(values: Pixels) -> Pixels:
    return values if values.flags.writeable else values.copy()
