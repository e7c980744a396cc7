import cv2
import numpy as np
import pytest

from cloak.audit import gather, visible
from cloak.audit import lpips as module
from cloak.audit.lpips import LEAST, MOST, lpips
from cloak.audit.report import seen
from cloak.errors import SetupError


class Asked:
    """Stands for the network: notes what it is asked."""

    def __init__(self):
        self.pairs = []

    def run(self, _names, given):
        self.pairs.append(given["faces"])
        return (np.array([[0.25]], np.float32),)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of recognisers that is empty."""
    monkeypatch.setenv("CLOAK_RECOGNISERS", str(tmp_path))
    module._network.cache_clear()
    yield tmp_path
    module._network.cache_clear()


def _picture(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "asked"),
    [
        (100, 70, (100, 70)), (20, 40, (LEAST, 2 * LEAST)), (2 * MOST, MOST, (MOST, MOST // 2)),
        (10, 4 * MOST, (LEAST, MOST)),
    ],
)  # fmt: skip
def test_pictures_come_to_the_network_as_large_as_it_can_take_them(height, width, asked, monkeypatch):
    network = Asked()
    monkeypatch.setattr(module, "_network", lambda: network)
    before = _picture(height, width)
    assert lpips(before, before[::-1]) == 0.25
    (pair,) = network.pairs
    assert pair.shape == (2, *asked, 3)
    assert pair.dtype == np.uint8
    assert not np.array_equal(pair[0], pair[1])


def test_without_its_weights_lpips_is_not_told_and_the_rest_is(people, cache):
    shots = gather(people, people=2, photos=2)
    change = visible("nothing", shots, lambda shot, draw: shot.image)
    assert (change.ssim_photo, change.lpips_photo, change.lpips_face) == (pytest.approx(1), None, None)
    assert "LPIPS" not in seen(change)


def test_weights_that_are_not_those_that_were_examined_are_an_error(cache):
    (cache / module.FILE).write_bytes(b"no graph")
    with pytest.raises(SetupError, match=r"lpips_alexnet\.onnx.* SHA-256"):
        lpips(_picture(64, 64), _picture(64, 64))


def test_photos_of_another_size_say_nothing_of_the_visible_change(people):
    shots = gather(people, people=2, photos=2)
    change = visible("smaller", shots, lambda shot, draw: shot.image[:-1])
    assert (change.ssim_photo, change.ssim_face, change.psnr_photo, change.lpips_face) == (None,) * 4
    assert "not known" in seen(change)


def test_lpips_is_that_of_its_authors():
    """The figures are those of the graph of `lpips` 0.1.4 in PyTorch, run once on these pictures."""
    if module._network() is None:
        pytest.skip("its weights are not here: scripts/fetch_recognisers.py --audit")
    picture = cv2.resize(_picture(12, 10), (150, 180), interpolation=cv2.INTER_CUBIC)
    assert lpips(picture, picture) == 0
    assert lpips(picture, cv2.GaussianBlur(picture, (0, 0), 4)) == pytest.approx(0.028466, abs=1e-4)
    assert lpips(picture, picture[:, ::-1].copy()) == pytest.approx(0.438739, abs=1e-4)
