"""Bytes of structure that no decoder looks at are told, and encoders' own files hold none of them."""

import io
import struct
import zlib

import pillow_heif
import pytest
from PIL import Image

from cloak.metadata import Kind, read
from cloak.metadata.coded import av1_size
from cloak.metadata.listing import Listing
from cloak.metadata.streams import note_stream
from cloak.photo import open_photo
from cloak.photo.heif import meta_of
from tests import plant
from tests.metadata.test_published import ANIMATION, STILL, control, png
from tests.plant_heif import planted as planted_heif
from tests.plant_parts import Tiff, full_box


def strange(data: bytes) -> set[str]:
    return {part.name for part in read(data).parts if part.kind in {Kind.UNKNOWN, Kind.IMAGE}}


def saved(format: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    plant.picture(16, 12).convert(mode).save(out, format, **options)
    return out.getvalue()


# PNG


def test_a_palette_is_no_longer_than_its_depth_allows() -> None:
    rows = plant.chunk(b"IDAT", zlib.compress(bytes(4 * 2)))
    for colours, told in ((4, set()), (5, {"PNG PLTE slack"})):
        header = plant.chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 2, 3, 0, 0, 0))
        chunks = header + plant.chunk(b"PLTE", bytes(3 * colours)) + plant.chunk(b"tRNS", bytes(4)) + rows
        assert strange(b"\x89PNG\r\n\x1a\n" + chunks + plant.chunk(b"IEND", b"")) == told


def test_a_palette_of_a_picture_without_one_is_metadata() -> None:
    parts = read(png(plant.chunk(b"PLTE", b"words!"), STILL)).parts
    assert [part.kind for part in parts if part.name == "PNG PLTE"] == [Kind.METADATA]


def test_chunks_that_stand_once_are_unknown_when_they_come_again() -> None:
    scale = plant.chunk(b"tRNS", b"\0\1")
    assert strange(png(scale, STILL)) == set()
    assert strange(png(scale, scale, STILL)) == {"PNG tRNS"}
    assert strange(png(plant.chunk(b"tRNS", b"\0\1words"), STILL)) == {"PNG tRNS slack"}


def test_the_parts_of_an_animation_are_numbered_one_by_one() -> None:
    frame = plant.chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(bytes(4 * 5)))
    assert strange(png(ANIMATION, control(0), STILL, control(1), frame)) == set()
    assert strange(png(ANIMATION, control(7), STILL, control(1), frame)) == {"PNG sequence number"}
    words = plant.chunk(b"fdAT", b"word" + zlib.compress(bytes(4 * 5)))
    assert strange(png(ANIMATION, control(0), STILL, control(1), words)) == {"PNG sequence number"}


# GIF


def test_a_picture_of_a_gif_has_one_control_and_the_file_one_loop() -> None:
    data = saved("GIF", save_all=True, append_images=[plant.picture(16, 12).rotate(90)], duration=50, loop=0)
    assert strange(data) == set()
    control, loop = b"\x21\xf9\x04word\0", b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"
    at = data.index(b"\x21\xf9")
    assert strange(data[:at] + control + data[at:]) == {"GIF graphic control"}
    assert loop in data
    assert strange(data[:at] + loop + data[at:]) == {"GIF application loop"}


# BMP


def bitmap(depth: int, palette: bytes, pixels: bytes, colours: int) -> bytes:
    start = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, depth, 0, len(pixels), 0, 0, colours, 0)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + header + palette + pixels


def test_the_palette_of_a_bitmap_is_that_of_its_depth() -> None:
    assert strange(bitmap(8, bytes(1024), bytes(16), 256)) == set()
    assert strange(bitmap(8, bytes(1000) + b"word" * 106, bytes(16), 350)) == {"BMP gap", "BMP palette spare bytes"}
    assert strange(bitmap(24, b"word" * 8, bytes(48), 8)) == {"BMP gap"}


