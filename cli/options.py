"""Options that several commands share: those that shape a pipeline, who signs, who is kept."""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click


class PlaceType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A path, or the URL of an object store."""

    name = "path or URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        from cloak.place import place

        return place(value) if isinstance(value, str) else value


PLACE = PlaceType()


class Number(click.FloatRange):
    """A number in a range; what is none, or has no end, is in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number.", param, ctx)
        return number


POSITIVE = Number(0, min_open=True)

NOWHERE = Path(os.devnull)
"""The output of what writes nothing: no input is it, or lies in it."""

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--pipeline", "-p", default="photographer", show_default=True, metavar="NAME|FILE.toml",
        help="photographer, newsroom, cms, or a TOML file of your own.",
    ),
    click.option("--effect", metavar="NAME", help="pixelate, blur, fill, decoy or perturb."),
    click.option("--combine", metavar="WHAT", help="With perturb: also pixelate lightly, or cover the eyes."),
    click.option("--strength", metavar="NAME", help="How strong the effect is: light, standard or strong."),
    click.option("--cover", metavar="SHAPE", help="head (default) or face (needs --accept-risk)."),
    click.option("--cover-scale", type=POSITIVE, metavar="X", help="Size of the cover in multiples of the face."),
    click.option("--recall", metavar="NAME", help="How hard faces are searched: fast, balanced or thorough."),
    click.option("--models", metavar="NAMES", help="Detectors to use, e.g. yunet,centerface; see `cloak models`."),
    click.option("--min-face", type=POSITIVE, metavar="PX", help="Height of the smallest face to find, in pixels."),
    click.option(
        "--persons/--no-persons", default=None,
        help="Flag people of whom no face is found, as from behind, for review [as the recall says].",
    ),
    click.option("--keep", metavar="NAMES", help="Fields to write anew, e.g. icc,copyright,credit,caption,datetime."),
    click.option("--no-face", metavar="WHAT", help="A photo without a face: hold it back, or publish it stripped."),
    click.option("--review", is_flag=True, help="Publish nothing before a person has accepted it on the review page."),
    click.option("--quality", type=int, metavar="1-100", help="For lossy formats; default: the file's own."),
    click.option("--optimize", is_flag=True, help="Make JPEGs a few percent smaller, without loss; takes longer."),
    click.option(
        "--bake-orientation", is_flag=True,
        help="Re-encode JPEGs that cannot be turned upright without loss, rather than keep their Orientation tag.",
    ),
    click.option("--resize", type=int, metavar="PX", help="Most pixels of the longer side; smaller photos stay."),
    click.option("--resample", is_flag=True, help="Move the pixels off the sensor's grid; weakens links to a camera."),
    click.option("--names", metavar="HOW", help="Published file names: keep, sequence (0001.jpg) or random."),
    click.option("--max-pixels", type=int, metavar="N", help="Largest photo to open, in pixels of all its frames."),
    click.option("--accept-risk", is_flag=True, help="Allow settings below the floor; every report says so."),
)  # fmt: skip


deadline_option = click.option(
    "--deadline", type=POSITIVE, default=300.0, show_default=True, help="Seconds for one photo."
)

max_memory_option = click.option(
    "--max-memory", type=click.IntRange(0), default=0, metavar="MB", callback=lambda _, __, value: value * 1_000_000,
    help="Memory that the photo in one worker may take [the worker's share of the machine's].",
)  # fmt: skip


def noise_key_option(function: Function) -> Function:
    """Add the option of the key that seeds the noise; once it is read, no process that is started gets it."""

    def take(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
        from cloak.process import take_secret

        take_secret("CLOAK_NOISE_KEY")
        return value

    return click.option(
        "--noise-key", envvar="CLOAK_NOISE_KEY", metavar="TEXT", callback=take,
        help="Same key, same output; keep it secret.",
    )(function)  # fmt: skip


def pipeline_options(function: Function) -> Function:
    """Add the options; the command gets them as keyword arguments, for `load_pipeline`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def load_pipeline(
    *,
    pipeline: str,
    effect: str | None,
    combine: str | None,
    strength: str | None,
    cover: str | None,
    cover_scale: float | None,
    recall: str | None,
    models: str | None,
    min_face: float | None,
    persons: bool | None,
    keep: str | None,
    no_face: str | None,
    review: bool,
    quality: int | None,
    optimize: bool,
    bake_orientation: bool,
    resize: int | None,
    resample: bool,
    names: str | None,
    max_pixels: int | None,
    accept_risk: bool,
) -> Any:
    """The pipeline that a file and the flags make together; flags beat the file."""
    from cloak.pipeline import load

    covers = {key: value for key, value in (("shape", cover), ("scale", cover_scale)) if value is not None}
    effects = {key: value for key, value in (("name", effect), ("combine", combine)) if value is not None}
    return load(
        pipeline,
        effect=effects or None,
        strength=strength,
        cover=covers or None,
        recall=recall,
        models=_names(models),
        min_face=min_face,
        persons=persons,
        keep=_names(keep),
        no_face=no_face,
        review="required" if review else None,
        quality=quality,
        optimize=True if optimize else None,
        bake_orientation=True if bake_orientation else None,
        resize=resize,
        resample=True if resample else None,
        names=names,
        limits={"pixels": max_pixels} if max_pixels is not None else None,
        accept_risk=True if accept_risk else None,
    )


def refuse_same(places: Mapping[str, Any]) -> None:
    """Raise `click.UsageError` if two outputs of a command, by their options, are one file: it would be the last's."""
    taken: dict[object, str] = {}
    for option, place in places.items():
        if place is None or place == Path("-"):
            continue
        real = os.path.realpath(place).casefold() if isinstance(place, Path) else place  # some disks know no case
        if (other := taken.setdefault(real, option)) != option:
            raise click.UsageError(f"{other} and {option} name the same place")


def tell_risks(pipeline: Any) -> None:
    """Name what is below the floor, quiet or not: who runs a pipeline may not be who accepted its risks."""
    for risk in pipeline.risks():
        click.echo(f"risk       {risk} (accept_risk allows it)", err=True)


def _names(text: str | None) -> list[str] | None:
    """Names between commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def load_signer(certificates: Path | None, key: Path | None) -> Any:
    """Who signs, or None."""
    if certificates is None and key is None:
        return None
    if certificates is None or key is None:
        raise click.UsageError("--c2pa-sign CERT and --c2pa-key KEY go together")
    from cloak import provenance

    return provenance.load_signer(certificates, key)


def enrol_people(folder: Path | None, pipeline: Any) -> Any:
    """Who consented to be seen; in memory, once for the run."""
    if folder is None:
        return None
    from cloak.consent import enrol
    from cloak.intake import portraits

    return enrol(portraits(folder, pipeline.limits.bytes), pipeline.limits)
