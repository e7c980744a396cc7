"""Colour profiles: fixed bytes, matching by transform, conversion, canonical forms."""

import hashlib
import importlib.util
import io
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from cloak.errors import Corrupt
from cloak.geometry import Pixels
from cloak.metadata import icc, shaper
from cloak.metadata.icc import KNOWN, canonical, convert, from_cicp, from_gamma, gamma_profile, match, nearest
from cloak.metadata.shaper import D65, Chromaticities, Floats, Power, Table
from cloak.metadata.transform import MAX_BYTES, TOLERANCE, colorants, difference
from tests.conftest import DATA

ROOT = Path(__file__).parents[2]
D50_XY = (0.3457, 0.3585)

HASHES = {
    "srgb": "ff9e76ead1ebdc575a832d1bc9c4a39d27f1c63f7621f38e7448f2de6dad692d",
    "display-p3": "8edbf9e408bb94465862fafa6a5d771961179b861e24b61b569a097c6c3cae9b",
    "adobe-rgb": "563d795eeff104a134f1a5f9b2b326939470acfb788752a50d90a507799903ab",
    "rec2020": "a753a03b54745dfe46a6ae07922e57a93f751d4fb07b8bf48c881c959e613666",
    "prophoto": "34bcd2272fba7787976e1c329faa5fa3c42823af225bfcffae5362b7f386571a",
    "grey-srgb": "384cb9324b68e4d57955adf899487a487171f801b27c650bdaf6570bc55f52a1",
    "grey-gamma-2.2": "a67d373998fe74696852690d86444829f5eabb9c2c3fa1453899256248ba7fa9",
    "grey-gamma-1.8": "9d7b3e35d520605a13c563eafe299db45cc5bda1159b9990aecef121fb503db1",
    "grey-linear": "e7a62a4611acb2ba5d9ff9fdad6bcf7d5e65cbcc37f0a6c79495828c7c90bbc0",
}

Depth: TypeAlias = type[np.uint8] | type[np.uint16]

APPLE: Chromaticities = (D65, (0.625, 0.34), (0.28, 0.595), (0.155, 0.07))
COLORMATCH: Chromaticities = (D50_XY, (0.63, 0.34), (0.295, 0.605), (0.15, 0.075))
DISPLAY: Chromaticities = (D65, (0.6512, 0.3331), (0.3021, 0.6297), (0.1498, 0.0553))
WIDE: Chromaticities = (D50_XY, (0.7347, 0.2653), (0.1152, 0.8264), (0.1566, 0.0177))


def gamma_space(corners: Chromaticities, gamma: float, name: str = "ACME Cam 9 serial 12345") -> bytes:
    return shaper.rgb_profile(name, shaper.primaries(corners), [Power(gamma)] * 3, corners[0])


def in_depth(values: Floats, dtype: Depth) -> Pixels:
    return values.astype(np.uint8) if dtype is np.uint8 else values.astype(np.uint16)


