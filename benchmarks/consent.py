"""How many consenting people are recognised, and whether anybody else is ever revealed: `python -m benchmarks.consent`.

The threshold is chosen on one half of the people and reported on the other. Every person consents once, in groups of
`--group`, with two portraits; all other faces in all other photos, passers-by included, did not consent.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA
from cloak import consent
from cloak.consent import Examined, People
from cloak.detect import RECIPES, Face, find
from cloak.geometry import Size
from cloak.photo import open_photo
from cloak.photo.base import Limits
from cloak.verify import Look

MARGIN_OF_SAFETY = 0.08
"""Added to the highest score of anybody who did not consent, on the half that the threshold is chosen on."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photo: who it was filed under, what was examined in it, and which face is theirs (-1: none was examined)."""

    person: int
    seen: Examined
    theirs: int


def examined(folder: Path, people: int | None) -> list[Photo]:
    photos = []
    for number, place in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())[:people]):
        for path in sorted(place.iterdir()):
            photo = open_photo(path.read_bytes(), Limits())
            look = Look(photo, 0)
            seen = consent.examine(look, find(look, photo.size, RECIPES["balanced"]).faces)
            theirs = _middle(seen.faces, photo.size)
            photos.append(Photo(number, seen, theirs))
    return photos


def _middle(faces: Sequence[Face], size: Size) -> int:
    """The face that a photo of this collection was filed for: it was cut out around that one."""
    middle = np.array([size.width, size.height]) / 2
    # A hit as wide as the whole picture is not a face that it was cut out around: those fill about half of it.
    away = [
        float(np.linalg.norm(np.array(face.box.center) - middle)) / size.width + (face.box.width > 0.7 * size.width)
        for face in faces
    ]
    return int(np.argmin(away)) if away and min(away) < 0.2 else -1


def trial(photos: Sequence[Photo], group: int) -> list[tuple[Photo, np.ndarray, frozenset[int], int]]:
    """(photo, nearness, who consents, number of the person in the columns or -1), for every photo of every group."""
    rows = []
    persons = sorted({photo.person for photo in photos})
    for start in range(0, len(persons), group):
        members, portraits, owners, used = [], [], [], set()
        for person in persons[start : start + group]:
            good = [
                photo for photo in photos
                if photo.person == person and photo.theirs >= 0 and not photo.seen.poor[photo.theirs]
            ]  # fmt: skip
            pair = next(
                (
                    (a, b) for i, a in enumerate(good) for b in good[i + 1 :]
                    if float(a.seen.rows[a.theirs] @ b.seen.rows[b.theirs]) >= consent.SUSPECT
                ),
                None,
            )  # fmt: skip
            if pair is None:
                continue  # `enrol` would refuse these portraits
            for photo in pair:
                portraits.append(photo.seen.rows[photo.theirs])
                owners.append(len(members))
                used.add(id(photo))
            members.append(person)
        if not members:
            continue
        known = People(np.stack(portraits), np.array(owners, np.intp), b"")
        for photo in photos:
            if id(photo) not in used and len(photo.seen.faces):
                column = members.index(photo.person) if photo.person in members else -1
                rows.append((photo, consent.nearness(photo.seen.rows, known), frozenset(members), column))
    return rows


def outcome(rows: list[tuple[Photo, np.ndarray, frozenset[int], int]], threshold: float) -> dict[str, float]:
    """What `cloak.consent.decide` does with every photo of a trial."""
    counts = dict.fromkeys(("consenting", "recognised", "flagged", "others", "revealed", "others_flagged"), 0)
    for photo, near, _, column in rows:
        kept, ambiguous = consent.decide(near, photo.seen.poor, threshold)
        for index in range(len(photo.seen.faces)):
            if column >= 0 and index == photo.theirs:
                counts["consenting"] += 1
                counts["recognised"] += index in kept and int(near[index].argmax()) == column
                counts["flagged"] += index in ambiguous
            else:
                counts["others"] += 1
                counts["revealed"] += index in kept
                counts["others_flagged"] += index in ambiguous
    return counts | {
        "threshold": round(threshold, 3),
        "recognised_share": round(counts["recognised"] / max(counts["consenting"], 1), 3),
        # The rule of three: the 95 % bound of a rate of which no case was seen.
        "revealed_bound": round(3 / max(counts["others"], 1), 6),
    }


def highest(rows: list[tuple[Photo, np.ndarray, frozenset[int], int]]) -> float:
    """The best score of a face whose owner did not consent and that is good enough to be revealed."""
    best = 0.0
    for photo, near, _, column in rows:
        for index in range(len(photo.seen.faces)):
            if not photo.seen.poor[index] and not (column >= 0 and index == photo.theirs):
                best = max(best, float(near[index].max()))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, help="only so many people")
    parser.add_argument("--group", type=int, default=5, help="how many consent at a time [5]")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    os.nice(5)
    photos = examined(DATA / "identities" / "lfw", options.people)
    persons = max(photo.person for photo in photos) + 1
    choose = trial([photo for photo in photos if photo.person < persons // 2], options.group)
    report = trial([photo for photo in photos if photo.person >= persons // 2], options.group)
    limit = highest(choose)
    figures = {
        "people": persons,
        "photos": len(photos),
        "highest_other_on_chosen": round(limit, 3),
        "highest_other_on_reported": round(highest(report), 3),
        "chosen": round(limit + MARGIN_OF_SAFETY, 3),
        "at_chosen": outcome(report, limit + MARGIN_OF_SAFETY),
        "at_default": outcome(report, consent.THRESHOLD),
        "at_default_on_chosen": outcome(choose, consent.THRESHOLD),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
