"""What people decided about the photos of an output folder: the latest word on each, and every verdict ever given.

The tables lie in the ledger (`cloak.ledger`), so that what was decided and what was published stand or fall together.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cloak.decisions import Decisions, dump, parse
from cloak.errors import Conflict, LedgerDamaged, UsageError
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


class Reviews:
    """The decisions in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def latest(self, name: str) -> Reviewed:
        """The latest word on a photo."""
        return self.all(name).get(name, Reviewed())

    def all(self, name: str = "") -> dict[str, Reviewed]:
        """The latest word on every photo that somebody touched, or on just one."""
        rows = self._ledger.query(
            "SELECT name, version, content, decisions, done, failure FROM review WHERE ? IN (name, '')", (name,)
        )
        return {name: Reviewed(version, key, _told(text), *rest) for name, version, key, text, *rest in rows}

    def decide(self, name: str, version: int, content: str, decisions: Decisions) -> Reviewed:
        """Store what a person changed or decided, on the disk when this returns.

        Args:
            name: of the photo.
            version: that the person saw.
            content: the ledger's key of the bytes that the person saw.
            decisions: with a verdict they are logged for good; `at` is set here.

        Raises `Conflict` when somebody else was faster, `OutputError` when the disk fails.
        """
        made = replace(decisions, at=datetime.now(UTC).isoformat(timespec="seconds"))
        text = dump(made).decode()
        with self._ledger.transaction() as db:
            found = db.execute("SELECT version, done FROM review WHERE name = ?", (name,)).fetchone() or (0, 0)
            if found[0] != version:
                raise Conflict("somebody else changed or decided this photo in the meantime")
            db.execute(
                "INSERT OR REPLACE INTO review VALUES (?, ?, ?, ?, ?, '')", (name, version + 1, content, text, found[1])
            )
            if made.verdict is not None:
                db.execute(
                    "INSERT INTO verdict (name, at, reviewer, verdict, decisions) VALUES (?, ?, ?, ?, ?)",
                    (name, made.at, made.reviewer, made.verdict, text),
                )
        return Reviewed(version + 1, content, made, found[1])

    def adopt(self, name: str, content: str, decisions: Decisions) -> None:
        """Store decisions that a run took from a sidecar and has carried out."""
        review = self.decide(name, self.latest(name).version, content, decisions)
        self.carried_out(name, review.version)

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


def _told(text: Any) -> Decisions:
    try:
        return parse(text.encode())
    except (AttributeError, UnicodeEncodeError, UsageError):
        raise LedgerDamaged from None
