"""What lies outside the masks is the same to the last coefficient, as an independent library reads it."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cloak.errors import CloakError
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import Mask, draw
from cloak.metadata import read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from cloak.photo import jpeg, jpeg_pixels, jpeg_write
from cloak.photo.base import Encoded, Limits, Output
from cloak.photo.jpeg_header import Component, parse
from cloak.photo.jpeg_layout import layout, turned
from tests.conftest import DATA

jpeglib = pytest.importorskip("jpeglib")
pytestmark = pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")

SAMPLINGS = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}


def picture(width: int, height: int, channels: int = 3) -> np.ndarray:
    """Smooth colours with noise and edges, so that all frequencies occur."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (5 + 3 * i)) + np.cos(y / (7 + 2 * i)) for i in range(channels)], axis=-1)
    noise = rng.normal(0, 12, (height, width, channels))
    return np.clip(128 + 50 * waves + noise + 40 * ((x // 13 + y // 11) % 2)[..., None], 0, 255).astype(np.uint8)


def made(width: int, height: int, sampling: str, *options: int) -> bytes:
    pixels = picture(width, height, 1 if sampling == "grey" else 3)
    if sampling != "grey":
        options = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling], *options)
    ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 91, *options])
    assert ok
    return bytes(data)


def with_orientation(data: bytes, orientation: int) -> bytes:
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes((0, orientation, 0, 0)) + bytes(4)
    return data[:2] + jpeg_write.segment(0xE1, b"Exif\0\0" + exif) + data[2:]


def fill(pixels: np.ndarray, mask: Mask, frame: int) -> np.ndarray:
    return np.full_like(pixels, 77)


def coefficients(data: bytes, folder: Path) -> list[np.ndarray]:
    """Per component (rows, columns, 8, 8), as libjpeg reads them."""
    path = folder / "photo.jpg"
    path.write_bytes(data)
    image = jpeglib.read_dct(str(path))
    planes = [image.Y, image.Cb, image.Cr, image.K]
    return [np.asarray(p) for p in planes if p is not None]


def upright_coefficients(blocks: np.ndarray, orientation: int) -> np.ndarray:
    """Coefficients of the turned picture, by turning the grid of blocks and each block."""
    out = blocks
    transpose, down, right = (orientation >= 5, orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7))
    if transpose:
        out = out.transpose(1, 0, 3, 2)
    sign = np.array([1, -1] * 4)
    if down:
        out = out[::-1] * sign[:, None]
    if right:
        out = out[:, ::-1] * sign
    return out


def concealed(data: bytes, regions: list[Region], feather: float = 0.2) -> tuple[Encoded, list[Mask]]:
    photo = jpeg.open_jpeg(data, Limits())
    masks = draw(regions, photo.size, feather=feather)
    return photo.conceal([masks], fill, Output()), masks


