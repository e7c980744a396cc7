"""What a worker does with one photo: from where it lies, through the anonymizer, to the output and its ledger."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePath

import tomli_w

from cloak.anonymizer import anonymize
from cloak.decisions import Decisions, dump
from cloak.errors import Conflict, DecisionsUnfit, NotWritten, OutputError
from cloak.files import printable, read
from cloak.identity import sealed, unchanged
from cloak.intake import Item, is_among
from cloak.job import Job
from cloak.ledger import Ledger, companion
from cloak.photo import open_photo
from cloak.place import Place
from cloak.provenance import signed
from cloak.records import Entry, Origin, Records
from cloak.report import Outcome, attempt, failed
from cloak.result import Status
from cloak.reviews import Reviews, Word
from cloak.scaled import thumbnail
from cloak.sidecars import UNWRITTEN, fit, keep, says, sidecar
from cloak.store import Folder, Store
from cloak.withdrawal import Gone, take_back, take_back_older, withdraw


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker answers: the outcome, and the record that a ledger in a store gets once the photo is published."""

    outcome: Outcome
    record: tuple[str, Entry] | None = None


def set_up() -> None:
    """In a new worker: one thread each, models loaded when they are first needed."""
    import cv2

    cv2.setNumThreads(1)


def open_store(place: Place) -> Store:
    """The output at a place. Raises `OutputError` when it cannot be used."""
    if isinstance(place, Path):
        return Folder(place)
    from cloak.bucket import Bucket

    return Bucket(place)


def open_ledger(place: Place, *, lock: bool = True) -> Records:
    """The ledger at a place; the run itself takes its lock. Raises `OutputError` when it cannot be used."""
    if isinstance(place, Path):
        return Ledger(place, lock=lock)
    from cloak.parts import Parts

    return Parts(place, lock=lock)


def work(item: Item, *, job: Job) -> Done:
    """One photo, in a worker. Only an error of the set-up is raised; whatever is wrong with the photo is an outcome."""
    return _guarded(item, job, lambda source, gone: _photo(item, source, job, gone))


def treatment(job: Job, ledger: Records) -> str:
    """The hash under which a ledger knows how a photo was treated: pipeline, signer, people to keep."""
    digest = job.pipeline.hash() + (job.signer.digest if job.signer else "")
    if job.people is not None:
        # Whoever joins or leaves the people to keep has the photos done again. Keyed as originals are: without this
        # ledger's secret nobody can look the portraits up.
        digest = sha256((digest + ledger.key(job.people.seal)).encode()).hexdigest()
    return digest


def release(item: Item, job: Job, decisions: Decisions, content: str) -> Outcome:
    """One photo as a person decided, by the same steps as in a run; to be called in a worker that `set_up` prepared.

    Args:
        item: the photo.
        job: its output folder, pipeline, key and ledger are used.
        decisions: with a verdict.
        content: the ledger's key of the bytes that the person saw; others are withheld.
    """
    if decisions.verdict == "hold":
        return _guarded(item, job, lambda source, gone: _hold(item, source, job, gone, content)).outcome
    return _guarded(item, job, lambda source, gone: _photo(item, source, job, gone, decisions, content)).outcome


def _guarded(item: Item, job: Job, steps: Callable[[str, Gone], Done]) -> Done:
    source, gone = printable(item.source), Gone()
    answer = attempt(source, lambda: steps(source, gone), job.debug)
    done = Done(answer) if isinstance(answer, Outcome) else answer
    return replace(done, outcome=replace(done.outcome, withdrawn=tuple(gone.names), replaces=gone.replaces))


_OPENED: dict[tuple[Place, Place], tuple[Store, Records]] = {}


def _edges(out: Place, records: Place) -> tuple[Store, Records]:
    """One connection a worker; its parent holds the lock."""
    if (out, records) not in _OPENED:
        while _OPENED:
            _OPENED.popitem()[1][1].close()
        _OPENED[out, records] = open_store(out), open_ledger(records, lock=False)
    return _OPENED[out, records]


