"""The desk: the photos that wait for a person, who has which, and what was decided. No pixels, no HTTP.

Everything that must survive a restart lies in the ledger; claims live in memory, as their holders do.
"""

import contextlib
import hmac
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from cloak.bursts import Bare
from cloak.decisions import Change, Decisions, check, refused
from cloak.errors import Conflict, NotFound, UsageError, Withheld
from cloak.files import read
from cloak.identity import sealed
from cloak.intake import Item, spoken, without_suffix
from cloak.job import Job
from cloak.ledger import Ledger, companion, lock_file
from cloak.provenance import Signer
from cloak.records import beside
from cloak.report import flagged
from cloak.review.case import Case, Claim
from cloak.review.neighbours import Neighbours
from cloak.review.queue import Doubt, doubt
from cloak.reviews import Reviewed, Reviews
from cloak.sidecars import keep
from cloak.store import Folder

LEASE = 45.0
"""Seconds for which a claim holds without a sign of life; pages send one every 10."""


class Desk:
    """The photos of one output folder. Not for several threads at once.

    Args:
        out: the output folder of a run.
        ledger: where its ledger lies; None: beside it.
        signer: signs what is accepted; None: nobody.

    Raises `OutputError` when there is no ledger, or another review of the folder is open.
    """

    def __init__(self, out: Path, ledger: Path | None = None, signer: Signer | None = None) -> None:
        self.out, self.place, self._signer = out, ledger or beside(out), signer
        if not self.place.exists():
            raise UsageError(
                "there is no record of a run beside this folder",
                next_step="Name the --out of a `cloak run`, or its ledger with --ledger.",
            )
        self._claims: dict[str, Claim] = {}
        self._withdrawn: dict[str, tuple[str, ...]] = {}
        self._stamp: object = None
        self.neighbours = Neighbours()
        self.cases: dict[str, Case] = {}
        with contextlib.ExitStack() as opened:
            self._lock = lock_file(companion(self.place, "review.lock"), "another review of this folder is open")
            opened.callback(os.close, self._lock)
            self._ledger = opened.enter_context(Ledger(self.place, lock=False))
            self._ledger.query("SELECT 1 FROM path LIMIT 1", ())  # an earlier version's: a run comes first
            self._reviews = Reviews(self._ledger)
            self._sidecars = Folder(companion(self.place, "decisions"), private=True)
            self.refresh()
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def key(self, data: bytes) -> str:
        """The ledger's key of a photo's bytes."""
        return self._ledger.key(data)

    def refresh(self) -> bool:
        """Read the ledger again if a run or a worker wrote to it; True if so."""
        stamp = self._ledger.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        reviews = self._reviews.all()
        cases: list[Case] = []
        for name, entry, origin in self._ledger.origins():
            id_ = self._id(name)
            case = Case(
                id_, name, entry, origin, Doubt.REST, 0.0, reviews.get(name, Reviewed()), self.neighbours.bare(id_),
                self._withdrawn.get(id_, ()),
            )  # fmt: skip
            reason, rank = doubt(flagged(entry.row, case.bare), len(case.settings.recipe.models))
            cases.append(replace(case, reason=reason, rank=rank))
        order = list(Doubt)
        self.cases = {
            case.id: case for case in sorted(cases, key=lambda case: (order.index(case.reason), case.rank, case.name))
        }
        self.neighbours.arrange(cases)
        return True

    def case(self, id_: str) -> Case:
        """Raises `NotFound`."""
        if id_ not in self.cases:
            raise NotFound("there is no such photo on the desk")
        return self.cases[id_]

    def uncompared(self) -> tuple[Case, list[Case]] | None:
        """A photo that waits and is to be compared with its neighbours in a burst, and these."""
        while ids := self.neighbours.next():
            case, *beside = (self.cases[id_] for id_ in ids)
            if case.state == "waiting":
                return case, beside
        return None

    def compared(self, case: Case, bare: tuple[Bare, ...]) -> None:
        """Take note of what a photo shows bare; its place in the queue follows with the next `refresh`."""
        if self.neighbours.found(case.id, bare):
            self._stamp = None

    # Claims

    def claim(self, id_: str, client: str, editor: str) -> None:
        """Take a photo, or show that one is still at it. Raises `Conflict` if somebody else has it."""
        holder = self.holder(self.case(id_).id)
        if holder is not None and holder.client != client:
            raise Conflict(
                f"{holder.editor or 'another editor'} is looking at this photo", next_step="Take another one meanwhile."
            )
        self._claims[id_] = Claim(client, editor, time.monotonic() + LEASE)

    def holder(self, id_: str) -> Claim | None:
        """Who has a photo now."""
        claim = self._claims.get(id_)
        return claim if claim is not None and claim.until > time.monotonic() else None

    def leave_others(self, client: str, id_: str) -> list[str]:
        """Give back all that a page had but one photo."""
        return [other for i in list(self._claims) if i != id_ for other in self.leave(client, i)]

    def leave(self, client: str, id_: str | None = None) -> list[str]:
        """Give back one photo, or everything that a page had; the ids of what is free now."""
        freed = [i for i, claim in self._claims.items() if claim.client == client and id_ in {None, i}]
        for i in freed:
            del self._claims[i]
        return freed

    def lapsed(self) -> list[str]:
        """End the claims without a sign of life; the ids of what is free now."""
        ended = [i for i in self._claims if self.holder(i) is None]
        for i in ended:
            del self._claims[i]
        return ended

    # Decisions

    def change(self, id_: str, client: str, editor: str, version: int, changes: Sequence[Change]) -> Case:
        """Store what a person changed so far. Raises `Conflict`, `UsageError`."""
        case = self._held(id_, client)
        return self._decide(case, version, self._decisions(case, editor, changes))

    def accept(self, id_: str, client: str, editor: str, version: int) -> Case:
        """Release a photo; a worker then writes it. Raises `Conflict`."""
        case = self._held(id_, client)
        return self._decide(case, version, replace(self._decisions(case, editor, case.changes), verdict="accept"))

    def hold(self, id_: str, client: str, editor: str, version: int, reason: str) -> Case:
        """Keep a photo unpublished; a worker then withdraws what was published of it. Raises `Conflict`."""
        case = self._held(id_, client)
        made = replace(self._decisions(case, editor, case.changes), verdict="hold", reason=reason[:1000])
        check(made)
        return self._decide(case, version, made)

    def settle(self, id_: str, version: int, failure: str = "", withdrawn: tuple[str, ...] = ()) -> Case:
        """Note that a verdict was carried out, or why it was not, and names of what was withdrawn with it."""
        case = self.case(id_)
        self._withdrawn[id_] = withdrawn
        self._reviews.carried_out(case.name, version, failure)
        self._stamp = None
        self.refresh()
        return self.case(id_)

    def unfinished(self) -> list[Case]:
        """Photos that were accepted and not yet written, e.g. because the server was stopped."""
        return [case for case in self.cases.values() if case.state == "publishing"]

    def task(self, case: Case, key: bytes) -> tuple[Item, Job, Decisions, str]:
        """What a worker needs to carry out a verdict; see `cloak.work.release`."""
        assert case.review.decisions is not None
        job = Job((), self.out, case.settings, key=key, ledger=self.place, signer=self._signer)
        return Item(case.origin.source, case.origin.target), job, case.review.decisions, case.review.content

    def _held(self, id_: str, client: str) -> Case:
        case = self.case(id_)
        holder = self.holder(id_)
        if holder is None or holder.client != client:
            who = f"{holder.editor or 'another editor'} has" if holder else "nobody has"
            raise Conflict(f"{who} claimed this photo: nothing was stored", next_step="Open the photo again.")
        return case

    def _decisions(self, case: Case, editor: str, changes: Sequence[Change]) -> Decisions:
        seen = tuple(tuple(face.box for face in frame) for frame in case.found())
        made = Decisions(case.size, tuple(changes), seen, reviewer=editor)
        check(made)
        if words := refused(made, case.settings.permitted):
            raise UsageError(words)
        return made

    def _decide(self, case: Case, version: int, decisions: Decisions) -> Case:
        review = self._reviews.decide(case.name, version, case.entry.content, decisions)
        case = replace(case, review=review)
        self.cases[case.id] = case
        self.neighbours.changed(case)
        return case

    def keep(self, case: Case) -> None:
        """Write a verdict's sidecar; one of an earlier verdict does not stay. To be called when the verdict is on its
        way, which it is whatever becomes of the sidecar. Raises `NotWritten`."""
        assert case.review.decisions is not None
        # Under its own name: numbers and random names differ between runs.
        own = self._own_name(case)
        others = [other for other in self.cases.values() if other.entry.content != case.entry.content]
        names = {self._own_name(other) for other in others}
        replaces = self._reviews.replaces(case.name, case.review.content)
        namesake = replaces or any(spoken(name) == spoken(own) for name in names)
        akin = any(spoken(without_suffix(str(name))) == spoken(without_suffix(str(own))) for name in names)
        seen = self._seen(case)
        decisions = replace(
            case.review.decisions, namesake=namesake, akin=akin, of="" if seen is None else sealed(seen)
        )
        keep(self._sidecars, own, decisions, seen)

    def _own_name(self, case: Case) -> PurePath:
        """The name of a photo below its input."""
        published = self._ledger.own_name(case.name) or case.origin.target
        return published.with_name(case.origin.source.name)

    def _id(self, name: str) -> str:
        return hmac.digest(self._ledger.secret, b"review|" + name.encode(), "sha256").hex()[:20]

    def _seen(self, case: Case) -> bytes | None:
        """The file that the person decided about; None where something else lies in its place by now."""
        try:
            data = read(case.origin.source, case.settings.limits.bytes)
        except Withheld:
            return None
        return data if self.key(data) == case.review.content else None
