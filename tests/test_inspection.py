"""What a look at a file tells before it is published, from files that other tools wrote."""

import io
import json
import re
import shutil
import subprocess

import numpy as np
import piexif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cloak.anonymizer import anonymize
from cloak.inspection import inspect
from cloak.metadata.listing import MAX_VALUE
from cloak.photo import Limits
from cloak.pipeline import load

REGIONS = (
    "{AppliedToDimensions={W=256,H=256,Unit=pixel},RegionList=["
    "{Area={X=0.5,Y=0.4,W=0.1,H=0.2,Unit=normalized},Name=Anna Roe,Type=Face},"
    "{Area={X=0.2,Y=0.4,W=0.1,H=0.2,Unit=normalized},Name=Bob,Type=Face}]}"
)


@pytest.fixture
def tagged(tmp_path, jpeg):
    """A photo with the fields of people and places as exiftool writes them."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    fields = [f"-RegionInfo={REGIONS}", "-PersonInImage=Anna Roe", "-SerialNumber=SN123", "-OwnerName=Jane Doe"]
    fields += ["-GPSLatitude=52.5", "-GPSLatitudeRef=S", "-GPSLongitude=13.4", "-GPSLongitudeRef=E", "-Software=Ed 1"]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *fields, path], check=True, timeout=60)
    return path.read_bytes()


def facts(data, **options):
    return [(fact["label"], fact["value"]) for fact in inspect(data, "fast").document(**options)["facts"]]


def test_names_and_places_of_faces_are_read_as_exiftool_writes_them(tagged):
    found = facts(tagged)
    assert ("face", "Anna Roe at x=0.5 y=0.4 w=0.1 h=0.2") in found
    assert ("face", "Bob at x=0.2 y=0.4 w=0.1 h=0.2") in found
    assert {("person shown", "Anna Roe"), ("serial number", "SN123"), ("owner", "Jane Doe")} <= set(found)
    labels = [label for label, _ in found]
    assert labels.index("GPS position") < labels.index("face") < labels.index("software")
    published = anonymize(tagged, load("photographer", recall="fast", keep=["icc"])).data
    assert all(word not in published for word in (b"Anna", b"SN123", b"Jane", b"mwg-rs"))


def test_a_place_and_its_map_are_shown_only_when_asked_for(tagged):
    hidden = json.dumps(inspect(tagged, "fast").document())
    assert re.search(r"\b52\.50*\b", hidden) is None
    assert "openstreetmap" not in hidden
    shown = facts(tagged, show_values=True)
    link = "https://www.openstreetmap.org/?mlat=-52.500000&mlon=13.400000#map=16/-52.500000/13.400000"
    assert ("on the map", link) in shown
    assert ("GPS position", "-52.500000, 13.400000") in shown


@pytest.mark.parametrize("words", ["nowhere", "evil.example, x"])
def test_words_of_a_file_that_look_like_a_position_are_on_no_map(words):
    out, info = io.BytesIO(), PngInfo()
    info.add_text("GPS position", words)
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    found = facts(out.getvalue(), show_values=True)
    assert ("GPS position", words) in found
    assert "on the map" not in dict(found)


def test_names_of_unknown_properties_are_cut():
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:q="urn:q"><q:{"A" * 20000}>words</q:{"A" * 20000}></rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    )
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", xmp=packet.encode())
    (label,) = (label for label, value in facts(out.getvalue()) if value == "words")
    assert len(label) == MAX_VALUE


def with_thumbnail(picture, small):
    """JPEG bytes of a picture with another one as its EXIF thumbnail."""
    thumbnail, out = io.BytesIO(), io.BytesIO()
    Image.fromarray(small).save(thumbnail, "JPEG")
    exif = piexif.dump({"0th": {}, "1st": {259: 6}, "thumbnail": thumbnail.getvalue()})
    Image.fromarray(picture).save(out, "JPEG", exif=exif)
    return out.getvalue()


def differing(data):
    return [value for label, value in facts(data) if label == "differs from the picture"]


def small(pixels):
    return np.asarray(Image.fromarray(pixels).resize((120, 120)))


def test_a_thumbnail_of_what_was_cropped_away_is_told(portrait):
    (said,) = differing(with_thumbnail(portrait[100:, 60:], small(portrait)))
    assert said.startswith("EXIF IFD1 thumbnail, 120x120")


def test_a_thumbnail_from_before_a_face_was_covered_is_told(portrait):
    covered = portrait.copy()
    covered[20:150, 60:190] = 128
    assert len(differing(with_thumbnail(covered, small(portrait)))) == 1


@pytest.mark.parametrize("how", ["the same", "turned", "between bars"])
def test_a_thumbnail_of_the_same_picture_is_no_news(portrait, how):
    made = {"the same": small(portrait), "turned": np.rot90(small(portrait)).copy(), "between bars": None}[how]
    if made is None:
        made = np.pad(small(portrait), ((0, 0), (20, 20), (0, 0)))
    assert differing(with_thumbnail(portrait, made)) == []


def test_a_broken_thumbnail_does_not_stop_the_look(portrait):
    data = with_thumbnail(portrait, small(portrait))
    place = data.index(b"\xff\xd8\xff", 10)
    broken = data[: place + 300] + bytes(900) + data[place + 1200 :]
    assert inspect(broken, "fast").size is not None
    assert uncompared(broken) == ["EXIF IFD1 thumbnail: damaged, too many, or too large"]


def uncompared(data, limits=Limits()):  # noqa: B008 - frozen
    found = inspect(data, "fast", limits)
    return [fact.value for fact in found.differing if fact.label == "not compared with the picture"]


def coded(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def test_a_further_picture_over_the_limit_is_told_and_not_decoded(portrait):
    large = Image.new("RGB", (2 * portrait.shape[1], portrait.shape[0]))
    data = coded(portrait) + coded(np.asarray(large))
    within, below = 2 * portrait.size // 3, portrait.size // 3
    assert uncompared(data, Limits(pixels=within)) == []
    assert len(differing(data)) == 1
    assert uncompared(data, Limits(pixels=below)) == ["after EOI JPEG: damaged, too many, or too large"]


def test_the_further_pictures_share_one_limit_and_those_left_out_are_counted(portrait):
    data = coded(portrait) + 3 * coded(portrait)
    assert uncompared(data, Limits(pixels=2 * portrait.size // 3)) == [
        "after EOI JPEG: damaged, too many, or too large"
    ]
    assert uncompared(data, Limits(pixels=portrait.size // 3)) == [
        "after EOI JPEG and 1 more: damaged, too many, or too large"
    ]
    assert uncompared(coded(portrait) + 22 * coded(small(portrait))) == [
        "after EOI JPEG and 1 more: damaged, too many, or too large"
    ]


def test_a_large_further_picture_is_known_again(portrait):
    large = np.asarray(Image.fromarray(portrait).resize((1200, 1200 * portrait.shape[0] // portrait.shape[1])))
    assert differing(coded(portrait) + coded(large)) == []
    assert len(differing(coded(portrait[100:, 60:]) + coded(large))) == 1