def _fetch(item: Item, limit: int) -> bytes:
    if isinstance(item.source, Path):
        return read(item.source, limit)
    from cloak.bucket import fetch

    return fetch(item, limit)


def _photo(
    item: Item, source: str, job: Job, gone: Gone, decisions: Decisions | None = None, content_seen: str | None = None
) -> Done:
    while True:
        with contextlib.suppress(Conflict):  # somebody decided in the middle of it: once more, by what counts now
            return _treat(item, source, job, gone, decisions, content_seen)


def _treat(
    item: Item, source: str, job: Job, gone: Gone, decisions: Decisions | None, content_seen: str | None
) -> Done:
    limit = job.pipeline.limits.bytes
    if job.dry_run:
        given = decided(item, item.own or item.name, job) if decisions is None else decisions
        photo = _fetch(item, limit)
        _fit(given, photo, job)
        result = anonymize(photo, job.pipeline, key=job.key, decisions=given, people=job.people)
        return Done(Outcome(source, "", result.report.status, result.report, glance=result.glance))

    store, ledger = _edges(job.out, job.records)
    reviews = Reviews(ledger) if isinstance(ledger, Ledger) else None
    target = printable(item.name)
    known, origin = ledger.find(target), _origin(item, job)
    shown = known.content if known and known.published else None
    showed = ledger.source(target) if shown is not None and isinstance(ledger, Ledger) else None
    other = printable(showed) if showed is not None and origin is not None and showed != origin.source else ""
    own = _own_name(item, ledger, job) if decisions is None else item.name

    def noted(given: Decisions | None) -> bool:  # whose others' are says nothing of a photo that is new here
        return reviews is not None and reviews.tell(target, given if known else None)

    try:
        given = decided(item, own, job, noted) if decisions is None else None
    except DecisionsUnfit:
        withdraw(item.name, store, ledger, known, origin)  # somebody may have decided otherwise
        gone.replaces = other
        raise
    digest, again = treatment(job, ledger), job.force or content_seen is not None
    stale = _refuse_foreign(item, store, known, job)
    aliases = set[str]()
    if isinstance(ledger, Ledger):
        aliases = ledger.aliases(target, ledger.own_name(target) or item.name, origin.source if origin else None)
    if known is not None:
        word = reviews.word(target, known.content, given, aliases) if reviews else Word()
        stale = bool(known.pipeline != digest or content_seen is not None or word.adopted or word.pending)
    if stale:
        known = withdraw(item.name, store, ledger, known, origin)  # even if the original can no longer be read
        gone.replaces = other
    # A store tells by its version that a photo is unchanged; of a file, only the bytes tell.
    data = None if item.version else _fetch(item, limit)
    content = ledger.key(item.version.encode() if data is None else data)
    gone.replaces = other if content != shown else ""
    if content_seen not in {None, content}:
        raise DecisionsUnfit("the original has changed since it was searched", next_step="Run cloak on it again.")
    word = reviews.word(target, content, given, aliases) if reviews else Word()
    if decisions not in {None, word.decisions}:
        raise DecisionsUnfit(
            "somebody has decided otherwise since, or holds the same photo under another name",
            next_step="Look at the latest verdict on each of its names.",
        )
    again = again or word.adopted is not None or word.pending
    if known and not again and (known.content, known.pipeline) == (content, digest):
        if known.published is None:
            accepted = word.decisions is not None and word.decisions.verdict == "accept"
            unchanged = not accepted and store.standing(item.name) is None
        else:
            as_decided = known.row.get("decided", "") == _mark(word.decisions)
            released = word.decisions is None or word.decisions.verdict != "hold"
            unchanged = as_decided and released and known.published == store.standing(item.name)
        if unchanged:
            status, name = Status(known.row["status"]), known.row.get("target", "")
            place = job.out / item.name if name and isinstance(job.out, Path) else None
            if place is not None and isinstance(store, Folder):
                # An earlier run may have been told otherwise. Whose file it is by now may not let us set any.
                with contextlib.nullcontext() if job.preserve_times else contextlib.suppress(NotWritten):
                    store.date(item.name, _times(item, job))
            return Done(Outcome(source, name, status, earlier=known.row, thumbnail=_thumbnail(place, job)))
    if known and known.content != content:
        known = withdraw(item.name, store, ledger, known, origin)
    if data is None:
        data = _fetch(item, limit)
        if hold := reviews.held(ledger.key(data)) if reviews else None:  # of a file with the same bytes
            word = replace(word, decisions=hold, held=True)
    try:
        times = _times(item, job)
        _fit(word.adopted, data, job)
        made = anonymize(data, job.pipeline, key=job.key, decisions=word.decisions, people=job.people)
        result = signed(made, job.signer)
    except Exception as error:
        take_back(store, ledger, content, digest, None, gone, held=word.held)
        return Done(failed(source, error, job.debug))
    outcome = Outcome(
        source, target if result.data else "", result.report.status, result.report,
        glance=result.glance, thumbnail=_thumbnail(result.data, job),
    )  # fmt: skip
    published = sha256(result.data).hexdigest() if result.data else None
    if reviews is not None and decisions is None and (word.adopted is not None or (word.pending and word.version)):
        given = word.adopted
        word = reviews.adopt(target, content, word, result.report.size) if given is not None else word
        try:
            _keep(item, own, word.decisions, given, data, job, namesake=reviews.replaces(target, content))
        except NotWritten as error:  # of what is held or changed nothing stands, all the same
            take_back(store, ledger, content, digest, item.name, gone, held=word.held)
            return Done(failed(source, error, job.debug))
    entry = Entry(content, digest, published, outcome.row() | {"decided": _mark(word.decisions)})
    # Before its row goes: nothing stands that the ledger does not know.
    if not result.data:
        take_back(store, ledger, content, digest, item.name, gone, held=word.held)
    elif isinstance(ledger, Ledger):
        withdraw(item.name, store, ledger, known)
        if origin is not None:
            take_back_older(store, ledger, content, digest, _mark(word.decisions), item.name, origin.source, gone)
    turn = None
    if isinstance(ledger, Ledger) and reviews is not None:
        # The row comes first, with the digest of what is about to stand there: a kill in between leaves a row that does
        # not fit the disk, so the photo is done again; the other order would leave a file that nobody knows. (An
        # object in a store carries its own digest, so that its row can come after, with others.)
        ledger.record(target, entry, origin, partial(reviews.check, target, content, word))
        turn = reviews.unchanged(target, content, word, published)
    if result.data:
        try:
            store.publish(item.name, result.data, times, turn)
        except NotWritten:
            if isinstance(ledger, Ledger) and store.standing(item.name) != published:
                ledger.record(target, replace(entry, published=None, pipeline=""), origin)  # to be done again
            raise
    if reviews is not None and word.version:
        reviews.carried_out(target, word.version)
    return Done(outcome, None if isinstance(ledger, Ledger) else (target, entry))


