"""The allow-list of published files: what other parts than a picture, a known profile and kept fields are told."""

import functools
import io
import struct
import zlib
from dataclasses import replace

import pillow_heif
import pytest
from PIL import Image

from cloak.detect.recipe import RECIPES
from cloak.geometry import Size
from cloak.metadata import Kind, icc, read
from cloak.metadata.fields import KEEP_NAMES, Fields
from cloak.metadata.published import foreign
from cloak.metadata.write import exif_payload, xmp_packet
from cloak.photo import open_photo
from cloak.photo.base import Limits, Output
from cloak.verify import problems
from tests import plant
from tests.metadata.test_write import FULL
from tests.plant_parts import Tiff

HEADER = b"\x89PNG\r\n\x1a\n" + plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
ROWS = zlib.compress(bytes(4 * 5))


def png(*chunks: bytes) -> bytes:
    return HEADER + b"".join(chunks) + plant.chunk(b"IEND", b"")


def stranger(data: bytes, fields: Fields = Fields()) -> str:  # noqa: B008 - frozen
    return foreign(data, read(data), fields)


def control(number: int) -> bytes:
    return plant.chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 4, 4, 0, 0, 100, 1000, 0, 0))


ANIMATION = plant.chunk(b"acTL", struct.pack(">II", 1, 0))
STILL = plant.chunk(b"IDAT", ROWS)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_frames_of_animations_replace_what_was_there(format: str) -> None:
    out, picture = io.BytesIO(), Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    turned = [picture.rotate(90), picture.rotate(180)]
    picture.save(out, format, save_all=True, append_images=turned, lossless=True)
    photo = open_photo(out.getvalue(), Limits())
    data = photo.conceal([[], [], []], lambda pixels, mask, frame: pixels, Output()).data
    assert not stranger(data)
    if format == "WEBP":
        at = data.rindex(b"ANMF") + 23
        assert stranger(data[:at] + b"\0" + data[at + 1 :])
        return
    at = data.rindex(b"fcTL")
    for way in (b"\0\1", b"\1\0", b"\2\0"):
        control = plant.chunk(b"fcTL", data[at + 4 : at + 28] + way)
        assert stranger(data[: at - 4] + control + data[at - 4 + len(control) :])


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


@functools.cache
def published(format: str, fields: Fields, profile: bytes = b"") -> bytes:
    """What cloak writes of a grey picture."""
    out, picture = io.BytesIO(), Image.new("RGB", (64, 48), "grey")
    if format == "HEIF":
        pillow_heif.from_pillow(picture).save(out, icc_profile=profile)
    else:
        picture.save(out, format, icc_profile=profile)
    photo = open_photo(out.getvalue(), Limits())
    return photo.conceal([[]], lambda pixels, mask, frame: pixels, Output(fields=fields)).data


FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
SOME = (FULL, replace(FULL, caption="long words " * 500), Fields(date="1999-12-31"))


@pytest.mark.parametrize("format", FORMATS)
def test_kept_fields_pass_as_they_are_written_and_in_no_other_way(format: str) -> None:
    for fields in SOME:
        data = published(format, fields, icc.KNOWN["display-p3"].data)
        assert not stranger(data, fields)
        assert stranger(data)
        told = [part for part in read(data).parts if part.kind == Kind.METADATA and not part.inside]
        for part in told:
            for at in (part.offset, part.offset + part.length // 2, part.offset + part.length - 1):
                changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
                assert stranger(changed, fields), (part.name, at - part.offset)


@pytest.mark.parametrize("keep", [{"caption", "disclosure"}, {"disclosure"}, set(KEEP_NAMES)])
def test_fields_read_back_are_those_that_were_written(keep: set[str]) -> None:
    """`verify` knows the names of the fields that were kept, not their words."""
    for fields in (FULL, replace(FULL, caption="long words " * 500)):
        kept = fields if "icc" in keep else Fields(disclosure=FULL.disclosure)
        kept = replace(kept, caption=fields.caption) if "caption" in keep else kept
        assert not problems(published("PNG", kept), RECIPES["fast"], Limits(), [()], frozenset(keep))


def test_of_one_field_more_only_the_name_of_its_part_is_told() -> None:
    assert stranger(published("JPEG", Fields(copyright="Zoë")), Fields(creator="Zoë")) == "APP1 Exif"


XMP = xmp_packet(Fields(copyright="Zoë"))


@pytest.mark.parametrize(
    "chunk",
    [
        plant.chunk(b"iTXt", b"Comment\0\0\0\0\0words"),
        plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0words\0\0" + XMP),
        plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.replace(b'about=""', b'about="words"')),
        plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP + b"<!--words-->"),
        plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    ],
)
def test_beside_a_kept_field_no_other_text_passes(chunk: bytes) -> None:
    ours = plant.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    assert not stranger(png(ours, STILL), Fields(copyright="Zoë"))
    assert stranger(png(ours, chunk, STILL), Fields(copyright="Zoë")) == "PNG iTXt"
    assert stranger(png(chunk, ours, STILL), Fields(copyright="Zoë")) == "PNG iTXt"


