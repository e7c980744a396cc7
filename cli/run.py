"""`cloak run`: the main job."""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .inplace import run as in_place_run
from .options import load_pipeline, pipeline_options


@click.command(name="run", short_help="Conceal the faces in photos and strip their metadata.")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder to publish into (- for standard output).")
@click.option("--in-place", is_flag=True, help="Replace each file itself; a running service at CLOAK_SERVER does it.")
@pipeline_options
@click.option("--jobs", "-j", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [cores].")
@click.option("--deadline", type=float, default=300.0, show_default=True, help="Seconds for one photo.")
@click.option("--report", metavar="FILE|-", help="Write a JSON report; - prints a line of JSON a photo as it goes.")
@click.option("--dry-run", is_flag=True, help="Find and check everything, write no photo.")
@click.option("--force", is_flag=True, help="Do again what is done, and replace files that cloak did not write.")
@click.option("--noise-key", envvar="CLOAK_NOISE_KEY", metavar="TEXT", help="Same key, same output; keep it secret.")
@click.option("--preserve-times", is_flag=True, help="Give published files their originals' times.")
@click.option("--ledger", type=click.Path(path_type=Path), help="Where to note what is done [OUT.cloak/].")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, no table.")
@click.option("--debug", is_flag=True, help="Show tracebacks of internal errors.")
def command(
    photos: tuple[Path, ...],
    out: Path | None,
    in_place: bool,
    jobs: int,
    deadline: float,
    report: str | None,
    dry_run: bool,
    force: bool,
    noise_key: str | None,
    preserve_times: bool,
    ledger: Path | None,
    quiet: bool,
    debug: bool,
    **shape: Any,
) -> int:
    """Conceal the faces in PHOTOS (files, folders, or - for standard input) and publish them into --out.

    Originals are never touched. A photo of which anything is in doubt is withheld and named. Run the same command
    again after an interruption: it goes on where it stopped.
    """
    pipeline = load_pipeline(**shape)
    key = hashlib.sha256(noise_key.encode()).digest() if noise_key else None
    if in_place:
        if out or report or ledger or dry_run or Path("-") in photos:
            raise click.UsageError("--in-place takes files, and no --out, --report, --ledger or --dry-run.")
        return in_place_run(photos, pipeline, key, jobs, deadline, preserve_times, debug)
    if photos == (Path("-"),):
        return _pipe(out, pipeline, key, report, quiet)
    if Path("-") in photos:
        raise click.UsageError("- (standard input) stands alone.")
    if out is None and not dry_run:
        raise click.UsageError("name the output folder: --out PUBLIC")
    if out == Path("-"):
        raise click.UsageError("--out - goes with standard input only: cloak run - --out -")

    from cloak.batch import Job, Run
    from cloak.errors import NothingMatched
    from cloak.report import Totals, document
    from cloak.store import printable

    settings: dict[str, Any] = {"key": key} if key else {}
    job = Job(
        photos, out or Path("public"), pipeline, jobs=jobs, deadline=deadline, dry_run=dry_run, force=force,
        preserve_times=preserve_times, ledger=ledger, debug=debug, **settings,
    )  # fmt: skip
    totals, rows, started, interrupted = Totals(), [], time.monotonic(), False
    lines = report == "-"
    with _report_file(report, job.out) as save, Run(job) as run:
        for item in run.left_out:
            _say(f"left out   {printable(item.source)}: {item.reason}", quiet)
        totals.left_out = len(run.left_out)
        if not run.items:
            raise NothingMatched("there is no photo among the inputs")
        bar = _progress(len(run.items), quiet)
        try:
            outcomes = iter(run)
            while True:
                try:
                    outcome = next(outcomes, None)
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted = True
                    bar.write("stopping: photos in work are finished (Ctrl-C again: stop at once)", file=sys.stderr)
                    outcomes = run.finish()
                    continue
                if outcome is None:
                    break
                row = outcome.row()
                totals.add(row)
                totals.seconds = round(time.monotonic() - started, 2)
                if lines:
                    click.echo(json.dumps(row))
                elif report:
                    rows.append(row)
                if outcome.reason:
                    bar.write(f"withheld   {outcome.source}: {outcome.message}. {outcome.next_step}", file=sys.stderr)
                bar.update()
                bar.set_postfix(faces=totals.faces, refresh=False)
        finally:
            bar.close()
            save(document(rows, totals, pipeline.table(), pipeline.hash()))
    if not quiet:
        for line in totals.lines():
            click.echo(line, err=lines)
    if dry_run and not quiet:
        click.echo("dry run: no photo was written", err=lines)
    return 130 if interrupted else totals.exit_code


def _pipe(out: Path | None, pipeline: Any, key: bytes | None, report: str | None, quiet: bool) -> int:
    """Standard input to standard output."""
    from cloak.anonymizer import anonymize
    from cloak.report import Outcome, Totals, document

    if out not in {None, Path("-")}:
        raise click.UsageError("standard input goes to standard output: cloak run - --out -")
    if report == "-":
        raise click.UsageError("standard output carries the photo: name a file for --report")
    limit = pipeline.limits.bytes
    data = sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        from cloak.errors import TooLarge

        raise TooLarge(f"it has more than {limit:,} bytes")
    with _report_file(report, None) as save:
        result = anonymize(data, pipeline, key=key)
        totals = Totals()
        row = Outcome("-", "-" if result.data else "", result.report.status, result.report).row()
        totals.add(row)
        save(document([row], totals, pipeline.table(), pipeline.hash()))
    if result.data is None:
        _say("held back: no face was found, a person must look", quiet)
    else:
        sys.stdout.buffer.write(result.data)
        sys.stdout.buffer.flush()
    return totals.exit_code


@contextlib.contextmanager
def _report_file(report: str | None, out: Path | None) -> Iterator[Any]:
    """A function that writes the report; its place is tried before any work is done."""
    if not report or report == "-":
        yield lambda _: None
        return
    from cloak.errors import UsageError

    path = Path(report)
    if out is not None and Path(os.path.realpath(out)) in Path(os.path.realpath(path)).parents:
        raise UsageError(
            "the report names original files and must not lie in the folder that is published",
            next_step="Name a place outside --out.",
        )
    partial = path.with_name(path.name + ".part")
    try:
        partial.touch(mode=0o600)
    except OSError as error:
        raise UsageError(f"the report cannot be written: {error.strerror}") from None

    def save(document: dict[str, Any]) -> None:
        partial.write_text(json.dumps(document, indent=1) + "\n")
        partial.replace(path)

    try:
        yield save
    finally:
        partial.unlink(missing_ok=True)


def _progress(total: int, quiet: bool) -> Any:
    from tqdm import tqdm

    silent = quiet or not sys.stderr.isatty()
    # tqdm turns slow rates into seconds a photo; photos a second compare from run to run.
    line = "{l_bar}{bar}| {n_fmt}/{total_fmt} photos [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
    return tqdm(total=total, unit=" photos", disable=silent, file=sys.stderr, dynamic_ncols=True, bar_format=line)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        click.echo(line, err=True)
