"""The audit on people with several photos each, over effects, strengths and covers: `python -m benchmarks.audit`.

What defaults are chosen by. Each finding is kept in `build/benchmarks/audit/` as it comes, so that a run that was
stopped goes on, and one with further adversaries adds to it; delete the folder to begin anew. `--full` takes every
adversary, cleaner and recogniser: hours on two cores.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from benchmarks.measure import DATA, SCRATCH
from cloak import effects, recognise
from cloak.audit import LATER, Finding, Settings, Shot, Treatment, Visible, audit, document, gather, verdicts, visible
from cloak.audit.audit import Clean
from cloak.audit.report import plot, table
from cloak.geometry import RGB
from cloak.pipeline import Cover

TREATMENTS = (
    Treatment("nothing", None),
    *(Treatment(name, effects.make(name)) for name in effects.EFFECTS if name != "perturb"),
    *(Treatment(f"{name}, strong", effects.make(name, "strong")) for name in ("pixelate", "blur")),
    *(Treatment(f"{name}, light", effects.make(name, "light")) for name in ("pixelate", "blur")),
    *(Treatment(f"{name}, cover 1.6", effects.make(name), Cover(scale=1.6)) for name in ("pixelate", "fill", "decoy")),
    *(Treatment(f"{name}, cover 1.8", effects.make(name), Cover(scale=1.8)) for name in ("fill", "decoy")),
    Treatment("pixelate 3, jitter 0.2", effects.make("pixelate", cells=3, jitter=0.2)),
    Treatment("pixelate 2, jitter 0.25", effects.make("pixelate", cells=2, jitter=0.25)),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one treatment of these photos, a line of JSON for each finding, from this and earlier runs."""

    place: Path

    def findings(self) -> list[Finding]:
        lines = self.place.read_bytes().split(b"\n") if self.place.exists() else []
        whole = lines[:-1]  # the last is empty, or was cut off when the run was stopped
        return [msgspec.json.decode(line, type=Finding) for line in whole]

    def add(self, finding: Finding) -> None:
        with self.place.open("ab") as file:
            file.write(msgspec.json.encode(finding) + b"\n")

    def visible(self) -> Visible | None:
        place = self.place.with_suffix(".visible")
        return msgspec.json.decode(place.read_bytes(), type=Visible) if place.exists() else None

    def see(self, change: Visible) -> Visible:
        self.place.with_suffix(".visible").write_bytes(msgspec.json.encode(change))
        return change


def findings_of(
    treatment: Treatment, shots: Sequence[Shot], settings: Settings, clean: Clean, folder: Path, *, look: bool
) -> tuple[list[Finding], Visible | None]:
    """One setting's findings, and if asked to `look`, what a viewer sees; from earlier runs as far as they got."""
    people = max(shot.person for shot in shots) + 1
    about = f"{treatment!r}|{settings.probes}|{settings.draws}|{people}|{len(shots)}"
    kept = Kept(folder / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.jsonl")

    def publish(shot: Shot, draw: int) -> RGB:
        key = hashlib.sha256(f"{shot.name.as_posix()}|{draw}".encode()).digest()
        return treatment(shot.image, shot.faces, key)

    found = [finding for finding in kept.findings() if wanted(finding, settings)]
    for finding in audit(treatment.name, shots, publish, settings, clean, [finding.about for finding in found]):
        kept.add(finding)
        print(table([finding])[1], flush=True)
        found.append(finding)
    if not look:
        return found, None
    return found, kept.visible() or kept.see(visible(treatment.name, shots, publish))


def wanted(finding: Finding, settings: Settings) -> bool:
    methods = (*settings.recognisers, *settings.classifiers)
    return finding.method in methods and finding.later in settings.later and finding.split in settings.splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--photos", type=int, help="at most so many photos of each")
    parser.add_argument("--recognisers", default=",".join(recognise.available()))
    parser.add_argument(
        "--classifiers", default="linear discriminants,colour discriminants", help="between commas, or none"
    )
    parser.add_argument("--later", help="what becomes of the photos, between semicolons, or all")
    parser.add_argument("--splits", default="photos,events")
    parser.add_argument("--only", help="names of treatments, between semicolons, in the order to run them")
    parser.add_argument("--full", action="store_true", help="every adversary, cleaner and recogniser")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    os.nice(5)
    folder = SCRATCH / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    if options.full:
        settings = Settings(later=tuple(LATER))
    else:
        names = () if options.classifiers == "none" else tuple(options.classifiers.split(","))
        settings = Settings(tuple(filter(None, options.recognisers.split(","))), names)
        if options.later:
            settings = replace(settings, later=tuple(LATER if options.later == "all" else options.later.split(";")))
        settings = replace(settings, splits=tuple(options.splits.split(",")))
    shots = gather(DATA / "identities" / "lfw", people=options.people, photos=options.photos)
    by_name = {treatment.name: treatment for treatment in TREATMENTS}
    chosen = [by_name[name] for name in options.only.split(";")] if options.only else list(TREATMENTS)
    print(table([])[0])
    findings: list[Finding] = []
    changes: list[Visible] = []
    clean: Clean = {}
    for treatment in chosen:
        found, seen = findings_of(
            treatment, shots, settings, clean, folder, look=options.json is not None or options.plot is not None
        )
        findings += found
        changes += [seen] if seen else []
        print("\n".join(verdicts(found)), flush=True)
    if options.json:
        about = {"people": options.people, "photos": len(shots), "settings": msgspec.to_builtins(settings)}
        options.json.write_text(json.dumps(document(findings, changes, about), indent=1) + "\n")
    if options.plot:
        plot(findings, changes, options.plot)


if __name__ == "__main__":
    main()
