"""`cloak inspect --refuse`: the gate that the pre-commit hook is."""

import json
import re

import pytest
import yaml
from PIL import Image, PngImagePlugin

from cloak.intake import PHOTOS
from tests.cli.test_cli import cli
from tests.conftest import ROOT
from tests.plant import PLANTED

BOTH = ("--refuse", "faces", "--refuse", "places")


def refused(capfd, *arguments):
    code, out, err = cli(capfd, "inspect", *arguments)
    assert ("Make them safe first" in err) == (code == 1 and "--json" not in arguments)
    return code, out


def test_the_hook_looks_at_every_suffix_of_a_photo():
    """Drawings and documents are in every repository, and cloak opens none of them."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    passed = {suffix for suffix in PHOTOS if not re.search(hook["files"], f"a/B{suffix.upper()}")}
    assert passed == {".svg", ".eps", ".pdf", ".ico"}
    assert not re.search(hook["files"], "a.jpg.txt")


def test_a_photo_with_a_face_a_place_and_a_thumbnail_is_refused_for_each(capfd, samples):
    code, out = refused(capfd, *BOTH, samples / "located.jpg")
    assert code == 1
    assert all(word in out for word in ("1 face", "GPS", "city", "thumbnail"))
    assert "Planted City" not in out
    assert "38" not in out


def test_each_reason_stands_alone(capfd, samples):
    _, faces = refused(capfd, "--refuse", "faces", samples / "located.jpg")
    _, places = refused(capfd, "--refuse", "places", samples / "located.jpg")
    assert "GPS" not in faces
    assert "thumbnail" not in places
    assert "face" not in places
    assert refused(capfd, "--refuse", "places", samples / "close.jpg") == (0, "")
    assert refused(capfd, "--refuse", "faces", samples / "close.jpg")[0] == 1


def test_a_picture_that_tells_nothing_passes_in_silence(capfd, tmp_path, landscape):
    (tmp_path / "a.jpg").write_bytes(landscape)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", "a screenshot tool")
    Image.new("RGB", (200, 100), "white").save(tmp_path / "b.png", pnginfo=notes)
    assert refused(capfd, *BOTH, tmp_path / "a.jpg", tmp_path / "b.png") == (0, "")


@pytest.mark.parametrize("format", PLANTED)
def test_the_places_of_every_format_are_found(capfd, tmp_path, format):
    data, _ = PLANTED[format]()
    (tmp_path / "a").write_bytes(data)
    assert refused(capfd, "--refuse", "places", "--recall", "fast", tmp_path / "a")[0] == 1


def test_a_region_in_the_metadata_is_refused_though_no_face_is_in_the_picture(capfd, tmp_path, landscape):
    region = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"><mwg-rs:Regions>'
        '<rdf:Bag><rdf:li mwg-rs:Name="Jane Doe"/></rdf:Bag></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    body = b"http://ns.adobe.com/xap/1.0/\0" + region.encode()
    packet = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    (tmp_path / "a.jpg").write_bytes(landscape[:2] + packet + landscape[2:])
    code, out = refused(capfd, *BOTH, tmp_path / "a.jpg")
    assert (code, "names or places of faces" in out, "Jane" in out) == (1, True, False)


def test_what_cannot_be_read_is_refused(capfd, tmp_path, jpeg, landscape):
    (tmp_path / "words.jpg").write_text("These are words.")
    (tmp_path / "cut.jpg").write_bytes(jpeg()[:2000])
    (tmp_path / "more.jpg").write_bytes(landscape + b"another photo may follow")
    code, out = refused(capfd, "--refuse", "places", *sorted(tmp_path.iterdir()))
    assert code == 1
    assert len(out.splitlines()) == 3


def test_json_names_the_reasons(capfd, samples):
    code, out = refused(capfd, "--json", *BOTH, samples / "located.jpg", samples / "landscape.jpg")
    first, second = json.loads(out)
    assert (code, "GPS" in first["refused"], second["refused"]) == (1, True, [])


def test_an_unknown_reason_is_an_error(capfd, samples):
    code, _, err = cli(capfd, "inspect", "--refuse", "hats", samples / "close.jpg")
    assert code == 2
    assert "known: faces, places" in err
