"""How alike two frames of one scene look from afar, and two of different scenes: what `cloak.bursts.ALIKE` is set by.

    python -m benchmarks.bursts

One scene: a photo cut twice, the second time moved by up to 6 % and with other light. Other scenes: pairs of photos,
brought to one size, most by different cameras; and different photos of one person, the hardest case in the data.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import DATA
from cloak.bursts import ALIKE, Glance, glance, likeness
from cloak.geometry import Size

SIZE = Size(900, 600)


def seen(path: Path, dx: float = 0.0, dy: float = 0.0, light: float = 1.0) -> Glance | None:
    image = cv2.imread(str(path))
    if image is None or min(image.shape[:2]) < 100:
        return None
    height, width = image.shape[:2]
    x, y, w, h = int((0.07 + dx) * width), int((0.07 + dy) * height), int(0.86 * width), int(0.86 * height)
    cut = np.clip(image[y : y + h, x : x + w].astype(np.float32) * light, 0, 255).astype(np.uint8)
    return glance(cv2.resize(cut, (SIZE.width, SIZE.height)), (), (), SIZE)


def show(name: str, values: Sequence[float]) -> None:
    low, median, high = np.percentile(values, [5, 50, 95])
    print(f"{name:<34} {len(values):>5} pairs   5 % {low:.2f}   median {median:.2f}   95 % {high:.2f}   "
          f"taken for one scene {np.mean(np.array(values) >= ALIKE):.1%}")  # fmt: skip


def main() -> None:
    draw = np.random.default_rng(1)
    paths = [*sorted((DATA / "photos").glob("*.jpg")), *sorted((DATA / "faces" / "groups").glob("*.jpg"))]
    firsts = [(path, found) for path in paths if (found := seen(path)) is not None]
    moved = []
    for path, first in firsts:
        dx, dy = draw.uniform(-0.06, 0.06, 2)
        second = seen(path, dx, dy, draw.uniform(0.85, 1.15))
        assert second is not None
        moved.append(likeness(first, second)[0])
    show("one scene, moved", moved)
    show("other scenes", [likeness(a, b)[0] for (_, a), (_, b) in combinations(firsts, 2)])
    same_person = []
    for folder in sorted((DATA / "identities" / "lfw").iterdir()):
        frames = [found for path in sorted(folder.iterdir())[:4] if (found := seen(path)) is not None]
        same_person += [likeness(a, b)[0] for a, b in combinations(frames, 2)]
    show("other photos of the same person", same_person)


if __name__ == "__main__":
    main()
