"""What a file holds besides its picture, and whose faces the picture shows: for a look before anything is published."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from cloak import metadata
from cloak.detect import Face, find
from cloak.detect.recipe import RECIPES
from cloak.errors import UnknownName, Withheld
from cloak.geometry import Size
from cloak.metadata.base import Contents, Kind
from cloak.photo import Limits, open_photo


@dataclass(frozen=True, slots=True)
class Inspection:
    """Faces and carriers of a file.

    Attributes:
        contents: every part of the container.
        size: of the upright picture; None if it does not open.
        faces: of all frames.
        fault: why it does not open, or is not read to its end.
        bytes: length of the file.
    """

    contents: Contents
    size: Size | None
    faces: tuple[Face, ...]
    fault: str
    bytes: int

    def document(self, show_values: bool = False) -> dict[str, Any]:
        """For JSON and tables; places only with `show_values`."""
        facts = sorted(
            (fact for part in self.contents.parts for fact in part.facts), key=lambda fact: (fact.rank, fact.label)
        )
        shown = []
        for fact in facts:
            hidden = fact.rank == 0 and not show_values
            shown.append(
                {"label": fact.label, "value": "(use --show-values)" if hidden else fact.value, "rank": fact.rank}
            )
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


def inspect(data: bytes, recall: str = "balanced", limits: Limits = Limits()) -> Inspection:  # noqa: B008 - frozen
    """Read a file without changing it; what does not decode is still walked as far as it goes."""
    if recall not in RECIPES:
        raise UnknownName("recall", recall, tuple(RECIPES))
    contents = metadata.read(data)
    faces: list[Face] = []
    size, fault = None, contents.fault
    try:
        photo = open_photo(data, limits)
        size = photo.size
        for frame in range(photo.frames):
            search = find(partial(photo.preview, frame=frame), photo.size, RECIPES[recall])
            faces += (*search.faces, *search.doubtful)
    except Withheld as error:
        fault = fault or str(error)
    return Inspection(contents, size, tuple(faces), fault, len(data))
