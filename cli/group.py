"""The group of all commands, each loaded when it is called."""

import importlib
import sys
from typing import Any

import click

from . import COMMANDS

GONE = 141
"""The exit code when whoever read our output has gone, as shells have it of those who die of SIGPIPE."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # click would end with 1, which says that a photo was withheld. The interpreter must not trip over it again
            # while it shuts down.
            sys.stdout = None  # type: ignore[assignment]
            raise click.exceptions.Exit(GONE) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    from cloak.photo.jpeg import engine

    click.echo(f"cloak {version('cloak-images')}, JPEG engine: {engine()}")
    ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cloak() -> None:
    """Make photos safe to publish: conceal every face, strip all metadata, prove both.

    \b
    Exit codes: 0 all published; 1 some photos withheld; 2 usage or set-up;
    3 no photo found; 4 done, but some photos need a person's look; 130 interrupted.
    """
