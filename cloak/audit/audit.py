"""The audit itself: every adversary against what was published, figure by figure."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cloak import recognise
from cloak.audit import adversary, figures
from cloak.audit.adversary import CLASSIFIERS, PARTS, Lesson, Numbers
from cloak.audit.figures import Rate, Scores
from cloak.audit.lpips import lpips
from cloak.audit.shots import Shot, search
from cloak.audit.treat import LATER
from cloak.geometry import RGB
from cloak.recognise import Embeddings, Frame, Landmarks, chips

Publish = Callable[[Shot, int], RGB | None]
"""(shot, draw) -> the picture as published; None if it was not. Draw 0 is what was published; others are what an
adversary makes by the same effect with other noise, to learn from."""

FOUND = 0.3
"""Intersection over union from which a face that is found in a published picture is the one that was concealed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How thorough an audit is.

    Attributes:
        recognisers: names of `cloak.recognise.CARDS`.
        classifiers: names of `CLASSIFIERS`.
        later: names of `LATER`.
        probes: photos of each person that are searched for; the rest are the adversary's.
        draws: how many concealed versions of each of its photos a trained adversary makes to learn from.
        splits: "photos": any photos of a person serve as probes; "events": only those of an event of which the
            adversary has no photo.
    """

    recognisers: tuple[str, ...] = field(default_factory=recognise.available)
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    later: tuple[str, ...] = ("as published", "half size, jpeg 85")
    probes: int = 2
    draws: int = 6
    splits: tuple[str, ...] = ("photos", "events")


About = tuple[str, str, str, str, str, str, str, str]
"""What a finding is about: the first fields of `Finding`, `effect` to `split`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure: what one adversary achieved against one effect.

    Attributes:
        effect: name of the treatment.
        adversary: "naive" (clean gallery), "adaptive" (gallery treated alike) or "trained" (on treated photos).
        method: name of the recogniser or classifier.
        role: of the recogniser, see `cloak.recognise.Card`; "" for classifiers.
        part: what was looked at: "face", or a name of `PARTS`.
        place: "landmarks": the adversary knows where the face is; "found": it has to find it.
        later: what became of the published photo.
        split: see `Settings`.
        people, probes: how many there were.
        rank1, rank5: share of probes whose person came first, or among the first five.
        matched: true match rate at a false match rate of 1 in 1,000, the threshold set on clean pairs (adaptive: on
            treated ones); None for classifiers.
        found: share of the faces that are still detected in the published photos.
        absent: photos that were not published, so that nobody attacked them; no probe is one of them.
    """

    effect: str
    adversary: str
    method: str
    role: str
    part: str
    place: str
    later: str
    split: str
    people: int
    probes: int
    rank1: Rate
    rank5: Rate
    matched: Rate | None
    found: Rate
    absent: int = 0

    @property
    def chance(self) -> float:
        return 1 / self.people

    @property
    def about(self) -> About:
        return (
            self.effect, self.adversary, self.method, self.role, self.part, self.place, self.later, self.split,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visible:
    """How much of the photos an effect changed, mean over all: 1, 99 dB and, of LPIPS, 0 are no change.

    None: no photo kept its size, or the weights of LPIPS are not here. `seconds`: CPU time of the effect, a face.
    """

    effect: str
    ssim_photo: float | None
    ssim_face: float | None
    psnr_photo: float | None
    psnr_face: float | None
    lpips_photo: float | None = None
    lpips_face: float | None = None
    seconds: float | None = None


def visible(name: str, shots: Sequence[Shot], publish: Publish) -> Visible:
    """What a viewer sees of an effect."""
    rows, spent = [], 0.0
    for shot in shots:
        started = time.process_time()
        after = publish(shot, 0)
        spent += time.process_time() - started
        if after is None or after.shape != shot.image.shape:
            continue
        box = shot.face.box.clipped(shot.size)
        assert box is not None
        part = slice(int(box.y), int(box.bottom) + 1), slice(int(box.x), int(box.right) + 1)
        pairs = (shot.image, after), (shot.image[part], after[part])
        rows.append([measure(*pair) for measure in (figures.ssim, figures.psnr, lpips) for pair in pairs])
    means = [None if None in column else float(np.mean(column)) for column in zip(*rows, strict=True)]
    faces = sum(len(shot.faces) for shot in shots)
    return Visible(name, *[*(means or [None] * 6), round(spent / faces, 4)])


def split(shots: Sequence[Shot], how: str, probes: int) -> tuple[list[Shot], list[Shot]]:
    """(what the adversary has, what it searches for); everybody is in the first."""
    known, wanted = [], []
    for person in sorted({shot.person for shot in shots}):
        own = [shot for shot in shots if shot.person == person]
        if how == "photos":
            chosen = own[-min(probes, len(own) - 1) :]
        else:
            events = sorted({shot.session for shot in own})
            sizes = {event: sum(shot.session == event for shot in own) for event in events}
            # The rarest event is searched for: what is left to learn from is as much as can be.
            event = min(events, key=lambda number: (sizes[number], number))
            chosen = [shot for shot in own if shot.session == event][:probes] if len(events) > 1 else []
            own = [shot for shot in own if shot.session != event or len(events) == 1]
        wanted += chosen
        known += [shot for shot in own if not any(shot is other for other in chosen)]
    return known, wanted


Clean = dict[tuple[str, str], tuple[Embeddings, float]]
"""Split and recogniser -> embeddings of the adversary's clean photos, and the threshold on clean pairs."""


