"""`cloak watch`: a hot folder."""

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import click

from .inplace import why_look
from .options import (
    PLACE,
    Number,
    deadline_option,
    load_pipeline,
    max_memory_option,
    noise_key_option,
    pipeline_options,
    tell_risks,
)


@click.command(name="watch", short_help="Publish the photos of a folder as they appear in it.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", "-o", required=True, type=PLACE, help="Folder to publish into.")
@pipeline_options
@click.option("--settle", type=Number(0.1), default=2.0, show_default=True, help="Seconds a file must rest.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [cores].")
@deadline_option
@max_memory_option
@noise_key_option
@click.option("--preserve-times", is_flag=True, help="Give published files their originals' times.")
@click.option("--ledger", type=click.Path(path_type=Path), help="Where to note what is done [OUT.cloak/].")
@click.option("--quiet", "-q", is_flag=True, help="Name only photos that are withheld, and what is withdrawn.")
def command(
    folder: Path,
    out: Any,
    settle: float,
    jobs: int,
    deadline: float,
    max_memory: int,
    noise_key: str | None,
    preserve_times: bool,
    ledger: Path | None,
    quiet: bool,
    **shape: Any,
) -> None:
    """Publish photos that appear in FOLDER into --out, and those that are there already; until Ctrl-C or SIGTERM.

    Files that are still being written are waited for. Originals stay where they are. Start it again after whatever
    happened: it goes on where it stopped.
    """
    from cloak import pool

    pool.prepare("cloak.batch")  # while this process imports much the same
    from cloak.batch import Job
    from cloak.watch import Watch

    settings: dict[str, Any] = {"key": hashlib.sha256(noise_key.encode()).digest()} if noise_key else {}
    pipeline = load_pipeline(**shape)
    tell_risks(pipeline)
    job = Job(
        (folder,), out, pipeline, jobs=jobs, deadline=deadline, memory=max_memory,
        preserve_times=preserve_times, ledger=ledger, **settings,
    )  # fmt: skip
    watch = Watch(job, settle)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watch.stop())
    for outcome in watch:
        if outcome.reason:
            click.echo(f"withheld   {outcome.source}: {outcome.message}. {outcome.next_step}", err=True)
        elif not quiet and outcome.earlier is None:
            row = outcome.row()
            click.echo(f"{row['status']:<10} {outcome.source}: {row.get('faces', 0)} faces")
            if outcome.target and (why := why_look(row)):
                click.echo(f"to review  {outcome.source}: {why}; look at it", err=True)
        for line in outcome.withdrawals():
            click.echo(line, err=True)
