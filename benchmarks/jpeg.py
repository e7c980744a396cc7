"""CPU time and peak memory of concealing faces in JPEGs: cloak beside jpegtran, Pillow and OpenCV, interleaved.

    python -m benchmarks.jpeg [--rounds 5] [--sizes 12 24 48] [--faces 0 5 50]
    python -m benchmarks.jpeg --heads 64 100 --faces 50     # the faces of a crowd
    python -m benchmarks.jpeg --whole [--rounds 5]

Every measurement is a process of its own. CPU time counts the job (bytes in memory to bytes in memory), not imports;
memory is what the job adds to the process at its peak. jpegtran does not conceal anything (`-copy none`): it is the
least that any tool takes which reads and writes all coefficients; its figures hold reading and writing files as well.
cloak pixelates heads as its pipelines do, in ellipses with a feather; the others blur plain rectangles.
The photos are put together from those of the benchmark data (CLOAK_DATA, else ../shared/data), or are made up.

--whole instead compares all of `cloak.anonymize` (search, concealment, second look) with the first search alone, on
two group photos of 24 MP.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("CLOAK_DATA", ROOT.parent / "shared" / "data"))
SIZES = {12: (4000, 3000), 24: (6000, 4000), 48: (8000, 6000)}
TOOLS = ("cloak", "jpegtran", "opencv", "pillow")


def make(path: Path, width: int, height: int) -> None:
    """A photo of quality 92 and 4:2:0 from tiles of 1000 pixels."""
    from PIL import Image

    tiles = []
    for source in sorted((DATA / "photos").glob("*.jpg")):
        try:
            image = Image.open(source).convert("RGB")
        except OSError:
            continue
        if min(image.size) >= 1000:
            x, y = (image.width - 1000) // 2, (image.height - 1000) // 2
            tiles.append(image.crop((x, y, x + 1000, y + 1000)))
    if not tiles:
        rng = np.random.default_rng(1)
        noise = rng.normal(0, 8, (1000, 1000, 3)) + np.linspace(0, 255, 1000)[:, None, None]
        tiles.append(Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)))
    photo = Image.new("RGB", (width, height))
    for i, (y, x) in enumerate((y, x) for y in range(0, height, 1000) for x in range(0, width, 1000)):
        photo.paste(tiles[i % len(tiles)], (x, y))
    photo.save(path, quality=92, subsampling=2)


LARGE = (120, 360)
"""Widths of large heads in pixels: fifty of them cover a fifth of 24 megapixels."""


def boxes(width: int, height: int, count: int, widths: tuple[int, int] = LARGE) -> list[tuple[int, int, int, int]]:
    """Heads of such widths, anywhere, the same ones in every process."""
    rng = np.random.default_rng(count)
    heads = []
    for _ in range(count):
        w = int(rng.uniform(*widths))
        h = int(1.3 * w)
        heads.append((int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h)), w, h))
    return heads


def cloak(data: bytes, heads: list[tuple[int, int, int, int]]) -> bytes:
    from cloak import effects
    from cloak.geometry import Ellipse, Region
    from cloak.masks import draw
    from cloak.photo.base import Limits, Output
    from cloak.photo.jpeg import open_jpeg

    effect, noise = effects.make("pixelate"), effects.Noise(b"benchmark")
    photo = open_jpeg(data, Limits())
    regions = [Region(Ellipse(x + w / 2, y + h / 2, w / 2, h / 2)) for x, y, w, h in heads]
    masks = draw(regions, photo.size, feather=0.1, margin=effect.margin)
    return photo.conceal([masks], lambda pixels, mask, _: effects.conceal(pixels, mask, effect, noise), Output()).data


def opencv(data: bytes, heads: list[tuple[int, int, int, int]]) -> bytes:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    for x, y, w, h in heads:
        pixels[y : y + h, x : x + w] = cv2.blur(pixels[y : y + h, x : x + w], (w // 5 | 1, w // 5 | 1))
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def pillow(data: bytes, heads: list[tuple[int, int, int, int]]) -> bytes:
    from PIL import Image, ImageFilter

    image = Image.open(io.BytesIO(data))
    tables = image.quantization
    for x, y, w, h in heads:
        head = image.crop((x, y, x + w, y + h)).filter(ImageFilter.BoxBlur(w // 10))
        image.paste(head, (x, y))
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", qtables=tables, subsampling=2)
    return out.getvalue()


def _peak(*, reset: bool = False) -> float:
    """The process's peak of resident memory in MB, since the last reset (Linux; elsewhere since its start)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def work(tool: str, path: Path, heads: list[tuple[int, int, int, int]]) -> dict[str, float]:
    """One measurement, in this process."""
    data = path.read_bytes()
    if tool == "jpegtran":
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["jpegtran", "-copy", "none", "-outfile", os.devnull, str(path)], check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime
        return {"cpu": cpu, "memory": used.ru_maxrss / 1024, "ratio": 1.0}
    import cv2

    cv2.setNumThreads(1)
    run: Callable[[bytes, list[tuple[int, int, int, int]]], bytes] = globals()[tool]
    small = io.BytesIO()
    from PIL import Image

    Image.new("RGB", (64, 64)).save(small, "JPEG")
    run(small.getvalue(), [(8, 8, 20, 20)])  # imports and first calls are not the job
    before = _peak(reset=True)
    began_at = time.process_time()
    out = run(data, heads)
    cpu = time.process_time() - began_at
    memory = _peak() - before
    return {"cpu": cpu, "memory": memory, "ratio": len(out) / len(data)}