def audit(
    name: str,
    shots: Sequence[Shot],
    publish: Publish,
    settings: Settings,
    clean: Clean | None = None,
    known: Collection[About] = (),
) -> Iterator[Finding]:
    """All findings on one effect, as they come.

    Args:
        name: of the effect.
        shots: photos of all people.
        publish: gives a shot as published.
        settings: how thorough to be.
        clean: filled with what does not depend on the effect; hand it to the audits of other effects on these shots.
        known: what is known from an earlier audit and is not looked for again.
    """
    clean, known = {} if clean is None else clean, frozenset(known)
    for how in settings.splits:
        theirs, wanted = split(shots, how, settings.probes)
        if wanted:
            yield from _searches(name, how, theirs, wanted, publish, settings, clean, known)
            yield from _trainings(name, how, theirs, wanted, publish, settings, known)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Aligned pictures of shots, and which of the faces were found."""

    pictures: RGB
    found: np.ndarray


def _look(
    shots: Sequence[Shot], pictures: Sequence[RGB | None], frames: Sequence[Frame], place: str, jiggle: int = 0
) -> dict[Frame, _Seen]:
    """The shots' faces in each of the frames."""
    marks: list[Landmarks | None] = []
    for shot, picture in zip(shots, pictures, strict=True):
        marks.append(None if picture is None else _landmarks(shot, picture, place, jiggle))
    found = np.array([mark is not None for mark in marks], np.bool_)
    out = {}
    for frame in dict.fromkeys(frames):
        rows = np.zeros((len(shots), frame.side, frame.side, 3), np.uint8)
        for i, (mark, picture) in enumerate(zip(marks, pictures, strict=True)):
            if mark is not None and picture is not None:
                rows[i] = chips(picture, [mark], frame)[0]
        out[frame] = _Seen(rows, found)
    return out


def _landmarks(shot: Shot, picture: RGB, place: str, jiggle: int) -> Landmarks | None:
    factor = picture.shape[1] / shot.image.shape[1]
    if place == "found":
        near = [face for face in search(picture, "fast") if face.box.iou(shot.face.box.scaled(factor)) >= FOUND]
        return near[0].landmarks if near else None
    points = np.array(shot.face.landmarks, np.float64) * factor
    if jiggle:  # alignment is never the same twice: more to learn from one picture
        rng = np.random.default_rng(jiggle)
        size = float(np.linalg.norm(points[1] - points[0]))
        turn, scale, move = rng.normal(0, 0.03), 1 + rng.normal(0, 0.03), rng.normal(0, 0.03, 2) * size
        matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        points = (points - points.mean(0)) @ matrix.T + points.mean(0) + move
    return [(float(x), float(y)) for x, y in points]


def _later(pictures: Sequence[RGB | None], later: str) -> list[RGB | None]:
    return [None if picture is None else LATER[later](picture) for picture in pictures]