@pytest.mark.parametrize("spare", [b"\0", b"\xff"])
def test_the_unused_byte_of_a_pixel_says_nothing(spare: bytes) -> None:
    assert strange(bitmap(32, b"", (b"bgr" + spare) * 16, 0)) == set()
    assert strange(bitmap(32, b"", (b"bgr" + spare) * 15 + b"bgr!", 0)) == {"BMP unused bits"}


def test_the_unused_bits_of_a_pixel_say_nothing() -> None:
    for spare in (b"\0\0", b"\0\x80"):
        assert strange(bitmap(16, b"", spare * 16, 0)) == set()
        assert strange(bitmap(16, b"", spare * 15 + b"\0" + bytes((spare[1] ^ 0x80,)), 0)) == {"BMP unused bits"}
    masks = struct.pack("<5I", 0x800000, 0x8000, 0x80, 0, 0x73524742) + bytes(48)
    for pixels, told in ((b"\x80\x80\x80\0" * 16, set()), (b"\xc4\x99\xab\0" * 16, {"BMP unused bits"})):
        header = struct.pack("<IiiHHIIiiII", 108, 4, 4, 1, 32, 3, 64, 0, 0, 0, 0) + masks
        assert strange(struct.pack("<2sIII", b"BM", 186, 0, 122) + header + pixels) == told


# WebP


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended(flags: int) -> bytes:
    return plant.riff_chunk(b"VP8X", bytes((flags, 0, 0, 0, 3, 0, 0, 3, 0, 0)))


def test_an_alpha_plane_belongs_to_a_picture_that_says_so() -> None:
    still = saved("WEBP", "RGBA", quality=80)
    moving = saved("WEBP", "RGBA", quality=80, save_all=True, append_images=[plant.picture(16, 12).convert("RGBA")])
    assert strange(still) == strange(moving) == set()
    alpha, coded = plant.riff_chunk(b"ALPH", b"another!"), plant.riff_chunk(b"VP8 ", b"first!")
    assert strange(riff(extended(16), alpha, coded)) == set()
    assert strange(riff(extended(0), alpha, coded)) == {"ALPH"}
    assert strange(riff(extended(16), coded, alpha)) == {"ALPH"}
    assert strange(riff(extended(16), alpha, plant.riff_chunk(b"VP8L", b"first!"))) == {"ALPH"}


def test_a_lossless_picture_is_transparent_only_if_the_header_says_so() -> None:
    for moving in (False, True):
        more = {"save_all": True, "append_images": [plant.picture(16, 12).convert("RGBA").rotate(90)]} if moving else {}
        picture = plant.picture(16, 12)
        picture.putalpha(90)
        out = io.BytesIO()
        picture.save(out, "WEBP", lossless=True, **more)
        data = bytearray(out.getvalue())
        if not moving:
            header = plant.riff_chunk(b"VP8X", bytes((16, 0, 0, 0, 15, 0, 0, 11, 0, 0)))
            data = bytearray(riff(header, data[12:]))
        assert open_photo(bytes(data)).codec.has_alpha
        assert strange(bytes(data)) == set()
        data[20] &= ~16
        assert open_photo(bytes(data)).codec.has_alpha
        assert strange(bytes(data)) == {"VP8L alpha"}


def test_frames_belong_to_an_animation_and_nothing_beside_them() -> None:
    coded = plant.riff_chunk(b"VP8 ", b"first!")
    frame = plant.riff_chunk(b"ANMF", bytes(16) + coded)
    assert strange(riff(extended(2), frame)) == set()
    assert strange(riff(extended(2), frame, coded)) == {"VP8 "}
    assert strange(riff(extended(0), coded, frame)) == {"ANMF"}
    assert read(riff(extended(0), coded, frame)).frames == 1
    assert strange(riff(extended(0), extended(0), coded)) == {"VP8X"}


# JPEG


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("APP0 JFIF", segment(0xE0, b"JFIF\0\1\1\0word\0\0")),
        ("APP14 Adobe", segment(0xEE, b"Adobe\0dword\0")),
        ("DRI", segment(0xDD, b"\0\7")),
    ],
)
def test_segments_that_stand_once_are_unknown_when_they_come_again(name: str, again: bytes) -> None:
    data = saved("JPEG")
    once = data if name == "APP0 JFIF" else data[:20] + again + data[20:]
    assert strange(once) == set()
    assert strange(once[:20] + again + once[20:]) == {name}


