"""Photos a second and peak memory of whole runs, cloak beside deface, on JPEGs of 12, 24 and 48 megapixels.

    python -m benchmarks.throughput [--rounds 3] [--photos 4]

The photos are made from real group photos (`faces/groups` of the benchmark data, else samples/), enlarged with camera
grain so that they compress as a camera's do. All contenders take turns on the same files, round after round; figures
are medians. deface runs in a virtual environment of its own. cloak's modules are compiled first, as pip compiles what
it installs: a checkout whose bytecode is missing or stale starts a fifth of a second later.
"""

import argparse
import compileall
import json
import shutil
import statistics
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import DATA, ROOT, SCRATCH, Cost, cloak_command, cost, peer

SIZES = {12: (4240, 2832), 24: (6000, 4000), 48: (8000, 6000)}


def photos(megapixels: int, count: int) -> Path:
    """A folder of so many JPEGs of that size."""
    folder = SCRATCH / f"photos-{megapixels}"
    if len(list(folder.glob("*.jpg"))) == count:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    groups = sorted((DATA / "faces" / "groups").glob("*.jpg")) or [ROOT / "samples" / "group.jpg"]
    width, height = SIZES[megapixels]
    grain = np.random.default_rng(1)
    for number in range(count):
        # A group in a wide scene without other people: heads of some 100 to 400 pixels, as a photographer has them.
        scene = cv2.imread(str(ROOT / "samples" / "landscape.jpg"))
        canvas = cv2.resize(scene, (width, height), interpolation=cv2.INTER_CUBIC)
        image = cv2.imread(str(groups[number % len(groups)]))
        scale = 0.4 * width / image.shape[1]
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:height]
        y, x = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
        noise = grain.normal(0, 3, canvas.shape[:2]).astype(np.float32)[..., None]
        canvas = np.clip(canvas + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.jpg"), canvas, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return folder


def contenders(folder: Path, deface: Path) -> dict[str, list[object]]:
    out = SCRATCH / "out"
    one = [*cloak_command(), "run", folder, "--out", out, "--force", "--quiet"]
    files = sorted(folder.glob("*.jpg"))
    deface_command = [deface, "-m", "deface.deface", *files]
    return {
        "cloak, 1 worker": [*one, "--jobs", "1"],
        "cloak, 2 workers": [*one, "--jobs", "2"],
        "cloak fast, 1 worker": [*one, "--jobs", "1", "--recall", "fast"],
        "deface": [*deface_command],
        "deface --scale 1280x853": [*deface_command, "--scale", "1280x853"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--megapixels", type=int, nargs="+", default=sorted(SIZES))
    parser.add_argument("--json", type=Path, default=SCRATCH / "throughput.json")
    options = parser.parse_args()
    for package in ("cloak", "cli"):
        compileall.compile_dir(ROOT / package, quiet=1)
    deface = peer("deface", "deface==1.5.0", "onnxruntime", "onnx")
    table: dict[str, dict[str, list[Cost]]] = {}
    for megapixels in options.megapixels:
        folder = photos(megapixels, options.photos)
        measured = table.setdefault(f"{megapixels} MP", {})
        for _ in range(options.rounds):
            for name, command in contenders(folder, deface).items():
                shutil.rmtree(SCRATCH / "out", ignore_errors=True)
                shutil.rmtree(SCRATCH / "out.cloak", ignore_errors=True)
                got = cost(command, ok=(0, 1, 4))
                measured.setdefault(name, []).append(got)
                print(f"{megapixels} MP  {name:<26} cpu {got.cpu:7.2f} s  wall {got.wall:7.2f} s", flush=True)
                for path in folder.glob("*_anonymized.jpg"):
                    path.unlink()
    print(
        f"\nper photo, start-up included; {options.photos} photos a run, {options.rounds} interleaved rounds, medians\n"
    )
    print("| photos | program | CPU s | wall s | photos/s | largest process, MB | all, MB |")
    print("|---|---|---|---|---|---|---|")
    document = {}
    for size, measured in table.items():
        for name, costs in measured.items():
            cpu, wall = (statistics.median(getattr(c, k) for c in costs) / options.photos for k in ("cpu", "wall"))
            largest, together = (max(getattr(c, k) for c in costs) for k in ("largest", "together"))
            print(f"| {size} | {name} | {cpu:.2f} | {wall:.2f} | {1 / wall:.2f} | {largest:.0f} | {together:.0f} |")
            document[f"{size} {name}"] = {"cpu": cpu, "wall": wall, "largest": largest, "together": together}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
