"""One photo, pure: bytes and a pipeline in, publishable bytes and a report out. The whole contract on one page."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cloak import effects, metadata
from cloak.bursts import glance_at
from cloak.clock import Stopwatch
from cloak.consent import People, sort
from cloak.decisions import Applied, Decisions, apply
from cloak.detect import Face, find, joined, united
from cloak.detect.cover import cover
from cloak.detect.persons import faceless
from cloak.effects import Noise, Perturb, steady
from cloak.errors import DecisionsUnfit, VerificationFailed
from cloak.geometry import Box, Pixels, Region, Size, within
from cloak.identity import same
from cloak.masks import Mask, draw
from cloak.metadata.base import Contents, Kind
from cloak.metadata.fields import DISCLOSURE, DISCLOSURE_OF_AREAS, read_fields
from cloak.metadata.write import FIELD_CARRIERS
from cloak.photo import open_photo
from cloak.photo.base import Encoded, Output, Photo, Rendering
from cloak.photo.resample import Resampling, plan
from cloak.pipeline import Pipeline, load
from cloak.protection import Protection, assess, in_sight
from cloak.result import Carrier, Hold, Report, Result, Status
from cloak.verify import (
    BLANK,
    CHECKS,
    SAME,
    Look,
    Sketch,
    check_container,
    check_faces,
    check_masks,
    check_samples,
    deliberate,
    looks,
)

ROUNDS = 3
"""How often a photo is concealed again because the second look found a face; then it is withheld."""


MANIFEST_LEFT = "A manifest of content credentials (C2PA) was removed."


def anonymize(
    data: bytes,
    pipeline: str | Pipeline = "photographer",
    *,
    key: bytes | None = None,
    decisions: Decisions | None = None,
    people: People | None = None,
) -> Result:
    """Conceal every face in a photo, strip all metadata, and prove both on the bytes returned.

    Args:
        data: a whole image file: JPEG, PNG, WebP, TIFF, GIF, BMP, HEIC or AVIF.
        pipeline: a name ("photographer", "newsroom", "cms"), the path of a TOML file, or a `Pipeline`.
        key: secret that seeds the effects' noise; the same bytes, pipeline and key give the same output. None draws
            one that nobody keeps.
        decisions: of a person who looked at this photo: what else to conceal, which faces to leave bare, and whether
            it is released. A pipeline whose review is "required" publishes nothing without.
        people: who consented to be seen (`cloak.consent.enrol`); everybody else is concealed, and so is whoever is
            not plainly one of them. What a person decided about a face beats their consent.

    Raises:
        Withheld: (one of its kinds) the photo cannot be made safe; there is no output.
        UsageError: the pipeline is not valid.
        SetupError: a model or library is missing or damaged.

    >>> result = anonymize(Path("crowd.jpg").read_bytes(), "newsroom")  # doctest: +SKIP
    >>> result.report.faces  # doctest: +SKIP
    14
    """
    settings = load(pipeline) if isinstance(pipeline, str) else pipeline
    watch = Stopwatch()

    with watch("open"):
        photo = open_photo(data, settings.limits)
    with watch("inspect"):
        before = metadata.read(data)
        fields = read_fields(data, frozenset(settings.keep) - {"icc"})
    drawn_on = [c.frame for c in decisions.changes if c.area is not None and c.frame is not None] if decisions else []
    if max(drawn_on, default=0) >= photo.frames:
        raise DecisionsUnfit(
            "an area was drawn on a picture that this file does not have",
            next_step="Export the photo with all its pages or frames, or review it anew: cloak review.",
        )
    if decisions is not None and same(decisions.of, data) is False:
        raise DecisionsUnfit(
            "its decisions were made for a photo that was taken at another moment",
            next_step="Take their file out of the folder of decisions, and review the photo anew: cloak review.",
        )
    with watch("detect"):
        frames = [_search(photo, frame, settings, decisions, people) for frame in range(photo.frames)]

    if hold := _hold(frames, settings, decisions):
        return Result(None, (), _report(Status.HELD, settings, photo, before, frames, watch), hold=hold)

    seed = hmac.digest(key or secrets.token_bytes(32), hashlib.sha256(data).digest(), "sha256")
    noise, resampling = Noise(seed), plan(photo.size, settings.resize, seed if settings.resample else None)
    output = Output(
        fields=fields,
        icc="icc" in settings.keep,
        profile=settings.profile,
        quality=settings.quality,
        optimize=settings.optimize,
        bake_orientation=settings.bake_orientation,
        agreed=settings.recipe.agreed,
        resampling=resampling,
    )
    for attempt in range(ROUNDS):
        with watch("conceal"):
            masks = steady.steadied([frame.masks(settings, photo.size) for frame in frames])
            for frame, drawn in zip(frames, masks, strict=True):
                check_masks(drawn, frame.regions(settings), photo.size)
            fields = replace(fields, disclosure=_disclosure(settings, frames) if any(masks) else None)
            output = replace(output, fields=fields)
            paint = partial(_paint, settings=settings, noise=noise, photo=photo, output=output)
            encoded = photo.conceal(masks, paint, output)
        with watch("verify"):
            published = open_photo(encoded.data, settings.limits, checked=True)  # by the next line
            size = resampling.size if resampling else photo.size
            check_container(encoded.data, published, size, photo, before, data, fields)
            first = Look(published, 0)
            missed = [
                joined(
                    _look_again(look, frame, drawn, size, settings, resampling, unseen and not attempt)
                    for look, unseen in _looks(published, i, first, () if encoded.converted else frame.known)
                )
                for i, (frame, drawn) in enumerate(zip(frames, masks, strict=True))
            ]
        if not any(missed):
            break
        frames = [
            frame.with_faces(new, photo, i, settings) for i, (frame, new) in enumerate(zip(frames, missed, strict=True))
        ]
    else:
        raise VerificationFailed(f"{sum(map(len, missed))} faces are still bare after {ROUNDS} rounds")

    if any(part.name.startswith("JUMBF") for part in before.parts):
        encoded = replace(encoded, notes=(*encoded.notes, MANIFEST_LEFT))
    protections: tuple[tuple[Protection, ...], ...] = ()
    if isinstance(settings.effect, Perturb):
        with watch("recognise"):
            protections = tuple(
                assess(Look(photo, i), Look(published, i), frame.faces, settings.effect.surrogates)
                for i, frame in enumerate(frames)
            )
    if any(masks):  # an area that somebody drew can lie where no pixel is
        status = Status.PERTURBED if any(protections) else Status.CONCEALED
    else:
        status = Status.REVEALED if any(frame.made.revealed for frame in frames) else Status.NO_FACE
    kept = tuple(name for name in FIELD_CARRIERS if getattr(fields, name) is not None)
    accepted = decisions is not None and decisions.verdict == "accept" and all(frame.made.fits for frame in frames)
    report = _report(
        status, settings, photo, before, frames, watch, encoded=encoded, kept=kept, protections=protections
    )
    report = replace(report, resampling=resampling, accepted=accepted)
    seen = glance_at(frames[0].made, first.seen()[0], masks[0], photo.size)
    return Result(encoded.data, tuple(frame.regions(settings) for frame in frames), report, seen)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is known of one picture of the photo.

    `made` is what the detectors found and a person decided; `known` holds, for each rendering that was searched, a box
    and a sketch of everything that is concealed, to compare with later. `heads` are those of all persons, whatever is
    known of their faces.
    """

    made: Applied
    doubtful: tuple[Face, ...]
    known: Mapping[Rendering, tuple[tuple[Box, Sketch], ...]]
    ambiguous: tuple[Face, ...] = ()
    heads: tuple[Face, ...] = ()

    @property
    def faces(self) -> tuple[Face, ...]:
        """Those to be concealed as the pipeline says."""
        return self.made.faces

    def regions(self, settings: Pipeline) -> tuple[Region, ...]:
        shape, scale = settings.cover.shape, settings.cover.scale
        return (*(cover(face, shape=shape, scale=scale) for face in self.faces), *self.made.areas)

    def faceless(self, settings: Pipeline) -> tuple[Face, ...]:
        """The heads on which nothing was found and nothing is concealed."""
        found = (*self.faces, *self.made.revealed, *self.made.replaced, *self.doubtful)
        return faceless(self.heads, found, self.regions(settings))

    def masks(self, settings: Pipeline, size: Size) -> list[Mask]:
        """What is to be painted; windows show no more of the surroundings than the effect looks at."""
        own = {region.effect for region in self.made.areas if region.effect}
        margin = max([settings.effect.margin, *(effects.make(name).margin for name in own)])
        return draw(self.regions(settings), size, feather=settings.cover.feather, margin=margin)

    def with_faces(self, new: Sequence[Face], photo: Photo, number: int, settings: Pipeline) -> "_Frame":
        """With faces that the second look found."""
        if not new:
            return self
        made, refused = _barred(self.made, new)
        views = {rendering: Look(photo, number, rendering) for rendering in self.known}
        known = {
            rendering: (*before, *(_sketched(face, views[rendering], settings) for face in (*refused, *new)))
            for rendering, before in self.known.items()
        }
        return replace(self, made=made, known=known, ambiguous=(*self.ambiguous, *refused))


