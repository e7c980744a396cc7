"""The allow-list of published files: what other parts than a picture, a known profile and kept fields are told."""

import io
import struct
import zlib

import pytest
from PIL import Image

from cloak.metadata import Kind, read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from cloak.photo import open_photo
from cloak.photo.base import Limits
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


@pytest.mark.parametrize(("mark", "pages"), [(0, 2), (1, 1), (2, 2), (3, 1), (4, 1), (6, 1)])
def test_the_walker_and_the_opener_agree_on_which_directories_are_pages(mark: int, pages: int) -> None:
    out = io.BytesIO()
    picture = Image.new("RGB", (8, 8))
    picture.save(out, "TIFF", save_all=True, append_images=[picture], tiffinfo={0x00FE: mark})
    # Only the second directory carries the mark: the first one's is turned into "full picture".
    data = bytearray(out.getvalue())
    field = struct.pack("<HHII", 0x00FE, 4, 1, mark)
    assert data.count(field) == 2
    at = data.index(field)
    data[at + 8 : at + 12] = bytes(4)
    assert read(bytes(data)).frames == open_photo(bytes(data), Limits()).frames == pages
    strips = [part.kind for part in read(bytes(data)).parts if part.name == "TIFF IFD1 strips"]
    assert strips == [Kind.PIXELS if pages == 2 else Kind.IMAGE]
