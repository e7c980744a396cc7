"""How far perturb leads recognisers astray that took no part in making it (docs/perturb.md).

    python -m benchmarks.perturb shared/data/identities/lfw            # 100 people, standard and strong
    python -m benchmarks.perturb FOLDER --people 33 --pairs 12 --strength standard --cache DIR

FOLDER holds a folder of photos a person. Of each person the first photo is the gallery's; the second and third are
published by `cloak.anonymize` under perturb, then recompressed at half their size (JPEG 85), and searched for in the
gallery; with `--pairs`, the third of fewer people. Thresholds are set on clean pairs, at one false match in 1,000. The
held-out recognisers are those of
`cloak.recognise.CARDS`; fetch them with `scripts/fetch_recognisers.py --audit`.

What is published is kept in the cache, by pipeline: an interrupted run goes on where it stopped. The cache holds photos
of people; it lies outside the repository.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cloak import Pipeline, anonymize
from cloak.detect import Face, find
from cloak.detect.recipe import named
from cloak.effects import STRENGTHS
from cloak.effects.views import recompressed
from cloak.geometry import RGB, Size
from cloak.photo import open_photo
from cloak.photo.base import Limits
from cloak.pipeline import load
from cloak.recognise import CARDS, available, chips
from cloak.recognise import load as recogniser

KEY = b"benchmark"
RECALL = "fast"
FALSE = 1e-3

Matrix = npt.NDArray[np.float64]


def pipeline(strength: str, settings: dict[str, Any]) -> Pipeline:
    # A strength is laid over settings; here the settings are what is tried on top of it.
    effect = {"name": "perturb", **STRENGTHS[strength]["perturb"], **settings}
    return load("photographer", effect=effect, recall=RECALL)


def picture(data: bytes) -> RGB:
    return open_photo(data, Limits()).preview()


def face(image: RGB) -> Face | None:
    """The face nearest to the middle: in LFW that is the person."""
    height, width = image.shape[:2]

    def look(reduction: int) -> RGB:
        return image if reduction == 1 else cv2.resize(image, (-(-width // reduction), -(-height // reduction)))

    found = [hit for hit in find(look, Size(width, height), named(RECALL)).faces if hit.landmarks]
    middle = np.array([width / 2, height / 2])
    return min(found, key=lambda hit: float(np.hypot(*(np.array(hit.box.center) - middle))), default=None)


def scraped(image: RGB) -> RGB:
    """As a scraper gets it from a content system."""
    return recompressed(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 85)


def embedded(images: Sequence[RGB], known: Sequence[Face], scale: float) -> dict[str, Matrix]:
    """Rows of each recogniser; faces are found anew, and where that fails, looked at where they were."""
    rows: dict[str, list[Any]] = {name: [] for name in recognisers()}
    for image, old in zip(images, known, strict=True):
        hit = face(image)
        points = (hit.landmarks if hit else None) or tuple((x * scale, y * scale) for x, y in old.landmarks or ())
        for name, row in rows.items():
            model = recogniser(name)
            row.append(model(chips(image, [points], model.frame))[0])
    return {name: np.array(row, np.float64) for name, row in rows.items()}


def recognisers() -> list[str]:
    names = [name for name in available() if CARDS[name].role == "held-out" or CARDS[name].shipped]
    return sorted(names, key=lambda name: CARDS[name].role)


def similarity(before: RGB, after: RGB) -> Matrix:
    """Structural similarity at every pixel (Wang et al. 2004), of the luminance."""
    a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (before, after))

    def mean(values: Matrix) -> Matrix:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float64)

    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.asarray((2 * ma * mb + c1) * (2 * both + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2)))


def publish(paths: Sequence[Path], settings: Pipeline, cache: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """The published bytes of each photo, and what was noted of it."""
    folder = cache / settings.hash()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for number, path in enumerate(paths):
        data, note = folder / path.name, folder / f"{path.name}.json"
        if not note.exists():
            started = time.process_time()
            result = anonymize(path.read_bytes(), settings, key=KEY)
            spent = time.process_time() - started
            assert result.data is not None
            data.write_bytes(result.data)
            sight = [dataclasses.asdict(face) for frame in result.report.protections for face in frame]
            note.write_text(json.dumps({"seconds": spent / max(len(sight), 1), "faces": sight}))
            print(f"\r{number + 1}/{len(paths)} published", end="", flush=True)
        done.append((data.read_bytes(), json.loads(note.read_text())))
    print()
    return done


def matches(probes: Matrix, gallery: Matrix, threshold: float) -> tuple[float, float]:
    """True match rate and rank-1 of probes whose person has the same row in the gallery."""
    scores = probes @ gallery.T
    return float((np.diag(scores) > threshold).mean()), float((scores.argmax(1) == np.arange(len(scores))).mean())


def interval(rates: Sequence[float], count: int) -> float:
    """Half of the 95 % interval of a mean rate over `count` photos, by the normal approximation."""
    rate = float(np.mean(rates))
    return 1.96 * float(np.sqrt(max(rate * (1 - rate), 0.25 / count) / count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=100, help="of whom photos are protected")
    parser.add_argument("--pairs", type=int, help="of whom two photos are, so that they may find each other [all]")
    parser.add_argument("--gallery", type=int, default=100, help="people in the gallery, those included")
    parser.add_argument("--strength", nargs="*", default=["standard", "strong"])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="settings of the effect")
    parser.add_argument("--visible", type=Path, help="a folder of photos with large faces, for the visible change")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cloak" / "benchmark-perturb"
    parser.add_argument("--cache", type=Path, default=default)
    options = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (item.split("=") for item in options.set)}
    cv2.setNumThreads(1)

    people = []
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir()):
        faces = ((path, face(picture(path.read_bytes()))) for path in sorted(folder.glob("*.jpg")))
        usable = list(islice(((path, hit) for path, hit in faces if hit), 3))
        if len(usable) == 3:
            people.append(usable)
        if len(people) == options.gallery:
            break
    # The gallery is large however few are protected; those who are come first in it.
    protected = people[:: max(len(people) // options.people, 1)][: options.people]
    people = [*protected, *(person for person in people if person not in protected)]
    count = len(protected)

    gallery = embedded([picture(p[0][0].read_bytes()) for p in people], [p[0][1] for p in people], 1)
    second = embedded([picture(p[1][0].read_bytes()) for p in people], [p[1][1] for p in people], 1)
    thresholds = {}
    for name in recognisers():
        scores = second[name] @ gallery[name].T
        thresholds[name] = float(np.quantile(scores[~np.eye(len(scores), dtype=bool)], 1 - FALSE))

    print(f"{count} people protected, a gallery of {len(people)}; probes at half their size after JPEG 85")
    head = f"{'':<10}{'recogniser':<12}{'role':<10}{'TMR':>6}{'rank-1':>8}{'each other':>12}"
    print(head)
    for strength in ("clean", *options.strength):
        groups = {1: protected, 2: protected[: options.pairs]}
        published: dict[int, list[tuple[bytes, dict[str, Any]]]] = {}
        for number, group in groups.items():
            paths = [person[number][0] for person in group]
            if strength == "clean":
                published[number] = [(path.read_bytes(), {}) for path in paths]
            else:
                published[number] = publish(paths, pipeline(strength, settings), options.cache)
        rows = []
        for number, group in groups.items():
            seen = [scraped(picture(data)) for data, _ in published[number]]
            rows.append(embedded(seen, [person[number][1] for person in group], 0.5))
        shares = [len(group) for group in groups.values()]
        held: list[tuple[float, float, float]] = []
        for name in recognisers():
            found = [matches(row[name], gallery[name], thresholds[name]) for row in rows if len(row[name])]
            rate, rank = np.average(found, axis=0, weights=shares[: len(found)]).tolist()
            first, again = rows[0][name][: shares[1]], rows[1][name]
            each = float((np.sum(first * again, 1) > thresholds[name]).mean()) if shares[1] else float("nan")
            print(f"{strength:<10}{name:<12}{CARDS[name].role:<10}{rate:>6.2f}{rank:>8.2f}{each:>12.2f}", flush=True)
            if CARDS[name].role == "held-out":
                held.append((rate, rank, each))
        means = [float(np.mean([row[k] for row in held])) for k in range(3)]
        wide = interval([row[0] for row in held], sum(shares))
        print(
            f"{strength:<10}{'mean of the held-out':<22}{means[0]:>6.2f}{means[1]:>8.2f}{means[2]:>12.2f}  +-{wide:.2f}"
        )
        if strength != "clean":
            _changes(published, protected)
            if options.visible:
                _visible(options.visible, pipeline(strength, settings), options.cache)


def _changes(
    published: dict[int, list[tuple[bytes, dict[str, Any]]]], protected: list[list[tuple[Path, Face]]]
) -> None:
    faces, photos, seconds, bare = [], [], [], 0
    for number, files in published.items():
        for person, (data, note) in zip(protected, files, strict=False):  # fewer people have a second
            path, hit = person[number]
            one = similarity(picture(path.read_bytes()), picture(data))
            faces.append(_inside(one, hit))
            photos.append(float(one.mean()))
            seconds.append(float(note["seconds"]))
            bare += sum(not found["protected"] for found in note["faces"])
    print(
        f"          SSIM face {np.mean(faces):.3f}, photo {np.mean(photos):.3f}; {np.mean(seconds):.1f} CPU s a face; "
        f"{bare} faces not protected"
    )


def _visible(folder: Path, settings: Pipeline, cache: Path) -> None:
    """Structural similarity of faces 200 pixels and more high."""
    faces, photos, seconds = [], [], []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
            continue
        before = picture(path.read_bytes())
        hits = face(before)
        if hits is None or hits.box.height < 200:
            continue
        ((data, note),) = publish([path], settings, cache)
        one = similarity(before, picture(data))
        faces.append(_inside(one, hits))
        photos.append(float(one.mean()))
        seconds.append(float(note["seconds"]))
    if faces:
        print(
            f"          {len(faces)} faces of 200 px and more: SSIM face {np.mean(faces):.3f} "
            f"(lowest {min(faces):.3f}), photo {np.mean(photos):.3f}; {np.mean(seconds):.1f} CPU s a face"
        )


def _inside(values: Matrix, hit: Face) -> float:
    box = hit.box
    top, left = max(int(box.y), 0), max(int(box.x), 0)
    return float(values[top : int(box.bottom), left : int(box.right)].mean())


if __name__ == "__main__":
    main()
