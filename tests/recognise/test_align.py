import math

import cv2
import numpy as np
import pytest

from cloak.recognise import ARCFACE, Frame, chip, chips, placement

POINTS = np.array(ARCFACE.points)


@pytest.mark.parametrize(("turn", "scale", "move"), [(0, 1, (0, 0)), (30, 0.2, (40, -9)), (-170, 7, (1e4, 3))])
def test_a_turned_scaled_moved_face_comes_back_to_the_frame(turn, scale, move):
    t = math.radians(turn)
    turned = scale * POINTS @ np.array([[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]]) + move
    place = placement(turned.tolist(), ARCFACE)
    back = turned @ place[:, :2].T + place[:, 2]
    assert back == pytest.approx(POINTS, abs=1e-6)


def test_a_mirrored_face_is_not_mirrored_back():
    place = placement((POINTS * [-1, 1]).tolist(), ARCFACE)
    assert np.linalg.det(place[:, :2]) > 0


@pytest.mark.parametrize("landmarks", [[(5, 5)] * 5, [(math.nan, 1)] * 5, [(1, 2)] * 4, [(math.inf, 0)] * 5])
def test_landmarks_of_no_face_have_no_place(landmarks):
    assert placement(landmarks, ARCFACE) is None
    assert not chips(np.full((9, 9, 3), 200, np.uint8), [landmarks], ARCFACE).any()


def test_a_chip_at_full_scale_is_the_picture_itself():
    image = np.random.default_rng(1).integers(0, 255, (112, 112, 3)).astype(np.uint8)
    assert np.array_equal(chips(image, [ARCFACE.points], ARCFACE)[0], image)


def test_a_large_face_is_averaged_down_not_skipped_through():
    stripes = np.zeros((1120, 1120, 3), np.uint8)
    stripes[:, ::2] = 255
    grey = chip(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 112)
    assert grey[2:-2, 2:-2].min() > 120
    assert grey[2:-2, 2:-2].max() < 135


def test_shrinking_does_not_move_the_face():
    image = np.zeros((400, 400, 3), np.uint8)
    cv2.rectangle(image, (160, 240), (199, 279), (255, 255, 255), -1)
    small = chip(image, np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]]), 100)
    bright = np.argwhere(small[..., 0] > 127)
    assert bright.mean(0) == pytest.approx([64.5, 44.5], abs=0.01)


def test_a_window_of_a_frame_sees_the_same_face(portraits):
    image, landmarks = portraits["biden"]
    inner = ARCFACE.window(20, 30, 56, 56)
    whole = chips(image, [landmarks], ARCFACE)[0][30:86, 20:76].astype(int)
    part = chips(image, [landmarks], inner)[0].astype(int)
    assert np.abs(whole - part).mean() < 1


def test_frames_are_values():
    assert ARCFACE.window(0, 0, 112, 112) == Frame(112, ARCFACE.points)


def test_a_face_of_a_panorama_is_cut_out_before_it_is_warped(monkeypatch):
    """OpenCV before 5 warps no picture with a side of 32,767 pixels or more."""
    shapes = []
    warp = cv2.warpAffine
    monkeypatch.setattr(cv2, "warpAffine", lambda image, *a, **k: [shapes.append(image.shape), warp(image, *a, **k)][1])
    panorama = np.tile(np.random.default_rng(1).integers(0, 255, (112, 1_000, 3)).astype(np.uint8), (1, 40, 1))
    there = chips(panorama, [np.add(POINTS, (30_000, 0))], ARCFACE)[0]
    assert max(shapes[0]) < 200
    assert np.array_equal(there, panorama[:, 30_000:30_112])
