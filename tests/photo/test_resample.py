"""Pixels on another grid: what is published is smaller, or moved, and still what it was."""

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image

from cloak import report
from cloak.anonymizer import anonymize
from cloak.detect import Face
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw
from cloak.metadata import Kind, read
from cloak.photo import Output, open_photo
from cloak.photo.pixels import Frame
from cloak.photo.resample import Resampling, plan, resampled
from cloak.pipeline import load
from cloak.verify import problems
from tests.photo.making import gradient, heic, picture, saved, tiff

FILES = {
    "jpeg": lambda: saved(picture(), "JPEG", quality=95),
    "jpeg cmyk": lambda: saved(picture("CMYK"), "JPEG", quality=95),
    "jpeg turned": lambda: saved(picture(), "JPEG", exif=_turned(6)),
    "png": lambda: saved(picture(), "PNG"),
    "png 16": lambda: cv2.imencode(".png", gradient().astype(np.uint16) * 257)[1].tobytes(),
    "png alpha": lambda: saved(picture("RGBA"), "PNG"),
    "png palette": lambda: saved(picture("P"), "PNG"),
    "apng": lambda: saved(picture(), "PNG", save_all=True, append_images=[picture().rotate(9)]),
    "webp": lambda: saved(picture(), "WEBP"),
    "webp animation": lambda: saved(picture("RGBA"), "WEBP", save_all=True, append_images=[picture("RGBA").rotate(9)]),
    "tiff": lambda: saved(picture(), "TIFF", compression="tiff_lzw"),
    "tiff 16": lambda: tiff(gradient().astype(np.uint16) * 257),
    "gif": lambda: saved(picture("P"), "GIF", save_all=True, append_images=[picture("L").rotate(9)]),
    "bmp": lambda: saved(picture(), "BMP"),
    "bmp palette": lambda: saved(picture("P"), "BMP"),
    "bmp alpha": lambda: saved(picture("RGBA"), "BMP"),
    "heic": lambda: heic(gradient(), "RGB"),
    "avif": lambda: saved(picture(), "AVIF"),
}


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_published_on_the_new_grid(name):
    photo = open_photo(FILES[name]())
    how = plan(photo.size, max(photo.size.width, photo.size.height) // 2, b"seed")
    encoded = photo.conceal([[]] * photo.frames, lambda pixels, mask, frame: pixels, Output(resampling=how))
    made = open_photo(encoded.data)
    assert (made.format, made.size, made.frames) == (photo.format, how.size, photo.frames)
    assert encoded.path == "re-encoded"
    assert how.note in encoded.notes
    contents = read(encoded.data)
    assert not contents.fault
    assert {part.kind for part in contents.parts} <= {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}
    for frame in range(photo.frames):
        window = photo.preview(1, frame)[how.top : how.top + how.height, how.left : how.left + how.width]
        wanted = cv2.resize(window, (how.size.width, how.size.height), interpolation=cv2.INTER_AREA)
        assert (
            np.abs(made.preview(1, frame).astype(int) - wanted).mean() < 8
        )  # the decoders differ, and lossy formats lose


def test_a_photo_within_the_limit_stays_on_its_grid():
    assert plan(Size(640, 480), 640, None) is None
    assert plan(Size(640, 480), None, None) is None
    assert plan(Size(3000, 2000), 1500, None) == Resampling(0, 0, 3000, 2000, Size(1500, 1000))
    assert plan(Size(3000, 1), 100, None).size == Size(100, 1)


def test_a_resampled_photo_keeps_its_size_and_loses_a_little_of_every_edge():
    seen = set()
    for number in range(50):
        how = plan(Size(3000, 2000), None, bytes([number]))
        assert how.size == Size(3000, 2000)
        right, bottom = 3000 - how.left - how.width, 2000 - how.top - how.height
        assert all(12 <= cut <= 36 for cut in (how.left, right))
        assert all(8 <= cut <= 24 for cut in (how.top, bottom))
        seen.add(how)
    assert len(seen) == 50
    assert plan(Size(3000, 2000), None, b"a") == plan(Size(3000, 2000), None, b"a")


def test_boxes_go_there_and_back():
    how = Resampling(10, 20, 300, 200, Size(600, 100))
    box = Box(40, 60, 30, 20)
    assert how.into(box) == Box(60, 20, 60, 10)
    assert how.back(how.into(box)) == box
    face = Face(box, 0.9, ("m",), extent=box, landmarks=((1.0, 1.0),) * 5)
    assert face.moved(how.into).extent == how.into(box)


def test_hidden_colour_does_not_come_back_at_the_edge_of_what_shows():
    pixels = np.full((64, 64, 3), 200, np.uint8)
    alpha = np.full((64, 64), 255, np.uint8)
    pixels[:, :31], alpha[:, :31] = (255, 0, 0), 0  # a secret, which starts in the middle of a new pixel
    made = resampled(Frame(pixels, alpha), Resampling(0, 0, 64, 64, Size(32, 32)))
    assert (made.pixels[made.alpha == 0] == 0).all()
    shown = made.pixels[made.alpha > 0].astype(int)
    assert np.abs(shown - 200).max() <= 1


def test_what_is_concealed_is_concealed_before_pixels_are_mixed():
    photo = open_photo(saved(picture(), "PNG"))
    mask = draw([Region(Ellipse(20, 20, 10, 10))], photo.size)

    def paint(pixels, mask, frame):
        return np.where(mask.core[..., None], np.uint8(7), pixels)

    how = Resampling(0, 0, photo.size.width, photo.size.height, Size(photo.size.width // 2, photo.size.height // 2))
    made = open_photo(photo.conceal([mask], paint, Output(resampling=how)).data).preview()
    assert (made[8:12, 8:12] == 7).all()


@pytest.mark.parametrize("options", [{"resize": 200}, {"resample": True}, {"resize": 200, "resample": True}])
def test_faces_are_looked_for_again_in_what_is_published(jpeg, options):
    pipeline = load("cms", recall="fast", **options)
    result = anonymize(jpeg(), pipeline, key=b"k")
    assert result.report.faces == 1
    row = msgspec.to_builtins(result.report)
    regions = report.concealed(row)
    size = open_photo(result.data).size
    assert max(size.width, size.height) == options.get("resize", 256)
    assert problems(result.data, pipeline.recipe, pipeline.limits, regions, frozenset()) == []
    # On the photo's own grid the mask lies elsewhere, unless the whole photo was only moved a little.
    if "resize" in options:
        assert abs(regions[0][0].shape.cx - result.regions[0][0].shape.cx) > 5
    assert anonymize(jpeg(), pipeline, key=b"k").data == result.data


def test_a_photo_whose_effect_does_nothing_is_withheld_on_another_grid_too(jpeg, monkeypatch):
    from cloak import effects
    from cloak.errors import VerificationFailed

    monkeypatch.setattr(effects, "paint", lambda pixels, *rest: pixels)
    with pytest.raises(VerificationFailed):
        anonymize(jpeg(), load("cms", recall="fast", resize=200, resample=True))
