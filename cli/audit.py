"""`cloak audit`: published photos, attacked as a scraper would."""

import io
import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from .options import POSITIVE, refuse_same

AUDIT = re.compile(rb'\{\n "settings": \{.*"recognisers": \{', re.DOTALL)
PLOT = re.compile(rb"(?:\x89PNG|<\?xml).{,900}cloak audit", re.DOTALL)
"""What the figures and the plot of an earlier audit begin with: nothing else is replaced."""


@click.command(name="audit", short_help="Attack published photos as a face search would, and tell what it finds.")
@click.argument("originals", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("published", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--self-test", is_flag=True, help="Conceal ORIGINALS here, in memory, with the effects to be tried.")
@click.option("--effects", default="pixelate,blur,fill,decoy", show_default=True, metavar="NAMES", help="To be tried.")
@click.option("--strength", default="standard", show_default=True, help="Of the effects to be tried.")
@click.option("--cover-scale", type=POSITIVE, default=1.4, show_default=True, help="Of the effects to be tried.")
@click.option("--recognisers", metavar="NAMES", help="Which face recognisers to play [all that are installed].")
@click.option("--classifiers", metavar="NAMES|none", help="Which trained adversaries to play [all].")
@click.option("--later", metavar="NAMES|all", help="What becomes of the photos: see docs/audit.md.")
@click.option("--people", type=click.IntRange(2), help="At most so many people.")
@click.option("--photos", type=click.IntRange(2), help="At most so many photos of each.")
@click.option("--draws", type=click.IntRange(1), default=6, show_default=True, help="Versions to train on, a photo.")
@click.option("--json", "report", type=click.Path(path_type=Path), help="Write all figures here.")
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="Write a plot here (PNG or SVG).")
@click.option("--quiet", "-q", is_flag=True, help="Verdicts only, no table.")
def command(
    originals: Path,
    published: Path | None,
    self_test: bool,
    effects: str,
    strength: str,
    cover_scale: float,
    recognisers: str | None,
    classifiers: str | None,
    later: str | None,
    people: int | None,
    photos: int | None,
    draws: int,
    report: Path | None,
    picture: Path | None,
    quiet: bool,
) -> int:
    """Search the faces of PUBLISHED photos in a gallery of ORIGINALS, a folder with a sub-folder for each person.

    PUBLISHED has the same sub-folders and names, as `cloak run ORIGINALS --out PUBLISHED` makes them. With
    --self-test there is no PUBLISHED: the originals are concealed in memory. Embeddings of faces are held in memory
    only. Exit code 1: an adversary does better than three times chance, or some PUBLISHED photos are missing.
    """
    from cloak.audit import Treatment, audit, document, gather, table, verdicts, visible
    from cloak.audit.audit import Finding
    from cloak.audit.report import passes, plot, seen
    from cloak.errors import MissingExtra, UsageError
    from cloak.rows import open_page

    if self_test == (published is not None):
        raise click.UsageError("name the folder of PUBLISHED photos, or ask for a --self-test: one of the two.")
    settings = _settings(recognisers, classifiers, later, draws)
    for name in settings.classifiers:
        if not find_spec("torch" if name == "convolutional network" else "sklearn"):
            raise MissingExtra(f"the adversary {name!r}", "audit")
    if picture and picture.suffix.lower() not in {".png", ".svg"}:
        raise click.UsageError("--plot writes PNG or SVG: name a file that ends so")
    if picture and not find_spec("matplotlib"):
        raise MissingExtra("the plot", "audit")
    refuse_same({"--json": report, "--plot": picture})
    save = click.get_current_context().with_resource
    save_report, save_plot = save(open_page(report, "audit", AUDIT)), save(open_page(picture, "plot", PLOT))
    shots = gather(originals, people=people, photos=photos)
    tried: list[tuple[str, Any]] = []
    if published is not None:
        tried.append((published.name, _from_folder(published)))
        missing = sum(not (published / shot.name).is_file() for shot in shots)
        if missing == len(shots):  # nothing attacked would be nothing found: that is no pass
            raise UsageError(
                "PUBLISHED holds none of the photos under their own names",
                next_step="Name the folder that `cloak run ORIGINALS --out PUBLISHED` wrote, with names kept.",
            )
        if missing:
            click.echo(f"{missing} of {len(shots)} photos are not in {published.name}: the figures are of the others")
    else:
        from cloak.effects import make
        from cloak.pipeline import Cover

        for name in _names(effects) or ():
            treatment = Treatment(name, make(name, strength), Cover(scale=cover_scale))
            tried.append((name, _in_memory(treatment)))

    findings: list[Finding] = []
    changes, clean = [], {}
    for name, publish in tried:
        change = visible(name, shots, publish)
        # What is read from a folder was concealed elsewhere: reading it says nothing of the effect's cost.
        changes.append(change if self_test else replace(change, seconds=None))
        found = []
        for finding in audit(name, shots, publish, settings, clean):
            if not quiet:
                click.echo(table([finding])[1] if found else "\n".join(table([finding])))
            found.append(finding)
        findings += found
        for line in verdicts(found):
            click.echo(line)
        click.echo(seen(changes[-1]))
    about = {
        "people": max(shot.person for shot in shots) + 1,
        "photos": len(shots),
        "draws": draws,
        "later": settings.later,
        "strength": strength if self_test else "",
        "cover": cover_scale if self_test else 0,
    }
    save_report(lambda: json.dumps(document(findings, changes, about), indent=1).encode() + b"\n")

    def drawn() -> bytes:
        assert picture is not None
        plot(findings, changes, file := io.BytesIO(), picture.suffix.lower()[1:])
        return file.getvalue()

    save_plot(drawn)
    return 0 if passes(findings) else 1


def _settings(recognisers: str | None, classifiers: str | None, later: str | None, draws: int) -> Any:
    from cloak.audit import LATER, Settings
    from cloak.audit.adversary import CLASSIFIERS
    from cloak.errors import UnknownName
    from cloak.recognise import CARDS

    chosen: dict[str, Any] = {"draws": draws}
    for key, text, known in (
        ("recognisers", recognisers, CARDS), ("classifiers", classifiers, CLASSIFIERS), ("later", later, LATER),
    ):  # fmt: skip
        names = tuple(known) if text == "all" else () if text == "none" else _names(text)
        for name in names or ():
            if name not in known:
                raise UnknownName(key[:-1] if key != "later" else "treatment", name, tuple(known))
        if names is not None:
            chosen[key] = names
    return Settings(**chosen)


def _in_memory(treatment: Any) -> Any:
    import hashlib

    def publish(shot: Any, draw: int) -> Any:
        # The noise is the same in every audit, so that audits can be compared; each photo and draw has its own.
        key = hashlib.sha256(f"{shot.name.as_posix()}|{draw}".encode()).digest()
        return treatment(shot.image, shot.faces, key)

    return publish


def _from_folder(published: Path) -> Any:
    """Photos as they were published. An adversary can make no other versions, so all draws are the same."""
    from cloak.audit.shots import open_picture
    from cloak.errors import Withheld

    def publish(shot: Any, draw: int) -> Any:  # noqa: ARG001
        try:
            return open_picture(published / shot.name)
        except Withheld:
            return None

    return publish


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