def whole(rounds: int) -> None:
    """Print the CPU time of the first search, of all of `anonymize`, and their ratio."""
    import cv2

    from benchmarks.throughput import photos
    from cloak.anonymizer import anonymize
    from cloak.detect import find
    from cloak.photo import open_photo
    from cloak.pipeline import load
    from cloak.verify import Look

    cv2.setNumThreads(1)
    settings, key = load("photographer"), b"benchmark"
    anonymize((ROOT / "samples" / "group.jpg").read_bytes(), settings, key=key)  # loads the models
    print("| photo | faces | CPU ms of the search alone (median) | of `anonymize` | ratio |")
    print("|---|---|---|---|---|")
    for path in sorted(photos(24, 2).glob("*.jpg")):
        data, alone, together, faces = path.read_bytes(), [], [], 0
        for _ in range(rounds):
            began = time.process_time()
            photo = open_photo(data, settings.limits)
            find(Look(photo, 0), photo.size, settings.recipe)
            found = time.process_time()
            faces = anonymize(data, settings, key=key).report.faces
            alone.append(1000 * (found - began))
            together.append(1000 * (time.process_time() - found))
        a, b = statistics.median(alone), statistics.median(together)
        print(f"| {path.name} | {faces} | {a:.0f} | {b:.0f} | {b / a:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--faces", type=int, nargs="+", default=[0, 5, 50])
    parser.add_argument("--heads", type=int, nargs=2, default=LARGE, metavar=("LEAST", "MOST"), help="widths in pixels")
    parser.add_argument("--whole", action="store_true", help="anonymize beside detection alone")
    parser.add_argument("--work", nargs=4, metavar=("TOOL", "FILE", "FACES", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        tool, path, count, size = options.work
        heads = boxes(*SIZES[int(size)], int(count), tuple(options.heads))
        print(json.dumps(work(tool, Path(path), heads)))
        return
    if options.whole:
        whole(options.rounds)
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    print("| megapixels | faces | tool | CPU ms (median) | least | peak MB above start | bytes, of the original |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            path = Path(folder) / f"{size}.jpg"
            make(path, *SIZES[size])
            for count in options.faces:
                runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in TOOLS}
                for _ in range(options.rounds):
                    for tool, found in runs.items():
                        command = [sys.executable, __file__, "--heads", *map(str, options.heads)]
                        command += ["--work", tool, str(path), str(count), str(size)]
                        said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                        found.append(json.loads(said.stdout))
                for tool, found in runs.items():
                    cpu = [1000 * one["cpu"] for one in found]
                    memory, ratio = max(one["memory"] for one in found), found[0]["ratio"]
                    print(
                        f"| {size} | {count} | {tool} | {statistics.median(cpu):.0f} | {min(cpu):.0f} |"
                        f" {memory:.0f} | {ratio:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
