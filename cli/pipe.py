"""`cloak run -`: one photo from standard input to standard output, in this process."""

import sys
from pathlib import Path
from typing import Any

import click

from .group import GONE


def run(
    out: Any,
    pipeline: Any,
    key: bytes | None,
    signer: Any,
    people: Any,
    decisions: Path | None,
    report: Any,
    quiet: bool,
) -> int:
    """The exit code for the photo on standard input; standard output gets its clean bytes, or nothing."""
    from cloak.anonymizer import anonymize
    from cloak.errors import CloakError, NotWritten, Withheld, of_failure
    from cloak.files import read_stream
    from cloak.intake import Item
    from cloak.job import Job
    from cloak.provenance import signed
    from cloak.report import Outcome, Totals, internal, withheld
    from cloak.rows import open_report
    from cloak.work import decided

    if out not in {None, Path("-")}:
        raise click.UsageError("standard input goes to standard output: cloak run - --out -")
    if report == Path("-"):
        raise click.UsageError("standard output carries the photo: name a file for --report")
    if decisions is not None and not decisions.is_file():
        raise click.UsageError(
            "--decisions names no file; what comes through a pipe has no name to look for in a folder"
        )
    if sys.stdin is None or sys.stdout is None:
        raise click.UsageError("standard input and output must both be open")
    nameless, totals = Path("-"), Totals()
    with open_report(report, None) as rows:

        def tell(outcome: Outcome) -> None:
            totals.add(row := outcome.row())
            rows.add(row)
            rows.end(totals, pipeline.table(), pipeline.hash())

        try:
            word = decided(
                Item(nameless, nameless), nameless, Job((nameless,), nameless, pipeline, decisions=decisions)
            )
            data = read_stream(sys.stdin.buffer, pipeline.limits.bytes)
            result = signed(anonymize(data, pipeline, key=key, decisions=word, people=people), signer)
        except CloakError as error:
            if isinstance(error, Withheld):
                tell(withheld("-", error))
            raise
        except Exception as error:
            tell(internal("-", error))
            raise
        try:
            if result.data is not None:
                sys.stdout.buffer.write(result.data)
                sys.stdout.buffer.flush()
        except OSError as error:
            totals.stopped = GONE if isinstance(error, BrokenPipeError) else of_failure(error).exit_code
            words = error.strerror or "input/output error"
            tell(withheld("-", NotWritten(f"standard output did not take all of it: {words}")))
            raise
        tell(Outcome("-", "-" if result.data else "", result.report.status, result.report))
    if result.data is None and not quiet:
        click.echo(f"held back: {_why_held(pipeline, word)}", err=True)
    elif totals.no_face and not quiet:
        click.echo("no face was found: published stripped, look at it", err=True)
    return totals.exit_code


def _why_held(pipeline: Any, decisions: Any) -> str:
    if decisions is not None and decisions.verdict == "hold":
        return "a person decided so"
    if pipeline.review == "required":
        return "nothing is published before a person has accepted it (name a file and --out, then cloak review)"
    return "no face to conceal was found, a person must look"
