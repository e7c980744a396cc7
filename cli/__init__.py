"""The command line: thin commands over the library, loaded one by one so that `cloak --help` is quick."""

import importlib
import sys
from typing import Any

import click

COMMANDS = {
    "run": "Conceal the faces in photos and strip their metadata.",
    "plan": "Count the work of a run, and estimate its core-hours and cost.",
    "inspect": "Show the faces and every metadata carrier of files.",
    "verify": "Check published files again: no carriers, no bare face.",
    "pipelines": "List pipelines, or show one with its effective values.",
    "models": "List detectors with their weights, licences and hashes.",
}
"""Name -> summary. A command's module, `cloak.cli.<name>`, is imported when it is called; a test compares the texts."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __name__)
        command: click.Command = module.command
        return command

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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        code: Any = cloak.main(arguments, prog_name="cloak", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("cloak: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not trip over it again while it shuts down.
        sys.stdout = None  # type: ignore[assignment]
        code = 141
    except Exception as error:
        from cloak.errors import CloakError

        if not isinstance(error, CloakError):
            raise
        click.echo(f"cloak: {error}. {error.next_step}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
