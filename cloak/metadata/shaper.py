"""Matrix/TRC colour profiles, built byte for byte: three primaries (or one grey axis) and their tone curves.

Nothing in such a profile comes from anywhere but its numbers: the date is fixed, and makers, models, creators and
identifiers are zero. Layout after ICC.1:2022 (profile version 4.3), clauses 7 to 10.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

D50 = (0.9642, 1.0, 0.8249)
"""XYZ of the profile connection space's white (ICC.1:2022, 6.3.4.3)."""

D65 = (0.3127, 0.3290)
"""Chromaticity of the white of sRGB, Display P3, Adobe RGB and Rec. 2020 (IEC 61966-2-1)."""

Chromaticities: TypeAlias = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""(x, y) of white, red, green, blue, in the order of PNG's cHRM."""

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Cone responses for chromatic adaptation (ICC.1:2022, annex E)."""


@dataclass(frozen=True, slots=True)
class Power:
    """y = x ** gamma (parametricCurveType 0)."""

    gamma: float

    def encoded(self) -> bytes:
        return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + _fixed(self.gamma)


@dataclass(frozen=True, slots=True)
class Toe:
    """y = (a x + b) ** gamma from x = d on, c x below (parametricCurveType 3)."""

    gamma: float
    a: float
    b: float
    c: float
    d: float

    def encoded(self) -> bytes:
        return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(self.gamma, self.a, self.b, self.c, self.d)


@dataclass(frozen=True, slots=True)
class Table:
    """Evenly spaced samples from x = 0 to 1, each 0 to 65535, joined by lines (curveType)."""

    samples: tuple[int, ...]

    def encoded(self) -> bytes:
        count = len(self.samples)
        return b"curv\0\0\0\0" + struct.pack(f">I{count}H", count, *self.samples)


Curve: TypeAlias = Power | Toe | Table

TABLE_STEPS = (16, 32, 64, 128, 256, 512, 1024)
"""Intervals that tables built from a stranger's profile may have."""


def coarse_power(gamma: float, step: float = 0.01) -> Power:
    """A power in steps of 0.01, or of a multiple of that."""
    return Power(round(round(gamma / step) * step, 2))


