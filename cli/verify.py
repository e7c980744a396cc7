"""`cloak verify`: published files, checked again."""

import hashlib
import json
import os
import tomllib
from contextlib import ExitStack
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cloak.ledger import Ledger
    from cloak.photo.base import Limits


@click.command(name="verify", short_help="Check published files again: no carriers, no bare face.")
@click.argument("published", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--ledger", type=click.Path(path_type=Path), help="The ledger of the run [PUBLISHED.cloak/].")
@click.option(
    "--keep", default="", metavar="NAMES", help="Fields that may be there; the ledger knows those of its run."
)
@click.option("--recall", default="balanced", show_default=True, help="fast, balanced or thorough.")
@click.option("--max-pixels", type=click.IntRange(1), metavar="N", help="As of the run, which the ledger knows.")
@click.option("--max-frames", type=click.IntRange(1), metavar="N", help="Most frames of an animation, likewise.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a file.")
@click.option("--quiet", "-q", is_flag=True, help="Only the files that fail.")
def command(
    published: tuple[Path, ...],
    ledger: Path | None,
    keep: str,
    recall: str,
    max_pixels: int | None,
    max_frames: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check PUBLISHED folders or files: any carrier of metadata and any face that is not concealed is a failure.

    The ledger beside a folder, or beside one that it lies in, tells where faces were concealed. Without it, every face
    found is a failure: what replaced a face cannot be told from a face by looks.
    """
    from cloak.detect.recipe import RECIPES
    from cloak.errors import CloakError, NothingMatched, UnknownName, Withheld
    from cloak.files import printable, read
    from cloak.intake import Item, walk
    from cloak.ledger import Ledger
    from cloak.metadata.fields import KEEP_NAMES
    from cloak.verify import problems

    if recall not in RECIPES:
        raise UnknownName("recall", recall, tuple(RECIPES))
    names = frozenset(name.strip() for name in keep.split(",") if name.strip())
    for name in names:
        if name not in KEEP_NAMES:
            raise UnknownName("field to keep", name, KEEP_NAMES)
    raised = {key: value for key, value in (("pixels", max_pixels), ("frames", max_frames)) if value is not None}
    checked = failed = 0
    opened = click.get_current_context().with_resource(ExitStack())

    @lru_cache(maxsize=1)
    def remembering(place: Path | None) -> _Memory:
        opened.close()
        return _Memory(opened.enter_context(Ledger(place, lock=False)) if place else None)

    for given in published:
        memory = remembering(ledger or _nearest(given))
        limits = replace(memory.limits(), **raised)
        for item in walk([given], None):
            if not isinstance(item, Item) and item.source != given and not given.is_dir():
                continue  # what lies beside a file that was named itself
            sight = 0
            if not isinstance(item, Item):
                found = [f"it is no published photo: {item.reason}"]
            else:
                assert isinstance(item.source, Path)
                try:
                    data = read(item.source, limits.bytes)
                except Withheld as error:
                    found = [str(error)]
                else:
                    regions, bare, kept = memory.recall(data)
                    sight = sum(map(len, bare))
                    try:
                        found = problems(data, RECIPES[recall], limits, regions, (names | kept) - {"icc"}, bare)
                    except CloakError:
                        raise
                    except Exception as error:  # one file that breaks cloak must not hide the others
                        found = [f"internal error: {type(error).__name__}"]
            checked, failed = checked + 1, failed + bool(found)
            name = printable(item.source)
            if as_json:
                click.echo(json.dumps({"file": name, "clean": not found, "problems": found, "in_sight": sight}))
            elif found:
                click.echo(f"FAILED  {name}: {'; '.join(found)}")
            elif not quiet:
                bare_ones = f": {sight} face{'s' if sight > 1 else ''} in sight, by choice" if sight else ""
                click.echo(f"clean   {name}{bare_ones}")
    if checked == 0:
        raise NothingMatched("there is no file to check")
    if not as_json and not quiet:
        click.echo(f"{checked - failed} of {checked} files are clean")
    return 1 if failed else 0


def _nearest(published: Path) -> Path | None:
    """The ledger beside a published folder or file, or beside the nearest folder around it that has one."""
    from cloak.records import beside

    whole = Path(os.path.realpath(published))
    places = (beside(folder) for folder in (whole, *whole.parents) if folder.name)
    return next((place for place in places if os.path.exists(place)), None)  # nowhere, if its name is too long


class _Memory:
    """What a ledger knows of published files; by their bytes, so that they may lie and be called as they like."""

    def __init__(self, ledger: "Ledger | None") -> None:
        self._ledger = ledger
        self._names = ledger.published_as() if ledger else {}

    def limits(self) -> "Limits":
        """What a photo might cost where most was allowed: what a run has published can be opened again."""
        import msgspec

        from cloak.errors import LedgerDamaged
        from cloak.photo.base import Limits

        allowed = [Limits()]
        try:
            for (text,) in self._ledger.query("SELECT settings FROM pipeline", ()) if self._ledger else ():
                allowed.append(msgspec.convert(tomllib.loads(text).get("limits", {}), Limits))
        except (AttributeError, TypeError, ValueError):
            raise LedgerDamaged from None
        return Limits(*(max(getattr(limits, item.name) for limits in allowed) for item in fields(Limits)))

    def recall(self, data: bytes) -> tuple[Any, Any, frozenset[str]]:
        """The regions concealed, the faces a person left bare and the fields kept in just these bytes; (None, nothing,
        nothing) if they are not known."""
        from cloak.report import remembered

        digest = hashlib.sha256(data).hexdigest()
        entry = self._ledger.find(self._names[digest]) if self._ledger and digest in self._names else None
        if entry is None or entry.published != digest:
            return None, (), frozenset()
        return remembered(entry.row)