def _searches(
    name: str,
    how: str,
    theirs: Sequence[Shot],
    wanted: Sequence[Shot],
    publish: Publish,
    settings: Settings,
    clean: Clean,
    known: frozenset[About],
) -> Iterator[Finding]:
    def missing(model: str, later: str, place: str) -> dict[str, About]:
        role = recognise.CARDS[model].role
        every: dict[str, About] = {
            kind: (name, kind, model, role, "face", place, later, how) for kind in ("naive", "adaptive")
        }
        return {kind: about for kind, about in every.items() if about not in known}

    rounds = [(later, place) for later in settings.later for place in ("landmarks", "found")]
    models = [recognise.load(m) for m in settings.recognisers if any(missing(m, *which) for which in rounds)]
    if not models:
        return
    frames = [model.frame for model in models]
    shown, published = _published(wanted, publish)
    if not shown:
        return
    owners, truth = _people(theirs), _people(shown)
    treated = [publish(shot, 1) for shot in theirs]
    absent = len(wanted) - len(shown) + sum(picture is None for picture in treated)
    like_theirs = _look(theirs, treated, frames, "landmarks")
    galleries = []
    for model in models:
        if (how, model.name) not in clean:
            pair = (
                _look(group, [shot.image for shot in group], [model.frame], "landmarks") for group in (theirs, wanted)
            )
            rows, probes_clean = (model(seen[model.frame].pictures) for seen in pair)
            limit = figures.threshold(adversary.search(probes_clean, rows, owners), _people(wanted))
            clean[how, model.name] = rows, limit
        alike = np.where(like_theirs[model.frame].found[:, None], model(like_theirs[model.frame].pictures), 0)
        galleries.append((clean[how, model.name][0], alike, clean[how, model.name][1]))
    for later, place in rounds:
        if not any(missing(model.name, later, place) for model in models):
            continue
        probes = _look(shown, _later(published, later), frames, place)
        for model, (bare, alike, limit) in zip(models, galleries, strict=True):
            left, seen = missing(model.name, later, place), probes[model.frame]
            probed = model(seen.pictures[seen.found]) if left and seen.found.any() else None
            for kind, about in left.items():
                scores = np.full((len(truth), int(owners.max()) + 1), -np.inf)
                if probed is not None:
                    scores[seen.found] = adversary.search(probed, bare if kind == "naive" else alike, owners)
                own = scores[np.arange(len(truth)), truth]
                # Faces concealed alike are alike, whoever they are: an adversary sets its threshold among them.
                bar = limit if kind == "naive" else figures.threshold(scores[seen.found], truth[seen.found])
                yield _finding(about, scores, truth, figures.share(own > bar, truth), seen.found, absent)


def _trainings(
    name: str,
    how: str,
    theirs: Sequence[Shot],
    wanted: Sequence[Shot],
    publish: Publish,
    settings: Settings,
    known: frozenset[About],
) -> Iterator[Finding]:
    def missing(part: str, method: str) -> dict[str, About]:
        every: dict[str, About] = {
            later: (name, "trained", method, "", part, "landmarks", later, how) for later in settings.later
        }
        return {later: about for later, about in every.items() if about not in known}

    parts = [part for part in PARTS if any(missing(part, method) for method in settings.classifiers)]
    if not parts:
        return
    frames = [PARTS[part] for part in parts]
    shown, published = _published(wanted, publish)
    if not shown:
        return
    truth, people = _people(shown), int(_people([*theirs, *wanted]).max()) + 1
    draws = range(1, settings.draws + 1)
    lessons = [
        _look(theirs, [publish(shot, draw) for shot in theirs], frames, "landmarks", jiggle=draw - 1) for draw in draws
    ]
    bare = [_look(theirs, [shot.image for shot in theirs], frames, "landmarks", jiggle=draw - 1) for draw in draws]
    owners = np.concatenate([_people(theirs)] * len(lessons))
    probes = {later: _look(shown, _later(published, later), frames, "landmarks") for later in settings.later}
    absent = len(wanted) - len(shown) + int((~lessons[0][frames[0]].found).sum())
    for part, frame in zip(parts, frames, strict=True):
        usable = np.concatenate([lesson[frame].found for lesson in lessons])
        concealed, before = (
            adversary.pixels(np.concatenate([seen[frame].pictures for seen in every])) for every in (lessons, bare)
        )
        lesson = Lesson(concealed[usable], owners[usable], before, owners)
        for method in settings.classifiers:
            left = missing(part, method)
            if not left:
                continue
            # Fitted once, asked about the same photos in every later state.
            rows = adversary.pixels(np.concatenate([probes[later][frame].pictures for later in left]))
            every_score = adversary.trained(CLASSIFIERS[method], lesson, rows, people)
            for (later, about), scores in zip(left.items(), np.split(every_score, len(left)), strict=True):
                scores[~probes[later][frame].found] = -np.inf
                yield _finding(about, scores, truth, None, probes[later][frame].found, absent)


def _published(shots: Sequence[Shot], publish: Publish) -> tuple[list[Shot], list[RGB]]:
    """Those that were published, and as what. The others count neither as found nor as not found."""
    pairs = [(shot, picture) for shot in shots if (picture := publish(shot, 0)) is not None]
    return [shot for shot, _ in pairs], [picture for _, picture in pairs]


def _people(shots: Sequence[Shot]) -> Numbers:
    return np.array([shot.person for shot in shots], np.intp)


def _finding(
    about: About,
    scores: Scores,
    truth: Numbers,
    matched: Rate | None,
    found: np.ndarray,
    absent: int,
) -> Finding:
    ranks = figures.rank(scores, truth)
    return Finding(
        *about,
        people=scores.shape[1],
        probes=len(truth),
        rank1=figures.share(ranks < 1, truth),
        rank5=figures.share(ranks < 5, truth),
        matched=matched,
        found=figures.share(found, truth),
        absent=absent,
    )