def _looks(published: Photo, number: int, first: Look, searched: Collection[Rendering]) -> Iterator[tuple[Look, bool]]:
    """At one published picture, and whether nobody saw it so before; `first` is kept.

    In the renderings that the original was searched in, and in its own: other pixels can show what those hid.
    Raises `VerificationFailed` if there is more in it than can be looked at.
    """
    check_samples(published, number)
    for rendering in dict.fromkeys((*published.renderings(number), *searched)):
        look = first if (number, rendering) == (0, "shown") else Look(published, number, rendering)
        yield look, rendering not in searched


def _search(
    photo: Photo, number: int, settings: Pipeline, decisions: Decisions | None, people: People | None
) -> _Frame:
    views = list(looks(photo, number))
    searches = [find(look, photo.size, settings.recipe) for look in views]
    search = united(searches)
    made = Applied(search.faces)
    if decisions is not None:
        made = apply(decisions, number, search.faces, photo.size, settings.permitted)
    # All faces are compared, so that nobody is in a picture twice; only those that nobody decided about may be kept,
    # and who gave a verdict decided about all.
    undecided = decisions is None or (decisions.verdict is None and not any(decisions.seen))
    consent = sort(views[0], search.faces, people if undecided else None)
    kept = tuple(face for face in made.faces if face in consent.kept)
    made = replace(made, faces=tuple(face for face in made.faces if face not in kept), revealed=(*made.revealed, *kept))
    unsure = tuple(face for face in consent.ambiguous if face in made.faces)
    # What a viewer does not show was not decided about.
    hidden = joined(
        [face for face in found.faces if not deliberate(look, face.box, made.revealed, settings.recipe)]
        for look, found in zip(views[1:], searches[1:], strict=True)
    )
    made, refused = _barred(made, hidden)
    areas = [within(area.shape) for area in made.areas]
    known = {
        look.rendering: (
            *(_sketched(face, look, settings) for face in made.faces),
            *((box, look.sketch(box, settings.recipe)) for box in areas),
        )
        for look in views
    }
    return _Frame(made, search.doubtful, known, (*unsure, *refused), search.heads)


