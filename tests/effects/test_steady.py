"""Noise that was fresh in each frame of an animation would average out: a face keeps its stream."""

import tracemalloc

import numpy as np

from cloak.effects import Noise, Pixelate, conceal
from cloak.effects.cells import toned
from cloak.effects.steady import steadied
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import draw

SIZE = Size(400, 300)


def masks(*corners: tuple[int, int]):
    return draw([Region(Box(x, y, 60, 80)) for x, y in corners], SIZE)


def streams(frames):
    """Where each region lies, and what it draws on, frame by frame."""
    return [
        {
            (region.shape.x + mask.left, region.shape.y + mask.top): stream
            for mask in drawn
            for region, stream in zip(mask.regions, mask.streams, strict=True)
        }
        for drawn in steadied(frames)
    ]


def all_of(found):
    return {stream for frame in found for stream in frame.values()}


def test_a_face_keeps_its_stream_while_it_moves():
    assert all_of(streams([masks((20 + 9 * step, 30)) for step in range(20)])) == {0}


def test_a_face_that_leaps_keeps_its_stream():
    frames = [masks((5 + 110 * (step * 2 % 3), 10 + 60 * (step % 2))) for step in range(9)]
    assert all_of(streams(frames)) == {0}


def test_faces_that_pass_each_other_keep_theirs():
    frames = [masks((20 + 20 * step, 10), (320 - 20 * step, 200)) for step in range(15)]
    frames = [drawn[:: 1 - 2 * (number % 2)] for number, drawn in enumerate(frames)]  # in whatever order
    assert {stream for frame in streams(frames) for (_, y), stream in frame.items() if y == 10} == {0}


def test_a_face_whose_mask_unites_with_others_keeps_its_own():
    """People pass a still one: masks touch and part, and detectors name faces in whatever order."""
    still, rng = (170, 100), np.random.default_rng(7)
    frames = []
    for step in range(40):
        corners = [still, (300 - 11 * step % 290, 20), (11 * step % 300, 180), (225, 90 + 4 * (step % 5))]
        frames.append(masks(*(corners[i] for i in rng.permutation(4))))
    assert {len(drawn) for drawn in frames} == {2, 3}
    assert len({frame[still] for frame in streams(frames)}) == 1


def test_a_still_face_looks_the_same_however_masks_unite():
    pixels = np.random.default_rng(8).integers(60, 190, (300, 400, 3)).astype(np.uint8)
    still = Ellipse(130, 120, 30, 40)
    frames, looks = [], set()
    for others in ([(300, 120)], [(186, 160)], [(74, 80)], [(186, 160), (74, 80)], [(300, 220)]):
        regions = [Region(still), *(Region(Ellipse(x, y, 30, 40)) for x, y in others)]
        frames.append(draw(regions[:: 1 - 2 * (len(frames) % 2)], SIZE))  # in whatever order
    for drawn in steadied(frames):
        out = pixels.copy()
        for mask in drawn:
            out[mask.window()] = conceal(out[mask.window()], mask, Pixelate(), Noise(b"one"))
        looks.add(out[85:155, 105:155].tobytes())
    assert len(looks) == 1


def test_a_face_that_was_gone_for_some_frames_is_known_again():
    found = streams([masks((20, 30)), masks(), masks((200, 30)), masks((22, 30), (201, 31))])
    assert found[3] == {(22, 30): 0, (201, 31): 1}


def test_regions_of_a_frame_share_no_stream_and_all_frames_have_no_more_than_the_fullest():
    rng = np.random.default_rng(5)
    for _ in range(50):
        frames = [masks(*set(map(tuple, rng.integers(0, 240, (rng.integers(0, 6), 2)).tolist()))) for _ in range(6)]
        found = streams(frames)
        for frame in found:
            assert len(set(frame.values())) == len(frame)
        assert all_of(found) <= set(range(max(map(len, found))))


def test_masks_whose_windows_begin_at_one_corner_have_streams_of_their_own():
    small, large = Region(Ellipse(14, 18, 14, 18)), Region(Ellipse(150, 160, 95, 120))
    drawn = draw([small, large], Size(600, 600), feather=0.1, margin=0.25)
    assert [(mask.left, mask.top) for mask in drawn] == [(0, 0), (0, 0)]
    assert sorted(stream for mask in steadied([drawn])[0] for stream in mask.streams) == [0, 1]


def test_thousands_of_faces_take_no_memory_by_the_pair():
    tracemalloc.start()
    try:
        size = Size(6000, 6000)
        frames = [
            draw([Region(Box(60 * (i % 60) + dx, 60 * (i // 60), 40, 50)) for i in range(3000)], size, margin=0)
            for dx in (0, 2)
        ]
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        first, second = steadied(frames)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert [mask.streams for mask in first] == [mask.streams for mask in second]
    assert peak < 30_000_000


def test_a_column_more_or_less_leaves_the_noise_of_the_rest(key):
    # A face that moves by a part of a pixel may be four cells wide in one frame and five in the next.
    narrow, wide = (toned(np.full((6, columns, 3), 120.0), 0.12, 255, key, 6) for columns in (4, 5))
    assert np.array_equal(narrow, wide[:, :4])
