"""What a JPEG is opened as, shown as, and published as."""

import io
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cloak.errors import CloakError, ConcealmentFailed, Corrupt, NotAnImage, TooLarge, Unsupported, VerificationFailed
from cloak.geometry import Box, Ellipse, Region
from cloak.masks import Mask, draw
from cloak.metadata import icc, shaper
from cloak.metadata.fields import Fields
from cloak.photo import jpeg, jpeg_check, jpeg_pixels, jpeg_write
from cloak.photo.base import Limits, Output
from cloak.photo.jpeg_check import check_scan
from cloak.photo.jpeg_header import Component, parse
from cloak.photo.jpeg_layout import TURNS

BOTH = pytest.mark.parametrize("engine", ["native", "fallback"])


@pytest.fixture(autouse=True)
def _engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "engine" in request.fixturenames:
        wanted = request.getfixturevalue("engine")
        if wanted == "native" and jpeg.engine() != "native":
            pytest.skip("the native part is not built")
        monkeypatch.setattr(jpeg, "NATIVE", wanted == "native")


def scene(width: int = 160, height: int = 112) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 128 + 60 * np.sin(x / 9)], axis=-1).astype(np.uint8)


def saved(pixels: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes()) if mode else Image.fromarray(pixels)
    image.save(buffer, "JPEG", **({"quality": 92} | options))
    return buffer.getvalue()