def test_the_orientation_of_a_jpeg_is_a_number_from_1_to_8() -> None:
    out = io.BytesIO()
    Image.new("RGB", (13, 11), "grey").save(out, "JPEG")
    data = out.getvalue()

    def with_exif(exif: bytes) -> bytes:
        return data[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(exif) + 8) + b"Exif\0\0" + exif + data[2:]

    good = exif_payload(Fields(), 6, Size(13, 11))
    assert not stranger(with_exif(good))
    for field in (struct.pack(">HIHH", 3, 1, 6, 0), struct.pack(">HIHH", 3, 1, 6, 7)):
        words = good.replace(struct.pack(">HIHH", 3, 1, 6, 0), field)
        assert bool(stranger(with_exif(words))) == (words != good)
    words = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x0112, 2, 6, 26) + bytes(4) + b"words\0"
    assert stranger(with_exif(words)) == "APP1 Exif"


def test_a_profile_has_the_name_that_cloak_gives_it() -> None:
    profile = icc.KNOWN["display-p3"].data
    data = published("PNG", Fields(), profile)
    assert not stranger(data)
    at = data.index(b"iCCP") - 4
    end = at + 12 + struct.unpack_from(">I", data, at)[0]
    named = plant.chunk(b"iCCP", b"Jane Doe\0\0" + zlib.compress(profile))
    assert stranger(data[:at] + named + data[end:]) == "PNG iCCP"
    stream = zlib.compress(profile, 1)
    words = b"".join(bytes((number << 3 & 0xF8,)) + b"\0\0\xff\xff" for number in b"Jane Doe, 52.37 N 4.90 E" * 4)
    assert not stranger(data[:at] + plant.chunk(b"iCCP", b"ICC profile\0\0" + stream) + data[end:])
    padded = plant.chunk(b"iCCP", b"ICC profile\0\0" + stream[:2] + words + stream[2:])
    assert zlib.decompress(stream[:2] + words + stream[2:]) == profile
    assert stranger(data[:at] + padded + data[end:]) == "PNG iCCP"


def test_a_profile_of_a_jpeg_lies_in_no_more_segments_than_it_needs() -> None:
    data = published("JPEG", Fields(), icc.KNOWN["display-p3"].data)
    assert not stranger(data)
    at = data.index(b"ICC_PROFILE\0")
    assert stranger(data[: at + 12] + b"\1\7" + data[at + 14 :]) == "APP2 ICC_PROFILE"


def test_each_page_of_a_tiff_may_have_its_profile() -> None:
    out, picture = io.BytesIO(), Image.new("RGB", (16, 12), "grey")
    known = icc.KNOWN["display-p3"].data
    picture.save(out, "TIFF", save_all=True, append_images=[picture.rotate(90)], icc_profile=known)
    photo = open_photo(out.getvalue(), Limits())
    data = photo.conceal([[], []], lambda pixels, mask, frame: pixels, Output()).data
    assert data.count(known) == 2
    assert not stranger(data)
    at = data.rindex(known) + len(known) // 2
    assert stranger(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])


