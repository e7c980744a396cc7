"""What PNG, WebP, GIF, BMP, TIFF and HEIF can hide besides their named parts."""

import io
import struct
import zlib

import pillow_heif
import pytest
from PIL import Image

from cloak.metadata import Kind, read, sniff
from tests import plant
from tests.plant_heif import planted as planted_heif
from tests.plant_parts import Tiff


def kinds(data: bytes) -> dict[str, Kind]:
    return {part.name: part.kind for part in read(data).parts}


def png(*chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    end = plant.chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + plant.chunk(b"IHDR", header) + b"".join(chunks) + end


ROWS = bytes(4 * 5)


def test_rows_beyond_the_picture_are_unknown() -> None:
    assert "PNG pixels beyond the picture" not in kinds(png(plant.chunk(b"IDAT", zlib.compress(ROWS))))
    data = png(plant.chunk(b"IDAT", zlib.compress(ROWS + b"words")))
    assert kinds(data)["PNG pixels beyond the picture"] == Kind.UNKNOWN
    assert read(data).fault


def test_bytes_in_a_later_chunk_behind_the_stream_are_unknown() -> None:
    data = png(plant.chunk(b"IDAT", zlib.compress(ROWS)), plant.chunk(b"IDAT", b"words"))
    found = [part for part in read(data).parts if part.name == "PNG data behind the zlib stream"]
    assert [(part.kind, data[part.offset : part.offset + part.length]) for part in found] == [(Kind.UNKNOWN, b"words")]


def test_a_wrong_checksum_is_four_unknown_bytes() -> None:
    good = plant.chunk(b"IDAT", zlib.compress(ROWS))
    data = png(good[:-4] + b"WORD")
    part = next(part for part in read(data).parts if part.name == "PNG IDAT wrong CRC")
    assert (part.kind, data[part.offset : part.offset + part.length]) == (Kind.UNKNOWN, b"WORD")


def test_a_stream_that_ends_early_is_a_fault() -> None:
    assert "cut short" in read(png(plant.chunk(b"IDAT", zlib.compress(ROWS)[:-6]))).fault


def test_interlaced_pictures_have_their_own_length() -> None:
    # Adam7 of 4x4 grey: passes of 1, 0, 0, 1, 2, 4 and 8 bytes and their filter bytes.
    out = b"".join(b"\0" + bytes(width) for width in (1, 1, 2, 2, 2, 4, 4))
    header = plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 1))
    data = b"\x89PNG\r\n\x1a\n" + header + plant.chunk(b"IDAT", zlib.compress(out)) + plant.chunk(b"IEND", b"")
    assert read(data).fault == ""
    assert set(kinds(data).values()) == {Kind.STRUCTURE, Kind.PIXELS}


def test_a_pad_byte_that_says_something_is_unknown() -> None:
    body = b"WEBP" + b"VP8L\1\0\0\0/" + b"!" + b""
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    assert kinds(data)["VP8L pad byte"] == Kind.UNKNOWN


def test_a_second_coded_picture_in_a_webp_is_an_image() -> None:
    body = b"WEBP" + plant.riff_chunk(b"VP8 ", b"first!") + plant.riff_chunk(b"VP8L", b"second")
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    assert [part.kind for part in read(data).parts] == [Kind.STRUCTURE, Kind.PIXELS, Kind.IMAGE]


def test_row_padding_of_a_bitmap_that_says_something_is_unknown() -> None:
    image = plant.picture(33, 20)
    out = io.BytesIO()
    image.save(out, "BMP")
    data = bytearray(out.getvalue())
    assert "BMP row padding" not in kinds(bytes(data))
    data[54 + 99] = 7
    assert kinds(bytes(data))["BMP row padding"] == Kind.UNKNOWN


