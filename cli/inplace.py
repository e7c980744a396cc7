"""`cloak run --in-place`: photos cleaned where they lie, in this process and its workers."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cloak.report import Outcome


def run(
    photos: tuple[Path, ...],
    pipeline: Any,
    key: bytes | None,
    jobs: int,
    deadline: float,
    memory: int,
    times: bool,
    debug: bool,
    quiet: bool,
) -> int:
    """Clean photos in place; names only those at which a person should look, and those that are withheld, which stay as
    they are."""
    from cloak.errors import UsageError, Withheld
    from cloak.files import printable
    from cloak.inplace import once
    from cloak.pool import Pool
    from cloak.report import Totals, withheld
    from cloak.result import Status

    if any(map(os.path.isdir, photos)):
        raise UsageError("--in-place takes files, not folders", next_step="Name the photos, or use --out for folders.")
    totals = Totals()
    work = partial(_work, pipeline=pipeline, key=key, times=times, debug=debug)
    with Pool(work, max(1, min(jobs, len(photos))), deadline, _setup, memory) as pool:
        for path, answer in pool.map(once(photos)):
            outcome = withheld(printable(path), answer) if isinstance(answer, Withheld) else answer
            row = outcome.row()
            totals.add(row)
            if outcome.reason:
                click.echo(f"withheld   {outcome.source}: {outcome.message}. {outcome.next_step}", err=True)
            if quiet:
                continue
            if outcome.status is Status.NO_FACE:
                click.echo(f"no face    {outcome.source}: none was found; stripped, look at it", err=True)
            if why := why_look(row):
                click.echo(f"to review  {outcome.source}: {why}; look at it", err=True)
    return totals.exit_code


def why_look(row: dict[str, Any]) -> str:
    """Why a person should look at a photo that was published, by its row in a report; "" if nobody need."""
    from cloak.inplace import DOUBTS, doubts
    from cloak.report import Totals

    alone = Totals()
    alone.add(row)
    return doubts({name: getattr(alone, name) for name in DOUBTS})


def _work(path: Path, *, pipeline: Any, key: bytes | None, times: bool, debug: bool) -> "Outcome":
    """One photo, in a worker."""
    from cloak.anonymizer import anonymize
    from cloak.files import printable
    from cloak.inplace import replace
    from cloak.report import Outcome, attempt
    from cloak.result import Report

    def clean(data: bytes) -> tuple[bytes, Report]:
        result = anonymize(data, pipeline, key=key)
        return result.published(), result.report

    def one() -> Outcome:
        report = replace(path, pipeline.limits.bytes, clean, preserve_times=times)
        return Outcome(source, source, report.status, report)

    source = printable(path)
    return attempt(source, one, debug)


def _setup() -> None:
    import cv2

    cv2.setNumThreads(1)