def _disclosure(settings: Pipeline, frames: Sequence[_Frame]) -> str | None:
    """The sentence for readers of a photo in which something is concealed; none if the pipeline adds none."""
    if "disclosure" not in settings.keep:
        return None
    faces = any(frame.faces or frame.made.replaced for frame in frames)
    return settings.disclosure if faces or settings.disclosure != DISCLOSURE else DISCLOSURE_OF_AREAS


def _barred(made: Applied, new: Sequence[Face]) -> tuple[Applied, tuple[Face, ...]]:
    """With new faces to conceal, and the faces that were to stay bare and may not: a new one is at their place."""
    refused = tuple(face for face in made.revealed if any(face.box.iou(other.box) >= SAME for other in new))
    faces = joined(((*made.faces, *refused), new))
    revealed = tuple(face for face in made.revealed if face not in refused)
    return replace(made, faces=faces, revealed=revealed, fits=made.fits and not refused), refused


def _sketched(face: Face, look: Look, settings: Pipeline) -> tuple[Box, Sketch]:
    """Where a face is, and what must not be found there again; nothing if the effect leaves it in sight."""
    if isinstance(settings.effect, Perturb) and in_sight(face):
        return face.box, BLANK
    return face.box, look.sketch(face.box, settings.recipe)


def _hold(frames: Sequence[_Frame], settings: Pipeline, decisions: Decisions | None) -> Hold | None:
    """Why the photo is not published before a person has accepted it, if so; a person's word beats the settings."""
    if decisions is not None and decisions.verdict is not None:
        return "decided" if decisions.verdict == "hold" else None
    if settings.review == "required":
        return "review"
    return "no-face" if settings.no_face == "hold" and not any(frame.faces for frame in frames) else None


