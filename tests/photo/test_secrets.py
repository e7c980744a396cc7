"""Nothing of the old file survives but pixels outside the masks: transparency, metadata, further pictures."""

import io
import re
import shutil
import struct
import subprocess
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cloak.metadata import Kind, read
from cloak.metadata.fields import Fields
from cloak.photo import Output, open_photo
from tests import plant
from tests.photo.making import concealed, core, gradient, heic, masks_of, picture, rgba, saved, tiff, untouched

FIELDS = Fields(copyright="(c) Zoë Example", creator="Zoë Example", caption="A street.")


def _hidden(kind: str, opaque_share: int = 0) -> bytes:
    """A picture whose colours are all there, under an alpha of nothing but a strip at its right."""
    pixels = np.dstack([gradient(), np.full((61, 97), opaque_share, np.uint8)])
    pixels[:, 80:, 3] = 255
    if kind == "TIFF 16":
        return tiff(pixels.astype("u2") * 257, photometric="rgb", extrasamples=["unassalpha"])
    if kind == "HEIC":
        return heic(pixels, "RGBA")
    return saved(Image.fromarray(pixels), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "TIFF 16"])
def test_colour_under_full_transparency_is_cleared(kind):
    data = _hidden(kind)
    out = concealed(data, ()).data
    samples = np.asarray(Image.open(io.BytesIO(out))) if kind != "TIFF 16" else _tifffile(out)
    assert (samples[:, :80] == 0).all()
    assert samples[:, 80:, :3].any()


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_colour_under_full_transparency_is_cleared_as_far_as_a_lossy_codec_tells(kind):
    decoded = open_photo(concealed(_hidden(kind), ()).data).codec.decode(0)
    before = open_photo(_hidden(kind)).codec.decode(0)
    assert before.pixels[:, :60].std() > 30
    assert decoded.pixels[:, :60].std() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF 16", "WEBP", "AVIF", "HEIC", "WEBP lossy"])
def test_colour_that_was_not_cleared_is_told(kind):
    lossy = saved(Image.open(io.BytesIO(_hidden("PNG"))), "WEBP", exact=True)
    data = lossy if kind == "WEBP lossy" else _hidden(kind)
    assert open_photo(data).surplus() == "colour under full transparency"
    for quality in (5, None):
        assert open_photo(concealed(data, (), Output(quality=quality)).data).surplus() == ""


@pytest.mark.parametrize("moving", [False, True])
def test_an_alpha_plane_that_a_lossless_webp_says_it_does_not_use_is_told_and_dropped(moving):
    image = Image.fromarray(np.dstack([gradient(), np.maximum(gradient()[..., 0], 1)]))
    more = {"save_all": True, "append_images": [image.rotate(180)]} if moving else {}
    data = bytearray(saved(image, "WEBP", lossless=True, exact=True, **more))
    for found in re.finditer(b"VP8L", bytes(data)):
        data[found.end() + 8] &= ~0x10
    if moving:
        data[20] &= ~0x10  # the header's word for it
    photo = open_photo(bytes(data))
    assert all(photo.surplus(i) == "an alpha plane that it says it does not use" for i in range(photo.frames))
    out = concealed(bytes(data), ()).data
    written = open_photo(out)
    assert not any(written.surplus(i) for i in range(written.frames))
    assert all(written.codec.decode(i).alpha is None for i in range(written.frames))
    for chunk in re.finditer(b"VP8L", out):
        length = struct.unpack_from("<I", out, chunk.end())[0]
        still = b"WEBP" + out[chunk.start() : chunk.end() + 4 + length + length % 2]
        samples = imagecodecs.webp_decode(b"RIFF" + struct.pack("<I", len(still)) + still, hasalpha=True)
        assert (samples[..., 3] == 255).all()


def _by_palette(kind, palette, levels):
    image = Image.fromarray(levels, "P")
    image.putpalette(palette)
    options = {"bits": 2} if kind == "PNG 2" else {"optimize": False} if kind == "GIF" else {}
    return saved(image, kind[:4].strip(), **options)


