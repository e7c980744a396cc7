"""What a file holds besides its picture, and whose faces the picture shows: for a look before anything is published."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from cloak import metadata
from cloak.detect import Face, find, united
from cloak.detect.recipe import NEVER, RECIPES, named
from cloak.errors import UnknownName, Withheld
from cloak.geometry import Size
from cloak.metadata.base import Contents, Fact, Kind, Part
from cloak.metadata.listing import PLACE
from cloak.photo import Limits, open_photo
from cloak.thumbnails import differing
from cloak.verify import looks

REFUSABLE = ("faces", "places")
"""What a file can be refused for."""

_FACE_FACTS = {"face", "region"}


@dataclass(frozen=True, slots=True)
class Inspection:
    """Faces and carriers of a file.

    Attributes:
        contents: every part of the container.
        size: of the upright picture; None if it does not open.
        faces: of all frames.
        differing: further pictures in the file that show something else, or were not looked at.
        fault: why it does not open, or is not read to its end.
        bytes: length of the file.
    """

    contents: Contents
    size: Size | None
    faces: tuple[Face, ...]
    fault: str
    bytes: int
    differing: tuple[Fact, ...] = ()

    def tells(self, of: Collection[str]) -> list[str]:
        """What a file tells, or may tell, of `REFUSABLE` things: a few words each, without values; none if it is safe.

        What cannot be read may hold anything, and a thumbnail often shows who was cropped out of its picture.
        """
        found = [self.fault] if self.fault else []
        if not self.contents.format:
            return found
        if "faces" in of and self.faces:
            found.append(f"{len(self.faces)} face{'s' if len(self.faces) > 1 else ''}")
        pictures = {part.name for part in self.contents.parts if part.kind is Kind.IMAGE}
        for part in self.contents.parts:
            if part.inside not in pictures:
                found += _told(part, of)
        return list(dict.fromkeys(found))

    def document(self, show_values: bool = False) -> dict[str, Any]:
        """For JSON and tables; places only with `show_values`."""
        facts = sorted(
            (*self.differing, *(fact for part in self.contents.parts for fact in part.facts)),
            key=lambda fact: (fact.rank, fact.label),
        )
        shown = []
        for fact in facts:
            hidden = fact.rank == PLACE and not show_values
            shown.append(
                {"label": fact.label, "value": "(use --show-values)" if hidden else fact.value, "rank": fact.rank}
            )
            if show_values and (link := _map(fact)):
                shown.append({"label": "on the map", "value": link, "rank": fact.rank})
        return {
            "format": self.contents.format,
            "width": self.size.width if self.size else 0,
            "height": self.size.height if self.size else 0,
            "bytes": self.bytes,
            "frames": self.contents.frames,
            "fault": self.fault,
            "facts": shown,
            "faces": msgspec.to_builtins(self.faces),
            "carriers": [
                {"name": part.name, "kind": str(part.kind), "bytes": part.length, "inside": part.inside}
                for part in self.contents.parts
                if part.kind not in {Kind.STRUCTURE, Kind.PIXELS}
            ],
        }


def _map(fact: Fact) -> str:
    """A link that shows a position; whoever follows it tells the map's owner of the place."""
    if (fact.label, fact.rank) != ("GPS position", PLACE):  # a file's own words may look like the label, as in tEXt
        return ""
    latitude, longitude = fact.value.split(", ")
    return f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}#map=16/{latitude}/{longitude}"


def inspect(data: bytes, recall: str = "balanced", limits: Limits = Limits()) -> Inspection:  # noqa: B008 - frozen
    """Read a file without changing it; what does not decode is still walked as far as it goes."""
    if recall not in RECIPES:
        raise UnknownName("recall", recall, tuple(RECIPES))
    contents = metadata.read(data)
    faces: list[Face] = []
    size, fault, others = None, contents.fault, tuple[Fact, ...]()
    try:
        photo = open_photo(data, limits)
        size = photo.size
        others = tuple(differing(data, contents, photo, limits))
        for frame in range(photo.frames):
            how = named(recall, persons=NEVER)
            search = united([find(look, photo.size, how) for look in looks(photo, frame)])
            faces += (*search.faces, *search.doubtful)
    except Withheld as error:
        fault = fault or str(error)
    return Inspection(contents, size, tuple(faces), fault, len(data), others)


def _told(part: Part, of: Collection[str]) -> list[str]:
    if part.kind is Kind.UNKNOWN:
        return [f"bytes of no known meaning ({part.name})"]
    if part.name.endswith("MakerNote"):
        return ["a maker note, which may name faces and places"]
    told = []
    if "faces" in of:
        told += [f"another picture ({part.name})"] if part.kind is Kind.IMAGE else []
        told += ["names or places of faces" for fact in part.facts if fact.label in _FACE_FACTS]
    if "places" in of:
        told += ["GPS"] if "GPS" in part.name else [fact.label for fact in part.facts if fact.rank == PLACE]
    return told
