"""Noise that was fresh in each frame of an animation would average out: a face keeps its stream."""

import numpy as np

from cloak.effects.cells import toned
from cloak.effects.steady import streams
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

SIZE = Size(400, 300)


def masks(*corners: tuple[int, int]):
    return draw([Region(Box(x, y, 60, 80)) for x, y in corners], SIZE)


def test_a_face_keeps_its_stream_while_it_moves():
    frames = [masks((20 + 9 * step, 30)) for step in range(20)]
    assert set(streams(frames).values()) == {0}


def test_a_face_that_leaps_keeps_its_stream():
    frames = [masks((5 + 110 * (step * 2 % 3), 10 + 60 * (step % 2))) for step in range(9)]
    assert set(streams(frames).values()) == {0}


def test_faces_that_pass_each_other_keep_theirs():
    frames = [masks((20 + 20 * step, 10), (320 - 20 * step, 200)) for step in range(15)]
    frames = [drawn[:: 1 - 2 * (number % 2)] for number, drawn in enumerate(frames)]  # in whatever order
    found = streams(frames)
    assert {found[mask] for drawn in frames for mask in drawn if mask.top < 100} == {0}


def test_a_face_that_was_gone_for_some_frames_is_known_again():
    frames = [masks((20, 30)), masks(), masks((200, 30)), masks((22, 30), (201, 31))]
    found = streams(frames)
    assert [found[mask] for mask in frames[3]] == [0, 1]


def test_masks_of_a_frame_share_no_stream_and_all_frames_have_no_more_than_the_fullest():
    rng = np.random.default_rng(5)
    for _ in range(50):
        frames = [masks(*rng.integers(0, 240, (rng.integers(0, 6), 2)).tolist()) for _ in range(6)]
        found = streams(frames)
        for drawn in frames:
            assert len({found[mask] for mask in drawn}) == len(drawn)
        assert set(found.values()) <= set(range(max(map(len, frames))))


def test_masks_whose_windows_begin_at_one_corner_have_streams_of_their_own():
    small, large = Region(Ellipse(14, 18, 14, 18)), Region(Ellipse(150, 160, 95, 120))
    drawn = draw([small, large], Size(600, 600), feather=0.1, margin=0.25)
    assert [(mask.left, mask.top) for mask in drawn] == [(0, 0), (0, 0)]
    assert sorted(streams([drawn]).values()) == [0, 1]


def test_a_column_more_or_less_leaves_the_noise_of_the_rest(key):
    # A face that moves by a part of a pixel may be four cells wide in one frame and five in the next.
    narrow, wide = (toned(np.full((6, columns, 3), 120.0), 0.12, 255, key, 6) for columns in (4, 5))
    assert np.array_equal(narrow, wide[:, :4])
