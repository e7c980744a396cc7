"""What a closer look at a hit is worth: a patch around it, seen by YuNet and by CenterFace.

    python -m benchmarks.closer

Prints, for the hits of the default recipe on crowds (benchmark data `faces/wider`), how many on annotated faces and how
many others each rule refuses or adds, and how many areas are concealed on camera photos, most of which show nobody.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2

from benchmarks.detection import annotations
from benchmarks.measure import DATA
from cloak.detect import RECIPES, confirmed, find
from cloak.detect.search import Preview
from cloak.geometry import RGB, Size

BALANCED = RECIPES["balanced"]
ALONE = replace(BALANCED, closer=0.0)
SAME = 0.4
"""Intersection over union from which a hit is on an annotated face."""


def pictures(paths: list[Path]) -> Iterator[tuple[Path, RGB]]:
    for path in paths:
        image = cv2.imread(str(path))
        if image is not None:
            yield path, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def preview(image: RGB) -> Preview:
    height, width = image.shape[:2]

    def reduced(step: int) -> RGB:
        size = (-(-width // step), -(-height // step))
        return image if step == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    return reduced


def main() -> None:
    truth = annotations()
    refused, concealed = Counter(), Counter()
    crowds = [DATA / "faces" / name for name in sorted(truth) if name.startswith("wider")]
    for path, image in pictures(crowds):
        boxes = [face.box for face in truth[f"wider/{path.name}"]]
        size = Size(image.shape[1], image.shape[0])
        for recipe in (ALONE, BALANCED):
            for face in find(preview(image), size, recipe).faces:
                real = any(face.box.iou(box) >= SAME for box in boxes)
                concealed["closer" if recipe.closer else "alone", real] += 1
                if recipe is ALONE:
                    refused[real, "refused" if not confirmed(image, face.box) else "stays"] += 1
    for real, words in ((True, "on annotated faces"), (False, "on anything else (unlabelled faces among them)")):
        gone, stay = refused[real, "refused"], refused[real, "stays"]
        share = gone / (gone + stay)
        print(f"hits {words}: {gone + stay}, of which a closer look alone would refuse {gone} ({share:.1%})")
        before, after = concealed["alone", real], concealed["closer", real]
        print(f"  concealed without closer looks {before}, with {after}")
    counts = Counter()
    for _, image in pictures(sorted((DATA / "photos").glob("*.jpg"))):
        size = Size(image.shape[1], image.shape[0])
        for recipe in (ALONE, BALANCED):
            counts["closer" if recipe.closer else "alone"] += len(find(preview(image), size, recipe).faces)
    print(f"concealed on camera photos without closer looks {counts['alone']}, with {counts['closer']}")


if __name__ == "__main__":
    main()
