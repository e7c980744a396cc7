"""Decisions that lie beside photos, as `NAME.cloak.json`: found again by the name of the photo that they are about."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from cloak.decisions import SUFFIX, Change, Decisions, dump, parse
from cloak.errors import CloakError, DecisionsUnfit, NotWritten
from cloak.files import read
from cloak.identity import same
from cloak.intake import LeftOut, spoken, without_suffix
from cloak.store import Folder

UNWRITTEN = "Do not use the decisions of this folder for another export of this photo."
"""The next step where one of its verdicts could not be written for other exports."""

COMPANY = 2
"""So many faces tell a picture by where they are."""


def sidecar(
    place: Path,
    own: PurePath,
    *,
    namesake: bool = False,
    akin: bool = False,
    noted: Callable[[Decisions | None], bool] = lambda _: False,
    mine: Callable[[Decisions], bool] = lambda _: False,
) -> Decisions | None:
    """The decisions about a photo; another suffix of the re-export does not matter, nor does case.

    Args:
        place: a folder of sidecars, or the only one.
        own: the photo's name below its input.
        namesake: other inputs of the run have a photo of that name.
        akin: the run has a photo of that name with another suffix.
        noted: whether a ledger tells what was decided about this photo, or whose some decisions are: those that may
            be another's are passed over then.
        mine: whether decisions were made about just these bytes: whoever else has the name, they are about this photo.

    Raises `DecisionsUnfit` when there are some that cannot be read, or may be about another photo: not to apply them
    would reveal or hide the wrong.
    """
    if place.is_dir():
        found = _fitting(place, own)
        if not found:
            return None
        if len(found) > 1:
            raise DecisionsUnfit(
                "several files of decisions have its name", next_step="Keep the one that was made for this photo."
            )
        place = found[0]
        other = spoken(PurePath(place.name)) != spoken(PurePath(own.name + SUFFIX))
    else:
        other = False
    try:
        decisions = parse(read(place, 10_000_000))
    except (CloakError, OSError) as error:
        raise DecisionsUnfit(f"its decisions cannot be used: {error}") from None
    here, there = namesake or (other and akin), decisions.namesake or (other and decisions.akin)
    if not (here or there) or mine(decisions):
        return decisions
    if noted(None if other and (akin or decisions.akin) else decisions):
        return None
    if here:
        raise DecisionsUnfit(
            "several photos of this run have its name: whose the decisions are cannot be told",
            next_step="Run cloak alone on the one that they are about.",
        )
    raise DecisionsUnfit(
        "several photos had its name where the decisions were made: whose they are cannot be told",
        next_step="Take its file out of the folder of decisions, and review this export itself.",
    )


def fit(decisions: Decisions, data: bytes) -> None:
    """Make sure that decisions which were found by a photo's name leave no face bare in another one.

    Faces around it are looked for where they were (`cloak.decisions.apply`); a single face lies at the same place in
    many portraits: the file must be the same, or taken at the same moment. Raises `DecisionsUnfit`.
    """
    about_faces = [change for change in decisions.changes if change.face is not None]
    seen = min((_seen(decisions, change) for change in about_faces), default=COMPANY)
    if seen < COMPANY and same(decisions.of, data) is None:
        raise DecisionsUnfit(
            "by its name alone it cannot be told whether it is the photo in which a person decided about a face"
        )


def keep(folder: Folder, own: PurePath, decisions: Decisions, data: bytes | None) -> None:
    """Lay a photo's decisions into a folder of sidecars, for other exports.

    Args:
        data: the photo; None if it is not there any more. Decisions of its name about anything else that are replaced
            leave the new ones marked as a namesake's: by the name alone nobody gets either.

    Raises `NotWritten`, without older ones.
    """
    name = own.with_name(own.name + SUFFIX)
    another, akin = _before(folder.path(name), data)
    decisions = replace(decisions, namesake=decisions.namesake or another, akin=decisions.akin or akin)
    try:
        folder.publish(name, dump(decisions))
    except NotWritten as error:
        with contextlib.suppress(NotWritten):
            folder.withdraw(name)
        raise NotWritten(
            f"what was decided is stored, but not written for other exports: {error}",
            next_step=UNWRITTEN,
        ) from None


def says(folder: Folder, own: PurePath, decisions: Decisions) -> bool:
    """Whether a photo's sidecar in a folder already says what was decided."""
    try:
        return parse(read(folder.path(own.with_name(own.name + SUFFIX)), 10_000_000)).alone() == decisions.alone()
    except CloakError:
        return False


def _before(place: Path, data: bytes | None) -> tuple[bool, bool]:
    """Whether decisions that stand there are, or may be, about another photo, and whether others had its name but for
    the suffix."""
    if not os.path.lexists(place):
        return False, False
    try:
        old = parse(read(place, 10_000_000))
    except CloakError:
        return True, True
    return old.namesake or data is None or same(old.of, data) is not True, old.akin


def unfitting(place: Path, names: Iterable[PurePath]) -> Iterator[LeftOut]:
    """The sidecars in a folder that are about none of the photos with these names below their inputs."""
    known = {_key(name) for name in names}
    for path in sorted(place.rglob(f"*{SUFFIX}")):
        if _key(path.relative_to(place).with_name(path.name.removesuffix(SUFFIX))) not in known:
            yield LeftOut(path, "decisions that fit no photo of this run")


def _seen(decisions: Decisions, change: Change) -> int:
    """How many faces the person saw in the pictures that a change is about, where fewest."""
    if change.frame is not None:
        return len(decisions.seen[change.frame]) if change.frame < len(decisions.seen) else 0
    return min(map(len, decisions.seen), default=0)


def _fitting(place: Path, own: PurePath) -> list[Path]:
    """The sidecar about a photo of that name, or all that may be."""
    exact = place / own.with_name(own.name + SUFFIX)
    if os.path.lexists(exact):  # of tens of thousands, without a look at the others
        return [exact]
    folders = [place]
    for part in map(spoken, own.parent.parts):
        folders = [path for path in _listed(folders) if spoken(path.name) == part and path.is_dir()]
    sidecars = [path for path in _listed(folders) if path.name.endswith(SUFFIX)]
    whole, stem = spoken(exact.name), _stem(own.name)
    same = [path for path in sidecars if spoken(path.name) == whole]
    return same or [path for path in sidecars if _stem(path.name.removesuffix(SUFFIX)) == stem]


def _listed(folders: list[Path]) -> list[Path]:
    try:
        return [path for folder in folders for path in folder.iterdir()]
    except OSError as error:
        raise DecisionsUnfit(f"the folder of its decisions cannot be read: {error.strerror}") from None


def _key(name: PurePath) -> tuple[str, str]:
    return spoken(name.parent), _stem(name.name)


def _stem(name: str) -> str:
    return spoken(without_suffix(name))
