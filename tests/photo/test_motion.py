"""Animations: every frame as it is shown, with its time; loops."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageChops

from cloak.metadata import read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from cloak.photo import open_photo
from tests.photo.making import REGION, concealed, core, masks_of, paint, picture, rgba, saved, untouched
from tests.plant import chunk

KINDS = ("PNG", "GIF", "WEBP")


def _frames(mode="RGB"):
    """A dot that wanders, so that encoders store parts of frames."""
    frames = []
    for i in range(5):
        frame = Image.new(mode, (97, 61), (0, 0, 0, 0) if mode == "RGBA" else (30, 60, 90))
        frame.paste((200, 40 * i, 10, 255)[: len(mode)], (10 * i, 8 * i, 10 * i + 20, 8 * i + 15))
        frames.append(frame)
    return frames


def _saved(kind, mode="RGB", **options):
    frames = _frames(mode)
    if kind == "WEBP":
        options["lossless"] = True
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def _durations(data):
    image = Image.open(io.BytesIO(data))
    out = []
    for i in range(image.n_frames):
        image.seek(i)
        image.load()
        out.append(round(image.info["duration"]))
    return out, image.info.get("loop")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_frame_is_concealed_and_else_as_it_was(kind, mode):
    data = _saved(kind, mode, duration=[50, 60, 70, 80, 90], loop=3, **({"disposal": 2} if mode == "RGBA" else {}))
    photo = open_photo(data)
    assert photo.frames == 5
    masks = masks_of(photo)
    out = concealed(data).data
    kept, hidden = untouched(photo.size, masks[0]), core(photo.size, masks[0])
    for frame in range(5):
        assert np.array_equal(rgba(data, frame)[kept], rgba(out, frame)[kept])
        assert (rgba(out, frame)[hidden] == (85, 85, 85, 255)).all()
    assert _durations(out) == _durations(data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_loop_stays_endless(kind):
    data = _saved(kind, duration=50, loop=0)
    assert _durations(concealed(data, ()).data)[1] == 0


def test_a_gif_that_plays_once_has_no_loop():
    data = _saved("GIF", duration=50)
    assert b"NETSCAPE" not in data
    assert b"NETSCAPE" not in concealed(data).data


@pytest.mark.parametrize("kind", KINDS)
def test_frames_can_be_looked_at_in_any_order(kind):
    photo = open_photo(_saved(kind, duration=50))
    forward = [photo.preview(1, i) for i in range(5)]
    for i in (4, 0, 3, 3, 1):
        assert np.array_equal(photo.preview(1, i), forward[i])
    with pytest.raises(IndexError):
        photo.preview(1, 5)


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
@pytest.mark.parametrize("blend", [0, 1])
def test_apng_frames_are_composed_as_pillow_composes_them(disposal, blend):
    frames = _frames("RGBA")
    disposal = min(disposal, 2)
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50, disposal=disposal, blend=blend)
    photo = open_photo(data)
    for frame in range(photo.frames):
        shown = Image.open(io.BytesIO(data))
        shown.seek(frame)
        over = Image.alpha_composite(Image.new("RGBA", shown.size, (128, 128, 128, 255)), shown.convert("RGBA"))
        assert np.array_equal(photo.preview(1, frame), np.asarray(over.convert("RGB")))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_gif_frames_are_composed_as_pillow_composes_them(disposal):
    frames = [frame.quantize(8) for frame in _frames()]
    # "Restore the previous" of a first frame means the empty canvas to browsers and nothing to Pillow.
    disposals = [min(disposal, 1), *[disposal] * 4]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, disposal=disposals)
    photo = open_photo(data)
    for frame in range(photo.frames):
        before = rgba(data, frame)
        decoded = photo.preview(1, frame)
        seen = before[..., 3] == 255
        assert np.array_equal(decoded[seen], before[seen][:, :3])


def test_a_gif_of_256_colours_keeps_them_all_outside_the_masks():
    source = picture().quantize(256)
    data = saved(source, "GIF")

    def noise(pixels, mask, frame):
        return np.random.default_rng(1).integers(0, 255, pixels.shape).astype(np.uint8)

    photo = open_photo(data)
    masks = masks_of(photo)
    encoded = photo.conceal(masks, noise, _output())
    kept = untouched(photo.size, masks[0])
    assert np.array_equal(rgba(data)[kept], rgba(encoded.data)[kept])
    assert any("nearest" in note for note in encoded.notes)
    changed = (rgba(data) != rgba(encoded.data)).any(axis=2)
    assert changed[core(photo.size, masks[0])].mean() > 0.9


def test_an_animation_stays_about_as_small_as_it_was():
    frames = [picture("RGB", 300, 200)]
    for i in range(10):
        frame = frames[0].copy()
        frame.paste((250, 10, 10), (20 * i, 10, 20 * i + 15, 30))
        frames.append(frame)
    assert ImageChops.difference(frames[1], frames[2]).getbbox()
    for kind in ("PNG", "GIF"):
        first = frames[0].quantize(200) if kind == "GIF" else frames[0]
        data = saved(first, kind, save_all=True, append_images=frames[1:], duration=50)
        assert len(concealed(data, (REGION,)).data) < 3 * len(data)


def test_every_frame_gets_its_own_masks():
    data = _saved("PNG", duration=50)
    photo = open_photo(data)
    masks = [frame if i % 2 else [] for i, frame in enumerate(masks_of(photo))]
    calls = []

    def counting(pixels, mask, frame):
        calls.append(frame)
        return paint(pixels, mask, frame)

    out = photo.conceal(masks, counting, _output()).data
    assert calls == [1, 3]
    hidden = core(photo.size, masks[1])
    for frame in range(5):
        assert ((rgba(out, frame)[hidden][:, 0] == 85).all()) == bool(frame % 2)


def _output():
    from cloak.photo import Output

    return Output()


def _timed(data, delays, plays):
    """An APNG with other delays, as fractions, and another number of plays."""
    out, at, left = bytearray(data), 8, list(delays)
    while at < len(out):
        length, name = struct.unpack_from(">I4s", out, at)
        if name == b"acTL":
            struct.pack_into(">I", out, at + 12, plays)
        elif name == b"fcTL":
            struct.pack_into(">HH", out, at + 28, *left.pop(0))
        struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    assert not left
    return bytes(out)


def _times(data):
    """(delays as fractions, plays) of an APNG."""
    controls = [data[i + 24 : i + 28] for i in range(len(data)) if data[i : i + 4] == b"fcTL"]
    return [struct.unpack(">HH", c) for c in controls], struct.unpack_from(">I", data, data.index(b"acTL") + 8)[0]


def test_times_of_an_apng_are_written_in_one_form_only():
    fractions = [(7, 300), (3, 0), (2_000, 40_000), (65_535, 1), (655, 10)]
    data = _timed(_saved("PNG", duration=50), fractions, 0x61626364)
    out = concealed(data, ()).data
    assert _times(out) == ([(23, 1000), (30, 1000), (50, 1000), (65_535, 1), (65_500, 1000)], 0)
    assert concealed(out, ()).data == out
    assert foreign(out, read(out), Fields()) == ""


@pytest.mark.parametrize(("fraction", "plays"), [((50, 999), 0), ((50, 0), 0), ((65, 1), 0), ((50, 1000), 1 << 16)])
def test_a_published_apng_that_says_times_in_another_form_is_refused(fraction, plays):
    out = _timed(concealed(_saved("PNG", duration=50), ()).data, [fraction, *[(50, 1000)] * 4], plays)
    assert "numbers of PNG" in foreign(out, read(out), Fields())


@pytest.mark.parametrize(("width", "height"), [(1_000, 1_200), (300_000, 4)])
def test_composing_a_frame_over_another_takes_little_memory(width, height):
    control = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", control)
    data += chunk(b"IDAT", zlib.compress(bytes((1 + 8 * width) * height))) + chunk(b"IEND", b"")
    photo = open_photo(data)
    tracemalloc.start()
    try:
        photo.preview(8)
        assert tracemalloc.get_traced_memory()[1] < 60 * width * height
    finally:
        tracemalloc.stop()