def shown(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def fill(pixels: np.ndarray, mask: Mask, frame: int) -> np.ndarray:
    return np.full_like(pixels, 77)


def published(data: bytes, regions: list[Region] | None = None, output: Output | None = None) -> jpeg.Encoded:
    photo = jpeg.open_jpeg(data, Limits())
    masks = draw([Region(Ellipse(50, 40, 20, 25))] if regions is None else regions, photo.size)
    return photo.conceal([masks], fill, output or Output())


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + jpeg_write.segment(marker, body) + data[2:]


def exif(orientation: int, order: str = ">") -> bytes:
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HI", 42, 8)
    return b"Exif\0\0" + head + struct.pack(order + "HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)


@BOTH
def test_a_mask_is_filled_and_the_rest_looks_the_same(engine: str) -> None:
    before = saved(scene(), subsampling=2)
    after = published(before)
    a, b = shown(before).astype(int), shown(after.data).astype(int)
    assert np.abs(b[30:50, 40:60] - 77).max() <= 8
    assert np.abs(a - b)[:, 90:].max() <= (0 if engine == "native" else 6)
    assert after.path == ("spliced" if engine == "native" else "re-encoded")


@BOTH
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", [(160, 112), (157, 109)])
def test_every_orientation_is_shown_upright(engine: str, orientation: int, order: str, size: tuple[int, int]) -> None:
    upright = scene(*size)
    stored = np.ascontiguousarray(jpeg_pixels.stored(upright, orientation))
    before = with_segment(saved(stored, subsampling=0), 0xE1, exif(orientation, order))
    photo = jpeg.open_jpeg(before, Limits())
    assert (photo.size.width, photo.size.height) == size
    assert np.abs(photo.preview(1).astype(int) - upright).mean() < 2
    small = photo.preview(4)
    assert small.shape == (-(-size[1] // 4), -(-size[0] // 4), 3)
    # The mask covers the upright picture's top left; the published picture shows it there, with its tag applied.
    after = published(before, [Region(Box(0, 0, 24, 16))])
    again = jpeg.open_jpeg(after.data, Limits()).preview(1).astype(int)
    assert np.abs(again[1:15, 1:23] - 77).max() <= 16
    assert np.abs(again[40:, 60:] - upright[40:, 60:]).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_turned_as_pillow_turns_them(orientation: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6, 1).repeat(3, 2)
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's ImageOps.exif_transpose
    image = Image.fromarray(pixels)
    wanted = image if orientation == 1 else image.transpose(Image.Transpose(turn[orientation]))
    assert np.array_equal(jpeg_pixels.upright(pixels, orientation), np.asarray(wanted))
    assert np.array_equal(jpeg_pixels.stored(np.asarray(wanted), orientation), pixels)
    assert set(TURNS) == set(range(1, 9))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (17, 33), (161, 110)])
def test_previews_round_sizes_up(reduction: int, size: tuple[int, int]) -> None:
    photo = jpeg.open_jpeg(saved(scene(*size)), Limits())
    preview = photo.preview(reduction)
    assert preview.shape == (-(-size[1] // reduction), -(-size[0] // reduction), 3)
    assert preview.dtype == np.uint8


@BOTH
def test_cmyk_is_painted_as_ink_and_stays_cmyk(engine: str) -> None:
    ink = np.zeros((96, 96, 4), np.uint8)
    ink[..., 1] = 200  # magenta
    before = saved(ink, "CMYK")
    photo = jpeg.open_jpeg(before, Limits())
    assert np.abs(photo.preview(1)[50, 50].astype(int) - (255, 55, 255)).max() <= 3
    seen = []

    def paint(pixels: np.ndarray, mask: Mask, frame: int) -> np.ndarray:
        seen.append(pixels.copy())
        return np.zeros_like(pixels)

    after = photo.conceal([draw([Region(Box(20, 20, 30, 30))], photo.size)], paint, Output())
    assert np.abs(seen[0].astype(int) - (0, 200, 0, 0)).max() <= 2
    image = Image.open(io.BytesIO(after.data))
    assert image.mode == "CMYK"
    assert np.abs(shown(after.data)[30, 30].astype(int) - 255).max() <= 2
    assert np.abs(np.asarray(image)[70, 70].astype(int) - (0, 200, 0, 0)).max() <= 2


@BOTH
def test_ycck_is_read_as_libjpeg_reads_it(engine: str) -> None:
    ink = np.dstack([scene(96, 96), np.full((96, 96), 30, np.uint8)])
    components = tuple(Component(h, h, (2,) * 64) for h in (2, 1, 1, 2))
    before = jpeg_pixels.encode(ink, "ycck", components, jpeg_write.start("ycck"))
    image = Image.open(io.BytesIO(before))
    assert image.mode == "CMYK"
    assert np.abs(np.asarray(image).astype(int) - ink).mean() < 3
    after = published(before)
    assert np.abs(np.asarray(Image.open(io.BytesIO(after.data)))[35:45, 45:55].astype(int) - 77).max() <= 4
    assert np.abs(np.asarray(Image.open(io.BytesIO(after.data)))[80:].astype(int) - ink[80:]).mean() < 3


@BOTH
@pytest.mark.parametrize("factors", [((2, 2), (1, 1), (1, 1)), ((2, 1), (1, 1), (2, 1)), ((1, 4), (1, 1), (1, 2))])
def test_quantisation_and_sampling_are_kept(engine: str, factors: tuple[tuple[int, int], ...]) -> None:
    components = tuple(Component(h, v, tuple(range(i + 1, i + 65))) for i, (h, v) in enumerate(factors))
    before = jpeg_pixels.encode(scene(), "ycc", components, jpeg_write.start("ycc"))
    if engine == "fallback" and factors[1] != (1, 1):
        pytest.skip("libjpeg's interface knows the usual samplings only")
    try:
        after = published(before)
    except Corrupt:
        assert engine == "fallback"  # fails closed where nothing can check the data
        return
    assert parse(after.data, Limits()).components == components


@pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")
def test_more_blocks_than_one_scan_may_hold_are_reencoded() -> None:
    components = tuple(Component(h, v, (4,) * 64) for h, v in ((4, 4), (1, 1), (1, 1)))
    before = jpeg_pixels.encode(scene(), "ycc", components, jpeg_write.start("ycc"))
    after = published(before)
    assert after.path == "re-encoded"
    assert np.abs(shown(after.data).astype(int)[60:] - shown(before)[60:]).mean() < 3


def test_quantisation_of_sixteen_bits_is_kept() -> None:
    components = (Component(1, 1, (300,) + (2,) * 63),)
    before = jpeg_pixels.encode(scene()[..., :1], "grey", components, jpeg_write.start("grey"))
    after = published(before)
    assert parse(after.data, Limits()).components == components
    assert parse(after.data, Limits()).coding == "extended"


@BOTH
def test_nothing_but_pixels_survives(engine: str) -> None:
    secret = b"SECRET-7f3a"
    before = saved(scene(), comment=secret)
    for marker in range(0xE0, 0xF0):
        for name in (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0\1\2", b"MPF\0", b"JFXX\0\x10"):
            before = with_segment(before, marker, name + secret)
    before = before[:-2] + b"\xff\xff\xff\xd9" + secret + before + secret
    after = published(before)
    assert secret not in after.data
    markers = [m for m, _ in segments(after.data)]
    assert set(markers) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
    assert after.data.endswith(b"\xff\xd9")
    check_scan(after.data)


def segments(data: bytes) -> list[tuple[int, bytes]]:
    at, found = 2, []
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return [*found, (0xDA, b"")]


def test_tables_that_no_component_uses_are_dropped() -> None:
    before = saved(scene(), subsampling=2)
    hidden = bytes(range(1, 65))
    at = before.index(b"\xff\xdb")
    before = before[:at] + jpeg_write.segment(0xDB, b"\x03" + hidden) + before[at:]
    before = before[:at] + jpeg_write.segment(0xC4, b"\x13" + bytes([0] * 15 + [4]) + b"HIDE") + before[at:]
    after = published(before)
    assert hidden not in after.data
    assert b"HIDE" not in after.data


@BOTH
def test_rows_hidden_below_the_stated_height_are_gone(engine: str) -> None:
    """A frame height edited down leaves whole rows of MCUs in the data."""
    whole = saved(scene(160, 112), subsampling=2)
    at = whole.index(b"\xff\xc0") + 5
    cut = whole[:at] + struct.pack(">H", 64) + whole[at + 2 :]
    if engine == "fallback":
        with pytest.raises(Corrupt):  # libjpeg warns of the surplus
            published(cut)
        return
    after = published(cut, [])
    assert len(after.data) < 0.8 * len(cut)
    check_scan(after.data)
    assert (
        np.array_equal(shown(after.data), shown(whole)[:64])
        or np.abs(shown(after.data).astype(int) - shown(whole)[:64]).mean() < 1
    )
    with pytest.raises(VerificationFailed):
        check_scan(cut)


@pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")
@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("interval", [0, 4])
def test_a_filled_face_leaves_no_trace(sampling: str, interval: int) -> None:
    """Whatever the face was, the published bytes are the same."""
    rng = np.random.default_rng(5)
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    results = []
    for face in range(3):
        pixels = scene(192, 160)
        # Whole MCUs, so that the encoder touches nothing else; up to the very edge of the mask.
        pixels[64:128, 64:128] = rng.integers(0, 256, (64, 64, 3)) if face else 200
        ok, data = cv2.imencode(".jpg", pixels, options)
        assert ok
        results.append(published(bytes(data), [Region(Box(64, 64, 64, 64))]).data)
    assert results[0] == results[1] == results[2]


def test_overlapping_windows_show_what_was_painted_before() -> None:
    photo = jpeg.open_jpeg(saved(np.full((128, 128, 3), 200, np.uint8)), Limits())
    masks = [mask for x in (40, 62) for mask in draw([Region(Box(x, 50, 18, 20))], photo.size, margin=1.0)]
    values = iter((10, 90))
    windows = []

    def paint(pixels: np.ndarray, mask: Mask, frame: int) -> np.ndarray:
        windows.append(pixels.copy())
        return np.full_like(pixels, next(values))

    after = shown(photo.conceal([masks], paint, Output()).data)
    assert np.abs(after[60, 48].astype(int) - 10).max() <= 6
    assert np.abs(after[60, 70].astype(int) - 90).max() <= 6
    left = 48 - masks[1].left
    assert np.abs(windows[1][60 - masks[1].top, left].astype(int) - 10).max() == 0


@BOTH
def test_kept_fields_are_written_anew(engine: str) -> None:
    before = with_segment(saved(scene()), 0xE1, exif(1))
    after = published(before, output=Output(fields=Fields(copyright="Someone", caption="A walk")))
    names = [body[:28] for marker, body in segments(after.data) if marker == 0xE1]
    assert [name.startswith((b"Exif", b"http")) for name in names] == [True, True]
    assert b"Someone" in after.data


def display_p3_like() -> bytes:
    return icc.KNOWN["display-p3"].data


@BOTH
def test_a_known_profile_is_kept_as_our_own_bytes(engine: str) -> None:
    after = published(saved(scene(), icc_profile=display_p3_like()))
    assert parse(after.data, Limits()).icc == display_p3_like()
    assert after.path == ("spliced" if engine == "native" else "re-encoded")


def test_a_profile_that_is_built_anew_is_looked_through() -> None:
    """Its curves, and its primaries, may show what the values hardly hold."""
    steep = shaper.coarse_table(np.linspace(-1.5, 2.5, 1025).clip(0, 1) ** 2.2)
    own = shaper.rgb_profile(
        shaper.RGB, shaper.primaries((shaper.D65, (0.6, 0.3), (0.3, 0.6), (0.1, 0.1))), [steep] * 3
    )
    before = saved((128 + (scene() - 128.0) * 0.04).astype(np.uint8), icc_profile=own, quality=100)
    for data in (before, published(before).data):
        photo = jpeg.open_jpeg(data, Limits())
        assert photo.renderings() == ("shown", "managed")
        assert photo.preview(2, 0, "managed").std() > 2 * photo.preview(2).std()
    for data in (saved(scene()), saved(scene(), icc_profile=display_p3_like())):
        assert jpeg.open_jpeg(data, Limits()).renderings() == ("shown",)


def test_a_profile_in_many_chunks_is_put_together() -> None:
    profile = display_p3_like()
    data = saved(scene())
    for i, part in enumerate((profile[:100], profile[100:300], profile[300:])):
        data = with_segment(data, 0xE2, b"ICC_PROFILE\0" + bytes((i + 1, 3)) + part)
    assert parse(data, Limits()).icc == profile
    broken = with_segment(data, 0xE2, b"ICC_PROFILE\0\x02\x03again")
    assert parse(broken, Limits()).icc is None


def test_a_profile_for_other_channels_is_dropped_with_a_note() -> None:
    before = saved(scene()[..., 0], icc_profile=display_p3_like())
    after = published(before)
    assert parse(after.data, Limits()).icc is None
    assert any("did not fit" in note for note in after.notes)
    with pytest.raises(Unsupported):
        published(before, output=Output(profile="withhold"))


@BOTH
def test_a_broken_profile_is_dropped_with_a_note(engine: str) -> None:
    before = saved(scene(), icc_profile=display_p3_like()[:200])
    after = published(before)
    assert parse(after.data, Limits()).icc is None
    assert any("is broken" in note for note in after.notes)
    with pytest.raises(Unsupported):
        published(before, output=Output(profile="withhold"))


def test_quality_replaces_the_tables() -> None:
    after = published(saved(scene(), subsampling=2), output=Output(quality=50))
    assert after.path == "re-encoded"
    assert parse(after.data, Limits()).components[0].quant[:3] == (16, 11, 12)
    assert parse(after.data, Limits()).components[0].h == 2


def test_masks_outside_the_picture_are_refused() -> None:
    photo = jpeg.open_jpeg(saved(scene(64, 64)), Limits())
    (mask,) = draw([Region(Box(90, 10, 20, 20))], jpeg.Size(128, 128))
    with pytest.raises(ConcealmentFailed):
        photo.conceal([[mask]], fill, Output())
    with pytest.raises(ConcealmentFailed):
        photo.conceal([], fill, Output())


@BOTH
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95, 0.999])
def test_truncated_files_are_withheld(engine: str, cut: float) -> None:
    whole = saved(scene(), subsampling=2)
    for tail in (b"", b"\xff\xd9"):
        with pytest.raises(Corrupt):
            published(whole[: int(len(whole) * cut) - 2] + tail)


@BOTH
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_picture_of_no_data_is_refused_at_once(engine: str, progressive: bool) -> None:
    data = saved(scene(), subsampling=2, progressive=progressive)
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    with pytest.raises(Corrupt):
        jpeg.open_jpeg(data[:at] + struct.pack(">HH", 15000, 16000) + data[at + 4 :], Limits())


def test_progressive_files_without_their_last_scans_are_published_as_they_are_shown() -> None:
    """Found by fuzzing: libjpeg estimates the missing bits, so kept coefficients would not be what was looked at."""
    whole = saved(scene(), progressive=True)
    scans = parse(whole, Limits()).scans
    cut = whole[: whole.rindex(b"\xff\xda", 0, scans[2].start)] + b"\xff\xd9"
    before = jpeg.open_jpeg(cut, Limits()).preview(1)
    after = published(cut, [])
    assert after.path == "re-encoded"
    assert np.abs(shown(after.data).astype(int) - before).mean() < 2


def test_scans_of_a_rare_sampling_are_read_once_they_are_known_to_be_sound() -> None:
    """Found by fuzzing: TurboJPEG refuses 2 x 3, and what cloak had re-encoded to it was not verified."""
    quantised = parse(saved(scene(), subsampling=2), Limits()).components
    rare = (replace(quantised[0], h=2, v=3), *quantised[1:])
    data = jpeg_pixels.encode(scene(), "ycc", rare, jpeg_write.start("ycc"))
    assert len(parse(data, Limits()).scans) == 3
    assert np.abs(jpeg.open_jpeg(data, Limits()).preview(1).astype(int) - scene()).mean() < 4
    at = parse(data, Limits()).scans[1].start + 40
    with pytest.raises(Corrupt):
        jpeg.open_jpeg(data[:at] + bytes(60) + data[at + 60 :], Limits()).preview(1)


@BOTH
@pytest.mark.parametrize(
    "options", ["", "-progressive", "-sample 2x1 -quality 61", "-sample 1x1 -restart 3", "-grayscale", "-rgb"]
)
@pytest.mark.skipif(shutil.which("cjpeg") is None, reason="nothing here writes arithmetic coding")
def test_arithmetic_coding_is_reencoded_with_its_own_tables(engine: str, options: str) -> None:
    header = b"P6 160 112 255\n"
    command = ["cjpeg", "-arithmetic", *options.split()]
    made = subprocess.run(command, input=header + scene().tobytes(), capture_output=True, check=True)
    assert "arithmetic" in parse(made.stdout, Limits()).coding
    after = published(made.stdout)
    assert after.path == "re-encoded"
    assert after.notes
    assert parse(after.data, Limits()).components == parse(made.stdout, Limits()).components
    assert np.abs(shown(after.data)[30:50, 40:60].astype(int) - 77).max() <= 8


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda d: b"", NotAnImage),
        (lambda d: b"\xff\xd8", NotAnImage),
        (lambda d: b"GIF89a" + d, NotAnImage),
        (lambda d: d[:2] + d[-2:], (Corrupt, NotAnImage)),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), Unsupported),
        (lambda d: d.replace(b"\xff\xc0", b"\xff\xc3"), Unsupported),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x70", b"\xff\xc0\0\x11\x08\0\0"), Unsupported),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x70\0\xa0", b"\xff\xc0\0\x11\x08\0\x70\0\0"), Corrupt),
        (lambda d: d.replace(b"\xff\xc0\0\x11\x08\0\x70\0\xa0", b"\xff\xc0\0\x11\x08\xff\xff\xff\xff"), TooLarge),
        (lambda d: d[: d.index(b"\xff\xda")] + b"\xff\xd9", Corrupt),
        (lambda d: d.replace(b"\xff\xdb", b"\xff\xe5"), Corrupt),
        (lambda d: with_segment(d, 0xDB, b"\0" + bytes(64)), Corrupt),
        (lambda d: with_segment(d, 0xC4, b"\0" + b"\3" + bytes(15) + b"abc"), Corrupt),
        (lambda d: with_segment(d, 0xF0, b"x"), Corrupt),
        (lambda d: with_segment(d, 0xDD, b"x"), Corrupt),
        (lambda d: d[:2] + b"\xff\xe1\0\1" + d[2:], Corrupt),
        (lambda d: d[:2] + b"\xff\xe1\0\4\0\0" * 5000 + d[2:], TooLarge),
    ],
)
def test_impossible_headers_are_refused(change: object, error: type[CloakError]) -> None:
    data = saved(scene(), subsampling=2)
    with pytest.raises(error):
        jpeg.open_jpeg(change(data), Limits())  # type: ignore[operator]


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    data = saved(scene())
    with pytest.raises(TooLarge):
        jpeg.open_jpeg(data, Limits(bytes=len(data) - 1))


