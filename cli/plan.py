"""`cloak plan`: what a run would take."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .options import NOWHERE, PLACE, Number, enrol_people, load_pipeline, load_signer, pipeline_options


@click.command(name="plan", short_help="Count the work of a run, and estimate its core-hours and cost.")
@click.argument("photos", nargs=-1, required=True, type=PLACE)
@click.option("--out", "-o", type=PLACE, help="Where the run would publish: what is done there is not counted again.")
@pipeline_options
@click.option("--keep-people", type=click.Path(path_type=Path), metavar="FOLDER", help="As of the run: who consented.")
@click.option("--c2pa-sign", metavar="CERT", type=click.Path(path_type=Path), help="As of the run: signs what it does.")
@click.option("--c2pa-key", metavar="KEY", type=click.Path(path_type=Path), help="The private key in PEM.")
@click.option("--price", type=Number(0, 1e9), metavar="X", help="Of a core for an hour, in any currency.")
@click.option("--sample", type=click.IntRange(1), default=20, show_default=True, help="Photos to try on this machine.")
@click.option("--ledger", type=PLACE, help="The ledger of the run [OUT.cloak/].")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(
    photos: tuple[Any, ...],
    out: Any,
    keep_people: Path | None,
    c2pa_sign: Path | None,
    c2pa_key: Path | None,
    price: float | None,
    sample: int,
    ledger: Any,
    as_json: bool,
    **shape: Any,
) -> int:
    """List PHOTOS as a run would, try a few of them on this machine, and estimate what all would take.

    Nothing is written. A core of this machine is the measure: one of another is faster or slower.
    """
    from cloak import pool

    pool.prepare("cloak.batch")  # while this process imports much the same
    pipeline = load_pipeline(**shape)

    from cloak.batch import Job
    from cloak.errors import NothingMatched
    from cloak.files import printable
    from cloak.plan import make_plan

    signer, people = load_signer(c2pa_sign, c2pa_key), enrol_people(keep_people, pipeline)
    job = Job(photos, out or NOWHERE, pipeline, ledger=ledger, signer=signer, people=people)
    plan = make_plan(job, price, sample)
    if not plan.photos:
        raise NothingMatched("there is no photo among the inputs")
    if as_json:
        click.echo(json.dumps(asdict(plan) | {"left": plan.left}))
        return 0
    tried = f"{plan.sampled} tried here, {plan.seconds:.2f} s of one core each (± {plan.error:.2f})"
    rows = [
        ("photos", f"{plan.photos:,}", _bytes(plan.bytes)),
        ("already done", f"{plan.done:,}", ""),
        ("left", f"{plan.left:,}", _bytes(plan.left_bytes)),
        ("sample", f"{plan.sampled:,}", tried),
    ]
    if plan.withheld:
        rows.append(("withheld", f"{plan.withheld:,}", "of the sample: a run would name them"))
    spread = plan.error / plan.seconds if plan.seconds else 0.0
    rows.append(("core-hours", f"{plan.core_hours:,.2f}", f"± {spread:.0%}"))
    if plan.cost is not None:
        rows.append(("cost", f"{plan.cost:,.2f}", f"at {price:g} a core-hour; requests and transfer come on top"))
    for name, figure, words in rows:
        click.echo(f"{name:<14}{figure:>14}  {words}".rstrip())
    if out or ledger:
        click.echo(f"ledger        {printable(job.records)} (keep it private: it holds names of originals)")
    return 0


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError
