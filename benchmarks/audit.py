"""The audit on people with several photos each, over effects, strengths and covers: `python -m benchmarks.audit`.

What defaults are chosen by. Each setting's findings are kept in `build/benchmarks/audit/`, so that a run that was
stopped goes on; delete the folder to begin anew. `--full` takes every adversary, cleaner and recogniser: hours on two
cores.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.measure import DATA, SCRATCH
from cloak import effects, recognise
from cloak.audit import LATER, Finding, Settings, Shot, Treatment, Visible, audit, document, gather, verdicts, visible
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


def findings_of(
    treatment: Treatment, shots: Sequence[Shot], settings: Settings, clean: dict, folder: Path
) -> tuple[list[Finding], Visible]:
    """One setting's findings, from an earlier run if it was the same."""
    people = max(shot.person for shot in shots) + 1
    about = f"{treatment!r}|{settings!r}|{people}|{len(shots)}"
    place = folder / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"
    if place.exists():
        kept = json.loads(place.read_text())
        return msgspec.convert(kept["findings"], list[Finding]), msgspec.convert(kept["visible"], Visible)

    def publish(shot: Shot, draw: int) -> RGB:
        key = hashlib.sha256(f"{shot.name.as_posix()}|{draw}".encode()).digest()
        return treatment(shot.image, shot.faces, key)

    seen = visible(treatment.name, shots, publish)
    found = []
    for finding in audit(treatment.name, shots, publish, settings, clean):
        print(table([finding])[1], flush=True)
        found.append(finding)
    kept = {"findings": msgspec.to_builtins(found), "visible": msgspec.to_builtins(seen)}
    place.write_text(json.dumps(kept))
    return found, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--photos", type=int, help="at most so many photos of each")
    parser.add_argument("--recognisers", default=",".join(recognise.available()))
    parser.add_argument("--classifiers", default="linear discriminants", help="between commas, or none")
    parser.add_argument("--only", help="names of treatments, between semicolons")
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
    shots = gather(DATA / "identities" / "lfw", people=options.people, photos=options.photos)
    chosen = [t for t in TREATMENTS if not options.only or t.name in options.only.split(";")]
    print(table([])[0])
    findings, changes, clean = [], [], {}
    for treatment in chosen:
        found, seen = findings_of(treatment, shots, settings, clean, folder)
        findings += found
        changes.append(seen)
        print("\n".join(verdicts(found)), flush=True)
    if options.json:
        about = {"people": options.people, "photos": len(shots), "settings": msgspec.to_builtins(settings)}
        options.json.write_text(json.dumps(document(findings, changes, about), indent=1) + "\n")
    if options.plot:
        plot(findings, changes, options.plot)


if __name__ == "__main__":
    main()
