"""`cloak pipelines`: what each pipeline does."""

import unicodedata
from typing import Any

import click

from .options import load_pipeline, pipeline_options


@click.group(name="pipelines", short_help="List pipelines, or show one with its effective values.")
def command() -> None:
    """List the pipelines that come with cloak, or show the effective values of one."""


@command.command("list")
def show_all() -> None:
    """Name the pipelines that come with cloak, with their effect."""
    from cloak.effects import name_of
    from cloak.pipeline import SHIPPED, load

    for name in SHIPPED:
        made = load(name)
        held = "held back" if made.no_face == "hold" else "published"
        click.echo(f"{name:<14} {name_of(made.effect):<10} recall {made.recall:<10} no face found: {held}")


@command.command("show")
@click.argument("name", required=False)
@pipeline_options
def show(name: str | None, **shape: Any) -> None:
    """Print a pipeline as TOML with the values that a run would use; the flags of `run` may be added."""
    import tomli_w

    if name is not None:
        shape["pipeline"] = name
    made = load_pipeline(**shape)
    click.echo(f"# {made.name}, hash {made.hash()}")
    for risk in made.risks():
        click.echo(f"# below the floor: {risk}")
    click.echo("".join(map(_escaped, tomli_w.dumps(made.table()))), nl=False)


def _escaped(character: str) -> str:
    """What drives a terminal, or would not be seen, as TOML writes it in strings."""
    from cloak.files import HIDDEN

    if character == "\n" or unicodedata.category(character) not in HIDDEN:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
