import random
import time
from dataclasses import replace

import pytest

from cloak.metadata.base import Contents, Kind, Part
from cloak.metadata.residue import residue


def commented(count: int, length: int) -> tuple[Contents, bytes]:
    """What a photo with so many comments holds, and its bytes."""
    parts = [Part(f"comment {i}", Kind.METADATA, i * length, length) for i in range(count)]
    return Contents("png", tuple(parts)), random.Random(1).randbytes(count * length)


@pytest.mark.parametrize("at", [*range(8), 101, 176])
def test_a_run_of_the_originals_comments_is_found_wherever_it_lies(at):
    before, source = commented(3, 40)
    published = bytearray(random.Random(2).randbytes(200))
    nothing = Contents("png", ())
    assert residue(before, source, bytes(published), nothing) == ""
    published[at : at + 24] = source[40:64]
    assert residue(before, source, bytes(published), nothing) == "comment 1"
    ours = Contents("png", (Part("PNG iTXt", Kind.METADATA, at, 24),))
    assert residue(before, source, bytes(published), ours) == ""


def test_a_layer_may_hold_the_rows_of_the_picture_but_nothing_else_of_what_is_published():
    """As uncompressed layers of black-and-white TIFFs do."""
    rows, comment = (random.Random(seed).randbytes(400) for seed in (1, 2))
    parts = [Part(name, kind, at, 400) for name, kind, at in LAYERED]
    before, source = Contents("tiff", tuple(parts)), rows + comment + rows
    assert residue(before, source, rows, Contents("tiff", ())) == ""
    assert residue(before, source, rows + comment, Contents("tiff", ())) == "comment"
    assert residue(replace(before, parts=tuple(parts[1:])), source, rows, Contents("tiff", ())) == "layer"


LAYERED = [("strips", Kind.PIXELS, 0), ("comment", Kind.METADATA, 400), ("layer", Kind.METADATA, 800)]


def test_thousands_of_comments_are_not_multiplied_by_the_size_of_the_photo():
    before, source = commented(3_000, 200)
    published = random.Random(2).randbytes(2_000_000)
    started = time.process_time()
    assert residue(before, source, published, Contents("png", ())) == ""
    assert time.process_time() - started < 2.0