def srgb_light(code: Floats) -> Floats:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_code(light: Floats) -> Floats:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def lut_profile() -> bytes:
    """An RGB profile whose only transform is a lookup table (lut8Type) that swaps nothing but bends greens."""
    nodes = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = np.stack([255 * nodes.mean(axis=1), 128 + 90 * (nodes[:, 0] - nodes[:, 1]), 128 + 90 * nodes[:, 2] ** 3], 1)
    identity = bytes(range(256)) * 3
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    body = b"mft1\0\0\0\0" + bytes([3, 3, 9, 0]) + matrix + identity
    body += lab.round().clip(0, 255).astype(np.uint8).tobytes() + identity
    base = KNOWN["srgb"].data
    head = bytearray(base[:128])
    head[20:24] = b"Lab "
    tags = [(b"A2B0", body), (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061))]
    at, table, data = 132 + 12 * len(tags), b"", b""
    for sign, value in tags:
        table += struct.pack(">4sII", sign, at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    whole = bytes(head) + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


# The shipped bytes


@pytest.mark.parametrize("name", KNOWN)
def test_the_shipped_profiles_cannot_change_silently(name: str) -> None:
    assert hashlib.sha256(KNOWN[name].data).hexdigest() == HASHES[name]


def test_the_script_writes_the_shipped_profiles() -> None:
    spec = importlib.util.spec_from_file_location("make_profiles", ROOT / "scripts" / "make_profiles.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.profiles() == {name: known.data for name, known in KNOWN.items()}


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_a_shipped_profile_names_no_device_and_no_time(known: icc.Known) -> None:
    header = known.data[:128]
    assert header[4:8] == bytes(4), "preferred module"
    assert header[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert header[40:64] == bytes(24), "platform, flags, maker, model, attributes"
    assert header[80:128] == bytes(48), "creator, identifier, reserved"
    assert len(known.data) == struct.unpack(">I", header[:4])[0]


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_littlecms_opens_a_shipped_profile(known: icc.Known) -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(known.data)).profile
    assert profile.xcolor_space.strip() == ("GRAY" if known.model == "grey" else "RGB")
    imagecodecs.cms_profile_validate(known.data)


@pytest.mark.parametrize("name", [name for name, known in KNOWN.items() if known.model == "rgb"])
def test_white_is_the_white_of_the_connection_space_to_the_last_bit(name: str) -> None:
    data = KNOWN[name].data
    total = np.zeros(3, int)
    for place in range(132, 132 + 12 * struct.unpack_from(">I", data, 128)[0], 12):
        sign, offset, _ = struct.unpack_from(">4sII", data, place)
        if sign in (b"rXYZ", b"gXYZ", b"bXYZ"):
            total += struct.unpack_from(">3i", data, offset + 8)
    assert list(total) == [round(65536 * value) for value in shaper.D50]


# match


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_profile_matches_itself(name: str) -> None:
    assert match(KNOWN[name].data) is KNOWN[name]


@pytest.mark.parametrize(("one", "other"), [(a, b) for a in KNOWN for b in KNOWN if a != b])
def test_no_two_known_profiles_are_within_reach_of_each_other(one: str, other: str) -> None:
    assert difference(KNOWN[one].data, KNOWN[other].data) > 4 * TOLERANCE


def test_other_makers_profiles_of_a_known_space_match_by_their_transform() -> None:
    pillow = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pillow != KNOWN["srgb"].data
    assert match(pillow) is KNOWN["srgb"]
    assert match(imagecodecs.cms_profile("adobergb")) is KNOWN["adobe-rgb"]
    ramp = srgb_light(np.arange(1024) / 1023)
    table = Table(tuple(int(value) for value in np.round(65535 * ramp)))
    corners = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
    assert match(shaper.rgb_profile("scanner", shaper.primaries(corners), [table] * 3)) is KNOWN["srgb"]


def test_a_profile_that_only_calls_itself_srgb_does_not_match() -> None:
    assert match(gamma_space(DISPLAY, 2.2, "sRGB IEC61966-2.1")) is None


def test_gamma_2_2_is_not_the_curve_of_srgb() -> None:
    corners = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
    assert match(gamma_space(corners, 2.2)) is None


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_profile_that_says_hdr_does_not_match_whatever_its_matrix(transfer: int) -> None:
    data = bytearray(KNOWN["srgb"].data)
    place = data.index(b"cprt")
    offset = struct.unpack_from(">I", data, place + 4)[0]
    data[place : place + 4] = b"cicp"
    data[offset : offset + 12] = b"cicp\0\0\0\0" + bytes([1, transfer, 0, 1])
    assert match(bytes(data)) is None
    assert canonical(bytes(data)) is None
    data[offset + 9] = 13
    assert match(bytes(data)) is KNOWN["srgb"]


@pytest.mark.skipif(not (DATA / "photos").is_dir(), reason="benchmark data is absent")
def test_srgb_profiles_in_real_photos_match_and_others_do_not() -> None:
    seen: dict[str, str | None] = {}
    for file in sorted((DATA / "photos").iterdir()):
        with Image.open(file) as image:
            profile = image.info.get("icc_profile")
        if profile:
            found = match(profile)
            seen[hashlib.sha256(profile).hexdigest()] = found.name if found else None
            if found is not None:
                assert difference(profile, found.data) < 0.5 / 255
            else:
                assert b"CMYK" in profile[:20]
    assert list(seen.values()).count("srgb") >= 2


# Hostile profiles


GARBAGE = {
    "nothing": b"",
    "zeros": bytes(500),
    "header only": KNOWN["srgb"].data[:128],
    "cut": KNOWN["srgb"].data[:300],
    "many tags": KNOWN["srgb"].data[:128] + b"\xff" * 4 + KNOWN["srgb"].data[132:],
    "no tags": KNOWN["srgb"].data[:128] + bytes(4) + KNOWN["srgb"].data[132:],
    "link": KNOWN["srgb"].data.replace(b"mntrRGB ", b"linkRGB "),
    "named colours": KNOWN["srgb"].data.replace(b"mntrRGB ", b"nmclRGB "),
    "unheard-of space": KNOWN["srgb"].data.replace(b"mntrRGB ", b"mntr7CLR"),
    "flat": shaper.rgb_profile("x", np.full((3, 3), 0.3), [Power(1.0)] * 3),
    "huge": KNOWN["srgb"].data + bytes(MAX_BYTES),
}


@pytest.mark.parametrize("profile", GARBAGE.values(), ids=GARBAGE)
def test_garbage_matches_nothing_and_converts_to_nothing(profile: bytes) -> None:
    assert match(profile) is None
    assert canonical(profile) is None
    assert nearest(profile) is KNOWN["srgb"]
    with pytest.raises(Corrupt):
        convert(np.zeros((2, 2, 4), np.uint8), profile, KNOWN["srgb"])


def test_mutated_profiles_never_raise_anything_else() -> None:
    random = np.random.default_rng(7)
    for base in (KNOWN["display-p3"].data, KNOWN["grey-srgb"].data, lut_profile()):
        for _ in range(25):
            data = bytearray(base)
            for place in random.integers(0, len(data), 1 + int(random.integers(12))):
                data[place] = int(random.choice(np.array([0, 255, random.integers(256)])))
            profile = bytes(data)
            match(profile)
            nearest(profile)
            canonical(profile)
            with suppress(Corrupt):
                convert(np.full((2, 2, 3), 9, np.uint8), profile, KNOWN["srgb"])


def test_chains_of_elements_without_bound_are_never_evaluated() -> None:
    # A D2B0 tag would take the place of the matrix in LittleCMS; this one makes all colours black.
    elements = b"mpet\0\0\0\0" + struct.pack(">HHIII", 3, 3, 1, 24, 60)
    elements += b"matf\0\0\0\0" + struct.pack(">HH", 3, 3) + struct.pack(">12f", *[0.0] * 12)
    base = KNOWN["display-p3"].data
    place = base.index(b"cprt")
    data = base[: place + 4] + struct.pack(">II", len(base), len(elements)) + base[place + 12 :] + elements
    data = struct.pack(">I", len(data)) + data[4:].replace(b"cprt", b"D2B1", 1)
    assert match(data) is KNOWN["display-p3"]


# nearest


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (gamma_space(APPLE, 1.8), "srgb"),
        (gamma_space(COLORMATCH, 1.8), "srgb"),
        (gamma_space(DISPLAY, 2.2), "srgb"),
        (gamma_space(WIDE, 2.2), "prophoto"),
        (gamma_space((D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 1.8), "adobe-rgb"),
        (gamma_space((D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), 2.4), "display-p3"),
        (gamma_space((D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), 2.4), "rec2020"),
        (shaper.grey_profile("dot gain", Power(1.75)), "grey-gamma-1.8"),
        (shaper.grey_profile("dot gain", Power(2.25)), "grey-gamma-2.2"),
        *[(known.data, name) for name, known in KNOWN.items()],
    ],
)
def test_the_nearest_space_is_srgb_unless_the_gamut_is_clearly_wider(profile: bytes, name: str) -> None:
    assert nearest(profile).name == name


# convert


def light_of(codes: Floats, name: str) -> Floats:
    if name == "adobe-rgb":
        return codes**2.19921875
    if name == "prophoto":
        return codes**1.80078125
    return srgb_light(codes)


@pytest.mark.parametrize("name", ["display-p3", "adobe-rgb", "prophoto"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_conversion_to_srgb_agrees_with_floating_point(name: str, dtype: Depth) -> None:
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(1).integers(0, top + 1, (64, 64, 3), dtype)
    matrix = np.linalg.solve(colorants(KNOWN["srgb"].data), colorants(KNOWN[name].data))
    wanted = top * srgb_code(light_of(pixels / top, name) @ matrix.T)
    got = convert(pixels, KNOWN[name].data, KNOWN["srgb"])
    assert got.dtype == dtype
    assert got.shape == pixels.shape
    # LittleCMS holds curves in tables of 16 bit: 32 of 65535 are an eighth of a step at 8 bit.
    assert np.abs(got - wanted).max() < (1.01 if dtype == np.uint8 else 32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_converted_by_its_curve(dtype: Depth) -> None:
    top = np.iinfo(dtype).max
    pixels = in_depth(np.linspace(0, top, 256).reshape(16, 16, 1), dtype)
    wanted = top * srgb_code((pixels / top) ** 2.19921875)
    got = convert(pixels, KNOWN["grey-gamma-2.2"].data, KNOWN["grey-srgb"])
    assert got.shape == pixels.shape
    assert np.abs(got - wanted).max() < 1.01
    coloured = convert(pixels, KNOWN["grey-gamma-2.2"].data, KNOWN["srgb"])
    assert coloured.shape == (16, 16, 3)
    assert np.abs(coloured - wanted).max() < (1.01 if dtype == np.uint8 else 32)


def test_sixteen_bits_survive_a_way_there_and_back() -> None:
    pixels = np.random.default_rng(2).integers(0, 65536, (64, 64, 3), np.uint16)
    wide = convert(pixels, KNOWN["srgb"].data, KNOWN["prophoto"])
    assert np.abs(convert(wide, KNOWN["prophoto"].data, KNOWN["srgb"]).astype(int) - pixels).max() < 48


@pytest.mark.parametrize("shape", [(0, 5, 3), (1, 1, 3), (3, 3, 3), (3, 1, 3), (1, 3, 3), (2, 7, 3)])
def test_shapes_that_look_like_planes_are_taken_as_pixels(shape: tuple[int, int, int]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) * 4
    got = convert(pixels, KNOWN["display-p3"].data, KNOWN["srgb"])
    assert got.shape == shape
    for row in range(shape[0]):
        alone = convert(pixels[row : row + 1], KNOWN["display-p3"].data, KNOWN["srgb"])
        assert np.array_equal(alone[0], got[row])


def test_a_view_with_strides_is_converted_like_a_copy() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    view = pixels[::-2, 3::3]
    there = convert(view, KNOWN["display-p3"].data, KNOWN["srgb"])
    assert np.array_equal(there, convert(view.copy(), KNOWN["display-p3"].data, KNOWN["srgb"]))


def test_a_profile_for_other_channels_is_refused() -> None:
    with pytest.raises(Corrupt, match="channels"):
        convert(np.zeros((2, 2, 1), np.uint8), KNOWN["srgb"].data, KNOWN["srgb"])
    with pytest.raises(Corrupt, match="channels"):
        convert(np.zeros((2, 2, 3), np.uint8), KNOWN["grey-srgb"].data, KNOWN["srgb"])


def test_a_lookup_table_is_converted_as_littlecms_does_elsewhere() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 40, 3), np.uint8)
    got = convert(pixels, lut_profile(), KNOWN["srgb"])
    wanted = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(lut_profile())),
        ImageCms.ImageCmsProfile(io.BytesIO(KNOWN["srgb"].data)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
    )
    assert wanted is not None
    assert np.abs(got.astype(int) - np.asarray(wanted)).max() <= 1
    assert np.abs(got.astype(int) - pixels).max() > 30


@pytest.mark.skipif(not (DATA / "photos").is_dir(), reason="benchmark data is absent")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_ink_of_a_real_press_becomes_white_and_all_ink_black(dtype: Depth) -> None:
    with Image.open(DATA / "photos" / "metadata-Multiple_ICC_segments.jpg") as image:
        profile = image.info["icc_profile"]
    top = np.iinfo(dtype).max
    inks = in_depth(np.array([[[0.0, 0, 0, 0], [top, 0, 0, 0], [0, 0, 0, top]]]), dtype)
    white, cyan, black = convert(inks, profile, KNOWN["srgb"])[0] / top
    assert white.min() > 0.99
    assert cyan[0] < 0.1 < 0.6 < cyan[1] < cyan[2]
    assert black.max() < 0.2
    assert nearest(profile) is KNOWN["srgb"]
    assert canonical(profile) is None


# canonical


@pytest.mark.parametrize("name", KNOWN)
def test_the_canonical_form_of_a_known_profile_is_the_shipped_one(name: str) -> None:
    assert canonical(KNOWN[name].data) == KNOWN[name].data


STRANGERS = {
    "apple": gamma_space(APPLE, 1.8),
    "colormatch": gamma_space(COLORMATCH, 1.8),
    "display": gamma_space(DISPLAY, 2.2137),
    "wide": gamma_space(WIDE, 2.2),
    "channels apart": shaper.rgb_profile(
        "serial 12345", shaper.primaries(DISPLAY), [Power(2.1), Power(2.2), Power(2.35)]
    ),
    "grey": shaper.grey_profile("serial 12345", Power(1.4321)),
    "s-shaped": shaper.rgb_profile(
        "serial 12345",
        shaper.primaries(DISPLAY),
        [Table(tuple(int(65535 * (k / 255) ** 2 * (1.6 - 0.6 * k / 255)) for k in range(256)))] * 3,
    ),
}


@pytest.mark.parametrize("profile", STRANGERS.values(), ids=STRANGERS)
def test_a_canonical_profile_has_the_same_transform_and_no_words_of_the_old_one(profile: bytes) -> None:
    built = canonical(profile)
    assert built is not None
    assert difference(built, profile) <= TOLERANCE
    for words in ("ACME", "serial", "12345"):
        assert words.encode() not in built
        assert words.encode("utf-16-be") not in built
    header = built[:128]
    assert header[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert header[4:8] + header[40:64] + header[80:128] == bytes(4 + 24 + 48)


@pytest.mark.parametrize("profile", STRANGERS.values(), ids=STRANGERS)
def test_a_canonical_profile_is_its_own_canonical_form(profile: bytes) -> None:
    built = canonical(profile)
    assert built is not None
    assert canonical(built) == built


@pytest.mark.parametrize("profile", STRANGERS.values(), ids=STRANGERS)
def test_no_profile_with_anything_added_is_its_own_canonical_form(profile: bytes) -> None:
    built = canonical(profile)
    assert built is not None
    changed = [built + b"\0", built[:60] + b"x" + built[61:], built[:84] + b"id" + built[86:]]
    changed += [built.replace(b"enUS", b"enGB"), built.replace(b"\0C\0C\0000", b"\0S\0N\0009")]
    for other in changed:
        assert other == built or canonical(other) != other


def test_profiles_that_differ_in_their_last_digits_become_one() -> None:
    one = gamma_space((D65, (0.64002, 0.33002), (0.30002, 0.60002), (0.15002, 0.06002)), 2.3981)
    other = gamma_space((D65, (0.63998, 0.32998), (0.29998, 0.59998), (0.14998, 0.05998)), 2.4012)
    assert one != other
    assert canonical(one) == canonical(other)


def curved(tone: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """A profile of ours whose curves show a value as `tone` says, both on sRGB's scale, 0 to 1."""
    light = srgb_light(tone(np.arange(1025) / 1024).clip(0, 1))
    table = shaper.coarse_table(light)
    return shaper.rgb_profile(shaper.RGB, shaper.primaries(DISPLAY), [table] * 3)


@pytest.mark.parametrize(
    "tone",
    [
        lambda v: np.abs((v * 6 + 1) % 2 - 1),  # a wave: noise becomes a picture
        lambda v: np.where(v < 0.02, 0, np.where(v > 0.98, 1, 1 - v)),  # a negative
        lambda v: (v - 0.46) / 0.08,  # twenty values have all tones
    ],
    ids=["wave", "negative", "step"],
)
def test_a_curve_that_shows_what_the_values_hide_has_no_canonical_form(
    tone: Callable[[np.ndarray], np.ndarray],
) -> None:
    profile = curved(tone)
    assert shaper.rebuilt(profile) == profile
    assert canonical(profile) is None


def test_primaries_that_show_what_the_values_hide_have_no_canonical_form() -> None:
    """White times (mean + 12 (red - green)): two greys that hardly differ are black and white."""
    white = np.array(shaper.D50)
    tint = np.array([[0.08, -0.04, -0.04], [0, 0, 0], [-0.08, 0.12, -0.04]])
    profile = shaper.rgb_profile(
        shaper.RGB, np.outer(white, [1 / 3 + 12, 1 / 3 - 12, 1 / 3]) + tint, [shaper.SRGB_CURVE] * 3
    )
    assert match(profile) is None
    assert canonical(profile) is None


def test_curves_that_photos_have_are_kept() -> None:
    for gamma in (1.0, 1.4, 2.6, 3.0):
        assert canonical(gamma_space(DISPLAY, gamma)) is not None
    assert canonical(curved(lambda v: v * v * (3 - 2 * v))) is not None


def test_a_lookup_table_has_no_canonical_form() -> None:
    assert canonical(lut_profile()) is None


# PNG


@pytest.mark.parametrize(
    ("gamma", "corners", "model", "name"),
    [
        (0.45455, None, "rgb", "srgb"),
        (0.45455, (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), "rgb", "srgb"),
        (0.45455, (D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), "rgb", "display-p3"),
        (0.45455, (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), "rgb", "adobe-rgb"),
        (0.55556, (D50_XY, (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), "rgb", "prophoto"),
        (0.45455, None, "grey", "grey-srgb"),
        (1.0, None, "grey", "grey-linear"),
        (0.55556, None, "grey", "grey-gamma-1.8"),
        (1.0, None, "rgb", None),
        (0.45455, WIDE, "rgb", None),
        (0.0, None, "rgb", None),
        (0.3, None, "grey", None),
    ],
)
def test_gamma_and_chromaticities_of_a_png_name_a_space(
    gamma: float, corners: Chromaticities | None, model: str, name: str | None
) -> None:
    found = from_gamma(gamma, corners, model)
    assert (found and found.name) == name


def test_other_gammas_get_a_profile_to_convert_from() -> None:
    linear = gamma_profile(1.0)
    assert linear is not None
    half = convert(np.full((1, 1, 3), 32768, np.uint16), linear, KNOWN["srgb"])[0, 0]
    assert np.abs(half / 65535 - srgb_code(np.array(0.5))).max() < 0.001
    grey = gamma_profile(1.0, model="grey")
    assert grey is not None
    assert match(grey) is KNOWN["grey-linear"]


@pytest.mark.parametrize(
    ("gamma", "corners"),
    [
        (0.0, None),
        (1e9, None),
        (float("nan"), None),
        (0.45, ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))),
        (0.45, (D65, (0.3, 0.3), (0.3, 0.3), (0.3, 0.3))),
        (0.45, (D65, (0.1, 0.1), (0.2, 0.2), (0.3, 0.3))),
        (0.45, ((42949.0, 42949.0), (42949.0, 0.0), (0.0, 42949.0), (1.0, 1.0))),
        (0.45, ((0.9, 0.02), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    ],
)
def test_absurd_gammas_and_chromaticities_have_no_profile(gamma: float, corners: Chromaticities | None) -> None:
    assert gamma_profile(gamma, corners) is None
    assert from_gamma(gamma, corners) is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ((1, 13), "srgb"),
        ((12, 13), "display-p3"),
        ((9, 14), "rec2020"),
        ((9, 16), None),
        ((9, 18), None),
        ((2, 2), None),
    ],
)
def test_code_points_name_a_space_and_hdr_has_none(code: tuple[int, int], name: str | None) -> None:
    found = from_cicp(*code)
    assert (found and found.name) == name
