"""Noise that was fresh in each frame of an animation would average out: a face keeps its stream."""

import numpy as np

from cloak.effects.steady import first_places, place
from cloak.geometry import Box, Region, Size, draw

SIZE = Size(400, 300)


def masks(*corners: tuple[int, int]):
    return draw([Region(Box(x, y, 60, 80)) for x, y in corners], SIZE)


def test_a_face_keeps_its_first_place_while_it_moves():
    frames = [masks((20 + 9 * step, 30)) for step in range(20)]
    found = first_places(frames)
    assert {found[place(mask, number)] for number, (mask,) in enumerate(frames)} == {place(frames[0][0], 0)}


def test_a_face_that_was_gone_for_some_frames_is_known_again():
    frames = [masks((20, 30)), masks(), masks((200, 30)), masks((22, 30), (201, 31))]
    found = first_places(frames)
    assert [found[place(mask, 3)] for mask in frames[3]] == [place(frames[0][0], 0), place(frames[2][0], 2)]


def test_no_two_masks_of_a_frame_share_a_stream():
    rng = np.random.default_rng(5)
    for _ in range(50):
        frames = [masks(*rng.integers(0, 240, (rng.integers(0, 6), 2)).tolist()) for _ in range(6)]
        found = first_places(frames)
        for number, drawn in enumerate(frames):
            assert len({found[place(mask, number)] for mask in drawn}) == len(drawn)


def test_a_still_picture_names_each_mask_by_its_own_place():
    drawn = masks((20, 30), (200, 30))
    assert first_places([drawn]) == {place(mask, 0): place(mask, 0) for mask in drawn}