def test_rubbish_between_segments_is_stepped_over_and_not_kept() -> None:
    data = saved(scene())
    odd = data[:20] + b"JUNK" + b"\xff\xff\xff" + data[20:]
    after = published(odd)
    assert b"JUNK" not in after.data
    assert np.array_equal(shown(published(data).data), shown(after.data))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("change", ["append", "behind", "between", "zeros", "lie", "interval"])
def test_the_second_look_sees_hidden_bytes(change: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native and change in ("zeros", "between"):
        pytest.skip("libjpeg pays no heed to padding bits and fill")
    monkeypatch.setattr(jpeg_check, "NATIVE", native and jpeg_check.NATIVE)
    good = published(saved(scene(), subsampling=2)).data
    check_scan(good)
    at = good.index(b"\xff\xda")
    bad = {
        "append": good + b"x",
        "behind": good[:-2] + b"\x12\x34\x56" * 20 + good[-2:],
        "between": good[:at] + b"x" + good[at:],
        "zeros": good[:-3] + bytes((good[-3] & 0x80,)) + b"\0" + good[-2:],
        "interval": good[:at] + b"\xff\xdd\0\x0b" + b"\xff" * 9 + good[at:],
        "lie": good[: good.index(b"\xff\xc0") + 5] + b"\0\x20" + good[good.index(b"\xff\xc0") + 7 :],
    }[change]
    with pytest.raises(VerificationFailed):
        check_scan(bad)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_the_second_look_works_without_the_native_part(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    data = published(saved(np.full((64, 64, channels), 90, np.uint8), mode)).data
    check_scan(data)
    monkeypatch.setattr(jpeg_check, "NATIVE", False)
    check_scan(data)


def test_the_second_look_refuses_what_is_not_sequential() -> None:
    for data in (saved(scene(), progressive=True), b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"no"):
        with pytest.raises(VerificationFailed):
            check_scan(data)


def test_no_message_names_a_path_or_a_value(tmp_path: Path) -> None:
    data = with_segment(saved(scene()), 0xE1, exif(1) + b"GPS-SECRET")
    with pytest.raises(Corrupt) as caught:
        jpeg.open_jpeg(data[:-300], Limits())
    assert "SECRET" not in str(caught.value)
