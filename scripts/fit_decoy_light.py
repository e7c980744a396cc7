"""Measures how bright heads are amid surroundings of a given brightness, for `decoy`.

Usage: CLOAK_DATA=DATA python scripts/fit_decoy_light.py

Prints the line that fits best: mean luminance of a head (1.4 x the labelled face, as an ellipse) over the mean
luminance of a ring around it, both 0 to 255, and what deviation remains. Faces narrower than 24 pixels are left out.
"""

import csv
import math
import os
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from cloak.geometry import Box, Ellipse, Size

ROOT = Path(__file__).parent.parent


def main() -> None:
    faces = Path(os.environ.get("CLOAK_DATA", ROOT.parent / "shared" / "data")) / "faces"
    if not faces.is_dir():
        sys.exit("the benchmark data is not here (set CLOAK_DATA)")
    boxes: dict[str, list[Box]] = defaultdict(list)
    with (faces / "boxes.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if "invalid=1" not in (row["attrs"] or "") and float(row["w"]) >= 24:
                boxes[row["file"]].append(Box(*(float(row[key]) for key in "xywh")))
    rings, heads = [], []
    for name, found in boxes.items():
        if not (faces / name).is_file():
            continue
        light = np.asarray(Image.open(faces / name).convert("L"), np.float64)
        for box in found:
            wide = box.grown(2.1).clipped(Size(light.shape[1], light.shape[0]))
            if wide is None:
                continue
            left, top = math.floor(wide.x), math.floor(wide.y)
            part = light[top : math.ceil(wide.bottom), left : math.ceil(wide.right)]
            y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
            head = Ellipse(*box.center, 0.7 * box.width, 0.7 * box.height)
            distance = head.distance(x + left, y + top)
            if (distance > 1.15).sum() >= 64 and (distance < 1).any():
                rings.append(part[distance > 1.15].mean())
                heads.append(part[distance < 1].mean())
    slope, base = np.polyfit(rings, heads, 1)
    rest = np.std(np.array(heads) - (slope * np.array(rings) + base))
    print(f"{len(heads)} heads: {base:.0f} + {slope:.2f} x surroundings, deviation {rest:.0f}")


if __name__ == "__main__":
    main()
