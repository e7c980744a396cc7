"""Mutates JPEGs and looks for crashes, hangs, foreign exceptions, and outputs that do not hold what cloak promises.

    python fuzz/jpeg.py --minutes 30 --findings findings [SEED.jpg ...]

Without seeds it makes its own. For out-of-bounds accesses run it on modules built with AddressSanitizer:

    CFLAGS="-fsanitize=address -g -O1" python setup.py build_ext --inplace --force
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 python fuzz/jpeg.py ...
"""

import argparse
import faulthandler
import hashlib
import io
import itertools
import random
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cloak.errors import CloakError
from cloak.geometry import Ellipse, Mask, Pixels, Region, draw
from cloak.photo import jpeg
from cloak.photo.base import Limits, Output
from cloak.photo.jpeg_check import check_scan

LIMITS = Limits(bytes=2_000_000, pixels=2_000_000)
SECONDS = 20  # far more than any input within the limits may take
MARKERS = (0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xE1, 0xE2, 0xEE, 0xFF, 0x00)


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


def mutated(data: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    """One to eight changes: bits, bytes, markers, lengths, moved, doubled, cut and crossed parts."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        if len(out) < 8:
            break
        # The header is small and decides most: half of the changes go there.
        at = rng.randrange(min(len(out), 700)) if rng.random() < 0.5 else rng.randrange(len(out))
        kind = rng.randrange(10)
        if kind <= 1:
            out[at] ^= 1 << rng.randrange(8)
        elif kind <= 3:
            out[at] = rng.choice((0, 1, 2, 3, 4, 16, 17, 0x22, 0x44, 127, 128, 254, 255, rng.randrange(256)))
        elif kind == 4:
            out[at : at + 2] = bytes((0xFF, rng.choice(MARKERS)))
        elif kind == 5:
            del out[at : at + rng.choice((1, 2, 16, 200))]
        elif kind == 6:
            start = rng.randrange(len(out))
            out[at:at] = out[start : start + rng.choice((1, 2, 16, 200))]
        elif kind == 7:
            out[at : at + 8] = rng.choice((bytes(8), b"\xff" * 8, rng.randbytes(8)))
        elif kind == 8:
            other = rng.choice(pool)
            start = rng.randrange(len(other))
            out[at : at + 300] = other[start : start + 300]
        else:
            del out[rng.randrange(len(out)) :]
            out += rng.choice((b"", b"\xff\xd9"))
    return bytes(out)


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
        difference = np.abs(again.astype(np.int16) - shown)[outside]
        # Who looked at the preview has looked at what is published; a turned block rounds otherwise.
        assert difference.max(initial=0) <= (8 if photo.header.orientation != 1 else 0)
    return made.path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--random", type=int, default=0, help="seed of the mutations")
    options = parser.parse_args()
    pool = [path.read_bytes() for path in options.seeds] or list(seeds())
    rng = random.Random(options.random)
    options.findings.mkdir(parents=True, exist_ok=True)
    endings: Counter[str] = Counter()
    end, current, slowest = time.monotonic() + 60 * options.minutes, options.findings / f"current-{options.random}", 0.0
    while time.monotonic() < end:
        data = mutated(rng.choice(pool), pool, rng)
        current.write_bytes(data)  # what a crash or a hang leaves behind
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        began = time.process_time()
        try:
            endings[examine(data, rng)] += 1
        except Exception:
            name = hashlib.sha256(data).hexdigest()[:12]
            (options.findings / f"{name}.jpg").write_bytes(data)
            (options.findings / f"{name}.txt").write_text(traceback.format_exc())
            endings["FINDING"] += 1
        slowest = max(slowest, time.process_time() - began)
    faulthandler.cancel_dump_traceback_later()
    current.unlink()
    print(f"{endings.total()} inputs, slowest {slowest:.2f} s")
    for ending, count in endings.most_common():
        print(f"{count:8} {ending}")


if __name__ == "__main__":
    main()
