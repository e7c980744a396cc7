"""What the JPEG engine promises, checked on one input: nothing changes but what lies under the masks."""

import io
import itertools
import random
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from cloak.errors import CloakError
from cloak.geometry import Ellipse, Pixels, Region
from cloak.masks import Mask, draw
from cloak.photo import jpeg
from cloak.photo.base import Limits, Output
from cloak.photo.jpeg_check import check_scan
from cloak.photo.jpeg_layout import layout

LIMITS = Limits(bytes=2_000_000, pixels=2_000_000)


def seeds() -> Iterator[bytes]:
    """Small JPEGs of every kind that the reader knows."""
    rng = np.random.default_rng(1)
    pixels = np.clip(rng.normal(128, 40, (61, 83, 4)).cumsum(axis=1) % 256, 0, 255).astype(np.uint8)
    samplings = [0x111111, 0x211111, 0x221111, 0x121111, 0x411111]
    for sampling, progressive, interval, optimised in itertools.product(samplings, (0, 1), (0, 3), (0, 1)):
        options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
        options += [cv2.IMWRITE_JPEG_RST_INTERVAL, interval, cv2.IMWRITE_JPEG_OPTIMIZE, optimised]
        yield bytes(cv2.imencode(".jpg", pixels[..., :3], options)[1])
    for mode, channels, progressive in itertools.product(("L", "RGB", "CMYK"), (0,), (False, True)):
        buffer = io.BytesIO()
        image = Image.fromarray(pixels).convert("RGB") if mode != "CMYK" else Image.frombytes("CMYK", (83, 61), pixels)
        extra = {"keep_rgb": True} if mode == "RGB" else {}
        image.convert(mode).save(buffer, "JPEG", progressive=progressive, icc_profile=bytes(channels), **extra)
        yield buffer.getvalue()


def fill(pixels: Pixels, mask: Mask, frame: int) -> Pixels:
    assert pixels.shape[:2] == (mask.height, mask.width)
    assert frame == 0
    return np.full_like(pixels, 60)


def examine(data: bytes, rng: random.Random) -> str:
    """Put one input through all that cloak does with a JPEG; returns how it ended, raises what must not happen."""
    try:
        photo = jpeg.open_jpeg(data, LIMITS)
    except CloakError as error:
        return type(error).__name__
    w, h = photo.size.width, photo.size.height
    try:
        photo.preview(rng.choice((2, 4, 8)))
        shown = photo.preview(1)
    except CloakError as error:
        shown = None
        ending = f"preview {type(error).__name__}"
    regions = [
        Region(Ellipse(rng.uniform(0, w), rng.uniform(0, h), rng.uniform(1, w / 3 + 2), rng.uniform(1, h / 3 + 2)))
        for _ in range(rng.randrange(4))
    ]
    masks = draw(regions, photo.size, feather=0.2)
    try:
        output = Output(optimize=rng.random() < 0.2, bake_orientation=rng.random() < 0.2)
        made = photo.conceal([masks], fill, output)
    except CloakError as error:
        return f"conceal {type(error).__name__}"
    if shown is None:
        # The coefficients may be sound where libjpeg is stricter; such a photo is withheld all the same.
        return ending
    check_scan(made.data)
    again = jpeg.open_jpeg(made.data, LIMITS).preview(1)
    assert again.shape == shown.shape
    if made.path != "re-encoded":
        outside = np.ones((h, w), np.bool_)
        for mask in masks:
            # Up to 32 pixels of an MCU and 4 of chroma interpolation may change around a mask.
            rows, columns = mask.window()
            outside[max(rows.start - 36, 0) : rows.stop + 36, max(columns.start - 36, 0) : columns.stop + 36] = False
        grid = layout(photo.header)
        if grid.size.width % (8 * grid.hmax) or grid.size.height % (8 * grid.vmax):
            # So may blocks that stick out of the picture (`jpeg_margin`), on whichever side the orientation shows them.
            outside[:36] = outside[-36:] = outside[:, :36] = outside[:, -36:] = False
        difference = np.abs(again.astype(np.int16) - shown)[outside]
        # Who looked at the preview has looked at what is published; a turned block rounds otherwise.
        assert difference.max(initial=0) <= (8 if photo.header.orientation != 1 else 0)
    return made.path