def _paint(
    pixels: Pixels,
    mask: Mask,
    frame: int,  # noqa: ARG001
    *,
    settings: Pipeline,
    noise: Noise,
    photo: Photo,
    output: Output,
) -> Pixels:
    effect: effects.Effect = settings.effect
    if isinstance(effect, Perturb):
        effect = effect.within(photo.written(mask, output))
    return effects.paint(pixels, mask, effect, settings.cover.feather, noise)


def _look_again(
    look: Look,
    frame: _Frame,
    masks: Sequence[Mask],
    size: Size,
    settings: Pipeline,
    resampling: Resampling | None,
    unseen: bool,
) -> tuple[Face, ...]:
    """The second look at one picture, published in `size`: the bare faces in it, in pixels of the photo."""
    known, revealed = frame.known.get(look.rendering, ()), frame.made.revealed
    if resampling is None:
        return check_faces(look, known, revealed, masks, size, settings.recipe, unseen)
    known = tuple((resampling.into(box), sketch) for box, sketch in known)
    revealed = tuple(face.moved(resampling.into) for face in revealed)
    regions = [resampling.region(region) for region in frame.regions(settings)]
    masks = draw(regions, size, feather=settings.cover.feather)
    missed = check_faces(look, known, revealed, masks, size, settings.recipe, unseen)
    return tuple(face.moved(resampling.back) for face in missed)


def _report(
    status: Status,
    settings: Pipeline,
    photo: Photo,
    before: Contents,
    frames: Sequence[_Frame],
    watch: Stopwatch,
    *,
    encoded: Encoded | None = None,
    kept: tuple[str, ...] = (),
    protections: tuple[tuple[Protection, ...], ...] = (),
) -> Report:
    return Report(
        status=status,
        format=photo.format,
        size=photo.size,
        frames=photo.frames,
        detections=tuple(frame.faces for frame in frames),
        doubtful=tuple(frame.doubtful for frame in frames),
        effect=settings.table()["effect"],
        cover=settings.cover,
        carriers=_carriers(before),
        kept=kept,
        verified=tuple(name for name in CHECKS if status is not Status.PERTURBED or name != "concealed")
        if encoded
        else (),
        path=encoded.path if encoded else "",
        notes=encoded.notes if encoded else (),
        risks=tuple(settings.risks()),
        pipeline=settings.hash(),
        milliseconds=watch.milliseconds,
        revealed=tuple(frame.made.revealed for frame in frames),
        replaced=tuple(frame.made.replaced for frame in frames),
        areas=tuple(frame.made.areas for frame in frames),
        ambiguous=tuple(frame.ambiguous for frame in frames),
        faceless=tuple(frame.faceless(settings) for frame in frames),
        protections=protections,
    )


def _carriers(contents: Contents) -> tuple[Carrier, ...]:
    """What of the original is no picture and no structure; parts of one name are one line."""
    sizes: dict[tuple[str, str], int] = {}
    for part in contents.parts:
        if part.kind not in {Kind.STRUCTURE, Kind.PIXELS} and not part.inside:
            key = (part.name, str(part.kind))
            sizes[key] = sizes.get(key, 0) + part.length
    return tuple(Carrier(name, kind, size) for (name, kind), size in sizes.items())
