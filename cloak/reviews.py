"""What people decided about the photos of an output folder: the latest word on each, and every verdict ever given.

The tables lie in the ledger (`cloak.ledger`), so that what was decided and what was published stand or fall together.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cloak.decisions import Decisions, dump, fitted, parse
from cloak.errors import Conflict, DecisionsUnfit, LedgerDamaged, UsageError
from cloak.geometry import Size
from cloak.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The latest word on a photo.

    Attributes:
        version: counts changes and verdicts; 0 before the first.
        content: the ledger's key of the bytes that the person saw.
        decisions: the latest; None before the first.
        done: the version that the output folder shows; a verdict of a later one is still to be carried out.
        failure: why it could not be; "" if nothing failed.
    """

    version: int = 0
    content: str = ""
    decisions: Decisions | None = None
    done: int = 0
    failure: str = ""

    @property
    def verdict(self) -> str | None:
        return self.decisions.verdict if self.decisions else None


@dataclass(frozen=True, slots=True)
class Word:
    """What people said about a photo that is to be treated.

    Attributes:
        decisions: to be applied; None: nobody decided.
        adopted: the sidecar that they were taken from, if the ledger does not have them yet.
        held: a person holds just these bytes, under whatever name.
        pending: the output folder does not show the latest verdict yet.
        version: what is carried out with the decisions; 0: no verdict in the ledger.
        versions: of every review that was looked at, by name.
    """

    decisions: Decisions | None = None
    adopted: Decisions | None = None
    held: bool = False
    pending: bool = False
    version: int = 0
    versions: dict[str, int] = field(default_factory=dict)


