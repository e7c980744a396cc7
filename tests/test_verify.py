"""The second look's decision on a hit: is it a face that can be seen?"""

import pytest

from cloak import verify
from cloak.detect import Face, find
from cloak.geometry import Box
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
