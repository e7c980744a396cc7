"""Colour profiles: known ones by their transform, and the pixels of all others brought to a known space.

A profile is never copied from a photo: its description, maker, dates, private tags and calibration curves can name
a device. What is written is one of `KNOWN` (fixed bytes, made by `scripts/make_profiles.py`), or a `canonical`
profile built anew from the transform alone.

What a photo without a profile means: sRGB, or grey with sRGB's curve, and nothing need be written. A PNG's chunks
count in the order cICP (`from_cicp`), iCCP (`match`), sRGB (`KNOWN["srgb"]`), gAMA with cHRM (`from_gamma`, else
`gamma_profile` and `convert`), as PNG's third edition orders them (clause 4.3).
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import numpy as np

from cloak.errors import Corrupt
from cloak.geometry import Pixels
from cloak.metadata import shaper
from cloak.metadata.shaper import Chromaticities, Curve, Floats, Power
from cloak.metadata.transform import (
    CHANNELS,
    GRIDS,
    RELATIVE,
    TOLERANCE,
    colorants,
    difference,
    is_hdr,
    to_xyz,
    toned,
    transform,
    vetted,
)


@dataclass(frozen=True, slots=True)
class Known:
    """A colour space that cloak writes: its name, "grey" or "rgb", and the profile's bytes."""

    name: str
    model: str
    data: bytes


def _load(name: str) -> Known:
    data = resources.files("cloak.metadata").joinpath("profiles", f"{name}.icc").read_bytes()
    return Known(name, "grey" if data[16:20] == b"GRAY" else "rgb", data)


KNOWN: dict[str, Known] = {
    name: _load(name)
    for name in (
        "srgb",
        "display-p3",
        "adobe-rgb",
        "rec2020",
        "prophoto",
        "grey-srgb",
        "grey-gamma-2.2",
        "grey-gamma-1.8",
        "grey-linear",
    )
}
"""By name; RGB spaces from the smallest gamut to the largest."""


def match(profile: bytes) -> Known | None:
    """The known space whose transform equals the profile's, or None; never raises.

    Equal means that no colour of a grid differs by more than 1/255, as `cloak.metadata.transform.difference` tells.
    Bytes and descriptions do not count. The answer's model need not fit the photo's channels: compare them.
    """
    return _cached(_match, profile)


def nearest(profile: bytes) -> Known:
    """The known space that holds the profile's colours with the least loss; never raises.

    For RGB, the smallest gamut that clips next to nothing; grey stays grey; CMYK, Lab, and what cannot be read: sRGB.
    """
    return _cached(_nearest, profile)


def canonical(profile: bytes) -> bytes | None:
    """A profile with the same transform, built anew from as few and as coarse numbers as stay within 1/255.

    For lossless JPEG, whose pixels must keep their meaning. A profile that was built here is its own canonical form,
    and no other profile is: so a verifier can tell that nothing else is in it. None where the transform is no matrix
    with curves (CMYK, Lab, lookup tables), where curves or primaries could show what the values hide, or where the
    profile is broken; never raises.

    1/255 leaves little room for primaries: those of a display that was measured stay known to about 0.0001, and can
    tell it from another one. Converting to a known space does not have that trace.
    """
    return _cached(_canonical, profile)


def convert(pixels: Pixels, profile: bytes, target: Known) -> Pixels:
    """The pixels' colours in another space, relative colorimetric with black point compensation.

    Args:
        pixels: (H, W, C) uint8 or uint16; 1 channel for a grey profile, 3 for RGB or Lab (a and b with an offset, as
            ICC encodes them), 4 for CMYK (0 = no ink).
        profile: what the pixels are in now.
        target: what they shall be in.

    Returns (H, W, 3) or (H, W, 1), of the same dtype. Raises `Corrupt` for a broken profile or one that does not fit
    the pixels.
    """
    data, space = vetted(profile)
    if pixels.shape[2] != CHANNELS[space]:
        raise Corrupt("the colour profile is for another number of channels than the photo has")
    to = "gray" if target.model == "grey" else "rgb"
    # Interpolation is up to 1 % wrong: at 8 bit it does not show.
    exact = pixels.dtype == np.uint16
    flat: np.ndarray[Any, Any] = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[2])
    out = transform(flat, data, target.data, (space, to), intent=RELATIVE, exact=exact)
    return out.reshape(*pixels.shape[:2], CHANNELS[to])