def test_restart_intervals_may_change_between_scans() -> None:
    data = saved("JPEG", progressive=True, restart_marker_blocks=1)
    at = data.rindex(b"\xff\xda")
    assert strange(data[:at] + segment(0xDD, b"\0\1") + data[at:]) == set()


def test_arithmetic_conditioning_without_arithmetic_coding_is_unknown() -> None:
    data = saved("JPEG")
    at = data.index(b"\xff\xda")
    assert strange(data[:at] + segment(0xCC, b"words") + data[at:]) == {"DAC"}


# TIFF


def tiff(*extra: tuple[int, int, bytes], strip: bytes = bytes(48), compression: int = 1, tiled: bool = False) -> bytes:
    out = Tiff("<", False)
    place = out.append(strip)
    number = out.pack
    fields = {0x0100: (3, number("H", 4)), 0x0101: (3, number("H", 4)), 0x0102: (3, number("HHH", 8, 8, 8))}
    fields |= {0x0103: (3, number("H", compression)), 0x0106: (3, number("H", 2)), 0x0115: (3, number("H", 3))}
    if tiled:
        fields |= {0x0142: (3, number("H", 4)), 0x0143: (3, number("H", 4))}
    entries = [(tag, kind, value) for tag, (kind, value) in fields.items()]
    entries += [(0x0145 if tiled else 0x0117, 4, number("I", len(strip)))]
    out.directory(sorted([*entries, out.pointer(0x0144 if tiled else 0x0111, place), *extra]))
    return bytes(out.data)


@pytest.mark.parametrize("tiled", [False, True])
def test_a_strip_ends_with_its_rows(tiled: bool) -> None:
    name = "TIFF IFD0 tiles slack" if tiled else "TIFF IFD0 strips slack"
    assert strange(tiff(tiled=tiled)) == strange(tiff(strip=bytes(60), tiled=tiled)) == set()
    assert strange(tiff(strip=bytes(48) + b"words", tiled=tiled)) == {name}


@pytest.mark.parametrize("format", ["TIFF", "PNG"])
def test_whole_pictures_of_other_writers_have_no_slack(format: str) -> None:
    for mode in ("1", "L", "P", "RGB", "RGBA", "I;16"):
        picture = Image.new(mode, (13, 300)) if mode == "I;16" else plant.picture(13, 300).convert(mode)
        out = io.BytesIO()
        picture.save(out, format)
        assert strange(out.getvalue()) == set(), mode


LONG = struct.Struct("<I").pack


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ((0x015B, 7, b"\xff\xd8words"), "0x015B JPEGTables"),
        ((0x0140, 3, b"words!"), "0x0140 ColorMap"),
        ((0x0145, 2, b"words\0"), "0x0145 TileByteCounts"),
        ((0x0145, 4, b"lots of words..."), "0x0145 TileByteCounts"),
        ((0x0207, 4, b"words..."), "0x0207 JPEGQTables"),
        ((0x0103, 3, b"wo"), "0x0103 Compression"),
        ((0x010A, 2, b"w"), "0x010A FillOrder"),
        ((0x0129, 5, b"words of length "), "0x0129 PageNumber"),
        ((0x0152, 16, b"words..."), "0x0152 ExtraSamples"),
        ((0x014A, 4, bytes(4000) + b"words..."), "0x014A SubIFDs"),
    ],
)
def test_a_field_that_no_decoder_of_this_picture_reads_is_unknown(field: tuple[int, int, bytes], name: str) -> None:
    assert f"TIFF IFD0 {name}" in strange(tiff(field))


