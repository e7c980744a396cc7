"""The second look: bytes about to be published, read by code that shares nothing with the code that wrote them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cloak import metadata
from cloak.detect import Face, Recipe, confirmed, find, joined, recheck
from cloak.detect.recipe import NEVER, searched
from cloak.errors import ConcealmentFailed, MissingExtra, VerificationFailed, Withheld
from cloak.geometry import RGB, Box, Region, Size
from cloak.masks import Mask, draw, uncovered
from cloak.metadata import manifest
from cloak.metadata.base import Contents
from cloak.metadata.fields import Fields, read_fields
from cloak.metadata.published import foreign
from cloak.metadata.residue import residue
from cloak.photo import open_photo
from cloak.photo.base import Limits, Photo, Rendering
from cloak.photo.jpeg_check import check_scan

COVERED = 0.6
"""Share of a hit's box that must lie under the masks to count as a hit on what replaced a face, not on a face."""

TOUCHED = 0.2
"""From this share on, a hit beside a concealed face is of what replaced it: the pixels outside the masks were searched
before, at a lower threshold, and no face was there. It counts only if it lies just where a known face was."""

SAME = 0.3
"""Intersection over union from which a hit is on a known face."""

LEEWAY = 0.25
"""How much more than the first look's threshold a bare face must score to fail the second. Everything at the threshold
was concealed. Scores of patterns that are no face move when their surroundings change, since coarse scales see both:
on 24 megapixel group photos by up to 0.2, which made cloak conceal hands and collars in a second round."""

CALM = 0.1
"""How much surer still a hit must be when a published file is checked again: what the run decided by a hair must not be
decided the other way by other windows of the same picture."""

COVER = 1.4
"""A region's size in multiples of the face's box, roughly: ledgers know regions, hits are compared with boxes."""

SKETCH = 32
"""Side in pixels of the sketches that are compared before and after."""

AMPLE = 4 * SKETCH
"""Pixels of the shorter side from which on a face's sketch is the same in a preview of any reduction."""

ALIKE = 0.75
"""Correlation of two sketches above which the face counts as still there. By chance, pixelated faces of a crowd reach
0.62 (2,700 of them); one that is merely recompressed stays above 0.82 at quality 50."""

Sketch = npt.NDArray[np.float32]

BLANK: Sketch = np.zeros((SKETCH, SKETCH), np.float32)
"""Of what has no detail, or need not be compared."""

CHECKS = ("container", "residue", "decodes", "concealed", "faces")
"""What published bytes have passed: every part named and allowed; no run of removed bytes left; decoded in full,
with the size and pictures of the original; no detail of a concealed face left; no bare face found in a second search.
"""


