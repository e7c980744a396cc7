import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloak.detect.base import Detection, Face
from cloak.detect.fusion import Hit, combined, fuse, joined, tilt
from cloak.geometry import Box

numbers = st.floats(-50, 400, width=32)
boxes = st.builds(Box, numbers, numbers, st.floats(1, 200, width=32), st.floats(1, 200, width=32))
hits = st.builds(
    Hit,
    st.builds(Detection, boxes, st.floats(0.1, 1), st.sampled_from(["yunet", "centerface"])),
    st.tuples(st.sampled_from(["yunet", "centerface"]), st.integers(1, 3)),
)


def hit(box, score=0.9, look=1, model="yunet"):
    return Hit(Detection(box, score, model), (model, look))


@given(st.lists(hits, max_size=30))
def test_every_hit_lies_in_the_extent_of_a_face(found):
    faces = fuse(found)
    for one in found:
        box = one.detection.box
        assert any(
            face.extent.x <= box.x
            and face.extent.y <= box.y
            and face.extent.right >= box.right - 1e-9
            and face.extent.bottom >= box.bottom - 1e-9
            for face in faces
        )


@given(st.lists(hits, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_hits_does_not_matter(found, shuffler):
    other = list(found)
    shuffler.shuffle(other)
    assert fuse(found) == fuse(other)


@given(st.lists(hits, max_size=30))
def test_scores_fall_and_stay_between_the_best_hit_and_one(found):
    faces = fuse(found)
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    assert all(0 < face.score <= 1 for face in faces)
    if found:
        assert faces[0].score >= max(one.detection.score for one in found) - 1e-9


def test_two_looks_that_half_see_a_face_make_it_sure():
    box = Box(10, 10, 40, 50)
    assert combined([hit(box, 0.3, 1), hit(box, 0.3, 2)]) == pytest.approx(0.51)
    assert combined([hit(box, 0.3, 1), hit(box, 0.2, 1)]) == pytest.approx(0.3)


def test_one_face_seen_at_three_scales_is_one_face_with_three_votes():
    (face,) = fuse([hit(Box(10, 10, 40, 50), 0.9, 1), hit(Box(12, 8, 40, 52), 0.5, 2), hit(Box(8, 12, 44, 48), 0.4, 3)])
    assert face.votes == 3
    assert face.box == Box(10, 10, 40, 50)
    assert face.extent == Box(8, 8, 44, 52)


def test_neighbours_standing_close_stay_two_faces():
    assert len(fuse([hit(Box(0, 0, 40, 50)), hit(Box(30, 5, 40, 50), look=2)])) == 2


def test_a_chain_does_not_run_through_a_crowd():
    # Each overlaps its neighbours by more than the limit; the whole row must not become one face.
    row = [hit(Box(12 * step, 0, 40, 50), 0.5 + 0.01 * (step % 2), step) for step in range(12)]
    assert len(fuse(row)) > 3
    assert max(face.extent.width for face in fuse(row)) < 80


def test_a_small_face_in_front_of_a_large_one_stays_its_own():
    assert len(fuse([hit(Box(0, 0, 200, 240)), hit(Box(20, 20, 40, 50), 0.8)])) == 2


def test_a_piece_of_a_face_joins_it():
    assert len(fuse([hit(Box(0, 0, 100, 120)), hit(Box(20, 30, 60, 70), 0.5, 2)])) == 1


def test_a_box_too_small_for_its_place_is_still_a_face():
    assert len(fuse([hit(Box(1e7, 1e7, 1e-3, 1e-3)), hit(Box(0, 0, 9, 9))])) == 2


def test_a_faint_hit_does_not_blow_up_a_sure_face():
    faces = fuse([hit(Box(100, 100, 100, 130), 0.95), hit(Box(60, 60, 190, 260), 0.12, 2)])
    assert faces[0].extent == Box(100, 100, 100, 130)
    assert len(faces) == 2


def test_thousands_of_hits_are_fused_in_seconds():
    rng = random.Random(1)
    crowd = [hit(Box(rng.random() * 6000, rng.random() * 4000, 30, 40), rng.random()) for _ in range(10_000)]
    start = time.process_time()
    assert len(fuse(crowd)) > 5000
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    ("landmarks", "angle"),
    [
        (((10, 10), (30, 10), (20, 20), (12, 30), (28, 30)), 0),
        (((30, 10), (30, 30), (20, 20), (10, 12), (10, 28)), 90),
        (((30, 30), (10, 30), (20, 20), (28, 10), (12, 10)), 180),
        (((10, 30), (10, 10), (20, 20), (30, 28), (30, 12)), -90),
        (((5, 5), (5, 5), (5, 5), (5, 5), (5, 5)), 0),
    ],
)
def test_the_tilt_follows_the_eyes_and_the_mouth(landmarks, angle):
    assert abs(tilt(landmarks)) == 180 if angle == 180 else tilt(landmarks) == pytest.approx(angle)


def test_without_landmarks_there_is_no_tilt():
    assert tilt(None) == 0


def test_what_conceals_a_face_covers_those_that_other_renderings_show_at_its_place():
    shown, hidden, apart = (
        Face(box, 0.9, ("yunet",)) for box in (Box(20, 20, 50, 60), Box(10, 8, 67, 80), Box(200, 0, 9, 9))
    )
    faces = joined([[shown], [hidden, apart]])
    assert [face.box for face in faces] == [shown.box, apart.box]
    assert faces[0].extent == shown.box.united(hidden.box)
    assert joined([[shown, apart]]) == (shown, apart)