def test_a_stream_beside_strips_and_strips_beside_tiles_are_other_pictures() -> None:
    stream = ((0x0201, 4, LONG(8)), (0x0202, 4, LONG(48)))
    assert "TIFF IFD0 0x0201 JPEGInterchangeFormat" not in strange(tiff(*stream))
    assert [part.kind for part in read(tiff(*stream)).parts if part.name == "TIFF IFD0 JPEG"] == [Kind.IMAGE]
    strips = ((0x0111, 4, LONG(8)), (0x0117, 4, LONG(48)))
    kinds = {part.name: part.kind for part in read(tiff(*strips, tiled=True)).parts}
    assert (kinds["TIFF IFD0 tiles"], kinds["TIFF IFD0 strips"]) == (Kind.PIXELS, Kind.IMAGE)


def test_segments_of_a_jpeg_in_a_strip_are_read() -> None:
    strip = saved("JPEG")
    assert strange(tiff(strip=strip, compression=7)) == set()
    words = strip[:2] + segment(0xFE, b"words") + segment(0xE1, b"Exif\0\0words") + strip[2:] + b"words"
    parts = {part.name: part.kind for part in read(tiff(strip=words, compression=7)).parts}
    assert (parts["COM"], parts["APP1 Exif"], parts["after EOI"]) == (Kind.METADATA, Kind.METADATA, Kind.UNKNOWN)


# HEIF and AVIF


def boxed(format: str, mode: str = "RGB", width: int = 64, height: int = 48) -> bytes:
    picture = plant.picture(width, height).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out) if format == "HEIF" else picture.save(out, format)
    return out.getvalue()


def grown(data: bytes, path: list[bytes], more: bytes) -> bytes:
    """The same file with bytes at the end of a box. What lies behind it moves away from the places that tables tell."""
    at, sizes = 0, []
    for kind in path:
        at = data.index(kind, at) - 4
        sizes.append(at)
        at += 8
    end = sizes[-1] + struct.unpack_from(">I", data, sizes[-1])[0]
    out = bytearray(data)
    for size in sizes:
        struct.pack_into(">I", out, size, struct.unpack_from(">I", data, size)[0] + len(more))
    return bytes(out[:end]) + more + bytes(out[end:])


def with_stream(format: str, more: bytes) -> bytes:
    """The same picture with bytes behind its coded data, which end the file and lie in one run."""
    data = boxed(format)
    (item,) = [part for part in read(data).parts if part.name == "item primary"]
    assert item.offset + item.length == len(data)
    lengths = data.rindex(struct.pack(">I", item.length), 0, data.index(b"mdat") - 4)
    out = grown(data, [b"mdat"], more)
    return out[:lengths] + struct.pack(">I", item.length + len(more)) + out[lengths + 4 :]


def coded(format: str) -> bytes:
    data = boxed(format)
    (item,) = [part for part in read(data).parts if part.name == "item primary"]
    return data[item.offset : item.offset + item.length]


def told(data: bytes) -> set[str]:
    """All that has no business in a published file."""
    return {part.name for part in read(data).parts if part.kind not in {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}}


def tiled(width: int, height: int) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(plant.picture(width, height)).save(out, tile_size=64)
    return out.getvalue()


def with_property(data: bytes, box: bytes) -> bytes:
    """A file of one picture with one more property of it. Its pixels lie elsewhere than it tells then."""
    number = len(meta_of(data).properties) + 1
    data = grown(data, [b"meta", b"iprp", b"ipco"], box)
    data = bytearray(grown(data, [b"meta", b"iprp", b"ipma"], bytes((number,))))
    data[data.index(b"ipma") + 14] += 1
    return bytes(data)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_heif_of_encoders_has_no_slack(format: str, mode: str) -> None:
    # Of sizes below 64 and odd ones the encoder crops what it added.
    for width, height in ((64, 48), (97, 161), (3, 5)):
        assert told(boxed(format, mode, width, height)) == set()