class Look:
    """One frame's preview in one rendering, decoded once for all that look at it with the same reduction."""

    def __init__(self, photo: Photo, frame: int, rendering: Rendering = "shown") -> None:
        self._photo, self._frame, self.rendering = photo, frame, rendering
        self._reduction, self._image = 0, np.zeros((0, 0, 3), np.uint8)

    def __call__(self, reduction: int) -> RGB:
        if reduction != self._reduction:
            self._image = np.zeros((0, 0, 3), np.uint8)  # let go before the next one comes
            self._image = self._photo.preview(reduction, self._frame, self.rendering)
            self._reduction = reduction
        return self._image

    def seen(self) -> tuple[RGB, float]:
        """The preview as it was last looked at, and its scale: pixels of it in one of the photo."""
        image = self(max(self._reduction, 1))
        return image, 1 / self._reduction

    def confirms(self, face: Face, known: Sequence[Box], calm: float = 0.0) -> bool:
        """Whether a bare hit is a face: one that was concealed, or one that a second model sees too.

        A hit elsewhere is on pixels that the first look searched at a lower threshold, and found no face in: its score
        may come from what was painted beside it. Without asking, hands and collars were concealed in further rounds.
        """
        if any(face.box.iou(box) >= SAME for box in known):
            return True
        image, scale = self.seen()
        return confirmed(image, face.box.scaled(scale), calm)

    def sketch(self, box: Box, recipe: Recipe) -> Sketch:
        """The detail of a face: (32, 32) float32 luminance without what 6 x 6 cells could tell.

        Of a small face it is taken from the preview that the recipe's search looks at, whatever was looked at last:
        from one that is reduced further, it would resemble no other sketch of the same face.
        """
        reduction = searched(self._photo.size, recipe)
        large = min(box.width, box.height) >= AMPLE * max(self._reduction, reduction)
        if not self._reduction or (self._reduction != reduction and not large):
            self(reduction)
        scale = 1 / self._reduction
        small = box.scaled(scale).clipped(Size(self._image.shape[1], self._image.shape[0]))
        if small is None or small.width < 2 or small.height < 2:
            return BLANK
        crop = self._image[int(small.y) : int(np.ceil(small.bottom)), int(small.x) : int(np.ceil(small.right))]
        grey = cv2.cvtColor(cv2.resize(crop, (SKETCH, SKETCH), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        detail = grey.astype(np.float32)
        coarse = cv2.resize(detail, (6, 6), interpolation=cv2.INTER_AREA)
        return np.asarray(detail - cv2.resize(coarse, (SKETCH, SKETCH), interpolation=cv2.INTER_CUBIC), np.float32)

    def plain(self, box: Box, recipe: Recipe) -> bool:
        """Whether a viewer shows the same in a box as this rendering, be it more or less plainly."""
        if self.rendering == "shown":
            return True
        return alike(Look(self._photo, self._frame).sketch(box, recipe), self.sketch(box, recipe)) > ALIKE


def looks(photo: Photo, frame: int) -> Iterator[Look]:
    """At a frame in each of its renderings."""
    return (Look(photo, frame, rendering) for rendering in photo.renderings(frame))


def check_masks(masks: Sequence[Mask], regions: Sequence[Region], size: Size) -> None:
    """Every region that touches the picture lies under a mask; raises `ConcealmentFailed` if one was lost."""
    lost = uncovered(regions, masks, size)
    if lost:
        raise ConcealmentFailed(f"{len(lost)} of {len(regions)} areas to conceal lie under no mask")


def check_container(
    data: bytes, published: Photo, size: Size, original: Photo, before: Contents, source: bytes, fields: Fields
) -> None:
    """Everything in the container is picture, structure, a known profile or a kept field.

    Args:
        data: the bytes about to be published; `published` is the photo in them, opened anew.
        size: that it should have.
        original: the photo that came in, with `before` the contents of its bytes `source`.
        fields: what may be written.

    Raises `VerificationFailed` with the name of the first part that has no business there.
    """
    after = metadata.read(data)
    if (published.format, published.size, published.frames) != (original.format, size, original.frames):
        raise VerificationFailed("the written file is of another format, size or number of pictures")
    if after.frames != published.frames:
        raise VerificationFailed("the written file holds more pictures than can be searched for faces")
    stranger = foreign(data, after, fields)
    if stranger:
        raise VerificationFailed(f"the written file holds more than it should: {stranger}")
    if after.format == "jpeg":
        check_scan(data)
    survivor = residue(before, source, data, after)
    if survivor:
        raise VerificationFailed(f"bytes of the original's {survivor!r} are in the written file")


def check_samples(published: Photo, frame: int) -> None:
    """Raise `VerificationFailed` if a picture that is about to be published holds more than can be searched."""
    surplus = published.surplus(frame)
    if surplus:
        raise VerificationFailed(f"the written file holds more than it should: {surplus}")


def check_faces(
    published: Look,
    known: Sequence[tuple[Box, Sketch]],
    revealed: Sequence[Face],
    masks: Sequence[Mask],
    size: Size,
    recipe: Recipe,
    unseen: bool = False,
) -> tuple[Face, ...]:
    """Faces of one frame that are found bare in the published bytes; empty if there are none.

    Args:
        published: the frame as published.
        known: box and sketch, before, of everything that was concealed.
        revealed: faces that are left bare by permission.
        masks: what was painted.
        size: of the upright photo.
        recipe: how faces are searched.
        unseen: no pixel was searched before as it is now; all of them are, as an original is.

    Raises `VerificationFailed` when a face under a mask is still there in its details: the effect did nothing.
    """
    areas = [region.shifted(mask.left, mask.top).shape.bounds() for mask in masks for region in mask.regions]
    if unseen:
        search = find(published, size, replace(recipe, persons=NEVER))
    else:
        search = recheck(published, size, _second(recipe), areas)
    for box, before in known:
        if before.any() and alike(before, published.sketch(box, recipe)) > ALIKE:
            raise VerificationFailed("a face that should be concealed is still there")
    boxes = [box for box, _ in known]
    if unseen:
        found = [face for face in search.faces if covered(face.box, masks, size) < COVERED]
        return tuple(face for face in found if not deliberate(published, face.box, revealed, recipe))
    return tuple(
        face
        for face in search.faces
        if bare(face.box, masks, boxes, size)
        and published.confirms(face, boxes)
        and not deliberate(published, face.box, revealed, recipe)
    )


def problems(
    data: bytes,
    recipe: Recipe,
    limits: Limits,
    concealed: Sequence[Sequence[Region]] | None,
    keep: frozenset[str],
    revealed: Sequence[Sequence[Face]] = (),
) -> list[str]:
    """What is wrong with a published file, a sentence each; empty if it is clean.

    Args:
        data: the file.
        recipe: how faces are searched: in full, as for an original.
        limits: what it may cost to open.
        concealed: the regions of each frame as the ledger knows them; None if nothing is known of the file. A hit on
            what replaced a face cannot be told from a bare face by looks, so without them every hit is a problem.
        keep: names of the metadata fields that may be there.
        revealed: faces of each frame that a person decided to leave bare.
    """
    try:
        photo = open_photo(data, limits)
    except Withheld as error:
        return [f"it does not open: {error}"]
    found = []
    whole, (data, store) = data, manifest.carve(data)
    try:
        if store and (fault := manifest.fault(store, whole)):
            found.append(f"it carries a C2PA manifest that is not cloak's: {fault}")
    except MissingExtra as error:  # the other files can be checked without it
        found.append(f"it carries a C2PA manifest: {error}")
    contents = metadata.read(data)
    if contents.frames != photo.frames:
        found.append(f"it holds {contents.frames} pictures, of which {photo.frames} can be searched for faces")
    # The disclosure ends the caption: read back, they are one text.
    fields = read_fields(data, keep | {"caption"} if "disclosure" in keep else keep)
    stranger = foreign(data, contents, fields)
    if stranger:
        found.append(f"it carries more than a picture: {stranger}")
    if photo.format == "jpeg":
        try:
            check_scan(data)
        except VerificationFailed as error:
            found.append(str(error))
    how = _second(recipe, CALM) if concealed is not None else replace(recipe, persons=NEVER)
    told: set[str] = set()  # of the pictures before
    for frame in range(photo.frames):
        regions = concealed[frame] if concealed is not None and frame < len(concealed) else ()
        masks = draw(regions, photo.size)
        known = [region.shape.bounds().grown(1 / COVER) for region in regions]
        open_ = revealed[frame] if frame < len(revealed) else ()
        seen: tuple[Face, ...] = ()
        try:
            if (surplus := photo.surplus(frame)) and surplus not in told:
                found.append(f"it carries more than a picture: {surplus}")
                told.add(surplus)
            for look in looks(photo, frame):
                faces = [
                    face
                    for face in find(look, photo.size, how).faces
                    if bare(face.box, masks, known, photo.size)
                    and look.confirms(face, known, CALM)
                    and not deliberate(look, face.box, open_, recipe)
                ]
                seen = joined((seen, faces))
        except Withheld as error:
            return [*found, f"its faces cannot be searched: {error}"]
        count = len(seen)
        if count and concealed is None:
            found.append(f"{count} faces; no ledger tells whether they are concealed, so look at them")
        elif count:
            found.append(f"{count} bare faces")
    return found


def _second(recipe: Recipe, calm: float = 0.0) -> Recipe:
    """The recipe of the second look: upright, since turning is for photos in which no upright face is sure, and once
    the faces are concealed that is every photo."""
    threshold = min(recipe.threshold + LEEWAY + calm, 1.0)
    return replace(recipe, threshold=threshold, turns=(), whole_turns=(), tilts=False, persons=NEVER)


def alike(before: Sketch, after: Sketch) -> float:
    """Correlation of two sketches, -1 to 1; 0 where there was no detail to begin with."""
    a, b = before - before.mean(), after - after.mean()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    # 1.5 grey levels of detail a pixel: below it the sketch is noise, or the face was concealed before.
    if float(a.std()) < 1.5 or norms == 0:
        return 0.0
    return float((a * b).sum()) / norms


def bare(box: Box, masks: Sequence[Mask], known: Sequence[Box], size: Size) -> bool:
    """Whether a hit in the published picture is on a face that can be seen, not on what replaced one.

    Args:
        box: of the hit.
        masks: what was painted.
        known: boxes of the faces that were concealed.
        size: of the upright photo.
    """
    share = covered(box, masks, size)
    return share < TOUCHED or (share < COVERED and any(box.iou(face) >= SAME for face in known))


def deliberate(look: Look, box: Box, revealed: Sequence[Face], recipe: Recipe) -> bool:
    """Whether a hit is on a face that is left bare by permission, which is of what a viewer shows there."""
    places = (place for face in revealed for place in (face.box, face.extent or face.box))
    return any(box.iou(place) >= SAME for place in places) and look.plain(box, recipe)


def covered(box: Box, masks: Sequence[Mask], size: Size) -> float:
    """Share of a box (its part inside the image) that lies under the masks' cores."""
    inside = box.clipped(size)
    if inside is None:
        return 1.0
    x0, y0 = int(inside.x), int(inside.y)
    x1, y1 = max(int(np.ceil(inside.right)), x0 + 1), max(int(np.ceil(inside.bottom)), y0 + 1)
    hidden = 0
    for mask in masks:
        rows = slice(max(y0 - mask.top, 0), max(y1 - mask.top, 0))
        columns = slice(max(x0 - mask.left, 0), max(x1 - mask.left, 0))
        hidden += int(np.count_nonzero(mask.core[rows, columns]))
    return hidden / ((x1 - x0) * (y1 - y0))
