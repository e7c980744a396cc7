"""Colour profiles: known ones are kept as our fixed bytes, others converted or withheld, none added."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from cloak.errors import Corrupt, Unsupported
from cloak.metadata import icc, read
from cloak.metadata.fields import Fields
from cloak.metadata.published import foreign
from cloak.metadata.shaper import D65, Power, primaries, rgb_profile
from cloak.photo import Output, open_photo
from tests import plant
from tests.photo.making import concealed, gradient, heic, picture, rgba, saved, tiff

P3 = icc.KNOWN["display-p3"].data
# A known space under a description that names a device, as cameras embed it.
DEVICE_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ODD = rgb_profile("Ms Doe's monitor", primaries((D65, (0.60, 0.35), (0.35, 0.55), (0.16, 0.10))), [Power(1.7)] * 3, D65)

HOLDERS = {
    "png": lambda profile: saved(picture(), "PNG", icc_profile=profile),
    "apng": lambda profile: saved(
        picture(), "PNG", icc_profile=profile, save_all=True, append_images=[picture().rotate(9)]
    ),
    "png 16": lambda profile: _with_chunk(_png16(), b"iCCP", b"x\0\0" + __import__("zlib").compress(profile)),
    "webp": lambda profile: saved(picture(), "WEBP", icc_profile=profile, lossless=True),
    "tiff": lambda profile: saved(picture(), "TIFF", icc_profile=profile),
    "heic": lambda profile: heic(gradient(), "RGB", icc_profile=profile, icc_profile_type="prof"),
    "avif": lambda profile: saved(picture(), "AVIF", icc_profile=profile, quality=95, subsampling="4:4:4"),
}


def _png16() -> bytes:
    return bytes(imagecodecs.png_encode(gradient().astype("u2") * 257))


def _with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    return png[:33] + plant.chunk(name, body) + png[33:]


def _embedded(data: bytes) -> bytes:
    return open_photo(data).codec.decode(0).profile


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_known_profile_is_kept_as_our_own_bytes(holder):
    assert _embedded(concealed(HOLDERS[holder](P3)).data) == P3
    out = concealed(HOLDERS[holder](DEVICE_SRGB), output=Output(profile="withhold")).data
    assert _embedded(out) == icc.KNOWN["srgb"].data


@pytest.mark.parametrize("holder", HOLDERS)
def test_without_a_profile_none_is_added(holder):
    data = _png16() if holder == "png 16" else HOLDERS[holder](b"") if holder != "heic" else heic(gradient(), "RGB")
    assert _embedded(concealed(data).data) == b""


@pytest.mark.parametrize("holder", HOLDERS)
def test_an_unknown_profile_is_withheld_or_converted_as_asked(holder):
    data = HOLDERS[holder](ODD)
    with pytest.raises(Unsupported, match="profile"):
        concealed(data, output=Output(profile="withhold"))
    encoded = concealed(data, ())
    assert encoded.converted
    assert not concealed(HOLDERS[holder](P3), ()).converted
    assert b"Ms Doe" not in encoded.data
    assert any("converted" in note for note in encoded.notes)
    target = next(known for known in icc.KNOWN.values() if known.data == _embedded(encoded.data))
    expected = icc.convert(gradient(), ODD, target).astype(int)
    assert np.abs(open_photo(encoded.data).preview() - expected).mean() < (2.5 if holder in ("heic", "avif") else 0.6)
    assert np.abs(expected - gradient()).mean() > 5


@pytest.mark.parametrize("holder", [*HOLDERS, "jpeg"])
def test_where_no_profile_is_to_be_kept_colours_become_srgb(holder):
    make = HOLDERS.get(holder) or (
        lambda profile: saved(picture(), "JPEG", icc_profile=profile, quality=95, subsampling=0)
    )
    out = concealed(make(P3), (), Output(icc=False, profile="withhold"))
    assert out.converted
    assert b"ICC_PROFILE" not in out.data
    assert holder == "jpeg" or _embedded(out.data) == b""
    expected = icc.convert(gradient(), P3, icc.KNOWN["srgb"]).astype(int)
    assert np.abs(open_photo(out.data).preview() - expected).mean() < (3 if holder in ("heic", "avif", "jpeg") else 0.6)
    already = concealed(make(DEVICE_SRGB), (), Output(icc=False))
    assert not already.converted
    assert b"ICC_PROFILE" not in already.data
    assert holder == "jpeg" or _embedded(already.data) == b""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_stays_grey_where_no_profile_is_to_be_kept(kind):
    data = saved(picture("L"), kind, icc_profile=icc.KNOWN["grey-linear"].data)
    out = Image.open(io.BytesIO(concealed(data, (), Output(icc=False)).data))
    assert (out.mode, "icc_profile" in out.info) == ("L", False)
    assert np.asarray(out).mean() > np.asarray(picture("L")).mean() + 20


def test_a_profile_for_other_channels_is_dropped_and_said():
    data = saved(picture("L"), "PNG", icc_profile=P3)
    encoded = concealed(data)
    assert _embedded(encoded.data) == b""
    assert any("did not fit" in note for note in encoded.notes)


def test_a_broken_profile_harms_nothing():
    for profile in (b"junk", DEVICE_SRGB[:200], bytes(5000)):
        out = concealed(saved(picture(), "PNG", icc_profile=profile), ()).data
        assert np.array_equal(rgba(out)[..., :3], gradient())


def test_cmyk_without_a_profile_stays_cmyk():
    samples = np.asarray(picture("CMYK"))
    out = concealed(tiff(samples, photometric="separated"), ()).data
    assert Image.open(io.BytesIO(out)).mode == "CMYK"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(out))), samples)


def test_effects_see_ink_where_the_picture_is_cmyk():
    from tests.photo.making import masks_of

    photo = open_photo(saved(Image.new("CMYK", (97, 61), (0, 0, 0, 0)), "TIFF"))
    seen = []
    photo.conceal(masks_of(photo), lambda pixels, mask, frame: seen.append(pixels) or pixels, Output())
    assert seen[0].shape[2] == 4
    assert (seen[0] == 0).all()
    assert (photo.preview() == 255).all()


def test_standard_gamma_of_a_png_means_nothing():
    data = _with_chunk(saved(picture(), "PNG"), b"gAMA", (45455).to_bytes(4, "big"))
    out = concealed(data, ()).data
    assert b"gAMA" not in out
    assert b"iCCP" not in out
    assert np.array_equal(rgba(out)[..., :3], gradient())


def test_another_gamma_of_a_png_is_converted_and_said():
    data = _with_chunk(saved(picture(), "PNG"), b"gAMA", (100_000).to_bytes(4, "big"))
    with pytest.raises(Unsupported):
        concealed(data, output=Output(profile="withhold"))
    encoded = concealed(data, ())
    assert any("converted" in note for note in encoded.notes)
    linear = gradient() / 255
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(rgba(encoded.data)[..., :3] - expected).mean() < 1.5


def test_coded_colour_of_a_png_becomes_a_known_profile():
    data = _with_chunk(saved(picture(), "PNG"), b"cICP", bytes([12, 13, 0, 1]))
    assert _embedded(concealed(data).data) == P3
    assert _embedded(concealed(_with_chunk(saved(picture(), "PNG"), b"cICP", bytes([1, 13, 0, 1]))).data) == b""
    with pytest.raises(Unsupported, match="HDR"):
        open_photo(_with_chunk(saved(picture(), "PNG"), b"cICP", bytes([9, 16, 0, 1])))


def test_coded_colour_of_heic_and_avif_is_carried_as_numbers():
    wide = heic(gradient(), "RGB", color_primaries=12, transfer_characteristics=13)
    out = concealed(wide).data
    assert b"nclx\0\x0c\0\x0d" in out
    avif = saved(picture(), "AVIF")
    place = avif.index(b"nclx")
    out = concealed(avif[:place] + b"nclx\0\x0c\0\x0d" + avif[place + 8 :]).data
    assert b"nclx\0\x0c\0\x0d" in out


@pytest.mark.parametrize(
    ("stated", "written"),
    [(b"JOHN", b"\0\1\0\x0d"), (b"\0\x0c\0\x17", b"\0\x0c\0\2"), (b"\0\x09\0\x10", b"\0\x09\0\x10")],
)
def test_coded_colours_that_the_standard_does_not_define_are_not_carried(stated, written):
    whole = saved(picture(), "AVIF")
    place = whole.index(b"nclx") + 4
    out = concealed(whole[:place] + stated + whole[place + 4 :]).data
    at = out.index(b"nclx") + 4
    assert out[at : at + 4] == written
    assert foreign(out, read(out), Fields()) == ""
    assert "colr" in foreign(out[:at] + b"JOHN" + out[at + 4 :], read(out), Fields())


def test_a_heic_with_undefined_coded_colours_is_withheld():
    wide = heic(gradient(), "RGB", color_primaries=12)
    place = wide.index(b"nclx") + 4
    with pytest.raises(Corrupt):
        open_photo(wide[:place] + b"JOHN" + wide[place + 4 :])
