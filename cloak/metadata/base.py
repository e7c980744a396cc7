"""What a reader of carriers returns: every byte of a container, named."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a part of a container is for."""

    STRUCTURE = "structure"  # headers, tables, palette: needed to decode the picture, and nothing more
    PIXELS = "pixels"  # the picture's own coded pixels
    COLOUR = "colour"  # ICC profile, gamma, chromaticities, colour-space tags
    METADATA = "metadata"  # EXIF, XMP, IPTC, text, times, manifests
    IMAGE = "image"  # another picture: thumbnail, preview, MPF, gain map, depth, extra page or frame
    UNKNOWN = "unknown"  # bytes that no rule names: gaps, trailing data, unheard-of chunks


@dataclass(frozen=True, slots=True)
class Fact:
    """One plain statement in a part. `rank` orders by how identifying it is: 0 most (a place), 9 least."""

    label: str
    value: str
    rank: int = 9


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes in a container, or a field inside such a run (`offset` is then that of its value, if known).

    Attributes:
        name: in the format's own words, e.g. "APP1 Exif", "EXIF IFD0 0x8298 Copyright", "PNG tEXt", "after EOI".
        kind: what it is for.
        offset, length: in bytes of the file.
        facts: what it says; values are personal and stay on the user's side.
        inside: the name of the part that holds this one, or "".
    """

    name: str
    kind: Kind
    offset: int
    length: int
    facts: tuple[Fact, ...] = ()
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """All parts of a file, in the order of their offsets; top-level parts tile the file without gap or overlap.

    Attributes:
        format: "jpeg", "png", "webp", "tiff", "gif", "heif", "avif", "bmp", or "" if it is none of them.
        parts: every part.
        frames: pictures that a viewer would show one after the other (pages, animation).
        fault: why reading stopped early, or "" if the file was walked to its end.
    """

    format: str
    parts: tuple[Part, ...]
    frames: int = 1
    fault: str = ""
