"""How many faces are found in photos that are too dark to see, with and without the search's own exposure.

    python -m benchmarks.exposure [--photos 12]

The first crowds of the benchmark data (`faces/wider`), with 1/4 to 1/64 of their light, in whole levels of 0 to 255 as
a camera would have stored them; searched by the recipe `fast`. Annotated faces of 20 pixels and more count.
"""

import argparse
from unittest.mock import patch

import cv2
import numpy as np

from benchmarks.closer import preview
from benchmarks.detection import IOU, Truth, annotations
from benchmarks.measure import DATA
from cloak.detect import RECIPES, find, scaling
from cloak.geometry import RGB, Size


def found(image: RGB, truths: list[Truth]) -> int:
    size = Size(image.shape[1], image.shape[0])
    faces = find(preview(image), size, RECIPES["fast"]).faces
    return sum(any(face.box.iou(truth.box) >= IOU for face in faces) for truth in truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=12)
    options = parser.parse_args()
    annotated = annotations()
    files = sorted(name for name in annotated if name.startswith("wider/"))[: options.photos]
    print("| light | levels | found as it is | found with exposure |")
    print("|---|---|---|---|")
    for light in (1, 4, 8, 16, 32, 64):
        plain = raised = faces = 0
        for file in files:
            image = cv2.cvtColor(cv2.imread(str(DATA / "faces" / file)), cv2.COLOR_BGR2RGB)
            dark = np.rint(image / np.float32(light)).astype(np.uint8)
            truths = [truth for truth in annotated[file] if not truth.ignore and truth.box.height >= 20]
            faces += len(truths)
            raised += found(dark, truths)
            with patch.object(scaling, "exposed", lambda same: same):
                plain += found(dark, truths)
        print(f"| 1/{light} | {255 // light + 1} | {plain / faces:.2f} | {raised / faces:.2f} |", flush=True)


if __name__ == "__main__":
    main()
