"""What becomes of a JPEG's colour profile: a known one, the same built anew, or converted pixels."""

from dataclasses import dataclass

import numpy as np

from cloak.errors import Corrupt, Unsupported
from cloak.metadata import icc
from cloak.photo.base import Output
from cloak.photo.colour import BROKEN, plain
from cloak.photo.jpeg_header import Header

_MODELS = {"grey": b"GRAY", "ycc": b"RGB ", "rgb": b"RGB ", "cmyk": b"CMYK", "ycck": b"CMYK"}
_CHANNELS = {"grey": 1, "ycc": 3, "rgb": 3, "cmyk": 4, "ycck": 4}
_SIGNATURE = slice(16, 20)  # "data colour space" of the header, ICC.1:2022 section 7.2.6


@dataclass(frozen=True, slots=True)
class Plan:
    """The profile to embed; and the old one with the space that the pixels must be converted to first."""

    profile: bytes | None = None
    convert: tuple[bytes, icc.Known] | None = None
    notes: tuple[str, ...] = ()


def rebuilds(header: Header) -> bool:
    """Whether the file's profile is none of the known ones, but one that is built anew."""
    fits = header.icc is not None and header.icc[_SIGNATURE] == _MODELS[header.colour]
    return fits and icc.match(header.icc or b"") is None and icc.canonical(header.icc or b"") is not None


def settle(header: Header, output: Output) -> Plan:
    """Keep the meaning of the colours, with nothing of the file's own profile in the output.

    Raises `Unsupported` where only a conversion would do and `output.profile` does not allow it.
    """
    if header.icc is None:
        return Plan()
    may = output.profile == "convert"
    if header.icc[_SIGNATURE] != _MODELS[header.colour]:
        if not may:
            raise Unsupported("the colour profile does not fit the picture's channels")
        return Plan(notes=("The colour profile did not fit the picture's channels and was dropped.",))
    known = icc.match(header.icc)
    if known is not None and (output.icc or known is plain(header.icc)):
        return Plan(known.data if output.icc else None)
    if output.icc and (clean := icc.canonical(header.icc)) is not None:
        return Plan(clean)
    if known is None and not may:
        raise Unsupported(
            "the colour profile is none of the known ones",
            next_step='Convert the photo to sRGB first, or allow it: profile = "convert".',
        )
    target = icc.nearest(header.icc) if output.icc else plain(header.icc)
    try:
        icc.convert(np.zeros((1, 1, _CHANNELS[header.colour]), np.uint8), header.icc, target)
    except Corrupt:
        # Decoders show such pixels as they are.
        return Plan(notes=(BROKEN,))
    note = f"The colours were converted to {target.name}."
    return Plan(target.data if output.icc else None, (header.icc, target), (note,))