def from_gamma(gamma: float, chromaticities: Chromaticities | None = None, model: str = "rgb") -> Known | None:
    """The known space that PNG's gAMA and cHRM chunks mean, or None.

    Args:
        gamma: gAMA's value / 100000, e.g. 0.45455.
        chromaticities: (x, y) of white, red, green, blue from cHRM; None if the chunk is absent.
        model: "rgb" or "grey".

    The tolerances are libpng's: 5 % of gamma (PNG_GAMMA_THRESHOLD), 0.01 of chromaticity. Gamma 1/2.2 stands for
    sRGB's curve wherever a space has that.
    """
    if model == "grey":
        return next((KNOWN[name] for name, power in _GREYS if abs(gamma * power - 1) <= 0.05), None)
    for name, power, corners in _SPACES:
        given = chromaticities or _SPACES[0][2]
        near = all(abs(a - b) <= 0.01 for p, q in zip(given, corners, strict=True) for a, b in zip(p, q, strict=True))
        if near and abs(gamma * power - 1) <= 0.05:
            return KNOWN[name]
    return None


_GREYS = (("grey-srgb", 2.2), ("grey-gamma-1.8", 1.8), ("grey-linear", 1.0))
_D50 = (0.3457, 0.3585)
_SPACES: tuple[tuple[str, float, Chromaticities], ...] = (
    ("srgb", 2.2, (shaper.D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    ("display-p3", 2.2, (shaper.D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    ("adobe-rgb", 2.2, (shaper.D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))),
    ("prophoto", 1.8, (_D50, (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))),
)


def gamma_profile(gamma: float, chromaticities: Chromaticities | None = None, model: str = "rgb") -> bytes | None:
    """A profile to convert from, for what `from_gamma` does not know; None if the numbers make no sense."""
    if not 0.1 <= gamma <= 10:
        return None
    curve = Power(1 / gamma)
    if model == "grey":
        return shaper.grey_profile(shaper.GREY, curve)
    corners = chromaticities or _SPACES[0][2]
    try:
        data = shaper.rgb_profile(shaper.RGB, shaper.primaries(corners), [curve] * 3, corners[0])
        colorants(data)
    except (ArithmeticError, ValueError, struct.error, Corrupt):
        return None
    return data


def from_cicp(colour_primaries: int, transfer: int) -> Known | None:
    """The known space of coding-independent code points (ITU-T H.273), or None; HDR transfers have none."""
    if colour_primaries == 1 and transfer in (1, 6, 13, 14, 15):
        return KNOWN["srgb"]
    if colour_primaries == 12 and transfer == 13:
        return KNOWN["display-p3"]
    if colour_primaries == 9 and transfer in (1, 6, 14, 15):
        return KNOWN["rec2020"]
    return None


_Answer = TypeVar("_Answer")


def _cached(function: Callable[[bytes], _Answer], profile: bytes) -> _Answer:
    return _remembered(function, profile) if len(profile) <= _CACHED_BYTES else function(profile)


@lru_cache(maxsize=24)
def _remembered(function: Callable[[bytes], Any], profile: bytes) -> Any:
    return function(profile)


_CACHED_BYTES = 100_000
"""Profiles of cameras and displays, which repeat through a shoot, are smaller; larger ones are not worth the memory."""


def _match(profile: bytes) -> Known | None:
    try:
        data, space = vetted(profile)
        if space not in GRIDS or is_hdr(data):
            return None
        gaps = {name: difference(data, known.data) for name, known in KNOWN.items()}
    except Corrupt:
        return None
    best = min(gaps, key=gaps.__getitem__)
    return KNOWN[best] if gaps[best] <= TOLERANCE else None


def _nearest(profile: bytes) -> Known:
    try:
        data, space = vetted(profile)
        if space == "gray":
            return min((k for k in KNOWN.values() if k.model == "grey"), key=lambda k: difference(data, k.data))
        if space == "rgb":
            return _holding(to_xyz(GRIDS["rgb"], data, "rgb"))
    except Corrupt:
        pass
    return KNOWN["srgb"]


def _holding(xyz: Floats) -> Known:
    """sRGB if it loses little of the colours, else the smallest gamut that loses next to nothing, else the best."""
    losses: dict[str, float] = {}
    for name, known in KNOWN.items():
        if known.model == "rgb":
            codes = toned(np.linalg.solve(colorants(known.data), xyz.T))
            losses[name] = float(np.abs(codes - codes.clip(0, 1)).max(axis=0).mean())
            if losses[name] <= (_LITTLE if name == "srgb" else _NOTHING):
                return known
    return KNOWN[min(losses, key=losses.__getitem__)]


_LITTLE, _NOTHING = 0.06, 0.02
"""Mean clipping over a profile's whole gamut. sRGB loses 0.004 to 0.056 of PAL, Apple, ColorMatch and common displays,
0.10 of Display P3; Display P3 loses 0.05 of Adobe RGB."""


def _canonical(profile: bytes) -> bytes | None:
    known = match(profile)
    if known is not None and shaper.rebuilt(profile) != profile:
        return known.data
    try:
        data, space = vetted(profile)
        if space not in GRIDS or is_hdr(data):
            return None
        with np.errstate(all="ignore"):  # absurd numbers end in a candidate that does not hold
            ramps = _ramps(data, space)
            if known is None and not (
                _plain(ramps) and (space == "gray" or np.abs(colorants(data)).max() <= _FARTHEST)
            ):
                return None
            if shaper.rebuilt(profile) == profile:
                return profile
            return _grey(data, ramps) if space == "gray" else _rgb(data, ramps)
    except (Corrupt, ArithmeticError, ValueError, struct.error):
        return None


def _ramps(profile: bytes, space: str) -> Floats:
    """(1025, C) linear values of each channel from nothing to all."""
    if space == "gray":
        return to_xyz(_RAMP, profile, "gray")[:, 1:2]
    columns, axes = colorants(profile), enumerate(np.eye(3))
    return np.stack([np.linalg.solve(columns, to_xyz(_RAMP * axis, profile, "rgb").T)[k] for k, axis in axes], axis=1)


def _plain(ramps: Floats) -> bool:
    """Whether curves rise throughout, nowhere so steeply that a picture could lie in a few of the values.

    Faces are searched in the values as they are: what a viewer shows by a wave or a step of a curve is not in them.
    """
    tones = toned(ramps)
    falls = np.maximum.accumulate(tones, axis=0) - tones
    steepness = (tones[_STEP:] - tones[:-_STEP]) * (len(_RAMP) / _STEP)
    return bool(falls.max() <= TOLERANCE and steepness.max() <= _STEEPEST)


def _grey(profile: bytes, luminance: Floats) -> bytes | None:
    candidates = (shaper.grey_profile(shaper.GREY, curves[0]) for curves in _curves(luminance))
    return next((data for data in candidates if difference(data, profile) <= TOLERANCE), None)


def _rgb(profile: bytes, ramps: Floats) -> bytes | None:
    columns = colorants(profile)
    # The coarsest curves that leave half of the tolerance, then the coarsest primaries that hold the rest.
    for curves in _curves(ramps):
        if difference(shaper.rgb_profile(shaper.RGB, columns, curves), profile) > TOLERANCE / 2:
            continue
        for rounded in _rounded(columns):
            data = shaper.rgb_profile(shaper.RGB, rounded, curves)
            if difference(data, profile) <= TOLERANCE:
                return data
    return None


_RAMP = np.arange(1025)[:, None] / 1024

_STEP, _STEEPEST = 64, 5.0
"""Over a sixteenth of the values, as against sRGB's curve: linear light, the steepest that photos have, comes to 4.5;
at a fifth of their contrast, 85 % of the faces in a crowd are still found."""


_FARTHEST = 1.5
"""XYZ of a primary; those of the widest spaces (ProPhoto, ACES) stay under 1.0. Primaries that lie far out and cancel
each other in white make black and white of two shades of grey."""


def _curves(ramps: Floats) -> Iterator[list[Curve]]:
    """Curves for (1025, C) linear values, from those that tell least of a device to the most exact."""
    channels = ramps.shape[1]
    middle = ramps.mean(axis=1, keepdims=True)
    for curve in (shaper.SRGB_CURVE, shaper.REC2020_CURVE, Power(1.0), Power(1.8), Power(2.2), Power(2.4)):
        yield [curve] * channels
    for step in (0.05, 0.01):
        for values in (middle, ramps):
            exponents = np.log(values[512].clip(0.01, 0.99)) / np.log(0.5)
            powers: list[Curve] = [shaper.coarse_power(float(exponent), step) for exponent in exponents]
            yield powers * (channels // len(powers))
    for steps in shaper.TABLE_STEPS:
        for values in (middle, ramps):
            tables: list[Curve] = [shaper.coarse_table(column) for column in values[:: 1024 // steps].T]
            yield tables * (channels // len(tables))


def _rounded(columns: Floats) -> Iterator[Floats]:
    """Primaries that sum to the same white, from those that tell least of a device to the most exact."""
    white = columns.sum(axis=1)
    if np.abs(white - shaper.D50).max() < 0.002:
        white = np.array(shaper.D50)
    for known in KNOWN.values():
        if known.model == "rgb":
            yield colorants(known.data)
    for illuminant in (shaper.D65, _D50):
        back = np.linalg.solve(shaper.adaptation(illuminant), columns)
        for digits in (2, 3):
            corners = [(round(float(x), digits), round(float(y), digits)) for x, y in (back[:2] / back.sum(axis=0)).T]
            with suppress(ValueError):
                yield shaper.primaries((illuminant, corners[0], corners[1], corners[2]))
    for unit in (1 << bits for bits in range(8, 17)):
        red, blue = (np.round(columns[:, k] * unit) / unit for k in (0, 2))
        yield np.stack([red, white - red - blue, blue], axis=1)