class Reviews:
    """The decisions in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def latest(self, name: str) -> Reviewed:
        """The latest word on a photo."""
        return self._reviewed("name = ?", (name,)).get(name, Reviewed())

    def all(self) -> dict[str, Reviewed]:
        """The latest word on every photo that somebody touched."""
        return self._reviewed("1", ())

    def tell(self, name: str, sidecar: Decisions | None) -> bool:
        """Whether it is known here what was decided about a photo, or of which photo a sidecar's decisions are."""
        if self.latest(name).decisions is not None or sidecar is None:
            return self.latest(name).decisions is not None
        text = dump(sidecar.alone()).decode()
        return bool(self._ledger.query("SELECT 1 FROM verdict WHERE decisions = ? LIMIT 1", (text,)))

    def word(self, name: str, content: str, sidecar: Decisions | None = None, aliases: Collection[str] = ()) -> Word:
        """What counts for a photo: what was decided about it in this folder, or the sidecar if that is newer.

        Args:
            name: of the photo.
            content: the ledger's key of its bytes.
            sidecar: that was given for it.
            aliases: names that it has here beside this one.
        """
        about = self._about((name, *aliases), content)
        versions = {name: review.version for name, review in about.items()}
        own = about.pop(name, Reviewed())
        changed = [other for other in about.values() if other.content != content and other.decisions is not None]
        review = own if own.decisions is not None or not about else max(changed or about.values(), key=_weight)
        held = self._holds(content, about, but=name if own.content == content else "")
        if held:  # under whatever name, until it is lifted there
            review = held[0]
        logged = self._logged((name, *about))
        latest = review.decisions
        started = latest is not None and any(_is_taken(latest, then) for then in logged)
        decisions, adopted = _binding(review, content, started), None
        unfinished = latest is not None and latest.verdict is None and not started
        if sidecar is not None and not held and not unfinished:
            if latest is not None and logged and _is_adopted(sidecar, latest, logged[-1]):
                decisions, adopted = (latest, None) if review.content == content else (sidecar, sidecar)
            elif latest is None or not _overtaken(sidecar, latest, logged):
                decisions = adopted = sidecar
        carried = review is own and own.verdict is not None and own.content == content and adopted is None
        return Word(
            decisions, adopted,
            held=adopted.verdict == "hold" if adopted else review.verdict == "hold" and review.content == content,
            pending=own.verdict is not None and own.done != own.version,
            version=own.version if carried else 0,
            versions=versions,
        )  # fmt: skip

    def check(self, name: str, content: str, word: Word, published: str | None = None) -> None:
        """Raise `Conflict` where somebody has decided about a photo since its word was asked for.

        Args:
            name, content, word: as for `word`.
            published: what must still be the digest in its record; None: whatever is.
        """
        known = self._ledger.find(name) if published else None
        versions = {other: review.version for other, review in self._about((name, *word.versions), content).items()}
        own = self.latest(name).content == content
        missed = not word.held and self._holds(content, {}, but=name if own else "")
        if versions != word.versions or missed or (known and known.published != published):
            raise Conflict("somebody decided about this photo in the meantime")

    @contextlib.contextmanager
    def unchanged(self, name: str, content: str, word: Word, published: str | None) -> Iterator[None]:
        """Nobody decides about a photo while the block lasts, and nobody has since: see `check`."""
        with self._ledger.transaction():
            self.check(name, content, word, published)
            yield

    def decide(self, name: str, version: int, content: str, decisions: Decisions) -> Reviewed:
        """Store what a person changed or decided, on the disk when this returns.

        Args:
            name: of the photo.
            version: that the person saw.
            content: the ledger's key of the bytes that the person saw.
            decisions: with a verdict they are logged for good; `at` is set here.

        Raises `Conflict` when somebody else was faster, `OutputError` when the disk fails.
        """
        made = replace(decisions, at=_now())
        return self._store(name, version, content, made, made if made.verdict is not None else None)

    def adopt(self, name: str, content: str, word: Word, size: Size) -> Word:
        """Store decisions that a run took from a sidecar, and is to carry out on a photo of `size`.

        Raises `Conflict`, `OutputError` as `decide`.
        """
        assert word.adopted is not None
        given = word.adopted.alone()  # what it is about is known from now on
        made = replace(fitted(given, size), at=given.at or _now())
        review = self._store(name, word.versions.get(name, 0), content, made, given)
        versions = word.versions | {name: review.version}
        return replace(word, decisions=made, version=review.version, versions=versions)

    def _store(self, name: str, version: int, content: str, made: Decisions, logged: Decisions | None) -> Reviewed:
        with self._ledger.transaction() as db:
            found = db.execute("SELECT version, done FROM review WHERE name = ?", (name,)).fetchone() or (0, 0)
            if found[0] != version:
                raise Conflict("somebody else changed or decided this photo in the meantime")
            # A hold is lifted by a verdict on the same bytes alone, by none on others and by no draft.
            db.execute(
                "INSERT OR REPLACE INTO hold SELECT name, content, decisions FROM review "
                "WHERE name = ? AND json_extract(decisions, '$.verdict') = 'hold'",
                (name,),
            )
            if made.verdict is not None:  # ... and where their own name has gone to others, under whatever name
                db.execute(
                    "DELETE FROM hold WHERE content = ?1 AND (name = ?2 OR name IN "
                    "(SELECT name FROM review WHERE content <> ?1))",
                    (content, name),
                )
            db.execute(
                "INSERT OR REPLACE INTO review VALUES (?, ?, ?, ?, ?, '')",
                (name, version + 1, content, dump(made).decode(), found[1]),
            )
            if logged is not None:
                db.execute(
                    "INSERT INTO verdict (name, at, reviewer, verdict, decisions) VALUES (?, ?, ?, ?, ?)",
                    (name, _now(), logged.reviewer, logged.verdict or "", dump(logged).decode()),
                )
        return Reviewed(version + 1, content, made, found[1])

    def carried_out(self, name: str, version: int, failure: str = "") -> None:
        """Note that the output folder shows the verdict of a version, or why it does not."""
        with self._ledger.transaction() as db:
            if failure:
                db.execute("UPDATE review SET failure = ? WHERE name = ? AND version = ?", (failure, name, version))
            else:
                db.execute("UPDATE review SET done = ?, failure = '' WHERE name = ?", (version, name))

    def verdicts(self, name: str) -> list[dict[str, Any]]:
        """Every verdict on a photo, oldest first: who, when, what."""
        rows = self._ledger.query(
            "SELECT at, reviewer, verdict, decisions FROM verdict WHERE name = ? ORDER BY id", (name,)
        )
        return [
            {"at": at, "reviewer": reviewer, "verdict": verdict, "decisions": json.loads(text)}
            for at, reviewer, verdict, text in rows
        ]

    def held(self, content: str) -> Decisions | None:
        """The hold of just these bytes, under whatever name, if there is one."""
        holds = self._holds(content, self._reviewed("content = ?", (content,)))
        return holds[0].decisions if holds else None

    def replaces(self, name: str, content: str) -> bool:
        """Whether other bytes of a name are held: what is said of these would pass for a word on them elsewhere."""
        return bool(self._ledger.query("SELECT 1 FROM hold WHERE name = ? AND content <> ?", (name, content)))

    def _holds(self, content: str, about: Mapping[str, Reviewed], but: str = "") -> list[Reviewed]:
        """Holds of just these bytes: those among the latest words, and those that others took the place of, unless they
        are of the name `but`, where the latest word counts."""
        rows = self._ledger.query("SELECT decisions FROM hold WHERE content = ? AND name <> ?", (content, but))
        overwritten = (Reviewed(content=content, decisions=_told(text)) for (text,) in rows)
        words = (*about.values(), *overwritten)
        return [review for review in words if (review.content, review.verdict) == (content, "hold")]

    def _about(self, names: Collection[str], content: str) -> dict[str, Reviewed]:
        """The latest word on a photo, and on those of other names that have just these bytes."""
        return self._reviewed(f"name IN ({', '.join('?' * len(names))}) OR content = ?", (*names, content))

    def _reviewed(self, condition: str, values: tuple[object, ...]) -> dict[str, Reviewed]:
        rows = self._ledger.query(
            f"SELECT name, version, content, decisions, done, failure FROM review WHERE {condition}",  # noqa: S608
            values,
        )
        return {name: Reviewed(version, key, _told(text), *rest) for name, version, key, text, *rest in rows}

    def _logged(self, names: Sequence[str]) -> list[Decisions]:
        """Every verdict on some photos, and every sidecar that a run took for them, oldest first."""
        marks = ", ".join("?" * len(names))
        rows = self._ledger.query(
            f"SELECT decisions FROM verdict WHERE name IN ({marks}) ORDER BY id",  # noqa: S608
            tuple(names),
        )
        return [_told(text) for (text,) in rows]