@pytest.mark.parametrize("kind", ["PNG", "PNG 2", "GIF", "BMP", "TIFF"])
def test_a_palette_shows_all_that_its_indices_say_and_nothing_else(kind):
    levels = np.array([[0, 1, 2, 3], [0, 1, 2, 3]], np.uint8)
    four = [0, 0, 0, 9, 9, 9, 90, 90, 90, 200, 10, 10]
    same = _by_palette(kind, [*four[:3], *four[:3], *four[6:]], levels)
    assert open_photo(same).surplus() == "a palette of equal or unused colours"
    spare = _by_palette(kind, four, levels // 2)
    assert open_photo(spare).surplus() == "a palette of equal or unused colours"
    for data in (same, spare, _by_palette(kind, four, levels)):
        assert not open_photo(concealed(data, ()).data).surplus()


def test_a_gif_of_too_many_colours_has_no_spare_ones():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    photo = open_photo(saved(picture("P", 64, 64), "GIF"))
    painted = photo.conceal(
        masks_of(photo), lambda pixels, mask, frame: noise[: len(pixels), : pixels.shape[1]], Output()
    )
    assert not open_photo(painted.data).surplus()


def _tifffile(data):
    import tifffile

    return tifffile.imread(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "TIFF 16"])
def test_the_outline_of_a_cut_out_head_does_not_tell(kind):
    data = _hidden(kind)
    photo = open_photo(data)
    masks = masks_of(photo, feather=0.4)
    seen = []

    def paint(pixels, mask, frame):
        seen.append(pixels.copy())
        return np.full_like(pixels, np.iinfo(pixels.dtype).max // 2)

    out = open_photo(photo.conceal(masks, paint, Output()).data).codec.decode(0)
    top = np.iinfo(out.alpha.dtype).max
    assert (out.alpha[core(photo.size, masks[0])] == top).all()
    ring = ~untouched(photo.size, masks[0]) & ~core(photo.size, masks[0])
    assert 0 < out.alpha[ring].min() <= out.alpha[ring].max() < top
    assert (out.alpha[untouched(photo.size, masks[0])][:50] == 0).all()
    # The effect never sees what transparency hides.
    assert len(np.unique(seen[0])) == 1


def test_a_preview_shows_grey_where_nothing_is_to_be_seen():
    preview = open_photo(_hidden("PNG")).preview()
    assert (preview[:, :80] == 128).all()
    assert np.array_equal(preview[:, 80:], gradient()[:, 80:])


def _inflated(data: bytes) -> bytes:
    """The file, and behind it whatever inflates at any place of it."""
    out = [data]
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data):
        try:
            out.append(zlib.decompressobj().decompress(data[match.start() :], 10_000_000))
        except zlib.error:
            continue
    return b"".join(out)


