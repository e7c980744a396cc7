"""Colour transforms of strangers' profiles through LittleCMS: vetted first, then sampled and compared."""

import struct
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from cloak.errors import Corrupt
from cloak.metadata.shaper import Floats

MAX_BYTES = 4_000_000
"""Profiles above this are refused: those of printers, the largest in photos, have 0.5 to 2.5 MB."""

TOLERANCE = 1 / 255
"""Profiles whose colours differ nowhere by more than this are one and the same."""

PERCEPTUAL, RELATIVE = 0, 1
"""Rendering intents (ICC.1:2022, 7.2.15)."""

CHANNELS = {"gray": 1, "rgb": 3, "lab": 3, "cmyk": 4}
"""Of each colour space that photos use, by imagecodecs' names."""

_SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"Lab ": "lab", b"CMYK": "cmyk"}
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
_TAGS = frozenset(
    name.encode()
    for name in (
        *("rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC", "kTRC", "wtpt", "bkpt", "chad"),
        *("A2B0", "A2B1", "A2B2", "B2A0", "B2A1", "B2A2", "cicp"),
    )
)
"""What LittleCMS gets to see. Not D2Bx/B2Dx: their chains of elements (multiProcessElementsType) have no bound."""

_FLAGS = imagecodecs.CMS.FLAGS
_XYZ = imagecodecs.cms_profile("xyz")


def vetted(profile: bytes) -> tuple[bytes, str]:
    """The profile with every tag blanked that no transform needs, and its colour space, a key of `CHANNELS`.

    Raises `Corrupt` for what is no profile, too large, or of a class or space that photos do not use.
    """
    if not 132 <= len(profile) <= MAX_BYTES or profile[36:40] != b"acsp":
        raise Corrupt("the colour profile is broken")
    space = _SPACES.get(profile[16:20])
    if space is None or profile[12:16] not in _CLASSES or profile[20:24] not in (b"XYZ ", b"Lab "):
        raise Corrupt("the colour profile is of a kind that photos do not use")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100 or 132 + 12 * count > len(profile):
        raise Corrupt("the colour profile is broken")
    data = bytearray(profile)
    for k in range(count):
        place = 132 + 12 * k
        if profile[place : place + 4] not in _TAGS:
            data[place : place + 4] = b"x%03d" % k  # LittleCMS refuses a name that comes twice
    return bytes(data), space


def is_hdr(profile: bytes) -> bool:
    """Whether a vetted profile's cicp tag says PQ or HLG (ITU-T H.273), which viewers obey over the matrix."""
    for place in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        sign, offset, _ = struct.unpack_from(">4sII", profile, place)
        if sign == b"cicp":
            return profile[offset + 9 : offset + 10] in (b"\x10", b"\x12")
    return False


def transform(
    values: npt.NDArray[Any], profile: bytes, target: bytes, spaces: tuple[str, str], *, intent: int, exact: bool
) -> npt.NDArray[Any]:
    """Colours brought from one profile to another, with black point compensation.

    Args:
        values: (N, C) uint8, uint16 or float64 (0 to 1; XYZ as it is).
        profile, target: vetted, or our own.
        spaces: theirs, keys of `CHANNELS`, or "xyz".
        intent: a rendering intent.
        exact: evaluate every colour in full; else LittleCMS may interpolate, in 33 steps an axis.

    Returns (N, C') of the same dtype. Raises `Corrupt`.
    """
    if not len(values):
        return np.empty((0, CHANNELS.get(spaces[1], 3)), values.dtype)
    flags = _FLAGS.BLACKPOINTCOMPENSATION | _FLAGS.NOCACHE | (_FLAGS.NOOPTIMIZE if exact else _FLAGS.HIGHRESPRECALC)
    try:
        out = imagecodecs.cms_transform(
            values[:, None],
            profile,
            target,
            colorspace=spaces[0],
            outcolorspace=spaces[1],
            planar=False,
            outplanar=False,
            intent=intent,
            flags=flags,
        )
    except (RuntimeError, ValueError) as error:
        raise Corrupt("the colour profile is broken") from error
    return np.asarray(out).reshape(len(values), CHANNELS.get(spaces[1], 3))


def to_xyz(colours: Floats, profile: bytes, space: str, intent: int = RELATIVE) -> Floats:
    """XYZ under D50 of (N, C) device colours 0 to 1: (N, 3). Raises `Corrupt`."""
    xyz = transform(colours, profile, _XYZ, (space, "xyz"), intent=intent, exact=True)
    if not np.isfinite(xyz).all():
        raise Corrupt("the colour profile is broken")
    return xyz


def colorants(profile: bytes) -> Floats:
    """(3, 3) XYZ of an RGB profile's red, green and blue, a column each.

    Raises `Corrupt` if they span no space.
    """
    columns = to_xyz(np.eye(3), profile, "rgb").T
    if abs(np.linalg.det(columns)) < 1e-6:
        raise Corrupt("the colour profile's primaries span no space")
    return columns


def toned(linear: npt.NDArray[np.floating[Any]]) -> Floats:
    """sRGB's tone curve, odd around 0."""
    size = np.abs(linear)
    return np.asarray(np.sign(linear) * np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055))


def _grid(channels: int) -> Floats:
    ramp = np.arange(256)[:, None] / 255
    if channels == 1:
        return ramp
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 12)] * channels), axis=-1).reshape(-1, channels)
    return np.concatenate([lattice, ramp * np.ones(channels), *(ramp * axis for axis in np.eye(channels))])


GRIDS = {"gray": _grid(1), "rgb": _grid(3)}
"""Colours to compare transforms at, (N, C): a lattice, and all 256 steps of the axes and the diagonal."""


def difference(one: bytes, other: bytes) -> float:
    """The largest difference between two profiles' colours, 0 to 1 and above; infinite if they have no common model.

    Measured at `GRIDS`, for the colorimetric and the perceptual intent, in the linear primaries of `other` under
    sRGB's tone curve: a pure power's own device values would count specks of light near black a thousandfold.
    Unclipped, so that wider primaries show. Raises `Corrupt`.
    """
    (a, space), (b, other_space) = vetted(one), vetted(other)
    if space != other_space or space not in GRIDS:
        return float("inf")
    basis = colorants(b) if space == "rgb" else np.diag([0.9642, 1.0, 0.8249])
    pairs = zip(_sampled(a, space), _sampled(b, space), strict=True)
    return max(float(np.abs(_codes(basis, p) - _codes(basis, q)).max()) for p, q in pairs)


def _codes(basis: Floats, xyz: Floats) -> Floats:
    return toned(np.linalg.solve(basis, xyz.T))


def _sampled(profile: bytes, space: str) -> tuple[Floats, ...]:
    """XYZ at the grid, for each intent."""
    return _remembered(profile, space) if len(profile) <= 100_000 else _measured(profile, space)


def _measured(profile: bytes, space: str) -> tuple[Floats, ...]:
    return tuple(to_xyz(GRIDS[space], profile, space, intent) for intent in (RELATIVE, PERCEPTUAL))


# One profile is compared with many, and the known ones with all.
_remembered = lru_cache(maxsize=24)(_measured)