def _hold(item: Item, source: str, job: Job, gone: Gone, content: str) -> Done:
    """Keep a photo unpublished; what was published of it, or of its very bytes under another name, is withdrawn."""
    store, ledger = _edges(job.out, job.records)
    take_back(store, ledger, content, "", item.name, gone, held=True)
    return Done(Outcome(source, "", Status.HELD))


def _origin(item: Item, job: Job) -> Origin | None:
    """What a review needs to treat a photo again; photos in a store are not reviewed."""
    if not isinstance(item.source, Path):
        return None
    settings = tomli_w.dumps(job.pipeline.table())
    return Origin(item.source.absolute(), item.name, job.pipeline.hash(), job.pipeline.name, settings)


def _times(item: Item, job: Job) -> float | None:
    """When the original was modified, if that is to be kept. Raises `NotWritten` where nobody can tell any more."""
    try:
        return item.path.stat().st_mtime if job.preserve_times else None
    except OSError:
        raise NotWritten(
            "when its original was modified cannot be told: it is not there any more",
            next_step="Put it back, or run without --preserve-times.",
        ) from None


def _own_name(item: Item, ledger: Records, job: Job) -> PurePath:
    """The name of a photo below its input, under which its decisions are kept: names that are given differ between
    runs. Raises `NotWritten` where its published name is already that of another photo."""
    given = ledger.own_name(printable(item.name)) if isinstance(ledger, Ledger) else None
    if given is not None and job.pipeline.names == "keep":
        raise NotWritten("an earlier run gave its name to another photo", next_step="Name another folder with --out.")
    return item.own or given or item.name


