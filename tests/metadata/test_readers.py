"""Every planted carrier is named, and every byte belongs to a part."""

import io

import pytest
from PIL import Image

from cloak.metadata import Contents, Kind, read, sniff
from tests import plant

FORMATS = {
    "apng": "png",
    "webp-animation": "webp",
    "tiff-be": "tiff",
    "bigtiff": "tiff",
}
HARMLESS = {Kind.STRUCTURE, Kind.PIXELS}


def assert_tiles(data: bytes, contents: Contents) -> None:
    """Top-level parts lie one behind the other, from the first byte to the last."""
    at = 0
    for part in contents.parts:
        if not part.inside:
            assert part.offset == at, f"{part.name} starts at {part.offset}, not {at}"
            assert part.length > 0
            at += part.length
    assert at == len(data)
    assert [part.offset for part in contents.parts] == sorted(part.offset for part in contents.parts)


@pytest.fixture(scope="module", params=sorted(plant.PLANTED))
def planted(request: pytest.FixtureRequest) -> tuple[str, bytes, dict[str, str], Contents]:
    data, carriers = plant.PLANTED[request.param]()
    return request.param, data, carriers, read(data)


def test_planted_files_decode(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    import pillow_heif

    name, data, *_ = planted
    image = pillow_heif.open_heif(data).to_pillow() if name == "heif" else Image.open(io.BytesIO(data))
    image.load()
    assert image.width >= 96


def test_the_format_is_told_by_content(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    name, data, _, contents = planted
    assert sniff(data) == contents.format == FORMATS.get(name, name)


def test_top_level_parts_tile_a_planted_file(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    _, data, _, contents = planted
    assert_tiles(data, contents)


def test_each_marker_lies_in_the_part_that_is_named_for_it(
    planted: tuple[str, bytes, dict[str, str], Contents],
) -> None:
    _, data, carriers, contents = planted
    missed = []
    for marker, name in carriers.items():
        at = data.find(marker.encode())
        parts = [part for part in contents.parts if part.name == name]
        said = any(marker in fact.value for part in parts for fact in part.facts)
        held = any(part.offset <= at and at + len(marker) <= part.offset + part.length for part in parts)
        # A marker that is split or compressed has no place of its own: then its carrier must at least be there.
        if not (said or held or (at < 0 and parts)):
            missed.append((marker, name))
    assert not missed


def test_no_marker_lies_only_in_structure_or_pixels(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    _, _, carriers, contents = planted
    suspicious = {part.name for part in contents.parts if part.kind not in HARMLESS}
    assert set(carriers.values()) <= suspicious


def test_parts_in_parts_name_a_part_that_exists(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    *_, contents = planted
    names = {part.name for part in contents.parts}
    assert {part.inside for part in contents.parts} - {""} <= names


def test_names_of_parts_repeat_nothing_that_the_file_says(
    planted: tuple[str, bytes, dict[str, str], Contents],
) -> None:
    *_, contents = planted
    assert not any("LEAK" in part.name for part in contents.parts)


def test_facts_are_short_and_hold_no_control_characters(planted: tuple[str, bytes, dict[str, str], Contents]) -> None:
    *_, contents = planted
    for part in contents.parts:
        for fact in part.facts:
            assert 0 < len(fact.value) <= 200
            assert fact.value.isprintable()
            assert fact.label.isprintable()


@pytest.mark.parametrize("name", sorted(set(plant.PLANTED) - {"bmp"}))  # BMP has no carrier of places
def test_the_most_identifying_fact_is_the_place(name: str) -> None:
    data, _ = plant.PLANTED[name]()
    facts = sorted((fact for part in read(data).parts for fact in part.facts), key=lambda fact: fact.rank)
    assert facts[0].rank == 0
    places = [fact.value for fact in facts if fact.label == "GPS position"]
    assert name == "gif" or "48.858333, -2.350000" in places


def test_faces_are_named_with_their_regions() -> None:
    data, _ = plant.PLANTED["jpeg"]()
    faces = [fact for part in read(data).parts for fact in part.facts if fact.label == "face"]
    assert [fact.value for fact in faces] == ["LEAK_A_XMP_Face_X at x=0.5 y=0.4 w=0.1 h=0.2"]
    assert faces[0].rank == 1


def test_serial_numbers_and_owners_come_before_dates_and_devices() -> None:
    data, _ = plant.PLANTED["jpeg"]()
    ranks = {fact.label: fact.rank for part in read(data).parts for fact in part.facts}
    assert ranks["GPS position"] < ranks["serial number"] == ranks["owner"] == ranks["artist"] == ranks["face"]
    assert ranks["serial number"] < ranks["thumbnail"] < ranks["date taken"] < ranks["camera make"] < ranks["software"]
    assert ranks["software"] < ranks["document ID"] < ranks["history"]


def test_a_thumbnail_tells_its_size() -> None:
    data, _ = plant.PLANTED["jpeg"]()
    part = next(part for part in read(data).parts if part.name == "EXIF IFD1 thumbnail")
    assert part.kind == Kind.IMAGE
    assert part.facts[0].value.startswith("160x120, ")


@pytest.mark.parametrize(
    ("name", "frames"), [("apng", 2), ("webp-animation", 2), ("png", 1), ("tiff", 1), ("jpeg", 1), ("heif", 1)]
)
def test_frames_are_those_that_a_viewer_shows(name: str, frames: int) -> None:
    assert read(plant.PLANTED[name]()[0]).frames == frames


def _saved(format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image = plant.picture(97, 70)
    image.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"quality": 80}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("AVIF", {}),
    ],
)
def test_a_plain_picture_has_nothing_but_structure_and_pixels(format: str, options: dict[str, object]) -> None:
    contents = read(_saved(format, **options))
    assert {(part.name, part.kind) for part in contents.parts if part.kind not in HARMLESS | {Kind.COLOUR}} == set()
    assert contents.fault == ""
    assert contents.frames == 1


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "AVIF", "TIFF"])
def test_several_frames_are_counted(format: str) -> None:
    more = [plant.picture(97, 70).rotate(turn) for turn in (90, 180)]
    assert read(_saved(format, save_all=True, append_images=more, duration=100)).frames == 3


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"%PDF-1.7", b"BMxx", b"<svg/>", bytes(100)])
def test_what_is_no_image_is_one_unknown_part(data: bytes) -> None:
    contents = read(data)
    assert contents.format == sniff(data) == ""
    assert contents.fault
    assert [part.kind for part in contents.parts] == [Kind.UNKNOWN] * bool(data)
    assert_tiles(data, contents)
