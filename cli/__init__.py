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
    from cloak.process import leave, no_core_dumps, ready_streams, take_secret

    from .handover import hand_over, worst

    ready_streams()
    no_core_dumps()
    words = sys.argv[1:] if arguments is None else arguments
    done = code = 0
    try:
        done, left = hand_over(words)
        if left is not None:
            if left[:1] not in (["serve"], ["review"]):
                take_secret("CLOAK_TOKEN")  # nobody needs it from here on
            code = _command(left)
    except KeyboardInterrupt:
        print("cloak: interrupted", file=sys.stderr)
        code = 130
    except Exception as error:
        from cloak.errors import CloakError, of_failure, traced

        if "--debug" in words and not isinstance(error, CloakError):
            print(traced(error), end="", file=sys.stderr)
        told = of_failure(error)
        print(f"cloak: {told}. {told.next_step}", file=sys.stderr)
        code = told.exit_code
    leave(worst(done, code))


def _command(words: list[str]) -> int:
    """The exit code of the whole command."""
    import click

    from .group import cloak

    try:
        code: Any = cloak.main(words, prog_name="cloak", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0
