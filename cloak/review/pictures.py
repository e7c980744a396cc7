"""What the page shows: previews and tiles of an original and of what it becomes. Kept in memory, within bounds; nothing
of an original ever lies on a disk."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from cloak import effects
from cloak.decisions import Applied, Decisions, apply
from cloak.effects import Noise
from cloak.errors import NotFound
from cloak.files import read
from cloak.geometry import RGB, Size
from cloak.masks import Mask, draw
from cloak.photo import open_photo
from cloak.review.case import Case
from cloak.scaled import REDUCTIONS, fitted, jpeg, reduction
from cloak.store import Folder

Side = Literal["original", "result"]

TILE = 512
"""Side of a tile in pixels."""

MEMORY = 400_000_000
"""Bytes of decoded pictures that are kept: two photos of 48 megapixels in full, or hundreds at the size of a screen."""

DECODERS = 2
"""Photos that are decoded at a time."""


class Kept:
    """The arrays that were used last, up to a number of bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[object, RGB] = OrderedDict()
        self._making: dict[object, Future[RGB]] = {}
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], RGB]) -> RGB:
        """The array under a key, made if it is not there; whoever asks meanwhile waits for the same one."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            others = self._making.get(key)
            mine = self._making.setdefault(key, Future())
        if others is not None:
            return others.result()
        try:
            made = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(made)
            self._keep(key, made)
            return made
        finally:
            with self._lock:
                del self._making[key]

    def look(self, key: object) -> RGB | None:
        """The array under a key, if it is there."""
        with self._lock:
            return self._kept.get(key)

    def _keep(self, key: object, made: RGB) -> None:
        with self._lock:
            if made.nbytes <= self._most:
                self._kept[key] = made
                self._size += made.nbytes
            while self._size > self._most:
                self._size -= self._kept.popitem(last=False)[1].nbytes


@dataclass(slots=True)
class Pictures:
    """Pictures of the cases of a desk; may be called from several threads.

    Args:
        desk_key: the ledger's way to tell whether an original is still the one that was searched.
        out: the output folder.
        seed: of the noise of previews; what is published has noise of its own.
    """

    desk_key: Callable[[bytes], str]
    out: Folder
    seed: bytes = field(repr=False)
    _kept: Kept = field(default_factory=lambda: Kept(MEMORY))
    _decoding: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(DECODERS))

    def preview(self, case: Case, side: Side, frame: int, longest: int, quick: bool = False) -> bytes:
        """A JPEG of the whole picture, at most `longest` pixels along its longest side.

        If `quick`, a picture of half of that will do where it is at hand and the whole one would have to be decoded.
        """
        level = reduction(max(case.size.width, case.size.height), longest)
        if quick and not self._at_hand(case, side, frame, level) and self._at_hand(case, side, frame, 2 * level):
            level *= 2
        return jpeg(fitted(self._level(case, side, frame, level), longest))

    def tile(self, case: Case, side: Side, frame: int, level: int, column: int, row: int) -> bytes:
        """A JPEG of one tile of the picture reduced by `level` (1, 2, 4 or 8). Raises `NotFound` beyond the edges."""
        if level not in REDUCTIONS:
            raise NotFound("there is no such tile")
        width, height = (math.ceil(length / level) for length in (case.size.width, case.size.height))
        x, y = column * TILE, row * TILE
        if not (0 <= x < width and 0 <= y < height):
            raise NotFound("there is no such tile")
        return jpeg(self._level(case, side, frame, level)[y : y + TILE, x : x + TILE], 92)

    def small(self, case: Case, size: tuple[int, int]) -> RGB:
        """The original's first picture in so many columns and rows, which is not kept."""
        small = cv2.resize(self._original(case, 0, REDUCTIONS[-1]), size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    def _level(self, case: Case, side: Side, frame: int, level: int) -> RGB:
        if not 0 <= frame < case.frames:
            raise NotFound("there is no such picture")
        key = (case.id, case.entry.content, frame, level)
        if side == "original":
            return self._kept.get(key, lambda: self._reduced(case, frame, level))
        if case.state == "accepted":
            return self._kept.get((*key, case.entry.published), lambda: self._published(case, frame, level))
        return self._kept.get((*key, case.record, case.review.version), lambda: self._concealed(case, frame, level))

    def _at_hand(self, case: Case, side: Side, frame: int, level: int) -> bool:
        """Whether nothing has to be decoded for a picture."""
        if side == "result" and case.state == "accepted":
            return self._kept.look((case.id, case.entry.content, frame, level, case.entry.published)) is not None
        return self._finer(case, frame, level) is not None

    def _finer(self, case: Case, frame: int, level: int) -> RGB | None:
        """The coarsest picture of an original that is kept and is as fine as `level`."""
        kept = (self._kept.look((case.id, case.entry.content, frame, r)) for r in reversed(REDUCTIONS) if r <= level)
        return next((picture for picture in kept if picture is not None), None)

    def _original(self, case: Case, frame: int, level: int) -> RGB:
        data = read(case.origin.source, case.settings.limits.bytes)
        if self.desk_key(data) != case.entry.content:
            raise NotFound("the original has changed since it was searched", next_step="Run cloak on it again.")
        with self._decoding:
            return open_photo(data, case.settings.limits).preview(level, frame)

    def _reduced(self, case: Case, frame: int, level: int) -> RGB:
        """The original reduced by `level`; from a finer picture that is kept, which is far quicker than decoding."""
        if (finer := self._finer(case, frame, level)) is None:
            return self._original(case, frame, level)
        columns, rows = (math.ceil(length / level) for length in (case.size.width, case.size.height))
        return np.asarray(cv2.resize(finer, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)

    def _published(self, case: Case, frame: int, level: int) -> RGB:
        data = read(self.out.path(case.origin.target), case.settings.limits.bytes)
        with self._decoding:
            return open_photo(data, case.settings.limits).preview(level, frame)

    def _concealed(self, case: Case, frame: int, level: int) -> RGB:
        """The original with the present regions concealed: what accepting it would write, but for the noise."""
        pixels = self._level(case, "original", frame, level).copy()
        noise = Noise(self.seed).child(case.id, frame)
        for mask in masks(case, frame, level, Size(pixels.shape[1], pixels.shape[0])):
            window = mask.window()
            settings = case.settings
            pixels[window] = effects.paint(
                pixels[window], mask, settings.effect, settings.cover.feather, noise.child(mask.left, mask.top)
            )
        return np.asarray(pixels, np.uint8)


def applied(case: Case, frame: int) -> Applied:
    """What is concealed in a frame, and what is left bare, as it was decided so far."""
    return apply(Decisions(case.size, case.changes), frame, case.found()[frame], case.size)


def masks(case: Case, frame: int, level: int, size: Size) -> list[Mask]:
    """What is concealed in a frame, drawn over the picture reduced by `level`."""
    made = applied(case, frame)
    regions = [*(case.cover(face) for face in made.faces), *made.areas]
    return draw([region.scaled(1 / level) for region in regions], size, feather=case.settings.cover.feather)