def assert_same_outside(before: bytes, after: Encoded, masks: list[Mask], folder: Path) -> None:
    """Every block outside the MCUs that a mask touches has the same coefficients, and all tables are the same.

    Blocks that stick out of the picture may change as well: see the last tests here.
    """
    old, new = parse(before, Limits()), parse(after.data, Limits())
    kept = new.orientation
    way = 1 if kept == old.orientation else old.orientation
    assert new.components == turned(old.components, way)
    grid = layout(new)
    upright = Size(grid.size.height, grid.size.width) if kept >= 5 else grid.size
    marked = np.zeros((upright.height, upright.width), bool)
    for mask in masks:
        marked[mask.window()] |= mask.core | (mask.weight > 0)
    marked = {1: marked, 2: marked[:, ::-1], 3: marked[::-1, ::-1], 4: marked[::-1], 5: marked.T}.get(
        kept, {6: np.rot90(marked), 7: np.rot90(marked, 2).T, 8: np.rot90(marked, -1)}.get(kept, marked)
    )
    rows, columns = np.nonzero(marked)
    touched = np.zeros((grid.rows, grid.columns), bool)
    touched[rows // (8 * grid.vmax), columns // (8 * grid.hmax)] = True
    pairs = zip(coefficients(before, folder), coefficients(after.data, folder), new.components, strict=True)
    for a, b, c in pairs:
        a = upright_coefficients(a, way)
        mark = touched.repeat(c.v, axis=0).repeat(c.h, axis=1)
        rows = new.size.height * c.v // (8 * grid.vmax)
        columns = new.size.width * c.h // (8 * grid.hmax)
        outside = ~mark[:rows, :columns]
        assert np.array_equal(a[:rows, :columns][outside], b[:rows, :columns][outside])


def assert_opens_everywhere(data: bytes) -> None:
    header = parse(data, Limits())
    space = {"grey": "GRAY", "cmyk": "CMYK", "ycck": "CMYK"}.get(header.colour, "RGB")
    simplejpeg.decode_jpeg(data, space, strict=True)  # a warning of libjpeg-turbo would raise
    Image.open(io.BytesIO(data)).load()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


FACE = [Region(Ellipse(47, 31, 17, 22, 20)), Region(Box(90, 60, 500, 9))]


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("interval", [0, 1, 7])
@pytest.mark.parametrize("size", [(128, 96), (121, 83), (97, 70)])
def test_outside_the_masks_nothing_changes(sampling: str, interval: int, size: tuple[int, int], tmp_path: Path) -> None:
    before = made(*size, sampling, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    after, masks = concealed(before, FACE)
    assert after.path == "spliced"
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_is_baked_in_without_loss(sampling: str, orientation: int, tmp_path: Path) -> None:
    before = with_orientation(made(128, 96, sampling), orientation)
    after, masks = concealed(before, [Region(Ellipse(30, 41, 17, 22))])
    assert parse(after.data, Limits()).orientation == 1
    assert after.path == "recoded-coefficients"
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_stays_as_a_tag_where_the_size_forbids_a_turn(orientation: int, tmp_path: Path) -> None:
    before = with_orientation(made(123, 91, "420"), orientation)
    after, masks = concealed(before, [Region(Ellipse(30, 41, 17, 22))])
    assert_same_outside(before, after, masks, tmp_path)
    if orientation == 5:  # only the diagonal: no side leaves its place
        assert parse(after.data, Limits()).orientation == 1
        return
    assert after.path == "spliced"
    assert parse(after.data, Limits()).orientation == orientation
    assert any("orientation is kept" in note for note in after.notes)


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_is_baked_in_by_re_encoding_only_where_no_turn_is_possible(orientation: int) -> None:
    output = Output(bake_orientation=True)
    for size, path in (((128, 96), "recoded-coefficients"), ((123, 91), "re-encoded")):
        photo = jpeg.open_jpeg(with_orientation(made(*size, "420"), orientation), Limits())
        after = photo.conceal([draw(FACE, photo.size)], fill, output)
        assert after.path == path
        assert any("baked in" in note for note in after.notes) == (path == "re-encoded")
        new = jpeg.open_jpeg(after.data, Limits())
        assert new.header.orientation == 1
        assert new.size == photo.size
        assert np.abs(new.preview().astype(int) - photo.preview()).mean() < 20  # 50 if turned another way


@pytest.mark.parametrize("interval", [0, 5])
@pytest.mark.parametrize("sampling", ["grey", "420", "411"])
def test_optimised_files_are_smaller_and_keep_their_coefficients(sampling: str, interval: int, tmp_path: Path) -> None:
    before = made(131, 96, sampling, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    photo = jpeg.open_jpeg(before, Limits())
    masks = draw(FACE, photo.size)
    plain, small = (photo.conceal([masks], fill, Output(optimize=optimize)) for optimize in (False, True))
    assert (plain.path, small.path) == ("spliced", "recoded-coefficients")
    assert len(small.data) < len(plain.data)
    assert_same_outside(before, small, masks, tmp_path)
    assert_opens_everywhere(small.data)


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("interval", [0, 5])
def test_progressive_files_keep_their_coefficients(
    sampling: str, orientation: int, interval: int, tmp_path: Path
) -> None:
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    before = with_orientation(made(131, 96, sampling, *options), orientation)
    after, masks = concealed(before, FACE)
    assert after.path == "recoded-coefficients"
    assert parse(after.data, Limits()).coding == "baseline"
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)


def test_scans_of_one_component_each_keep_their_coefficients(tmp_path: Path) -> None:
    components = tuple(Component(h, v, (3,) * 64) for h, v in ((2, 2), (1, 1), (2, 1)))
    before = jpeg_pixels.encode(picture(117, 75), "ycc", components, jpeg_write.start("ycc"))
    assert len(parse(before, Limits()).scans) == 3
    after, masks = concealed(before, FACE)
    assert after.path == "recoded-coefficients"
    assert len(parse(after.data, Limits()).scans) == 1
    assert_same_outside(before, after, masks, tmp_path)


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
def test_cmyk_and_rgb_files_keep_their_coefficients(mode: str, optimised: bool, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(picture(101, 75, 4 if mode == "CMYK" else 3), mode)
    image.save(buffer, "JPEG", quality=88, optimize=optimised, **({"keep_rgb": True} if mode == "RGB" else {}))
    before = buffer.getvalue()
    after, masks = concealed(before, FACE)
    assert parse(after.data, Limits()).colour == mode.lower()
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)
    shown = np.asarray(Image.open(io.BytesIO(after.data)))
    assert np.abs(shown[28:34, 40:50].astype(int) - 77).max() <= 6


def test_tables_without_the_needed_symbols_are_made_anew(tmp_path: Path) -> None:
    """A flat photo, optimised, has codes for flat blocks only; the mask brings edges."""
    ok, data = cv2.imencode(".jpg", np.full((96, 96, 3), 90, np.uint8), [cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    assert ok
    before = bytes(data)
    after, masks = concealed(before, [Region(Ellipse(40, 40, 20, 20))])
    assert after.path == "recoded-coefficients"
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)


@st.composite
def regions(draw_: st.DrawFn) -> list[Region]:
    place = st.floats(-30, 160)
    length = st.floats(0.3, 60)
    shapes = []
    for _ in range(draw_(st.integers(0, 4))):
        if draw_(st.booleans()):
            shapes.append(Region(Ellipse(draw_(place), draw_(place), draw_(length), draw_(length), draw_(place))))
        else:
            shapes.append(Region(Box(draw_(place), draw_(place), draw_(length), draw_(length))))
    return shapes


@settings(max_examples=60, deadline=None)
@given(
    drawn=regions(),
    sampling=st.sampled_from(["grey", *SAMPLINGS]),
    orientation=st.integers(1, 8),
    width=st.integers(1, 140),
    height=st.integers(1, 140),
    interval=st.integers(0, 9),
    feather=st.sampled_from([0.0, 0.05, 0.2, 0.5]),
    progressive=st.booleans(),
)
def test_whatever_the_masks_the_rest_stays(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[Region],
    sampling: str,
    orientation: int,
    width: int,
    height: int,
    interval: int,
    feather: float,
    progressive: bool,
) -> None:
    options = (cv2.IMWRITE_JPEG_RST_INTERVAL, interval, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive))
    before = with_orientation(made(width, height, sampling, *options), orientation)
    after, masks = concealed(before, drawn, feather)
    assert after.path in ("spliced", "recoded-coefficients")
    assert_same_outside(before, after, masks, tmp_path_factory.getbasetemp())
    assert_opens_everywhere(after.data)


def photos() -> Iterator[Path]:
    if DATA.is_dir():
        yield from sorted((DATA / "photos").glob("*.jpg"))


@pytest.mark.slow
@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in photos()])
def test_camera_files_keep_their_coefficients(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    try:
        photo = jpeg.open_jpeg(before, Limits())
        photo.preview(8)
    except CloakError:
        pytest.skip("withheld")
    w, h = photo.size.width, photo.size.height
    regions = [Region(Ellipse(w * 0.4, h * 0.5, w / 9, h / 7)), Region(Box(w - 5, h - 9, 50, 50))]
    after, masks = concealed(before, regions)
    if after.path == "re-encoded":
        assert any("converted" in note for note in after.notes)
        return
    assert_same_outside(before, after, masks, tmp_path)
    assert_opens_everywhere(after.data)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("size", [(128, 96), (123, 91)])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    "fields", [Fields(), Fields(copyright="(c) Müller", creator="Ann"), Fields(date="2024-05-31T12:00:00", caption="A")]
)
def test_exiftool_has_nothing_to_warn_about(
    fields: Fields, orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    photo = jpeg.open_jpeg(with_orientation(made(*size, "420"), orientation), Limits())
    after = photo.conceal([draw(FACE, photo.size)], fill, Output(fields=fields))
    path = tmp_path / "out.jpg"
    path.write_bytes(after.data)
    said = subprocess.run(["exiftool", "-validate", "-warning", "-a", path], capture_output=True, text=True, check=True)
    assert "Warning" not in said.stdout
    assert said.stdout.split(":")[1].strip() == "OK"
    assert not foreign(after.data, read(after.data), fields)


@pytest.mark.skipif(shutil.which("djpeg") is None, reason="libjpeg-turbo's tools are not installed")
@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("size", [(128, 96), (123, 91), (5, 3)])
def test_djpeg_has_nothing_to_warn_about(sampling: str, size: tuple[int, int], tmp_path: Path) -> None:
    for i, options in enumerate(((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3))):
        after, _ = concealed(made(*size, sampling, *options), FACE)
        path = tmp_path / f"{i}.jpg"
        path.write_bytes(after.data)
        said = subprocess.run(["djpeg", "-strict", "-outfile", os.devnull, path], capture_output=True, check=False)
        assert (said.returncode, said.stderr) == (0, b"")


@pytest.mark.parametrize("word", [b"\0\0\0\x48\0\0\0\1", b"0232", b"\1\2\3\0", b"0100", b"\0\0\0\x7b", b"\0\0\0\x5b"])
def test_fields_that_the_standard_requires_may_say_nothing_else(word: bytes) -> None:
    fields = Fields(date="2024-05-31")
    photo = jpeg.open_jpeg(made(123, 91, "420"), Limits())
    data = photo.conceal([draw(FACE, photo.size)], fill, Output(fields=fields)).data
    assert not foreign(data, read(data), fields)
    exif = data.index(b"Exif")
    at = data.index(word, exif)
    assert at < data.index(b"2024:05:31")
    changed = data[:at] + bytes((word[0] ^ 1,)) + data[at + 1 :]
    assert foreign(changed, read(changed), fields)
    assert foreign(data, read(data), Fields())


def resized(data: bytes, width: int, height: int) -> bytes:
    """The same coded data with another stated size: what a lossless crop does, and whoever wants to undo it."""
    at = min(found for mark in (b"\xff\xc0", b"\xff\xc2") if (found := data.find(mark)) > 0)
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


def samples(data: bytes, width: int, height: int) -> np.ndarray:
    """(H, W) int32 brightness of a picture, as a decoder shows it that is told another size."""
    return jpeg.open_jpeg(resized(data, width, height), jpeg.Limits()).preview()[..., 1].astype(np.int32)


def grid(sampling: str) -> tuple[int, int]:
    """Width and height of an MCU."""
    return {"grey": (8, 8), "444": (8, 8), "422": (16, 8), "440": (8, 16), "420": (16, 16), "411": (32, 8)}[sampling]


@pytest.mark.parametrize("regions", [[], FACE], ids=["no face", "faces"])
@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
def test_what_a_lossless_crop_left_beyond_the_edges_is_gone(sampling: str, regions: list[Region], tmp_path: Path):
    w, h = grid(sampling)
    before = resized(made(128, 96, sampling), 128 - w + 1, 96 - h + 3)
    after, _ = concealed(before, regions)
    assert after.path in {"spliced", "recoded-coefficients"}
    shown = samples(after.data, 128, 96)
    right, below = shown[:, 128 - w :], shown[96 - h + 2 :]
    assert (
        np.abs(right - right[:, :1])[: 96 - h].mean()
        < 6
        < np.abs(samples(before, 128, 96)[:, 128 - w :] - right).mean()
    )
    assert np.abs(below - below[:1])[:, : 128 - w].mean() < 6
    for a, b in zip(coefficients(before, tmp_path), coefficients(after.data, tmp_path), strict=True):
        inside = slice(0, (96 - h) // h * (a.shape[0] * h // 96)), slice(0, 1)
        assert regions or np.array_equal(a[inside], b[inside])


@pytest.mark.parametrize("visible", [1, 4, 9])
@pytest.mark.parametrize("table", ["quality 75", "quality 30", "coarse where nothing is"])
def test_no_quantisation_excuses_what_is_beyond_the_edges(table: str, visible: int) -> None:
    """A few MCUs of a long strip hold something, in frequencies that have fine steps."""
    pixels = np.full((640, 128, 3), 120, np.uint8)
    pixels[304:336, 96:] = cv2.GaussianBlur(picture(32, 32), (0, 0), 1.5)
    options = {"quality": int(table[8:])} if table.startswith("quality") else {"qtables": [[2] * 64]}
    if "qtables" in options:
        options["qtables"][0] = [2 if z // 8 + z % 8 < 7 else 255 for z in range(64)]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", subsampling="4:2:0", **options)
    before = resized(buffer.getvalue(), 112 + visible, 640)
    after, _ = concealed(before, [])
    hidden, old = samples(after.data, 128, 640)[:, 112 + visible :], samples(before, 128, 640)[:, 112 + visible :]
    assert after.path in {"spliced", "recoded-coefficients"}
    assert old[304:336].std(axis=1).mean() > 10
    assert hidden.std(axis=1).max() < 4


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("size", [(121, 83), (97, 70), (116, 90)])
def test_the_margins_of_ordinary_encoders_are_kept(sampling: str, size: tuple[int, int], tmp_path: Path):
    before = made(*size, sampling)
    after, _ = concealed(before, [])
    assert after.path == "spliced"
    for a, b in zip(coefficients(before, tmp_path), coefficients(after.data, tmp_path), strict=True):
        assert np.array_equal(a, b)
