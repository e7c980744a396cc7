"""How often a person without a face is flagged, and a sheet of the flags to look at: only an eye tells which are right.

    python -m benchmarks.persons [--recall balanced] [--sheet build/benchmarks/persons.png]

Reads CLOAK_DATA/faces/wider (crowds), CLOAK_DATA/faces/groups, and CLOAK_DATA/photos, the camera photos, most of which
show nobody; small photos are looked at too, whatever the recall. On the sheet the flag is green, and the boxes of
faces found are red.
"""

import argparse
import random
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.closer import preview
from benchmarks.measure import DATA
from cloak.detect import Face, Search, find, registry
from cloak.detect.cover import cover
from cloak.detect.persons import faceless
from cloak.detect.recipe import ALWAYS, named
from cloak.geometry import Size

SETS = ("faces/wider", "faces/groups", "photos")
SIDE = 230


def view(image: np.ndarray, head: Face, search: Search, number: int) -> np.ndarray:
    """A flag with its surroundings, (SIDE + 15, SIDE, 3)."""
    box = head.box
    reach = 2.2 * max(box.width, box.height)
    (x, y), line = box.center, max(1, round(reach / 60))
    image = image.copy()
    for shown, colour in [(box, (0, 255, 0)), *((face.box, (0, 0, 255)) for face in search.faces)]:
        corners = (int(shown.x), int(shown.y)), (int(shown.right), int(shown.bottom))
        cv2.rectangle(image, *corners, colour, line)
    top, left = max(int(y - 0.75 * reach), 0), max(int(x - reach), 0)
    crop = image[top : int(y + 1.25 * reach), left : int(x + reach)]
    scale = SIDE / max(crop.shape[:2])
    crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    tile = np.full((SIDE + 15, SIDE, 3), 40, np.uint8)
    tile[: crop.shape[0], : crop.shape[1]] = crop
    words = f"{number} {head.score:.2f} {box.height:.0f}px"
    return cv2.putText(tile, words, (2, SIDE + 11), 0, 0.42, (0, 255, 255), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recall", default="balanced")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    recipe, flags = named(options.recall, persons=ALWAYS), []
    for name in SETS:
        photos = seen = flagged = 0
        for path in sorted((DATA / name).glob("*.[jp][pn]g")):
            image = cv2.imread(str(path))
            if image is None:
                continue
            size = Size(image.shape[1], image.shape[0])
            search = find(preview(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)), size, recipe)
            regions = [cover(face) for face in search.faces]
            heads = faceless(search.heads, (*search.faces, *search.doubtful), regions)
            flags += [(path, head, search) for head in heads]
            photos, seen, flagged = photos + 1, seen + len(heads), flagged + bool(heads)
        print(f"{name}: {photos} photos, {seen / photos:.2f} flags a photo, {flagged / photos:.0%} of photos flagged")
    image, net = np.zeros((1000, 1500, 3), np.uint8), registry.load("nanodet")
    start = time.process_time()
    for _ in range(20):
        net(image)
    print(f"{(time.process_time() - start) * 50:.0f} CPU ms a look at a picture of 3:2")
    if options.sheet and flags:
        random.Random(1).shuffle(flags)
        tiles = [view(cv2.imread(str(path)), head, search, i) for i, (path, head, search) in enumerate(flags)]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
        cv2.imwrite(str(options.sheet), np.vstack([np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]))


if __name__ == "__main__":
    main()