def coarse_table(values: Floats) -> Table:
    """(N,) values 0 to 1 in steps of 1/4095: coarse, but not too coarse near black for any of the curves in use."""
    steps = np.round(values.clip(0, 1) * 4095).astype(int)
    return Table(tuple(int(step) * 65535 // 4095 for step in steps))


SRGB_CURVE = Toe(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1."""

REC2020_CURVE = Toe(1 / 0.45, 1 / 1.09929682680944, 0.09929682680944 / 1.09929682680944, 1 / 4.5, 0.08124285829863)
"""The inverse of the transfer function of Recommendation ITU-R BT.2020."""


def primaries(chromaticities: Chromaticities) -> Floats:
    """XYZ of the primaries, adapted to D50: (3, 3), a column each for red, green, blue.

    Raises `ValueError` for chromaticities that span no triangle.
    """
    columns = np.array([(x, y, 1 - x - y) for x, y in chromaticities[1:]]).T
    if abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError("the primaries span no triangle")
    columns = columns * np.linalg.solve(columns, _white(chromaticities[0]))
    return np.asarray(adaptation(chromaticities[0]) @ columns, np.float64)


def adaptation(white: tuple[float, float]) -> Floats:
    """The (3, 3) matrix that brings XYZ under a white, by its (x, y), to XYZ under D50 (linear Bradford).

    Raises `ValueError` for a white that is none.
    """
    cones = _BRADFORD @ _white(white)
    if cones.min() < 0.01:
        raise ValueError("the white is none")
    gain = (_BRADFORD @ np.array(D50)) / cones
    return np.asarray(np.linalg.solve(_BRADFORD, gain[:, None] * _BRADFORD), np.float64)


def _white(xy: tuple[float, float]) -> Floats:
    x, y = xy
    if not 0.01 < y <= 1:
        raise ValueError("the white has no luminance")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def rgb_profile(name: str, columns: Floats, curves: Sequence[Curve], white: tuple[float, float] | None = None) -> bytes:
    """A display profile for RGB.

    Args:
        name: its description, ASCII.
        columns: (3, 3) XYZ of red, green and blue, a column each, adapted to D50.
        curves: those of red, green and blue.
        white: chromaticity of the white that `columns` were adapted from; None if that was D50 or is unknown.
    """
    fixed = np.round(columns * 65536)
    gap = np.round(np.array(D50) * 65536) - fixed.sum(axis=1)
    if np.abs(gap).max() <= 4:
        # Rounding must not tint white: the largest share of each row takes the rest.
        fixed[np.arange(3), np.abs(fixed).argmax(axis=1)] += gap
    tags = [(b"desc", _text(name)), (b"cprt", _text("CC0")), (b"wtpt", _xyz(D50))]
    if white is not None:
        tags.append((b"chad", b"sf32\0\0\0\0" + _fixed(*adaptation(white).ravel())))
    tags += [(sign, _xyz(tuple(column / 65536))) for sign, column in zip(_COLORANTS, fixed.T, strict=True)]
    tags += [(sign, curve.encoded()) for sign, curve in zip(_CURVES, curves, strict=True)]
    return _assembled(b"RGB ", tags)


def grey_profile(name: str, curve: Curve) -> bytes:
    """A display profile for grey; `name` is its description, ASCII."""
    return _assembled(
        b"GRAY", [(b"desc", _text(name)), (b"cprt", _text("CC0")), (b"wtpt", _xyz(D50)), (b"kTRC", curve.encoded())]
    )


GREY, RGB = "Grey", "RGB"
"""Descriptions of profiles that belong to no named space."""


def rebuilt(profile: bytes) -> bytes:
    """The profile built again from its primaries and curves alone, under the description `GREY` or `RGB`.

    Equal to `profile` if and only if it was built here, from coarse curves; b"" for what cannot have been.
    """
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        places = {sign: offset for sign, offset, _ in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])}
        if profile[16:20] == b"GRAY":
            return grey_profile(GREY, _decoded(profile, places[b"kTRC"]))
        columns = np.array([struct.unpack_from(">3i", profile, places[sign] + 8) for sign in _COLORANTS]).T / 65536
        return rgb_profile(RGB, columns, [_decoded(profile, places[sign]) for sign in _CURVES])
    except (KeyError, ValueError, struct.error):
        return b""


def _decoded(profile: bytes, place: int) -> Curve:
    """The curve at a place, made coarse: finer ones come out changed, as they were not built here."""
    for named in (SRGB_CURVE, REC2020_CURVE):
        if profile.startswith(named.encoded(), place):
            return named
    if profile[place : place + 4] != b"curv":
        return coarse_power(struct.unpack_from(">i", profile, place + 12)[0] / 65536)
    (count,) = struct.unpack_from(">I", profile, place + 8)
    if count - 1 not in TABLE_STEPS:
        raise ValueError("no table of ours")
    return coarse_table(np.array(struct.unpack_from(f">{count}H", profile, place + 12)) / 65535)


_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")


def _assembled(space: bytes, tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    start = 132 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for sign, value in tags:
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", sign, places[value], len(value))
    header = struct.pack(
        ">I4s4s4s4s4s6H4s28x",
        start + len(body),
        bytes(4),  # no colour management module of choice
        b"\x04\x30\0\0",
        b"mntr",
        space,
        b"XYZ ",
        *(2000, 1, 1, 0, 0, 0),
        b"acsp",  # then no platform, flags, maker, model, attributes; intent 0
    )
    illuminant = _fixed(*D50)
    return (header + illuminant).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(value: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*value)


def _text(text: str) -> bytes:
    raw = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(raw), 28) + raw