def test_tiles_of_encoders_have_no_slack() -> None:
    assert told(tiled(150, 100)) == set()


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
@pytest.mark.parametrize(
    ("box", "name"),
    [
        (full_box(b"pixi", 0, 0, b"\3\x08\x08\x08"), "ipma needless entries"),
        (full_box(b"ispe", 0, 0, b"Jane Doe"), "ipma needless entries"),
        (plant.box(b"avcC", b"words"), "property avcC"),
        (plant.box(b"vvcC", b"words"), "property vvcC"),
        (full_box(b"rloc", 0, 0, b"words"), "property rloc"),
        (plant.box(b"a1lx", b"words"), "property a1lx"),
        (plant.box(b"irot", b"\1"), "property irot"),
    ],
)
def test_only_properties_that_cloak_writes_are_structure_and_once(format: str, box: bytes, name: str) -> None:
    assert name in told(with_property(boxed(format), box))


def test_a_configuration_belongs_to_its_kind_of_coding() -> None:
    assert "ipma needless entries" in told(with_property(boxed("AVIF"), plant.box(b"hvcC", bytes(23))))
    assert "ipma needless entries" in told(with_property(boxed("HEIF"), plant.box(b"av1C", b"\x81\0\0\0")))


def test_properties_hold_their_numbers_and_nothing_else() -> None:
    for kind in (b"ispe", b"pixi", b"auxC", b"colr"):
        path = [b"meta", b"iprp", b"ipco", kind]
        assert {f"property {kind.decode()} slack", f"property {kind.decode()} subtype"} & told(
            grown(boxed("AVIF", "RGBA"), path, b"words")
        )


def test_references_are_of_known_kinds_and_to_items() -> None:
    data = boxed("AVIF", "RGBA")
    for entry in (
        plant.box(b"GPS!", struct.pack(">HHH", 1, 1, 2)),
        plant.box(b"cdsc", struct.pack(">HH", 1, 2) + b"word"),
        plant.box(b"auxl", struct.pack(">HHH", 2, 1, 1)),  # the second of its kind
    ):
        assert "iref needless entries" in told(grown(data, [b"meta", b"iref"], entry))


def test_brands_stand_once() -> None:
    assert "ftyp repeated brand" in told(grown(boxed("AVIF"), [b"ftyp"], b"mif1"))
    assert "ftyp" in told(boxed("AVIF") + plant.box(b"ftyp", b"avif\0\0\0\0mif1"))


def test_a_crop_leaves_nothing_out_of_sight() -> None:
    crop = plant.box(b"clap", struct.pack(">4IiIiI", 32, 1, 24, 1, -32, 2, -24, 2))
    for format in ("HEIF", "AVIF"):
        assert "item primary crop" in told(with_property(boxed(format, "RGB", 64, 64), crop))


def test_tiles_lie_within_their_grid_and_layers_are_unknown() -> None:
    data = tiled(150, 100)
    size = struct.pack(">HH", 150, 100)
    narrow = data.replace(size, struct.pack(">HH", 128, 100), 1).replace(
        struct.pack(">II", 150, 100), struct.pack(">II", 128, 100)
    )
    surplus = data.replace(b"\0\0\1\2" + size, b"\0\0\1\1" + size)
    for changed in (narrow, surplus):
        assert changed != data
        assert told(changed) == {"item primary grid of other tiles than it shows"}
    assert told(data.replace(b"grid", b"iovl")) == {"item primary"}


def test_a_picture_is_coded_in_the_size_that_is_shown() -> None:
    size, less = struct.pack(">II", 64, 64), struct.pack(">II", 6, 6)
    for format, name in (("AVIF", "AV1 frame of another size"), ("HEIF", "item primary coded picture of another size")):
        assert told(boxed(format, "RGB", 64, 64).replace(size, less)) == {name}


def test_a_frame_of_its_own_size_is_not_that_of_its_sequence() -> None:
    def packed(bits: str) -> bytes:
        return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")

    # One operating point, no times; numbers of 4 bits for 6 x 6; no order of frames, all tools to be chosen.
    header = packed("000100000000" + "0" * 12 + "00000001100110101010100000000011")
    for override, size in (("0", (6, 6)), ("1", None)):
        assert av1_size(header, packed("000100" + override)) == size
    assert av1_size(header, packed("0101000")) is None


