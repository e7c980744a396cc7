"""What the colours of a PNG mean: its chunks about colour as one ICC profile."""

import struct
import zlib

from cloak.errors import Unsupported
from cloak.metadata import icc

MAX_PROFILE = 4_000_000
"""Bytes of a profile, unpacked; nothing is read of longer ones."""


def profile(bodies: dict[bytes, bytes], *, grey: bool) -> bytes:
    """The colour space as an ICC profile, by the precedence of PNG section 12.1: cICP, iCCP, sRGB, gAMA and cHRM."""
    if b"cICP" in bodies:
        return _coded_space(bodies[b"cICP"], grey=grey)
    if b"iCCP" in bodies:
        _, _, rest = bodies[b"iCCP"].partition(b"\0")
        inflater = zlib.decompressobj()
        try:
            embedded = inflater.decompress(rest[1:], MAX_PROFILE)
        except zlib.error:
            return b""  # decoders show the pixels as they are
        return embedded if inflater.eof else b""
    if b"sRGB" in bodies or len(bodies.get(b"gAMA", b"")) != 4:
        return b""
    return _gamma_space(bodies, grey=grey)


def _coded_space(body: bytes, *, grey: bool) -> bytes:
    """cICP: primaries, transfer, matrix (0 for RGB), full range (ITU-T H.273)."""
    known = icc.from_cicp(body[0], body[1]) if len(body) == 4 and body[2:] == b"\0\1" else None
    if known is None:
        raise Unsupported("the PNG's coded colour space is none of the known ones (HDR?)")
    return b"" if grey or known.name == "srgb" else known.data


def _gamma_space(bodies: dict[bytes, bytes], *, grey: bool) -> bytes:
    """gAMA, with cHRM if present: both in units of 1/100000."""
    gamma = struct.unpack(">I", bodies[b"gAMA"])[0] / 100_000
    model = "grey" if grey else "rgb"
    corners = None
    if not grey and len(bodies.get(b"cHRM", b"")) == 32:
        values = [value / 100_000 for value in struct.unpack(">8I", bodies[b"cHRM"])]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        corners = (white, red, green, blue)
    if gamma <= 0:
        return b""
    known = icc.from_gamma(gamma, corners, model)
    if known is None:
        return icc.gamma_profile(gamma, corners, model) or b""
    return b"" if known.name in ("srgb", "grey-srgb") else known.data