def tiff(
    strip: bytes, *changes: tuple[int, int, bytes | None], second: tuple[tuple[int, int, bytes], ...] = ()
) -> bytes:
    """As cloak writes a picture of 4 x 4 pixels in RGB, but for some fields, and those of a second directory."""
    out = Tiff()
    place, number = out.append(strip), out.pack
    fields = {0x0100: (4, number("I", 4)), 0x0101: (4, number("I", 4)), 0x0102: (3, number("HHH", 8, 8, 8))}
    fields |= {tag: (3, number("H", value)) for tag, value in ((0x0103, 1), (0x0106, 2), (0x0115, 3))}
    fields |= {tag: (4, number("I", value)) for tag, value in ((0x0111, place), (0x0116, 4), (0x0117, len(strip)))}
    fields |= {tag: (kind, value) for tag, kind, value in changes}
    out.directory([(tag, kind, value) for tag, (kind, value) in fields.items() if value is not None])
    if second:
        out.directory(list(second))
    return bytes(out.data)


LONG, SHORT = struct.Struct("<I").pack, struct.Struct("<H").pack
TILED = ((0x0142, 4, LONG(16)), (0x0143, 4, LONG(16)), (0x0144, 4, LONG(8)), (0x0145, 4, LONG(768)))
NO_STRIPS = tuple((tag, 4, None) for tag in (0x0111, 0x0116, 0x0117))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (tiff(bytes(48)), ""),
        (tiff(bytes(64), (0x0102, 3, SHORT(8) * 4), (0x0115, 3, SHORT(4)), (0x0152, 3, SHORT(2))), ""),
        (tiff(bytes(64), (0x0102, 3, SHORT(8) * 4), (0x0115, 3, SHORT(4))), "0x0115 SamplesPerPixel"),
        (tiff(bytes(768), *TILED, *NO_STRIPS), "0x0142 TileWidth"),
        (tiff(bytes(48), (0x0152, 3, SHORT(2))), "0x0115 SamplesPerPixel"),
        (tiff(bytes(48), (0x011A, 5, struct.pack("<II", 52367573, 1000000))), "0x011A XResolution"),
        (tiff(bytes(48), (0x0129, 3, b"Jane")), "0x0129 PageNumber"),
        (tiff(bytes(48), (0x0116, 4, b"Jane")), "0x0116 RowsPerStrip"),
        (tiff(bytes(48), (0x013D, 3, b"JD")), "0x013D Predictor"),
        (tiff(bytes(48), (0x0103, 4, LONG(1))), "0x0103 Compression"),
    ],
)
def test_a_tiff_has_the_fields_that_its_pixels_need(data: bytes, field: str) -> None:
    assert stranger(data) == (field and f"numbers of TIFF IFD0 {field} in a form that could carry more")


def test_tables_of_a_preview_without_pixels_do_not_pass() -> None:
    second = ((0x00FE, 4, LONG(1)), (0x0103, 3, SHORT(6)), (0x0207, 4, b"Jane Doe"))
    assert "IFD1" in stranger(tiff(bytes(48), second=second))


def bitmap(depth: int, *masks: int) -> bytes:
    """4 x 4 black pixels by bit fields."""
    pixels = bytes(16 * depth // 8)
    header = struct.pack("<IiiHHIIiiII", 108, 4, 4, 1, depth, 3, len(pixels), 0, 0, 0, 0)
    fields = struct.pack("<5I", *masks, 0x73524742) + bytes(48)
    return struct.pack("<2sIII", b"BM", 122 + len(pixels), 0, 122) + header + fields + pixels


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "565", "555", "alpha", "unusual"])
def test_the_header_of_a_bitmap_says_what_its_pixels_need(mode: str) -> None:
    out = io.BytesIO()
    fields = {"565": (16, 0xF800, 0x7E0, 0x1F, 0), "555": (16, 0x7C00, 0x3E0, 0x1F, 0)}
    fields |= {"alpha": (32, 0xFF0000, 0xFF00, 0xFF, 0xFF << 24), "unusual": (32, 0xFF, 0xFF00, 0xFF0000, 0xFF << 24)}
    if mode in fields:
        out.write(bitmap(*fields[mode]))
    else:
        Image.new(mode, (16, 12)).save(out, "BMP")
    data = open_photo(out.getvalue(), Limits()).conceal([[]], lambda pixels, mask, frame: pixels, Output()).data
    assert not stranger(data)
    for at in (34, 38, 42, 46, 50, *((70, 74, 121) if data[14] == 108 else ())):
        assert stranger(data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]), at
