"""Frames of a burst on the desk: a face that one conceals and the next shows bare, whatever run either came with.

They are compared while people review, since what a person draws in one frame is news for the next. Originals are read
again where they are; what is kept of each is a picture of 64 by 48 pixels, in memory.
"""

import contextlib
from bisect import bisect_left
from collections.abc import Sequence

from cloak.bursts import GLANCE, NEIGHBOURS, Bare, Glance, bare_in, glance_at, known
from cloak.review.case import Case
from cloak.review.pictures import Kept, Pictures, applied, masks

MEMORY = 20_000_000
"""Bytes of small pictures: two thousand photos."""


class Neighbours:
    """Which photos are to be compared with those beside them, and what came of it."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._shot: list[Case] = []  # in the order of their names, as frames of a burst lie
        self._waiting: dict[str, None] = {}
        self._bare: dict[str, tuple[Bare, ...]] = {}

    def arrange(self, cases: Sequence[Case]) -> None:
        """Take the photos of the desk; those that are new or were searched again are to be compared."""
        earlier, self._cases = self._cases, {case.id: case for case in cases}
        self._shot = sorted(cases, key=lambda case: case.origin.source)
        for case in self._shot:
            if case.id not in earlier or earlier[case.id].entry != case.entry:
                self.changed(case)

    def changed(self, case: Case) -> None:
        """Something else is concealed in a photo now: it and its neighbours are to be compared again."""
        for id_ in (case.id, *self._beside(case)):
            self._waiting[id_] = None

    def next(self) -> tuple[str, ...]:
        """The id of a photo to be compared, and those of its neighbours; nothing if none is."""
        while self._waiting:
            id_ = next(iter(self._waiting))
            del self._waiting[id_]
            if id_ in self._cases:
                return (id_, *self._beside(self._cases[id_]))
        return ()

    def found(self, id_: str, bare: tuple[Bare, ...]) -> bool:
        """Take note of what a photo shows bare; whether that is news."""
        news = bare != self.bare(id_)
        self._bare[id_] = bare
        return news

    def bare(self, id_: str) -> tuple[Bare, ...]:
        """What a photo shows bare, and a neighbour has concealed, as far as they were compared."""
        return self._bare.get(id_, ())

    def _beside(self, case: Case) -> list[str]:
        """The neighbours in one folder, the nearest first."""
        source = case.origin.source
        at = bisect_left(self._shot, source, key=lambda other: other.origin.source)
        near = sorted(
            range(max(at - NEIGHBOURS, 0), min(at + NEIGHBOURS + 1, len(self._shot))), key=lambda i: abs(i - at)
        )
        around = [self._shot[i] for i in near if i != at]
        return [other.id for other in around if other.origin.source.parent == source.parent]


class Comparison:
    """Compares photos with their neighbours; may be called from any thread.

    Args:
        pictures: of the cases.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._kept = Kept(MEMORY)

    def bare(self, case: Case, beside: Sequence[Case]) -> tuple[Bare, ...]:
        """The places that a case shows bare, and a neighbour has concealed; each once."""
        found: list[Bare] = []
        for other in beside:
            if other.size == case.size and _conceals(other):
                # An original that is gone, or hostile: whoever opens it is told.
                with contextlib.suppress(Exception):
                    for box in bare_in(self._glance(case), self._glance(other)):
                        if not known(box, [one.box for one in found]):
                            found.append(Bare(box, other.name))
        return tuple(found)

    def _glance(self, case: Case) -> Glance:
        picture = self._kept.get((case.id, case.entry.content), lambda: self._pictures.small(case, GLANCE))
        return glance_at(applied(case, 0), picture, masks(case, 0, 1, case.size), case.size)


def _conceals(case: Case) -> bool:
    made = applied(case, 0)
    return bool(made.faces or made.areas)
