"""`cloak inspect`: what a file would give away."""

import json
from pathlib import Path
from typing import Any

import click


@click.command(name="inspect", short_help="Show the faces and every metadata carrier of files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--show-values", is_flag=True, help="Show places too, as coordinates and a map link.")
@click.option("--recall", default="balanced", show_default=True, help="fast, balanced or thorough.")
@click.option(
    "--refuse", multiple=True, metavar="faces|places", help="Say only which files tell of these, and exit with 1."
)
def command(files: tuple[Path, ...], as_json: bool, show_values: bool, recall: str, refuse: tuple[str, ...]) -> int:
    """Show the faces in FILES and every carrier of metadata, the most identifying first. Changes nothing.

    With --refuse it is a gate, as the pre-commit hook uses it: silent about files that are safe.
    """
    from cloak.errors import UnknownName, Withheld
    from cloak.files import printable, read
    from cloak.inspection import REFUSABLE, inspect

    for word in refuse:
        if word not in REFUSABLE:
            raise UnknownName("reason to refuse", word, REFUSABLE)
    documents, code = [], 0
    for path in files:
        name = printable(path)
        try:
            found = inspect(read(path, 500_000_000), recall)
        except Withheld as error:
            code = 1
            documents.append({"file": name, "error": str(error), "reason": error.slug})
            if not as_json:
                click.echo(f"{name}: {error}. {error.next_step}", err=True)
            continue
        document = {"file": name, **found.document(show_values)}
        told = found.tells(refuse) if refuse else []
        if refuse:
            document["refused"] = told
            code = 1 if told else code
        documents.append(document)
        if told and not as_json:
            click.echo(f"{name}: {', '.join(told)}")
        elif not refuse and not as_json:
            _print(document)
    if as_json:
        click.echo(json.dumps(documents, indent=1))
    elif refuse and code:
        click.echo("Make them safe first: cloak run --in-place FILE", err=True)
    return code


def _print(document: dict[str, Any]) -> None:
    size = f"{document['width']} x {document['height']}" if document["width"] else "does not open"
    click.echo(f"{document['file']}: {document['format'] or 'no image'}, {size}, {document['bytes']:,} bytes")
    if document["fault"]:
        click.echo(f"  fault       {document['fault']}")
    for fact in document["facts"]:
        click.echo(f"  {'! ' if fact['rank'] <= 2 else '  '}{fact['label']:<28} {fact['value']}")
    for face in document["faces"]:
        box = face["box"]
        place = f"{box['width']:.0f} x {box['height']:.0f} at {box['x']:.0f}, {box['y']:.0f}"
        click.echo(f"  face        {place}, score {face['score']:.2f}, {'+'.join(face['models'])}")
    if not document["faces"] and document["width"]:
        click.echo("  no face found, which does not mean that there is none")
    for carrier in document["carriers"]:
        indent = "    " if carrier["inside"] else "  "
        click.echo(f"{indent}{carrier['kind']:<10} {carrier['bytes']:>10,} bytes  {carrier['name']}")