def test_a_linked_profile_names_its_file() -> None:
    link = b"C:\\Users\\someone\\screen.icm\0"
    header = struct.pack("<IiiHHIIiiII", 124, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0)
    header += bytes(16) + struct.pack("<I", 0x4C494E4B) + bytes(48) + struct.pack("<IIII", 4, 124 + 48, len(link), 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + header + bytes(48) + link
    part = next(part for part in read(data).parts if part.name == "BMP linked profile")
    assert part.kind == Kind.METADATA
    assert part.facts[0].value == "C:\\Users\\someone\\screen.icm"


def tiff(*extra: tuple[int, int, bytes], order: str = "<", big: bool = False) -> bytes:
    out = Tiff(order, big)
    strip = out.append(bytes(48))
    number = out.pack
    fields = [(0x0100, 3, number("H", 4)), (0x0101, 3, number("H", 4)), (0x0103, 3, number("H", 1))]
    fields += [(0x0102, 3, number("HHH", 8, 8, 8)), (0x0115, 3, number("H", 3)), (0x0117, 4, number("I", 48))]
    out.directory([*fields, out.pointer(0x0111, strip), *extra])
    return bytes(out.data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_of_both_byte_orders_and_sizes_is_walked(order: str, big: bool) -> None:
    data = tiff((0x013B, 2, b"Somebody\0"), order=order, big=big)
    contents = read(data)
    assert contents.fault == ""
    artist = next(part for part in contents.parts if part.name == "TIFF IFD0 0x013B Artist")
    assert (artist.kind, artist.facts[0].value) == (Kind.METADATA, "Somebody")
    assert kinds(data)["TIFF IFD0 strips"] == Kind.PIXELS


def test_a_structural_field_with_more_values_than_it_needs_is_unknown() -> None:
    assert kinds(tiff((0x011A, 5, bytes(8))))["TIFF IFD0 0x011A XResolution"] == Kind.STRUCTURE
    assert kinds(tiff((0x011A, 5, bytes(800))))["TIFF IFD0 0x011A XResolution"] == Kind.UNKNOWN


def test_spare_bytes_of_a_short_value_are_unknown() -> None:
    data = bytearray(tiff())
    at = data.index(struct.pack("<HHIH", 0x0103, 3, 1, 1)) + 10
    data[at : at + 2] = b"hi"
    assert kinds(bytes(data))["TIFF IFD0 0x0103 Compression spare bytes"] == Kind.UNKNOWN


def test_an_orientation_other_than_upright_is_metadata() -> None:
    assert kinds(tiff((0x0112, 3, struct.pack("<H", 1))))["TIFF IFD0 0x0112 Orientation"] == Kind.STRUCTURE
    assert kinds(tiff((0x0112, 3, struct.pack("<H", 6))))["TIFF IFD0 0x0112 Orientation"] == Kind.METADATA


def test_pages_are_frames_and_reduced_pages_are_images() -> None:
    data, _ = plant.PLANTED["tiff"]()
    assert kinds(data)["TIFF IFD0 strips"] == Kind.PIXELS
    assert kinds(data)["TIFF IFD1 strips"] == Kind.IMAGE
    assert kinds(data)["TIFF SubIFD strips"] == Kind.IMAGE


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_only_the_primary_item_is_the_picture(kind: str) -> None:
    data, _ = planted_heif(plant.picture(), kind)
    roles = {name: found for name, found in kinds(data).items() if name.startswith("item ")}
    assert {name for name, found in roles.items() if found == Kind.PIXELS} == {"item primary"}
    assert {name for name, found in roles.items() if found == Kind.IMAGE} == {
        *("item thumbnail", "item gain map", "item depth map", "item matte")
    }


def test_alpha_and_tiles_belong_to_the_picture() -> None:
    image = plant.picture(96, 80).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    for format in ("HEIF", "AVIF"):
        out = io.BytesIO()
        pillow_heif.from_pillow(image).save(out) if format == "HEIF" else image.save(out, format)
        found = kinds(out.getvalue())
        assert found["item alpha"] == Kind.PIXELS, format
        assert set(found.values()) <= {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}, format


def test_several_pictures_in_a_heif_are_counted_and_named() -> None:
    image = plant.picture(96, 80)
    out = io.BytesIO()
    file = pillow_heif.from_pillow(image)
    file.add_from_pillow(image.rotate(180))
    file.save(out)
    contents = read(out.getvalue())
    assert contents.frames == 2
    assert {part.kind for part in contents.parts if part.name == "item further image"} == {Kind.PIXELS}
    # Hidden, it is no page: nobody would see that it is there.
    at = out.getvalue().rindex(b"infe") + 7  # the lowest bit of the box's flags
    hidden = read(out.getvalue()[:at] + b"\x01" + out.getvalue()[at + 1 :])
    assert hidden.frames == 1
    assert {part.kind for part in hidden.parts if part.name == "item further image"} == {Kind.IMAGE}


@pytest.mark.parametrize(
    ("brand", "more", "format"),
    [
        (b"heic", b"mif1", "heif"),
        (b"mif1", b"heic", "heif"),
        (b"mif1", b"avif", "avif"),
        (b"avis", b"msf1", "avif"),
        (b"mp42", b"isom", ""),
        (b"crx ", b"isom", ""),
    ],
)
def test_brands_tell_heif_from_avif_and_from_video(brand: bytes, more: bytes, format: str) -> None:
    assert sniff(plant.box(b"ftyp", brand, bytes(4), more) + bytes(100)) == format


def test_a_property_that_no_item_uses_is_unknown() -> None:
    data, _ = planted_heif(plant.picture(), "AVIF")
    links = b"\0\1\4\1\2\3\x09"
    assert data.count(links) == 1
    assert kinds(data)["property udes"] == Kind.METADATA
    assert kinds(data.replace(links, b"\0\1\4\1\2\3\3"))["property udes"] == Kind.UNKNOWN


def test_a_directory_is_read_once_however_often_it_is_referred_to() -> None:
    fields = struct.pack("<H", 2) + struct.pack("<HHII", 0x014A, 4, 1, 8) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    contents = read(b"II*\0\x08\0\0\0" + fields + struct.pack("<I", 8))
    assert [part.name for part in contents.parts if not part.inside] == ["TIFF header", "TIFF IFD0"]
    assert contents.fault


def test_an_alpha_plane_of_another_picture_is_another_image() -> None:
    data, _ = planted_heif(plant.picture(), "HEIF")
    depth, alpha = b"urn:mpeg:hevc:2015:auxid:2\0", b"urn:mpeg:hevc:2015:auxid:1\0"
    own = data.replace(depth, alpha)
    assert kinds(own)["item alpha"] == Kind.PIXELS
    link = plant.box(b"auxl", struct.pack(">HHH", 4, 1, 1))
    assert own.count(link) == 1
    other = own.replace(link, plant.box(b"auxl", struct.pack(">HHH", 4, 1, 2)))
    assert "item alpha" not in kinds(other)
    assert kinds(other)["item auxiliary image"] == Kind.IMAGE
