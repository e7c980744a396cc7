"""The figures in the README are only as good as the code that counts."""

import numpy as np
import pytest

from benchmarks import detection
from benchmarks.detection import Outcome, Result, Truth, average_precision, share, summary, tones
from cloak.geometry import Box


def outcome(found, covered, height=20, file="a", **attributes):
    return Outcome(Truth(Box(0, 0, height, height), False, attributes), file, found, covered)


def test_average_precision_is_the_area_under_the_curve():
    assert average_precision([(0.9, True), (0.8, True)], 2) == 1
    assert average_precision([(0.9, True), (0.8, False), (0.7, True)], 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision([(0.9, False)], 3) == 0
    assert average_precision([], 3) == 0


def test_a_box_counts_once_and_ignored_faces_are_neither_asked_for_nor_held_against_anyone(tmp_path):
    from PIL import Image

    folder = tmp_path / "set"
    folder.mkdir()
    Image.new("RGB", (200, 100)).save(folder / "a.png")
    faces = {
        "set/a.png": [
            Truth(Box(10, 10, 20, 20), False, {}),
            Truth(Box(100, 10, 20, 20), False, {}),
            Truth(Box(50, 50, 6, 6), True, {}),
        ]
    }
    answer = {
        "file": str(folder / "a.png"),
        "ms": 5.0,
        "faces": [[10, 10, 20, 20, 0.9], [11, 11, 20, 20, 0.8], [49, 49, 9, 9, 0.7], [150, 50, 20, 20, 0.6]],
    }
    result = detection.score("made", [answer], faces)
    assert [o.found for o in result.outcomes] == [True, False]
    assert [o.covered for o in result.outcomes] == [True, False]
    assert result.false == 2
    figures = summary(result)
    assert figures["precision"] == pytest.approx(1 / 3)
    assert figures["groups"]["16-32"]["recall"] == 0.5


def test_coverage_is_the_share_of_the_box_under_the_mask():
    core = np.zeros((100, 100), bool)
    core[:, :50] = True
    assert share(core, Box(40, 40, 20, 20)) == 0.5
    assert share(core, Box(-10, 0, 20, 20)) == 1.0


def test_tone_gaps_are_taken_within_size_buckets():
    # The darker group is found just as well at every size, but has smaller faces: no gap.
    same = [outcome(True, True, 100, f"p{i}", skin="I") for i in range(10)]
    same += [outcome(i % 2 == 0, True, 10, f"p{i}", skin="I") for i in range(10)]
    same += [outcome(i % 2 == 0, True, 10, f"p{i}", skin="VI") for i in range(10)]
    assert tones(same, "found", draws=50)["IV-VI - I-II"]["gap"] == pytest.approx(0)
    worse = [outcome(True, True, 10, f"p{i}", skin="II") for i in range(10)]
    worse += [outcome(False, True, 10, f"p{i}", skin="V") for i in range(10)]
    gap = tones(worse, "found", draws=50)["IV-VI - I-II"]
    assert gap["gap"] == -1
    assert gap["interval"] == [-1, -1]


def test_a_summary_of_nothing_is_no_fault():
    assert summary(Result())["average precision"] == 0