@pytest.mark.parametrize(
    ("unit", "name"),
    [(b"\x26\1\x80picture", "HEVC unit in a place of others"), (b"\x40\1" + b"words" * 20, "HEVC unit slack")],
)
def test_a_configuration_holds_parameter_sets_of_their_length_and_no_slices(unit: bytes, name: str) -> None:
    array = struct.pack(">BHH", unit[0] >> 1, 1, len(unit)) + unit
    data = bytes(22) + b"\1" + array
    listing = Listing(data)
    note_stream(listing, b"hvcC", listing.whole, "property hvcC")
    assert name in {part.name for part in listing.finish("heif").parts}


def test_a_second_coded_picture_behind_the_first_is_another_picture() -> None:
    assert {"HEVC second picture"} == strange(with_stream("HEIF", coded("HEIF")))
    assert "AV1 second frame" in strange(with_stream("AVIF", coded("AVIF")))


@pytest.mark.parametrize(
    ("format", "unit", "name"),
    [
        ("HEIF", b"\0\0\0\x08\x46\1Jane D", "HEVC unit slack"),
        ("HEIF", b"\0\0\0\x03\x46\1\x50", ""),
        ("HEIF", b"\0\0\0\x07\x40\1words", "HEVC unit in a place of others"),
        ("HEIF", b"\0\0\0\x08\x02\1\0words", "HEVC further slice"),
        ("AVIF", b"\x12\x05words", "AV1 delimiter slack"),
        ("AVIF", b"\x12\0", ""),
        ("AVIF", b"\x3a\x05words", "AV1 padding or reserved unit"),
    ],
)
def test_units_that_mark_a_place_hold_nothing(format: str, unit: bytes, name: str) -> None:
    assert strange(with_stream(format, unit)) == ({name} if name else set())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ([b"meta", b"iloc"], "iloc slack"),
        ([b"meta", b"iinf", b"infe"], "infe slack"),
        ([b"meta", b"iprp", b"ipma"], "ipma slack"),
        ([b"meta", b"iref", b"auxl"], "iref slack"),
    ],
)
def test_bytes_behind_the_last_entry_of_a_table_are_told(path: list[bytes], name: str) -> None:
    assert name in strange(grown(boxed("AVIF", "RGBA"), path, b"\0\0\0words"))


def test_only_the_word_for_alpha_is_structure() -> None:
    data = boxed("AVIF", "RGBA")
    parts = {part.name: part.kind for part in read(data.replace(b"auxiliary:alpha", b"auxiliary:words")).parts}
    assert parts["property auxC"] == Kind.METADATA


def test_a_place_of_data_is_structure_only_if_it_is_this_file() -> None:
    data = boxed("AVIF")
    here = plant.box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    url = full_box(b"url ", 0, 0, b"file:///home/jane\0")
    there = plant.box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), url))
    for box, kind in ((here, Kind.STRUCTURE), (there, Kind.METADATA)):
        assert {part.name: part.kind for part in read(grown(data, [b"meta"], box)).parts}["dinf"] == kind


def test_an_item_of_which_only_the_type_is_there_is_told() -> None:
    entry = full_box(b"infe", 2, 1, struct.pack(">HH", 9, 0), b"mime\0Jane Doe\0")
    data = grown(boxed("AVIF"), [b"meta", b"iinf"], entry)
    found = {part.name: part.kind for part in read(data).parts}
    assert found["item document without data"] == Kind.UNKNOWN
    assert found["item name"] == Kind.METADATA


def test_a_picture_has_one_alpha_plane() -> None:
    data, _ = planted_heif(plant.picture(), "HEIF")
    depth, gain = b"urn:mpeg:hevc:2015:auxid:2\0", b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
    alpha = b"urn:mpeg:hevc:2015:auxid:1\0"
    assert data.count(depth) == data.count(gain) == 1
    # Both hold the picture's alpha now; the second's word is as long as it was.
    both = data.replace(depth, alpha).replace(gain, alpha.ljust(len(gain), b"\0"))
    names = [part.name for part in read(both).parts if part.name in {"item alpha", "item auxiliary image"}]
    assert sorted(names) == ["item alpha", "item auxiliary image"]
