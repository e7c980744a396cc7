"""Each effect under each cover, on a picture of ours: decoded pixels as they have always been.

Published photos of one shoot must look alike after an update, and a change of what an effect hides must be meant. The
digests are of exact pixels. Sums of floating-point numbers may be rounded otherwise by other processors' libraries,
where a value falls between two: so they hold on Linux on x86-64, where CI is, and say nothing elsewhere.
`scripts/clean_machine.sh` compares the Pythons there.

To change them, deliberately: CLOAK_GOLDEN=write pytest tests/effects/test_golden.py, and say why in the CHANGELOG.
"""

import io
import json
import os
import platform
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cloak.detect import Face
from cloak.detect.cover import cover
from cloak.effects import STRENGTHS, Blur, Decoy, Fill, Noise, Pixelate, conceal, make
from cloak.geometry import Box, Size
from cloak.masks import draw
from cloak.photo import Limits, Output, open_photo

FILE = Path(__file__).with_name("golden.json")
WRITE = os.environ.get("CLOAK_GOLDEN") == "write"
SIDE = 192
FACES = [
    Face(Box(30, 40, 50, 62), 0.9, ("ours",)),
    Face(Box(105, 20, 40, 48), 0.9, ("ours",), angle=30.0),
    Face(Box(110, 150, 60, 60), 0.9, ("ours",), angle=-100.0),  # beyond the lower edge
]
EFFECTS = {
    **{f"{name} {strength}": make(name, strength) for strength in STRENGTHS for name in ("pixelate", "blur", "decoy")},
    "fill": Fill(),
    "decoy soft": Decoy(style="soft"),
}

pytestmark = pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"), reason="the digests are of Linux on x86-64"
)


def picture(dtype=np.uint8):
    """(192, 192, 3) RGB: ramps, rings and stripes; of whole numbers, so that it is the same everywhere."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.int64)
    rings = ((x - 70) ** 2 + (y - 80) ** 2) // 97 % 64
    pixels = np.stack([40 + x // 2 + rings, 200 - y // 2 - rings, 60 + (x * y) // 331 + (x // 7 % 2) * 20], axis=-1)
    return pixels.astype(dtype) * (257 if dtype is np.uint16 else 1)


def masks(shape):
    return draw([cover(face, shape=shape) for face in FACES], Size(SIDE, SIDE), feather=0.15, margin=1.0)


def digest(pixels):
    return sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def golden():
    """What is known; what is not known yet is noted where the environment asks for it."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    yield known
    if WRITE:
        FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def same(golden, name, pixels):
    if WRITE:
        golden[name] = digest(pixels)
    assert digest(pixels) == golden.get(name), f"{name} looks otherwise than before"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("shape", ["head", "face"])
@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_gives_the_pixels_that_it_has_always_given(name, shape, bits, golden):
    pixels = picture(np.uint8 if bits == 8 else np.uint16)
    before, noise = pixels.copy(), Noise(b"golden")
    for mask in masks(shape):
        pixels[mask.window()] = conceal(pixels[mask.window()], mask, EFFECTS[name], noise)
    assert np.any(pixels != before)
    same(golden, f"{name}, {shape}, {bits} bits", pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("effect", [Pixelate(), Blur(), Decoy(), Fill()], ids=lambda effect: type(effect).__name__)
def test_a_written_file_decodes_to_the_pixels_that_it_has_always_had(effect, kind, golden):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    photo = open_photo(buffer.getvalue(), Limits())
    paint = partial(_paint, effect=effect)
    written = photo.conceal([masks("head")], paint, Output()).data
    same(
        golden, f"{type(effect).__name__.lower()} in {kind}", np.asarray(Image.open(io.BytesIO(written)).convert("RGB"))
    )


def _paint(pixels, mask, frame, effect):
    return conceal(pixels, mask, effect, Noise(b"golden"))


def test_nothing_else_is_known(golden):
    assert len(golden) == 4 * len(EFFECTS) + 16
