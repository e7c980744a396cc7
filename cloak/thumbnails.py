"""Further pictures in a file that show something else than its picture: what was cropped away, or painted over."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cloak.errors import Withheld
from cloak.geometry import RGB
from cloak.metadata import sniff
from cloak.metadata.base import Contents, Fact, Kind
from cloak.metadata.listing import IMAGE
from cloak.photo import Limits, Photo, open_photo

ALIKE = 0.9
"""Correlation from which two sketches show the same. Of 43 real photos with further pictures in them two fall below:
one that shows the scene before it was cropped, and one with an older photo behind its end."""

_SIDE = 24
_DARK = 30  # bars beside a thumbnail of other proportions
_MOST = 20  # pictures that are compared
_HEADER = 64  # bytes that may stand before a picture: the header of its segment

_Sketch = npt.NDArray[np.float32]


def differing(data: bytes, contents: Contents, photo: Photo, limits: Limits) -> Iterator[Fact]:
    """A fact for every thumbnail, preview or further picture of a file that does not look like its photo, and one for
    those that were not looked at: damaged, too many, or too large.

    Args:
        data: the file.
        contents: its parts.
        photo: the file, opened.
        limits: the photo's; its further pictures together may cost as much as itself.
    """
    large, left = _sketch(_glance(photo)), limits.pixels
    seen, unseen = set[tuple[int, int]](), list[str]()
    for part in contents.parts:
        place = (part.offset, part.length)
        head = data[part.offset : part.offset + min(part.length, 2 * _HEADER)]
        start = max(head.find(b"\xff\xd8\xff", 0, _HEADER), 0)
        if part.kind is not Kind.IMAGE or place in seen or not sniff(head[start:]):
            continue
        seen.add(place)
        if len(seen) > _MOST:
            unseen.append(part.name)
            continue
        try:
            body = data[part.offset + start : part.offset + part.length]
            other = open_photo(body, replace(limits, pixels=left, frames=1))
            left -= other.size.pixels
            small = _glance(other)
        except Withheld:
            unseen.append(part.name)
            continue
        if max(_likeness(turned, large) for form in (small, _trimmed(small)) for turned in _turns(form)) < ALIKE:
            size = f"{other.size.width}x{other.size.height}"
            yield Fact("differs from the picture", f"{part.name}, {size}: cropped, edited, or another picture", IMAGE)
    if unseen:
        more = f" and {len(unseen) - 1} more" if len(unseen) > 1 else ""
        yield Fact("not compared with the picture", f"{unseen[0]}{more}: damaged, too many, or too large", IMAGE)


def _glance(photo: Photo) -> RGB:
    """The upright picture, reduced if it is large."""
    return photo.preview(8 if photo.size.pixels > 1_000_000 else 1)


def _trimmed(picture: RGB) -> RGB:
    """Without dark bars along its edges."""
    bright = picture.max(axis=2) > _DARK
    rows, columns = np.flatnonzero(bright.mean(axis=1) > 0.1), np.flatnonzero(bright.mean(axis=0) > 0.1)
    if not rows.size or not columns.size:
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _turns(picture: RGB) -> Iterator[_Sketch]:
    """As it is stored, and the other ways that EXIF's orientation may turn it."""
    sketch = _sketch(picture)
    for quarters in range(4):
        yield np.rot90(sketch, quarters)
        yield np.rot90(sketch, quarters)[:, ::-1]


def _sketch(picture: RGB) -> _Sketch:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _likeness(a: _Sketch, b: _Sketch) -> float:
    """Correlation; two flat pictures are alike if their brightness is."""
    if min(float(a.std()), float(b.std())) < 2:
        return 1.0 if abs(float(a.mean() - b.mean())) < 8 and abs(float(a.std() - b.std())) < 2 else 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