def decided(
    item: Item, own: PurePath, job: Job, noted: Callable[[Decisions | None], bool] = lambda _: False
) -> Decisions | None:
    """The decisions that belong to a photo by its own name, if it is given any; see `sidecar`.

    Raises `DecisionsUnfit`.
    """
    if job.decisions is None:
        return None

    def sealed_there(given: Decisions) -> bool:
        return unchanged(given.of, _fetch(item, job.pipeline.limits.bytes))

    found = sidecar(job.decisions, own, namesake=item.namesake, akin=item.akin, noted=noted, mine=sealed_there)
    # Where a person must accept photos, a verdict on another export is no verdict on this one.
    holds = job.pipeline.review == "required" or job.pipeline.no_face == "hold"
    return replace(found, verdict=None) if found is not None and found.verdict == "accept" and holds else found


def _fit(decisions: Decisions | None, data: bytes, job: Job) -> None:
    """See `fit`; of a single file of decisions its user says that it is the photo's."""
    if decisions is not None and job.decisions is not None and job.decisions.is_dir():
        fit(decisions, data)


def _keep(
    item: Item, own: PurePath, made: Decisions | None, given: Decisions | None, data: bytes, job: Job, *, namesake: bool
) -> None:
    """What counts here now counts for exports that get this folder's decisions, too.

    Args:
        made: what counts.
        given: the sidecar that it was taken from. None: a run or a review was killed before it wrote this folder's, and
            nobody knows any more who else has the name: it is for the very file only.
        namesake: it takes the place of what was decided about another photo of its name.
    """
    if made is not None and isinstance(job.records, Path):
        namesake = namesake or item.namesake or given is None or given.namesake
        akin = item.akin or (given is not None and given.akin)
        decisions = replace(made, namesake=namesake, akin=akin, of=sealed(data))
        try:
            folder = Folder(companion(job.records, "decisions"), private=True)
        except OutputError as error:
            raise NotWritten(
                f"what was decided is stored, but not written for other exports: {error}", next_step=UNWRITTEN
            ) from None
        if given is not None or not says(folder, own, decisions):
            keep(folder, own, decisions, data)


def _mark(decisions: Decisions | None) -> str:
    """Tells what was decided about the picture from anything else that may be; "" of nothing."""
    if decisions is None:
        return ""
    picture = replace(decisions, verdict=None, reason="", reviewer="", at="")
    return sha256(dump(picture.alone())).hexdigest()[:16]


def _thumbnail(published: bytes | Path | None, job: Job) -> bytes | None:
    """A small picture of what is published, never of what came in."""
    if not job.thumbnails or published is None:
        return None
    data = read(published, job.pipeline.limits.bytes) if isinstance(published, Path) else published
    return thumbnail(open_photo(data, job.pipeline.limits))


def _refuse_foreign(item: Item, store: Store, known: Entry | None, job: Job) -> bool:
    """Nothing that cloak did not write is replaced unless the user forces it, and never an original: whether anything
    stands there."""
    original = NotWritten("its output would replace an original", next_step="Name another folder with --out.")
    if store.original(item.name, (item.source, *job.inputs)):
        raise original
    # That the ledger knows the name says nothing of whose file stands there: only the bytes do.
    standing = store.standing(item.name)
    if standing is None or store.ours(standing, known.published if known else None):
        return standing is not None
    if not job.force:
        raise NotWritten(
            "a file that cloak did not write has its name in the output folder",
            next_step="Move that file away, or use --force to replace it.",
        )
    if isinstance(job.out, Path) and is_among(job.out / item.name, job.inputs, job.out):
        raise original
    return True
