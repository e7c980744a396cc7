"""The contact sheet of a run: one HTML file to look at, with small pictures of what was published, nothing else."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from statistics import median
from typing import Any

from cloak.report import Totals

STATUSES = ("concealed", "no-face", "revealed", "held", "withheld")
SIZES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Heights of faces in pixels, at which the bars of the histogram part."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: what it counts, how many, and its height as a share of the highest."""

    label: str
    count: int
    share: float


def render(
    rows: Iterable[tuple[Mapping[str, Any], bytes | None]], totals: Totals, pipeline: str, risks: Sequence[str] = ()
) -> str:
    """The whole file: no script, nothing from elsewhere.

    Args:
        rows: of the report, each with a JPEG of what was published, if anything was.
        totals: of the run.
        pipeline: its name.
        risks: why it is below the floor.
    """
    from jinja2 import Environment, StrictUndefined

    # File names are hostile: everything is escaped, and the policy in the page's head allows no script at all.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("cloak").joinpath("contact_sheet.html").read_text("utf-8"))
    photos = [_photo(row, thumbnail) for row, thumbnail in rows]
    scores = [score for photo in photos for score in photo["scores"]]
    heights = [height for photo in photos for height in photo["heights"]]
    return template.render(
        photos=photos,
        totals=totals,
        pipeline=pipeline,
        risks=risks,
        statuses=[(status, sum(photo["status"] == status for photo in photos)) for status in STATUSES],
        sizes=_bars(heights, SIZES, "{} px"),
        scores=_bars([100 * score for score in scores], tuple(range(10, 100, 10)), "{} %"),
        steps=_steps(photos),
    )


def _photo(row: Mapping[str, Any], thumbnail: bytes | None) -> dict[str, Any]:
    faces = [face for frame in row.get("detections", ()) for face in frame]
    return {
        "name": row["source"],
        "status": row["status"],
        "thumbnail": base64.b64encode(thumbnail).decode() if thumbnail else "",
        "scores": sorted((float(face["score"]) for face in faces), reverse=True),
        "searched": "detections" in row,
        "heights": [float(face["box"]["height"]) for face in faces],
        "weak": sum(map(len, row.get("doubtful", ()))),
        "faceless": sum(map(len, row.get("faceless", ()))),
        "revealed": sum(map(len, row.get("revealed", ()))),
        "areas": sum(map(len, row.get("areas", ()))),
        "carriers": [f"{carrier['name']} ({carrier['bytes']:,} bytes)" for carrier in row.get("carriers", ())],
        "why": f"{row['message']}. {row['next']}" if row.get("reason") else "",
        "steps": row.get("milliseconds", {}),
        "size": "{width} × {height}".format(**row["size"]) if "size" in row else "",
    }


def _bars(values: Sequence[float], edges: Sequence[int], unit: str) -> list[Bar]:
    """How many values lie below the first edge, between the edges, and from the last one on."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(value >= edge for edge in edges)] += 1
    labels = [
        f"< {edges[0]}",
        *(f"{low}–{high}" for low, high in pairwise(edges)),
        f"≥ {edges[-1]}",
    ]
    most = max(counts, default=0) or 1
    return [Bar(unit.format(label), n, n / most) for label, n in zip(labels, counts, strict=True)]


def _steps(photos: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float]]:
    """(step, its median a photo in milliseconds, its sum in seconds)."""
    names = dict.fromkeys(name for photo in photos for name in photo["steps"])
    found = {name: [photo["steps"][name] for photo in photos if name in photo["steps"]] for name in names}
    return [(name, median(times), sum(times) / 1000) for name, times in found.items()]
