"""The second look's decision on a hit: is it a face that can be seen?"""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cloak import metadata, verify
from cloak.anonymizer import anonymize
from cloak.detect import RECIPES, Face, find
from cloak.errors import VerificationFailed
from cloak.geometry import Box
from cloak.metadata.fields import Fields
from cloak.photo import open_photo
from cloak.photo.base import Limits
from cloak.pipeline import load


@pytest.fixture
def look(samples):
    photo = open_photo((samples / "group.jpg").read_bytes(), Limits())
    view = verify.Look(photo, 0)
    view(1)
    return photo, view


def test_a_hit_on_a_real_face_is_confirmed(look):
    photo, view = look
    faces = find(view, photo.size, load("photographer").recipe).faces
    view(1)
    assert faces
    assert all(view.confirms(face, ()) for face in faces if face.score > 0.9)


def test_a_hit_on_plain_pixels_is_not_confirmed_unless_a_face_was_concealed_there(look):
    photo, view = look
    faces = find(view, photo.size, load("photographer").recipe).faces
    view(1)
    spot = next(
        box
        for x in range(0, photo.size.width - 60, 20)
        for box in [Box(x, photo.size.height - 80, 50, 60)]
        if not any(box.intersection(face.box.grown(2)) for face in faces)
    )
    hit = Face(spot, 0.6, ("yunet",))
    assert not view.confirms(hit, [])
    assert view.confirms(hit, [spot.shifted(5, 5)])


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_reduced_view_confirms_the_same(samples, reduction):
    photo = open_photo((samples / "portrait.webp").read_bytes(), Limits())
    view = verify.Look(photo, 0)
    faces = find(view, photo.size, load("photographer").recipe).faces
    view(reduction)
    assert view.confirms(max(faces, key=lambda face: face.score), ())
    assert view(reduction).shape[0] == -(-photo.size.height // reduction)


def test_the_sketch_of_a_small_face_is_the_same_whatever_was_looked_at_before(samples):
    photo = open_photo((samples / "group.jpg").read_bytes(), Limits())
    recipe = load("photographer", recall="fast").recipe
    search = verify.Look(photo, 0)
    boxes = [face.box for face in find(search, photo.size, recipe).faces]
    for reduction in (None, 1, 2, 4, 8):
        view = verify.Look(photo, 0)
        if reduction:
            view(reduction)
        for box in boxes:
            before = search.sketch(box, recipe)
            assert before.std() > 2
            assert verify.alike(before, view.sketch(box, recipe)) > 0.99


def test_pixels_that_were_never_searched_are_searched_in_full(portrait):
    canvas = np.full((320, 2560, 3), 128, np.uint8)
    small = Image.fromarray(portrait)
    small.thumbnail((60, 60))
    canvas[100 : 100 + small.height, 1200 : 1200 + small.width] = small
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "PNG")
    photo = open_photo(buffer.getvalue())
    before, new = (
        verify.check_faces(verify.Look(photo, 0), (), (), (), photo.size, RECIPES["fast"], unseen)
        for unseen in (False, True)
    )
    assert (len(before), len(new)) == (0, 1)


def test_colour_under_full_transparency_is_no_clean_file_and_is_never_published(monkeypatch):
    pixels = np.full((64, 64, 4), 90, np.uint8)
    pixels[:32, :, 3], pixels[32:, :, 3] = 0, 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    data, pipeline = out.getvalue(), load("photographer", recall="fast")
    published = anonymize(data, pipeline).data
    assert verify.problems(published, pipeline.recipe, Limits(), [()], frozenset()) == []
    (problem,) = verify.problems(data, pipeline.recipe, Limits(), [()], frozenset())
    assert problem == "it carries more than a picture: colour under full transparency"
    monkeypatch.setattr("cloak.photo.raster.clear_hidden", lambda frame: None)
    with pytest.raises(VerificationFailed, match="colour under full transparency"):
        anonymize(data, pipeline)


def test_a_file_with_more_pictures_than_are_searched_is_no_clean_one(monkeypatch):
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(out, "JPEG")
    data, pipeline = out.getvalue(), load("photographer", recall="fast")
    assert verify.problems(data, pipeline.recipe, Limits(), [()], frozenset()) == []
    contents, photo = metadata.read(data), open_photo(data, Limits())
    monkeypatch.setattr(metadata, "read", lambda _: replace(contents, frames=2))
    (problem,) = verify.problems(data, pipeline.recipe, Limits(), [()], frozenset())
    assert problem == "it holds 2 pictures, of which 1 can be searched for faces"
    with pytest.raises(VerificationFailed, match="more pictures"):
        verify.check_container(data, photo, photo.size, photo, contents, data, Fields())
