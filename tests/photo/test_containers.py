"""Every format and layout: pixels outside the masks stay, masks are painted, the rest of the file is new."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from cloak.metadata import Kind, read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from cloak.photo import open_photo
from tests.photo.making import (
    EDGE,
    REGION,
    avif,
    concealed,
    core,
    gradient,
    heic,
    masks_of,
    paint,
    picture,
    rgba,
    saved,
    tiff,
    untouched,
)

FRAMES = [picture().rotate(15 * i) for i in range(4)]
WIDE = gradient().astype(np.uint16) * 257 + np.arange(97, dtype=np.uint16)[None, :, None]
WIDE_ALPHA = np.dstack([WIDE, 65535 - WIDE[..., 0] // 4])


def _two_bits() -> bytes:
    image = Image.fromarray(gradient()[..., 0] // 64, "L").convert("P")
    image.putpalette([0, 0, 0, 90, 10, 10, 10, 160, 10, 250, 250, 250])
    return saved(image, "PNG", bits=2)


LOSSLESS = {
    "png 1 bit": lambda: saved(picture("1"), "PNG"),
    "png 8 bit grey": lambda: saved(picture("L"), "PNG"),
    "png palette": lambda: saved(picture("P"), "PNG"),
    "png palette of 2 bits": _two_bits,
    "png palette with alpha": lambda: saved(picture().quantize(16), "PNG", transparency=b"\0\x40\x80\xff"),
    "png RGB": lambda: saved(picture(), "PNG"),
    "png RGB with a transparent colour": lambda: saved(picture(), "PNG", transparency=(0, 0, 0)),
    "png grey and alpha": lambda: saved(picture("LA"), "PNG"),
    "png RGBA": lambda: saved(picture("RGBA"), "PNG"),
    "tiff 1 bit": lambda: saved(picture("1"), "TIFF"),
    "tiff 1 bit fax": lambda: saved(picture("1"), "TIFF", compression="group4"),
    "tiff grey": lambda: saved(picture("L"), "TIFF", compression="tiff_lzw"),
    "tiff palette": lambda: saved(picture("P"), "TIFF"),
    "tiff RGB": lambda: saved(picture(), "TIFF"),
    "tiff RGB lzw": lambda: saved(picture(), "TIFF", compression="tiff_lzw"),
    "tiff RGB deflate": lambda: saved(picture(), "TIFF", compression="tiff_adobe_deflate"),
    "tiff RGB packbits": lambda: saved(picture(), "TIFF", compression="packbits"),
    "tiff RGB jpeg": lambda: saved(picture(), "TIFF", compression="jpeg"),
    "tiff RGB tiles": lambda: tiff(gradient(), tile=(32, 32), compression="zlib", predictor=True),
    "tiff RGB planes": lambda: tiff(gradient().transpose(2, 0, 1), planarconfig="separate", photometric="rgb"),
    "tiff RGB big-endian": lambda: tiff(gradient(), byteorder=">", rowsperstrip=7),
    "tiff RGBA": lambda: saved(picture("RGBA"), "TIFF"),
    "tiff CMYK": lambda: saved(picture("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff pages": lambda: saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
    "gif": lambda: saved(picture("P"), "GIF"),
    "gif interlaced": lambda: saved(picture().quantize(200), "GIF", interlace=1),
    "gif transparent": lambda: saved(picture().quantize(64), "GIF", transparency=5),
    "gif animation": lambda: saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=70, loop=0),
    "apng": lambda: saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:], duration=70),
    "bmp 1 bit": lambda: saved(picture("1"), "BMP"),
    "bmp grey": lambda: saved(picture("L"), "BMP"),
    "bmp palette": lambda: saved(picture("P"), "BMP"),
    "bmp RGB": lambda: saved(picture(), "BMP"),
    "bmp RGBA": lambda: saved(picture("RGBA"), "BMP"),
    "webp lossless": lambda: saved(picture(), "WEBP", lossless=True),
    "webp lossless RGBA": lambda: saved(picture("RGBA"), "WEBP", lossless=True),
    "webp lossless animation": lambda: saved(
        FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], duration=70, lossless=True
    ),
}

LOSSY = {
    "webp": lambda: saved(picture(), "WEBP", quality=95),
    "webp RGBA": lambda: saved(picture("RGBA"), "WEBP", quality=95),
    "webp animation": lambda: saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], duration=70),
    "heic": lambda: heic(gradient(), "RGB"),
    "heic grey": lambda: heic(gradient()[..., 0], "L"),
    "heic RGBA": lambda: heic(np.asarray(picture("RGBA")), "RGBA"),
    "heic 10 bit": lambda: heic(WIDE, "RGB;16", bit_depth=10),
    "heic 12 bit": lambda: heic(WIDE, "RGB;16", bit_depth=12),
    "avif": lambda: saved(picture(), "AVIF", quality=95, subsampling="4:4:4"),
    "avif grey": lambda: saved(picture("L"), "AVIF", quality=95, subsampling="4:0:0"),
    "avif RGBA": lambda: saved(picture("RGBA"), "AVIF", quality=95, subsampling="4:4:4"),
    "avif 10 bit": lambda: avif(WIDE >> 6, 10),
    "avif 12 bit with alpha": lambda: avif(WIDE_ALPHA >> 4, 12),
}

SIXTEEN = {
    "png 16 bit grey": lambda: _png16(WIDE[..., :1]),
    "png 16 bit grey and alpha": lambda: _png16(WIDE_ALPHA[..., 2:]),
    "png 16 bit RGB": lambda: _png16(WIDE),
    "png 16 bit RGBA": lambda: _png16(WIDE_ALPHA),
    "tiff 16 bit grey": lambda: tiff(WIDE[..., 0]),
    "tiff 16 bit RGB": lambda: tiff(WIDE, photometric="rgb", compression="zlib", predictor=True),
    "tiff 16 bit RGB big-endian lzw": lambda: tiff(WIDE, photometric="rgb", byteorder=">", compression="lzw"),
    "tiff 16 bit RGBA": lambda: tiff(WIDE_ALPHA, photometric="rgb", extrasamples=["unassalpha"]),
    "tiff 16 bit CMYK": lambda: tiff(WIDE_ALPHA, photometric="separated"),
}


def _png16(samples: np.ndarray) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_encode(samples.copy() if samples.shape[2] > 1 else samples[..., 0].copy()))


def _sixteen(data: bytes) -> np.ndarray:
    import imagecodecs

    return tifffile.imread(io.BytesIO(data)) if data[:2] in (b"II", b"MM") else imagecodecs.png_decode(data)


@pytest.mark.parametrize("name", LOSSLESS)
def test_pixels_outside_the_masks_stay_as_they_were(name):
    data = LOSSLESS[name]()
    photo = open_photo(data)
    masks = masks_of(photo)
    out = photo.conceal(masks, paint, _output()).data
    again = open_photo(out)
    assert (again.format, again.size, again.frames) == (photo.format, photo.size, photo.frames)
    for frame in range(photo.frames):
        kept = untouched(photo.size, masks[frame])
        before, after = photo.preview(1, frame), again.preview(1, frame)
        assert np.array_equal(before[kept], after[kept])
        # And as another decoder sees it.
        assert np.array_equal(rgba(data, frame)[kept], rgba(out, frame)[kept])
        hidden = core(photo.size, masks[frame])
        assert len(np.unique(after[hidden], axis=0)) == 1
        assert (rgba(out, frame)[hidden][:, 3] == 255).all()


@pytest.mark.parametrize("name", SIXTEEN)
def test_sixteen_bits_stay_sixteen_bits(name):
    data = SIXTEEN[name]()
    photo = open_photo(data)
    masks = masks_of(photo)
    out = photo.conceal(masks, paint, _output()).data
    before, after = _sixteen(data), _sixteen(out)
    assert after.dtype == np.uint16
    assert after.shape == before.shape
    kept = untouched(photo.size, masks[0])
    assert np.array_equal(before[kept], after[kept])
    hidden = after[core(photo.size, masks[0])].reshape(core(photo.size, masks[0]).sum(), -1)
    colours = 1 if hidden.shape[1] < 3 else 4 if "CMYK" in name else 3
    assert (hidden[:, :colours] == 65535 // 3).all()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_change_little_outside_the_masks(name):
    data = LOSSY[name]()
    photo = open_photo(data)
    masks = masks_of(photo)
    out = photo.conceal(masks, paint, _output()).data
    again = open_photo(out)
    assert (again.format, again.size, again.frames) == (photo.format, photo.size, photo.frames)
    for frame in range(photo.frames):
        kept = untouched(photo.size, masks[frame])
        before, after = photo.preview(1, frame).astype(int), again.preview(1, frame).astype(int)
        assert np.abs(before - after)[kept].mean() < 2.5
        assert np.abs(after[core(photo.size, masks[frame])] - 85).mean() < 6


@pytest.mark.parametrize("name", [name for name in LOSSY if "bit" in name])
def test_depth_of_more_than_8_bits_is_kept(name):
    photo, again = open_photo(LOSSY[name]()), open_photo(concealed(LOSSY[name]()).data)
    before, after = photo.codec.decode(0), again.codec.decode(0)
    assert after.pixels.dtype == np.uint16
    assert np.abs(before.pixels.astype(int) - after.pixels)[:, 60:].mean() < 2.5 * 257
    assert len(np.unique(after.pixels)) > 300
    assert (before.alpha is None) == (after.alpha is None)


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY, *SIXTEEN])
def test_the_new_file_has_parts_for_pixels_and_structure_only(name):
    data = concealed({**LOSSLESS, **LOSSY, **SIXTEEN}[name]()).data
    contents, photo = read(data), open_photo(data)
    assert contents.fault == foreign(data, contents, Fields()) == ""
    assert not any(photo.surplus(frame) for frame in range(photo.frames))
    allowed = {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}
    assert [part.name for part in contents.parts if part.kind not in allowed] == []


@pytest.mark.parametrize("name", [*LOSSLESS, *SIXTEEN])
def test_the_same_pixels_give_the_same_bytes(name):
    data = {**LOSSLESS, **SIXTEEN}[name]()
    once = concealed(data).data
    assert concealed(data).data == once


@pytest.mark.parametrize("name", ["png RGB", "tiff RGB", "gif", "bmp RGB", "webp lossless"])
def test_masks_reach_the_edges(name):
    out = rgba(concealed(LOSSLESS[name](), (EDGE,)).data)
    assert len(np.unique(out[:15, :15].reshape(-1, 4), axis=0)) == 1


def test_palette_becomes_rgb_when_the_effect_needs_more_colours():
    def noise(pixels, mask, frame):
        return np.random.default_rng(0).integers(0, 255, pixels.shape).astype(np.uint8)

    photo = open_photo(saved(picture("P"), "PNG"))
    encoded = photo.conceal(masks_of(photo), noise, _output())
    assert Image.open(io.BytesIO(encoded.data)).mode == "RGB"
    assert any("palette" in note for note in encoded.notes)


def test_palette_tells_nothing_of_its_old_order_or_of_unused_entries():
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2:] = 7
    files = []
    for table in ({0: (9, 9, 9), 7: (200, 10, 10), 5: (1, 2, 3)}, {0: (9, 9, 9), 7: (200, 10, 10), 200: (4, 5, 6)}):
        image = Image.fromarray(pixels, "P")
        image.putpalette([value for i in range(256) for value in table.get(i, (i, 0, 77))])
        files.append(concealed(saved(image, "PNG"), ()).data)
    assert files[0] == files[1]
    assert len(Image.open(io.BytesIO(files[0])).getpalette("RGB")) == 6


def test_one_bit_stays_one_bit_when_nothing_needs_greys():
    assert Image.open(io.BytesIO(concealed(saved(picture("1"), "PNG"), ()).data)).mode == "1"
    grey = concealed(saved(picture("1"), "PNG"), (REGION,))
    assert Image.open(io.BytesIO(grey.data)).mode == "L"
    assert any("shades" in note for note in grey.notes)


def test_compression_of_a_tiff_is_kept():
    for name, kind in (("tiff_lzw", 5), ("tiff_adobe_deflate", 8), (None, 1)):
        out = concealed(saved(picture(), "TIFF", compression=name)).data
        assert Image.open(io.BytesIO(out)).tag_v2[259] == kind


def test_lossless_and_lossy_webp_stay_what_they_are():
    assert b"VP8L" in concealed(LOSSLESS["webp lossless"]()).data
    assert b"VP8L" not in concealed(LOSSY["webp"]()).data


def test_quality_is_obeyed_by_lossy_formats():
    for name in ("webp", "heic", "avif"):
        sizes = [len(concealed(LOSSY[name](), (), _output(quality)).data) for quality in (20, 95)]
        assert sizes[0] < sizes[1]


def _output(quality: int | None = None):
    from cloak.photo import Output

    return Output(quality=quality)
