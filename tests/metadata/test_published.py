"""The allow-list of published files: what other parts than a picture, a known profile and kept fields are told."""

import struct
import zlib

from cloak.metadata import Kind, read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from tests import plant

HEADER = b"\x89PNG\r\n\x1a\n" + plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
ROWS = zlib.compress(bytes(4 * 5))


def png(*chunks: bytes) -> bytes:
    return HEADER + b"".join(chunks) + plant.chunk(b"IEND", b"")


def stranger(data: bytes, fields: Fields = Fields()) -> str:  # noqa: B008 - frozen
    return foreign(data, read(data), fields)


def control(number: int) -> bytes:
    return plant.chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 4, 4, 0, 0, 1, 10, 0, 0))


ANIMATION = plant.chunk(b"acTL", struct.pack(">II", 1, 0))
STILL = plant.chunk(b"IDAT", ROWS)


def test_a_picture_that_is_no_frame_of_its_animation_is_another_picture() -> None:
    assert not stranger(png(ANIMATION, control(0), STILL))
    frame = plant.chunk(b"fdAT", struct.pack(">I", 1) + ROWS)
    for beginning in (ANIMATION + STILL, STILL + ANIMATION):
        data = png(beginning, control(0), frame)
        assert stranger(data) == "PNG default image"
        assert read(data).frames == 1
        assert [part.kind for part in read(data).parts if part.name == "PNG default image"] == [Kind.IMAGE]


def test_controls_of_frames_without_an_animation_are_no_structure() -> None:
    assert stranger(png(control(0), STILL)) == "PNG fcTL"
