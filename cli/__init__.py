"""The command line: thin commands over the library, loaded one by one so that `cloak --help` is quick."""

import sys
from typing import Any

COMMANDS = {
    "run": "Conceal the faces in photos and strip their metadata.",
    "plan": "Count the work of a run, and estimate its core-hours and cost.",
    "inspect": "Show the faces and every metadata carrier of files.",
    "watch": "Publish the photos of a folder as they appear in it.",
    "review": "Look at the photos of a run, correct them, and release them.",
    "serve": "Serve clean photos over HTTP, for content systems and hooks.",
    "verify": "Check published files again: no carriers, no bare face.",
    "audit": "Attack published photos as a face search would, and tell what it finds.",
    "pipelines": "List pipelines, or show one with its effective values.",
    "models": "List detectors with their weights, licences and hashes.",
    "licences": "List the licences of cloak, its weights, and all that it uses.",
}
"""Name -> summary. A command's module, `cloak.cli.<name>`, is imported when it is called; a test compares the texts."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    # Before click is loaded: a hook with a service at hand waits for the photo, not for imports.
    from cloak.process import leave, no_core_dumps, take_secret

    from .handover import hand_over, worst

    no_core_dumps()
    done, left = hand_over(sys.argv[1:] if arguments is None else arguments)
    if left is None:
        sys.exit(done)
    if left[:1] not in (["serve"], ["review"]):
        take_secret("CLOAK_TOKEN")  # nobody needs it from here on

    import click

    from .group import cloak

    try:
        code: Any = cloak.main(left, prog_name="cloak", standalone_mode=False)
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
        from cloak.errors import CloakError, of_failure, traced

        if "--debug" in left and not isinstance(error, CloakError):
            click.echo(traced(error), err=True, nl=False)
        told = of_failure(error)
        click.echo(f"cloak: {told}. {told.next_step}", err=True)
        code = told.exit_code
    leave(worst(done, code) if done else code if isinstance(code, int) else 0)
