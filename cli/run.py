"""`cloak run`: the main job."""

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.core import ParameterSource

from .inplace import run as in_place_run
from .options import (
    NOWHERE,
    PLACE,
    deadline_option,
    enrol_people,
    load_pipeline,
    load_signer,
    max_memory_option,
    noise_key_option,
    pipeline_options,
    refuse_same,
    tell_risks,
)
from .pipe import run as pipe_run

IN_PLACE = ("photos", "in_place", "jobs", "deadline", "max_memory", "noise_key", "preserve_times", "quiet", "debug")
PIPED = (
    "photos", "out", "keep_people", "report", "decisions", "noise_key", "c2pa_sign", "c2pa_key", "quiet", "debug",
)  # fmt: skip
"""Parameters that these two ways to run honour, beside those of a pipeline but `names`. Any other is refused: to
leave it out in silence might publish what somebody decided to hold."""


@click.command(name="run", short_help="Conceal the faces in photos and strip their metadata.")
@click.argument("photos", nargs=-1, required=True, type=PLACE)
@click.option("--out", "-o", type=PLACE, help="Folder or store to publish into (- for standard output).")
@click.option("--in-place", is_flag=True, help="Replace each file itself; a running service at CLOAK_SERVER does it.")
@pipeline_options
@click.option(
    "--keep-people",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Leave bare who consented: a sub-folder a person.",
)
@click.option("--jobs", "-j", type=click.IntRange(1), help="Worker processes [the cores of the engine].")
@deadline_option
@max_memory_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This machine's cores, or a Ray cluster.",
)
@click.option("--address", metavar="auto|ray://HOST:PORT", help="The Ray cluster [one on this machine].")
@click.option(
    "--report",
    type=PLACE,
    metavar="FILE|URL|-",
    help="Write a report: .json, .ndjson, .parquet; - prints a line of JSON a photo as it goes.",
)
@click.option(
    "--contact-sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page to look at: thumbnails of results, totals.",
)
@click.option(
    "--decisions", type=click.Path(path_type=Path), help="Apply *.cloak.json of an earlier review, by position."
)
@click.option("--dry-run", is_flag=True, help="Find and check everything, write no photo.")
@click.option("--force", is_flag=True, help="Do again what is done, and replace files that cloak did not write.")
@noise_key_option
@click.option("--preserve-times", is_flag=True, help="Give published files their originals' times.")
@click.option(
    "--c2pa-sign",
    metavar="CERT",
    type=click.Path(path_type=Path),
    help="Sign JPEG, PNG and WebP (others are withheld): certificates in PEM.",
)
@click.option("--c2pa-key", metavar="KEY", type=click.Path(path_type=Path), help="Their private key in PEM.")
@click.option("--ledger", type=PLACE, help="Where to note what is done [OUT.cloak/].")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, no table.")
@click.option("--debug", is_flag=True, help="Show tracebacks of internal errors.")
def command(
    photos: tuple[Any, ...],
    out: Any,
    in_place: bool,
    keep_people: Path | None,
    jobs: int | None,
    deadline: float,
    max_memory: int,
    engine: Any,
    address: str | None,
    report: Any,
    contact_sheet: Path | None,
    decisions: Path | None,
    dry_run: bool,
    force: bool,
    noise_key: str | None,
    preserve_times: bool,
    c2pa_sign: Path | None,
    c2pa_key: Path | None,
    ledger: Any,
    quiet: bool,
    debug: bool,
    **shape: Any,
) -> int:
    """Conceal the faces in PHOTOS and publish them into --out.

    PHOTOS are files, folders, URLs of objects or prefixes (s3://, gs://, az://, https://), or - for standard input.

    Originals are never touched. A photo of which anything is in doubt is withheld and named. Run the same command
    again after an interruption: it goes on where it stopped.
    """
    from cloak import pool

    piped = photos == (Path("-"),)
    if in_place:
        _refuse_others({*IN_PLACE, *shape} - {"names"}, "--in-place: it takes files, and the flags of a pipeline")
        if not all(isinstance(photo, Path) and photo != Path("-") for photo in photos):
            raise click.UsageError("--in-place replaces files of this machine.")
    elif piped:
        _refuse_others({*PIPED, *shape} - {"names"}, "- (standard input): name a file and --out PUBLIC")
    elif Path("-") in photos:
        raise click.UsageError("- (standard input) stands alone.")
    if not piped and engine == "local":
        pool.prepare("cloak.batch")  # while this process imports much the same
    pipeline = load_pipeline(**shape)
    tell_risks(pipeline)
    key = hashlib.sha256(noise_key.encode()).digest() if noise_key else None
    signer = load_signer(c2pa_sign, c2pa_key)
    if in_place:
        return in_place_run(
            photos, pipeline, key, jobs or os.cpu_count() or 1, deadline, max_memory, preserve_times, debug, quiet
        )
    if piped:
        return pipe_run(out, pipeline, key, signer, enrol_people(keep_people, pipeline), decisions, report, quiet)
    if out is None and not dry_run:
        raise click.UsageError("name the output folder: --out PUBLIC")
    if out == Path("-"):
        raise click.UsageError("--out - goes with standard input only: cloak run - --out -")
    if contact_sheet in {Path("-"), Path()}:
        raise click.UsageError("--contact-sheet names no file; what is printed as it goes is --report -")

    from cloak.batch import Job, Run
    from cloak.contact_sheet import render
    from cloak.errors import CloakError, NothingMatched, of_failure
    from cloak.files import printable
    from cloak.report import Totals, flagged
    from cloak.rows import open_report, open_sheet

    settings: dict[str, Any] = {"key": key} if key else {}
    if keep_people is not None:
        settings["people"] = enrol_people(keep_people, pipeline)
    job = Job(
        photos, out or NOWHERE, pipeline, jobs=jobs or 0, deadline=deadline, memory=max_memory, dry_run=dry_run,
        force=force, preserve_times=preserve_times, ledger=ledger, signer=signer, debug=debug, decisions=decisions,
        thumbnails=contact_sheet is not None, engine=engine, address=address, **settings,
    )  # fmt: skip
    if shape["review"] and not dry_run:
        from .review import demand_extra, open_desk

        demand_extra()
    if decisions is not None and not decisions.exists():
        raise click.UsageError("--decisions names no file or folder that exists")
    records = None if dry_run else job.records
    refuse_same({"--out": out, "--ledger": records, "--report": report, "--contact-sheet": contact_sheet})
    sheet: dict[str, tuple[dict[str, Any], bytes | None]] = {}
    totals, started = Totals(), time.monotonic()
    lines = report == Path("-")
    with (
        open_report(None if lines else report, job.out) as rows,
        open_sheet(contact_sheet, job.out) as save_sheet,
        Run(job) as run,
    ):

        def tell_left_out() -> None:
            totals.left_out += len(run.left_out)
            totals.leftovers += len(run.leftovers)
            for label, found in (("left out", run.left_out), ("left over", run.leftovers)):
                while found:
                    item = found.pop(0)
                    source = printable(item.source)
                    rows.leave_out(source, item.reason)
                    bar.write(f"{label:<10} {source}: {item.reason}", file=sys.stderr) if not quiet else None

        bar = _progress(run.total, quiet)
        tell_left_out()
        if run.items == []:
            raise NothingMatched("there is no photo among the inputs")
        try:
            with _interrupts() as interrupted:
                outcomes = iter(run)
                # Between two photos only: an interrupt in the middle of this would lose what became of one.
                while (outcome := next(outcomes, None)) is not None:
                    row = outcome.row()
                    totals.add(row)
                    totals.seconds = round(time.monotonic() - started, 2)
                    rows.add(row)
                    if lines:
                        click.echo(json.dumps(row))
                    if contact_sheet is not None:
                        sheet[outcome.source] = row, outcome.thumbnail
                    if outcome.reason:
                        words = f"withheld   {outcome.source}: {outcome.message}. {outcome.next_step}"
                        bar.write(words, file=sys.stderr)
                    for line in outcome.withdrawals():
                        bar.write(line, file=sys.stderr)
                    bar.total = max(run.total, totals.photos)
                    bar.update()
                    bar.set_postfix(faces=totals.faces, withheld=totals.withheld, refresh=False)
                    tell_left_out()
                    if interrupted:
                        totals.stopped = 130
                        outcomes = run.finish()
        except BaseException as error:
            totals.stopped = of_failure(error).exit_code if isinstance(error, Exception) else 130
            raise
        finally:
            tell_left_out()
            bar.close()
            # A run that something ended has nothing to compare with, and maybe no ledger.
            for source, places in run.bare() if totals.stopped in {0, 130} else ():
                totals.bare += 1
                near = ", ".join(sorted({place.neighbour for place in places}))
                _say(f"to review  {source}: a face that is concealed in {near} may be bare here", quiet)
                if lines:
                    click.echo(json.dumps(flagged({"source": source}, places)))
                rows.flag(source, places)
                if source in sheet:
                    sheet[source] = flagged(sheet[source][0], places), sheet[source][1]
            try:
                save_sheet(lambda: render(sheet.values(), totals, pipeline.name, pipeline.risks()))
            except CloakError as error:
                totals.stopped = error.exit_code
                raise
            finally:  # last, so that the report tells how the run ended
                rows.end(totals, pipeline.table(), pipeline.hash())
        if not totals.photos and not totals.stopped:
            raise NothingMatched("there is no photo among the inputs")
    if not quiet:
        for line in totals.lines():
            click.echo(line, err=lines)
    if dry_run and not quiet:
        click.echo("dry run: no photo was written", err=lines)
    if shape["review"] and not totals.stopped and not dry_run:
        open_desk(out, ledger=ledger, deadline=deadline, signer=signer)
    return totals.exit_code


def _refuse_others(honoured: Collection[str], way: str) -> None:
    """Raise `click.UsageError` for a flag on the command line that a way to run does not honour."""
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        if name not in honoured and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} does not go with {way}")


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that Ctrl-C fills; a second one interrupts as usual."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        # Not through click or tqdm: a handler may run in the middle of their own writing.
        os.write(2, b"\nstopping: photos in work are finished (Ctrl-C again: stop at once)\n")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(total: int, quiet: bool) -> Any:
    from tqdm import tqdm

    silent = quiet or not sys.stderr.isatty()
    # tqdm turns slow rates into seconds a photo; photos a second compare from run to run.
    line = "{l_bar}{bar}| {n_fmt}/{total_fmt} photos [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
    return tqdm(total=total, unit=" photos", disable=silent, file=sys.stderr, dynamic_ncols=True, bar_format=line)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        click.echo(line, err=True)
