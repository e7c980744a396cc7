import numpy as np
import pytest

from cloak.audit import figures


def test_ranks_count_who_came_before():
    scores = np.array([[0.9, 0.1, 0.2], [0.9, 0.1, 0.2], [0.9, 0.1, 0.2]])
    assert figures.rank(scores, np.array([0, 1, 2])).tolist() == [0, 2, 1]


def test_a_tie_is_half_a_person_and_a_face_not_found_has_no_rank():
    scores = np.array([[0.5, 0.5, 0.5], [-np.inf] * 3])
    assert figures.rank(scores, np.array([1, 1])).tolist() == [1, np.inf]


def test_an_interval_holds_the_share_and_widens_where_people_are_few():
    people = np.arange(100)
    hits = people % 4 == 0
    many, few = figures.share(hits, people), figures.share(hits[:8], people[:8])
    assert many.value == few.value == 0.25
    assert many.low < 0.25 < many.high
    assert few.high - few.low > 2 * (many.high - many.low)


def test_photos_of_one_person_count_as_one_person_in_the_interval():
    hits = np.repeat(np.arange(10) % 2 == 0, 50)
    apart = figures.share(hits, np.arange(500))
    together = figures.share(hits, np.repeat(np.arange(10), 50))
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 3 * (apart.high - apart.low)


@pytest.mark.parametrize("hit", [True, False])
def test_none_of_a_hundred_is_not_certain_to_be_none(hit):
    rate = figures.share(np.full(100, hit), np.arange(100))
    assert rate.value == float(hit)
    assert rate.high - rate.low == pytest.approx(0.037, abs=0.002)


def test_the_threshold_lets_one_false_pair_in_a_thousand_through():
    scores = np.random.default_rng(0).normal(0, 1, (200, 200))
    truth = np.arange(200)
    scores[truth, truth] = 100  # of the same person: they do not set it
    limit = figures.threshold(scores, truth)
    assert (scores[scores < 50] > limit).mean() == pytest.approx(1e-3, rel=0.05)


def test_equal_pictures_are_alike_and_noise_is_not():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert figures.ssim(image, image) == pytest.approx(1)
    assert figures.psnr(image, image) == 99
    assert figures.ssim(image, image[::-1]) < 0.1
    assert figures.psnr(image, np.clip(image.astype(int) + 5, 0, 255).astype(np.uint8)) == pytest.approx(34.2, abs=0.3)
