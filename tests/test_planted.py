"""A marker in every carrier of every format, and none of them in what is published."""

import io
import shutil
import subprocess

import pytest
from PIL import Image

from benchmarks.leaks import surviving
from cloak.anonymizer import anonymize
from cloak.metadata import Kind, read
from cloak.pipeline import load
from tests.plant import PLANTED


def markers_of(found):
    return [marker if isinstance(marker, bytes) else marker.encode() for marker in found]


@pytest.fixture(scope="module")
def portrait_image():
    from tests.conftest import FACES

    image = Image.open(FACES / "astronaut.jpg").convert("RGB")
    image.thumbnail((256, 256))
    return image


@pytest.mark.parametrize("name", PLANTED)
def test_no_marker_survives_in_any_format(name):
    data, planted = PLANTED[name]()
    markers = markers_of(planted)
    assert surviving(data, markers) > 0.8 * len(markers)  # the search itself works
    result = anonymize(data, load("cms", recall="fast"))
    assert surviving(result.data, markers) == 0
    kinds = {part.kind for part in read(result.data).parts}
    assert kinds <= {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}


@pytest.mark.parametrize("name", PLANTED)
def test_an_independent_reader_finds_no_marker(name, tmp_path):
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    data, planted = PLANTED[name]()
    suffix = {"jpeg": "jpg", "heif": "heic"}.get(name, name.partition("-")[0])
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(anonymize(data, load("cms", recall="fast")).data)
    command = ["exiftool", "-a", "-u", "-U", "-ee", "-G1", "-b", "-validate", path]
    said = subprocess.run(command, capture_output=True, timeout=60).stdout
    assert b"Error" not in said, said
    assert [marker for marker in markers_of(planted) if marker in said] == []


def test_the_corpus_of_the_benchmark_data_leaves_nothing(data):
    import json

    from cloak.errors import Unsupported

    corpus = json.loads((data / "leaks" / "markers.json").read_text())
    published = 0
    for name, planted in corpus.items():
        try:
            result = anonymize((data / "leaks" / name).read_bytes(), load("cms", recall="fast"))
        except Unsupported:
            assert name == "planted.tif"  # its pages differ in size
            continue
        published += 1
        assert surviving(result.data, markers_of(planted)) == 0, name
    assert published == len(corpus) - 1


def test_the_thumbnail_of_a_published_photo_is_gone(portrait_image):
    import piexif

    small = io.BytesIO()
    portrait_image.resize((64, 64)).save(small, "JPEG")
    exif = piexif.dump({"0th": {}, "1st": {259: 6}, "thumbnail": small.getvalue()})
    whole = io.BytesIO()
    portrait_image.save(whole, "JPEG", exif=exif)
    assert small.getvalue()[600:640] in whole.getvalue()
    published = anonymize(whole.getvalue()).data
    assert small.getvalue()[600:640] not in published
    assert "exif" not in Image.open(io.BytesIO(published)).info