def _binding(review: Reviewed, content: str, started: bool) -> Decisions | None:
    """What was decided about a photo in an earlier review into the same folder: a run that starts over must neither
    undo it nor apply it to other bytes. What it `started` from, a sidecar whose verdict does not count there, is no
    review that nobody has finished."""
    if review.decisions is None:
        return None
    if review.content == content and (review.verdict is not None or started):
        return review.decisions
    changed = "the original has changed since its review" if review.content != content else "its review is not finished"
    return Decisions(review.decisions.size, verdict="hold", reason=changed)


def _weight(review: Reviewed) -> tuple[bool, str]:
    """Of several reviews of the same bytes one that is not finished counts most, then the latest."""
    return review.verdict is None, review.decisions.at if review.decisions else ""


def _is_adopted(sidecar: Decisions, latest: Decisions, logged: Decisions) -> bool:
    """Whether a photo's latest word is what the sidecar says, and nothing was drafted since."""
    return _is_taken(latest, logged) and _as_given(sidecar, logged)


def _is_taken(latest: Decisions, logged: Decisions) -> bool:
    """Whether a photo's latest word is one that was logged, and nothing was drafted since."""
    try:
        return replace(fitted(logged, latest.size), at=logged.at or latest.at) == latest
    except DecisionsUnfit:
        return False


def _overtaken(sidecar: Decisions, latest: Decisions, logged: Sequence[Decisions]) -> bool:
    """Whether what people decided here is newer than a sidecar: where nobody can tell, a hold is."""
    if any(_as_given(sidecar, then) for then in logged):
        return True  # it had its turn
    if latest.verdict == "hold":
        return not _later(sidecar.at, latest.at)
    changed = any(sidecar.at == then.at for then in logged)  # by hand, since it had its turn
    return not changed and _later(latest.at, sidecar.at)


def _as_given(sidecar: Decisions, logged: Decisions) -> bool:
    """Whether a verdict is the sidecar's: where review is required, that one is taken without its "accept"."""
    given, then = (replace(one, verdict=None) if one.verdict == "accept" else one for one in (sidecar, logged))
    return given == then


def _later(at: str, then: str) -> bool:
    """Whether one moment is known to come after another."""
    try:
        return datetime.fromisoformat(at) > datetime.fromisoformat(then)
    except (TypeError, ValueError):
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _told(text: Any) -> Decisions:
    try:
        return parse(text.encode())
    except (AttributeError, UnicodeEncodeError, UsageError):
        raise LedgerDamaged from None
