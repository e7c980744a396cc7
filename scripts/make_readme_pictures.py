"""Makes the pictures of the README: a photo before cloak, and after it with each effect.

Usage: python scripts/make_readme_pictures.py PACKAGES

PACKAGES is the folder that `scripts/make_samples.py` wants, too. Only the portraits by NASA and the US Navy are used.
The faces' boxes were marked by hand: the pictures show effects with their defaults, not the detectors.
"""

import sys
from pathlib import Path

import numpy as np
from make_samples import PORTRAITS, SOURCES, backdrop, cut_out, paste, read
from PIL import Image

from cloak.detect.base import Face
from cloak.detect.cover import cover
from cloak.effects import Noise, conceal, make
from cloak.geometry import Box, Size
from cloak.masks import draw
from cloak.pipeline import Cover

OUT = Path(__file__).parent.parent / "docs" / "images"
SIZE = Size(640, 480)
PLACES = {"astronaut": (1.25, -95, 20), "grace_hopper": (0.75, 285, 60)}
EFFECTS = ("pixelate", "blur", "fill", "decoy")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    OUT.mkdir(parents=True, exist_ok=True)
    picture = backdrop(SIZE.width, SIZE.height, 4)
    regions = []
    for name, (factor, x, y) in PLACES.items():
        person = cut_out(read(SOURCES[name], Path(sys.argv[1])), PORTRAITS[name])
        box = paste(picture, person.scaled(factor), x, y)
        regions.append(cover(Face(Box(*box), 1.0, ()), scale=Cover().scale))
    save(picture, "before")
    for name in EFFECTS:
        after = picture.copy()
        for mask in draw(regions, SIZE, feather=Cover().feather):
            after[mask.window()] = conceal(after[mask.window()], mask, make(name), Noise(b"README"))
        save(after, name)


def save(picture: np.ndarray, name: str) -> None:
    Image.fromarray(picture).save(OUT / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
