"""Perturb: recognisers are led astray, people are not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloak.detect import registry
from cloak.effects import Noise, Perturb, Pixelate, conceal
from cloak.effects.evasion import FRAME, visibility
from cloak.errors import ConcealmentFailed, UsageError
from cloak.geometry import Ellipse, Region, Size
from cloak.masks import draw
from cloak.recognise import ARCFACE, chips, load
from tests.conftest import FACES

pytest.importorskip("torch")

QUICK = Perturb(grain=3.0, light=5.0, steps=10)
SAME = 0.363  # OpenCV's threshold of SFace


@pytest.fixture(scope="module")
def window():
    """(pixels, mask, landmarks) of one portrait, the mask over the head."""
    pixels = cv2.cvtColor(cv2.imread(str(FACES / "biden.jpg")), cv2.COLOR_BGR2RGB)[40:360, 180:440].copy()
    best = max(registry.load("yunet")(pixels), key=lambda hit: hit.score)
    box = best.box
    region = Region(Ellipse(*box.center, box.width * 0.7, box.height * 0.75), landmarks=best.landmarks)
    (mask,) = draw([region], Size(pixels.shape[1], pixels.shape[0]), feather=0.06)
    rows, columns = mask.window()
    shown = np.ascontiguousarray(pixels[rows, columns])
    points = tuple((x - mask.left, y - mask.top) for x, y in best.landmarks)
    return shown, replace(mask, left=0, top=0), points


@pytest.fixture(scope="module")
def perturbed(window):
    pixels, mask, _ = window
    return conceal(pixels, mask, QUICK, Noise(b"key"))


def likeness(before, after, points):
    model = load("sface")
    rows = model(np.concatenate([chips(picture, [points], ARCFACE) for picture in (before, after)]))
    return float(rows[0] @ rows[1])


def test_the_recogniser_takes_the_face_for_somebody_else(window, perturbed):
    pixels, _, points = window
    assert likeness(pixels, perturbed, points) < SAME


def test_it_does_so_after_recompression_at_half_the_size(window, perturbed):
    pixels, _, points = window
    half = cv2.resize(perturbed, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    coded = cv2.imdecode(cv2.imencode(".jpg", half, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)
    back = cv2.resize(coded, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_CUBIC)
    assert likeness(pixels, back, points) < SAME


def test_people_see_the_same_face(window, perturbed):
    pixels, _, _ = window
    change = np.abs(perturbed.astype(int) - pixels)
    assert change.mean() < 6
    # As much noise without a direction does nothing, to a recogniser either.
    random = np.random.default_rng(0).permutation((perturbed.astype(int) - pixels).ravel()).reshape(pixels.shape)
    assert likeness(pixels, np.clip(pixels + random, 0, 255).astype(np.uint8), window[2]) > 0.6


def test_only_the_luminance_changes(window, perturbed):
    pixels, _, _ = window
    inside = ((perturbed > 0) & (perturbed < 255)).all(2)  # where nothing is clipped
    change = (perturbed.astype(int) - pixels)[inside]
    assert np.ptp(change, axis=1).max() <= 1


def test_nothing_changes_around_the_face(window, perturbed):
    pixels, mask, _ = window
    outside = mask.weight <= 0
    assert (perturbed[outside] == pixels[outside]).all()
    assert (perturbed[:8] == pixels[:8]).all()


def test_the_key_decides(window):
    pixels, mask, _ = window
    brief = replace(QUICK, steps=2)
    one, again, other = (brief(pixels, mask, Noise(key)) for key in (b"a", b"a", b"b"))
    assert (one == again).all()
    assert (one != other).any()


def test_a_region_without_landmarks_is_pixelated(window):
    pixels, mask, _ = window
    blind = replace(mask, regions=tuple(replace(region, landmarks=None) for region in mask.regions))
    out = QUICK(pixels, blind, Noise(b"key"))
    assert len(np.unique(out[mask.core], axis=0)) <= 40


@pytest.mark.parametrize(
    ("size", "away", "searched"),
    [(0.4, 0, 1), (0.8, 0, 2), (0.4, 2.5, 2), (1.0, 2.5, 2)],
    ids=["piece of it", "nearly as large", "small, beside it", "neighbour"],
)
def test_a_hit_on_a_piece_of_a_face_is_not_changed_again(size, away, searched, window, monkeypatch):
    pixels, mask, points = window
    shown = []

    def evade(chip, *_):
        shown.append(chip)
        return np.zeros(chip.shape[:2], np.float32)

    monkeypatch.setattr("cloak.effects.perturb.evade", evade)
    monkeypatch.setattr("cloak.effects.perturb.recognised", lambda *_: False)
    nose, width = np.array(points[2]), points[1][0] - points[0][0]
    more = tuple(tuple(nose + (away * width, 0) + size * (np.array(point) - nose)) for point in points)
    face, hit = mask.regions[0], replace(mask.regions[0], landmarks=more)
    seen = []
    for regions in ((face, hit), (hit, face)):
        shown.clear()
        conceal(pixels, replace(mask, regions=regions, streams=(0, 1)), QUICK, Noise(b"key"))
        assert len(shown) == searched
        seen.append(shown[0])
    # The large face is the one that is changed, in whatever order they come.
    if size < 1:
        assert np.array_equal(*seen)


def test_landmarks_in_one_point_are_no_face(window):
    pixels, mask, _ = window
    flat = replace(mask, regions=tuple(replace(region, landmarks=((9.0, 9.0),) * 5) for region in mask.regions))
    assert len(np.unique(QUICK(pixels, flat, Noise(b"key"))[mask.core], axis=0)) <= 40


def test_grey_and_sixteen_bits_are_perturbed_alike(window):
    pixels, mask, _ = window
    brief = replace(QUICK, steps=2)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    eight = brief(grey, mask, Noise(b"key"))
    sixteen = brief(grey.astype(np.uint16) * 257, mask, Noise(b"key"))
    assert sixteen.dtype == np.uint16
    assert (eight != grey).any()
    assert np.abs(sixteen / 257.0 - eight).mean() < 0.5


def test_cmyk_is_refused(window):
    pixels, mask, _ = window
    with pytest.raises(ConcealmentFailed, match="CMYK"):
        QUICK(np.dstack([pixels, pixels[..., :1]]), mask, Noise(b"key"))


def test_eyes_are_covered_on_top(window):
    pixels, mask, points = window
    out = replace(QUICK, steps=1, combine="eyes")(pixels, mask, Noise(b"key"))
    for x, y in points[:2]:
        assert (out[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5] == 0).all()
    mouth = out[round(points[3][1]), round(points[3][0])]
    assert mouth.any()


def test_pixelation_comes_on_top(window):
    pixels, mask, _ = window
    out = replace(QUICK, steps=1, combine="pixelate")(pixels, mask, Noise(b"key"))
    assert len(np.unique(out[mask.core], axis=0)) <= 24 * 24
    assert len(np.unique(Pixelate()(pixels, mask, Noise(b"key"))[mask.core], axis=0)) <= 40


def test_the_search_counts_on_nothing_that_the_file_takes_away(window):
    pixels, mask, _ = window
    seen = []

    def written(painted):
        seen.append(painted)
        return pixels  # a file that keeps no change at all

    replace(QUICK, steps=6)(pixels, mask, Noise(b"key"), written)
    # Looked at before the first and the sixth step, and at the end; escalated twice, as nothing helped.
    assert len(seen) == 3 * 3


def test_texture_hides_more_than_smooth_skin():
    flat = np.full((FRAME.side, FRAME.side, 3), 128, np.float32)
    rough = flat + np.random.default_rng(0).normal(0, 25, flat.shape).astype(np.float32)
    assert visibility(flat).max() == 1
    assert visibility(rough).min() > 2


@pytest.mark.parametrize(
    "settings",
    [{"grain": 0}, {"grain": float("nan")}, {"light": -1}, {"steps": 0}, {"surrogates": ()}, {"surrogates": ("dlib",)},
     {"combine": "mask"}],
)  # fmt: skip
def test_bad_settings_are_refused(settings):
    with pytest.raises(UsageError):
        Perturb(**settings)