@pytest.mark.parametrize("name", [name for name in plant.PLANTED if not name.startswith("jpeg")])
def test_no_planted_marker_survives(name):
    data, markers = plant.PLANTED[name]()
    photo = open_photo(data)
    masks = masks_of(photo)
    out = photo.conceal(masks, lambda pixels, mask, frame: pixels // 2, Output()).data
    found = _inflated(out)
    assert [marker for marker in markers if marker.encode() in found] == []
    contents = read(out)
    assert contents.fault == ""
    assert [p.name for p in contents.parts if p.kind in (Kind.METADATA, Kind.UNKNOWN, Kind.IMAGE)] == []


@pytest.mark.parametrize("name", ["png", "tif", "webp", "gif", "heic", "avif"])
def test_no_marker_of_the_shared_corpus_survives(data, name):
    import json

    planted = (data / "leaks" / f"planted.{name}").read_bytes()
    markers = json.loads((data / "leaks" / "markers.json").read_text())[f"planted.{name}"]
    if name == "tif":
        planted = _first_page(planted)
    out = _inflated(concealed(planted, ()).data)
    assert [marker for marker in markers if marker.encode() in out] == []


def _first_page(data: bytes) -> bytes:
    """The corpus' TIFF without its further pages, which differ in size and so are withheld."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    out = bytearray(data)
    struct.pack_into("<I", out, start + 2 + 12 * count, 0)
    return bytes(out)


KEEPING = {
    "png": lambda: saved(picture(), "PNG"),
    "webp": lambda: saved(picture(), "WEBP"),
    "tiff": lambda: saved(picture(), "TIFF"),
    "heic": lambda: heic(gradient(), "RGB"),
    "avif": lambda: saved(picture(), "AVIF"),
}


@pytest.mark.parametrize("name", KEEPING)
def test_kept_fields_are_written_and_an_independent_reader_finds_them(name, tmp_path):
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    file = tmp_path / f"out.{name}"
    file.write_bytes(concealed(KEEPING[name](), output=Output(fields=FIELDS)).data)
    command = ["exiftool", "-s", "-Copyright", "-Artist", "-Description", "-ImageDescription", "-Warning", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Zoë Example" in said
    assert "A street." in said
    assert "Warning" not in said
    assert read(file.read_bytes()).fault == ""


@pytest.mark.parametrize("name", KEEPING)
def test_without_kept_fields_an_independent_reader_finds_nothing(name, tmp_path):
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    file = tmp_path / f"out.{name}"
    file.write_bytes(concealed(KEEPING[name]()).data)
    command = ["exiftool", "-s", "-G1", "-XMP:all", "-EXIF:all", "-IPTC:all", "-time:all", "-Warning", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if not line.startswith(("[System]", "[IFD0]"))]
    assert lines == []
    assert not re.search("Software|Date|Make|Model", "".join(x for x in said.splitlines() if x.startswith("[IFD0]")))


def test_previews_of_a_tiff_are_left_behind():
    data = saved(picture(), "TIFF", save_all=True, append_images=[picture(width=20, height=12)])
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    (second,) = struct.unpack_from("<I", data, start + 2 + 12 * count)
    out = bytearray(data)
    # Tag 256 (width) of the small page keeps its place; its last tag becomes "reduced picture" in a file of ours.
    assert struct.unpack_from("<H", out, second + 2)[0] == 256
    width = struct.unpack_from("<H", out, second + 10)[0]
    assert width == 20
    photo_pages = _mark_reduced(bytes(out), second)
    photo = open_photo(photo_pages)
    assert photo.frames == 1
    encoded = photo.conceal(masks_of(photo, ()), lambda pixels, mask, frame: pixels, Output())
    assert Image.open(io.BytesIO(encoded.data)).n_frames == 1
    assert any("preview" in note for note in encoded.notes)


def _mark_reduced(data: bytes, second: int) -> bytes:
    """The same file with NewSubfileType = 1 on its second directory, which moves to the end."""
    (count,) = struct.unpack_from("<H", data, second)
    entries = data[second + 2 : second + 2 + 12 * count]
    new = struct.pack("<H", count + 1) + struct.pack("<HHII", 254, 4, 1, 1) + entries + bytes(4)
    padded = data + b"\0" * (len(data) % 2)
    out = bytearray(padded + new)
    (start,) = struct.unpack_from("<I", data, 4)
    (first,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", out, start + 2 + 12 * first, len(padded))
    return bytes(out)


def test_the_default_picture_of_an_apng_that_is_no_frame_is_left_behind():
    secret = np.zeros((61, 97, 3), np.uint8)
    secret[20:40, 20:40] = (250, 1, 2)
    frames = [picture(), picture().rotate(90)]
    data = saved(Image.fromarray(secret), "PNG", save_all=True, append_images=frames, default_image=True, duration=50)
    photo = open_photo(data)
    assert photo.frames == 2
    out = concealed(data, ()).data
    assert np.array_equal(rgba(out, 0)[..., :3], np.asarray(frames[0]))
    assert open_photo(out).frames == 2
