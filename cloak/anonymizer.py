"""One photo, pure: bytes and a pipeline in, publishable bytes and a report out. The whole contract on one page."""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from cloak import effects, metadata
from cloak.bursts import Glance, glance
from cloak.clock import Stopwatch
from cloak.detect import Face, find
from cloak.detect.cover import cover
from cloak.effects import Noise
from cloak.errors import VerificationFailed
from cloak.geometry import Mask, Pixels, Region, Size, draw
from cloak.metadata.base import Contents, Kind
from cloak.metadata.fields import read_fields
from cloak.metadata.write import FIELD_CARRIERS
from cloak.photo import open_photo
from cloak.photo.base import Encoded, Output, Photo
from cloak.pipeline import Cover, Pipeline, load
from cloak.verify import CHECKS, Look, Sketch, check_container, check_faces

ROUNDS = 3
"""How often a photo is concealed again because the second look found a face; then it is withheld."""


class Status(StrEnum):
    """What became of a photo."""

    CONCEALED = "concealed"  # published; every face found is concealed
    NO_FACE = "no-face"  # published stripped; no face was found, which is not the same as none being there
    HELD = "held"  # not published: no face was found, and the pipeline wants a person to look
    WITHHELD = "withheld"  # not published: something failed


@dataclass(frozen=True, slots=True)
class Carrier:
    """A part of the original that the published file does not have: its name, kind and bytes, never its values."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to one photo, in words and numbers that may be logged: no pixels, places, values or hashes of it.

    Attributes:
        status: what became of it.
        format, size, frames: of the photo, upright.
        detections: the faces concealed, one tuple a frame.
        doubtful: weak hits that were left bare, one tuple a frame: a person should look.
        effect: name and settings of what replaced the faces.
        cover: how faces became areas.
        carriers: what was removed.
        kept: names of the metadata fields that were written anew.
        verified: names of the checks that the published bytes passed.
        path: "spliced", "recoded-coefficients" or "re-encoded".
        notes: what a careful user would want to know.
        risks: why the settings are below the floor, if `accept_risk` allowed it.
        pipeline: hash of the pipeline.
        milliseconds: wall clock a step.
    """

    status: Status
    format: str
    size: Size
    frames: int
    detections: tuple[tuple[Face, ...], ...]
    doubtful: tuple[tuple[Face, ...], ...]
    effect: dict[str, object]
    cover: Cover
    carriers: tuple[Carrier, ...]
    kept: tuple[str, ...]
    verified: tuple[str, ...]
    path: str
    notes: tuple[str, ...]
    risks: tuple[str, ...]
    pipeline: str
    milliseconds: dict[str, float]

    @property
    def faces(self) -> int:
        return sum(len(frame) for frame in self.detections)

    @property
    def needs_review(self) -> bool:
        """Published, or held, with something that a person should look at."""
        return self.status is Status.HELD or any(self.doubtful)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one photo.

    Attributes:
        data: the bytes to publish; None if the photo is held.
        regions: what was concealed, one tuple a frame, in pixels of the upright photo.
        report: what was done.
        glance: what the published photo (its first picture) looks like from afar, to compare it with its neighbours in
            a burst; for this run's memory only.
    """

    data: bytes | None
    regions: tuple[tuple[Region, ...], ...]
    report: Report
    glance: Glance | None = None


def anonymize(data: bytes, pipeline: str | Pipeline = "photographer", *, key: bytes | None = None) -> Result:
    """Conceal every face in a photo, strip all metadata, and prove both on the bytes returned.

    Args:
        data: a whole image file: JPEG, PNG, WebP, TIFF, GIF, BMP, HEIC or AVIF.
        pipeline: a name ("photographer", "newsroom", "cms"), the path of a TOML file, or a `Pipeline`.
        key: secret that seeds the effects' noise; the same bytes, pipeline and key give the same output. None draws
            one that nobody keeps.

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
    with watch("detect"):
        frames = [_search(photo, frame, settings) for frame in range(photo.frames)]

    if not any(frame.faces for frame in frames) and settings.no_face == "hold":
        return Result(None, (), _report(Status.HELD, settings, photo, before, frames, watch))

    noise = Noise(hmac.digest(key or secrets.token_bytes(32), hashlib.sha256(data).digest(), "sha256"))
    if "disclosure" in settings.keep and any(frame.faces for frame in frames):
        fields = replace(fields, disclosure=settings.disclosure)
    output = Output(
        fields=fields,
        icc="icc" in settings.keep,
        profile=settings.profile,
        quality=settings.quality,
        optimize=settings.optimize,
        bake_orientation=settings.bake_orientation,
    )
    for _ in range(ROUNDS):
        with watch("conceal"):
            masks = [frame.masks(settings, photo.size) for frame in frames]
            encoded = photo.conceal(masks, partial(_paint, settings=settings, noise=noise), output)
        with watch("verify"):
            published = open_photo(encoded.data, settings.limits)
            check_container(encoded.data, published, photo, before, data, fields)
            first = Look(published, 0)
            missed = [
                check_faces(look, frame.faces, frame.sketches, drawn, photo.size, settings.recipe)
                for look, frame, drawn in zip(_looks(published, first), frames, masks, strict=True)
            ]
        if not any(missed):
            break
        frames = [
            frame.with_faces(new, Look(photo, i)) for i, (frame, new) in enumerate(zip(frames, missed, strict=True))
        ]
    else:
        raise VerificationFailed(f"{sum(map(len, missed))} faces are still bare after {ROUNDS} rounds")

    status = Status.CONCEALED if any(frame.faces for frame in frames) else Status.NO_FACE
    kept = tuple(name for name in FIELD_CARRIERS if getattr(fields, name) is not None)
    report = _report(status, settings, photo, before, frames, watch, encoded=encoded, kept=kept)
    seen = glance(first.image, masks[0], [face.box for face in frames[0].faces], photo.size)
    return Result(encoded.data, tuple(frame.regions(settings) for frame in frames), report, seen)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is known of one picture of the photo: faces, sketches of them to compare with later, and weak hits."""

    faces: tuple[Face, ...]
    sketches: tuple[Sketch, ...]
    doubtful: tuple[Face, ...]

    def regions(self, settings: Pipeline) -> tuple[Region, ...]:
        shape, scale = settings.cover.shape, settings.cover.scale
        return tuple(cover(face, shape=shape, scale=scale) for face in self.faces)

    def masks(self, settings: Pipeline, size: Size) -> list[Mask]:
        """What is to be painted; windows show no more of the surroundings than the effect looks at."""
        return draw(self.regions(settings), size, feather=settings.cover.feather, margin=settings.effect.margin)

    def with_faces(self, new: Sequence[Face], look: Look) -> "_Frame":
        """With faces that the second look found."""
        if not new:
            return self
        return replace(
            self, faces=(*self.faces, *new), sketches=(*self.sketches, *(look.sketch(face.box) for face in new))
        )


def _looks(photo: Photo, first: Look) -> Iterator[Look]:
    """At each picture; one preview is held at a time, and the first."""
    yield first
    yield from (Look(photo, number) for number in range(1, photo.frames))


def _search(photo: Photo, number: int, settings: Pipeline) -> _Frame:
    look = Look(photo, number)
    search = find(look, photo.size, settings.recipe)
    return _Frame(search.faces, tuple(look.sketch(face.box) for face in search.faces), search.doubtful)


def _paint(pixels: Pixels, mask: Mask, frame: int, *, settings: Pipeline, noise: Noise) -> Pixels:
    return effects.conceal(pixels, mask, settings.effect, noise.child(frame, mask.left, mask.top))


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
        verified=CHECKS if encoded else (),
        path=encoded.path if encoded else "",
        notes=encoded.notes if encoded else (),
        risks=tuple(settings.risks()),
        pipeline=settings.hash(),
        milliseconds=watch.milliseconds,
    )


def _carriers(contents: Contents) -> tuple[Carrier, ...]:
    """What of the original is no picture and no structure; parts of one name are one line."""
    sizes: dict[tuple[str, str], int] = {}
    for part in contents.parts:
        if part.kind not in {Kind.STRUCTURE, Kind.PIXELS} and not part.inside:
            key = (part.name, str(part.kind))
            sizes[key] = sizes.get(key, 0) + part.length
    return tuple(Carrier(name, kind, size) for (name, kind), size in sizes.items())
