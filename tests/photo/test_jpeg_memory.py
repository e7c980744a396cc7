"""Concealing in place takes memory for the file and the masks, not for the photo's pixels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import jpeg as benchmark
from cloak.geometry import Ellipse, Region, Size
from cloak.masks import draw
from cloak.photo import jpeg

ROOT = Path(__file__).parents[2]
SIZE = Size(*benchmark.SIZES[12])


@pytest.mark.slow
@pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("faces", [0, 5, 20])
def test_the_peak_is_under_three_files_and_the_masks_pixels(tmp_path: Path, faces: int) -> None:
    """A pixel of a mask's window costs 16 bytes: its colour, core and weight, and what it becomes as coefficients."""
    rng = np.random.default_rng(1)
    tile = np.clip(rng.normal(128, 8, (1000, 1000, 3)), 0, 255).astype(np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.tile(tile, (3, 4, 1))).save(path, quality=85)
    heads = benchmark.boxes(SIZE.width, SIZE.height, faces)
    regions = [Region(Ellipse(x + w / 2, y + h / 2, w / 2, h / 2)) for x, y, w, h in heads]
    pixels = sum(mask.core.size for mask in draw(regions, SIZE, feather=0.1, margin=0))
    if not faces:
        assert 3 * path.stat().st_size < 2 * SIZE.pixels, "the test would not notice a decode of the whole photo"

    command = [sys.executable, "-m", "benchmarks.jpeg", "--work", "cloak", str(path), str(faces), "12"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    # A few MB are the allocator's and belong to no photo.
    assert 2**20 * json.loads(said.stdout)["memory"] < 3 * path.stat().st_size + 16 * pixels + 4e6
