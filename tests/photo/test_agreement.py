"""Files that show a picture to decoders that clip later than others, or leave colour away."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from cloak import Pipeline, anonymize
from cloak.geometry import Size
from cloak.photo import jpeg, jpeg_agreement, jpeg_write, open_photo
from cloak.photo.base import Limits, Output
from cloak.photo.jpeg_header import ZIGZAG, Component, parse
from cloak.photo.jpeg_layout import Layout

pytestmark = pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")
if jpeg.engine() == "native":
    from cloak.photo import jpeg_coded

K = np.arange(8)
WAVES = np.sqrt(np.where(K, 2, 1) / 8)[:, None] * np.cos(np.outer(K, 2 * K + 1) * np.pi / 16)


@pytest.fixture(scope="module")
def face(samples: Path) -> np.ndarray:
    """(90, 160), levels from the middle."""
    image = cv2.imread(str(samples / "group.jpg"), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA)[:88] / 255 * 40 - 20


def under_noise(hidden: np.ndarray) -> bytes:
    """Black and white at random, all of it clipped; before that, means over 2 x 2 pixels are the hidden picture's."""
    signs = np.random.default_rng(1).permuted(np.tile([1, 1, -1, -1], (hidden.size, 1)), axis=1)
    more = 2 * hidden.reshape(-1, 1)
    cells = np.where(signs > 0, 132 + np.maximum(more, 0), np.minimum(more, 0) - 132)
    height, width = (2 * side for side in hidden.shape)
    pixels = cells.reshape(*hidden.shape, 2, 2).swapaxes(1, 2).reshape(height, width)
    blocks = pixels.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    found = (WAVES @ blocks @ WAVES.T).reshape(-1, 64)[:, np.array(ZIGZAG)]
    grid = Layout(Size(width, height), (Component(1, 1, (2,) * 64),))
    planes = jpeg_coded.Planes(grid, np.ascontiguousarray(np.rint(found / 2)[:, None], np.int16))
    return planes.write(jpeg_coded.no_changes(grid), 1).behind(jpeg_write.start("grey"))


def under_colour(hidden: np.ndarray) -> bytes:
    """Brightness under colours so strong that all of it is one magenta."""
    light = Image.fromarray(np.rint(106 + 1.2 * hidden).astype(np.uint8))
    full = Image.new("L", light.size, 255)
    out = io.BytesIO()
    Image.merge("YCbCr", (light, full, full)).save(out, "JPEG", quality=97, subsampling=0)
    return out.getvalue()


def half(made: bytes, height: int, width: int) -> np.ndarray:
    return simplejpeg.decode_jpeg(made, "GRAY", min_height=height, min_width=width)[..., 0]


def as_grey(made: bytes, height: int, width: int) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_GRAYSCALE)


def without_means(hidden: np.ndarray) -> np.ndarray:
    """Of what the means of a JPEG's blocks tell: faces are found in what is left."""
    height, width = (side // 4 for side in hidden.shape)
    means = hidden.reshape(height, 4, width, 4).mean((1, 3))
    return hidden - np.kron(means, np.ones((4, 4)))


@pytest.mark.parametrize(("build", "read", "kept"), [
    (under_noise, half, lambda hidden: hidden),
    (under_noise, half, without_means),
    (under_colour, as_grey, lambda hidden: hidden),
])  # fmt: skip
def test_what_other_decoders_show_is_not_published(face: np.ndarray, build, read, kept) -> None:  # type: ignore[no-untyped-def]
    hidden = kept(face)
    made = build(hidden)

    def shows(data: bytes) -> float:
        """How much of the hidden picture: 1 for all of it."""
        around = hidden - hidden.mean()
        return float((read(data, *hidden.shape) * around).sum() / np.square(around).sum())

    assert shows(made) > 0.8
    result = anonymize(made, Pipeline(recall="thorough"))
    assert result.data is not None
    assert result.report.path == "re-encoded"
    assert any("may show more" in note for note in result.report.notes)
    assert abs(shows(result.data)) < 0.1
    assert jpeg_agreement.agreed(result.data, parse(result.data, Limits()))


@pytest.mark.parametrize("quality", [5, 75, 95])
def test_ordinary_photos_are_edited_in_place(samples: Path, quality: int) -> None:
    """Text as well, whose edges reach far beyond white at low quality."""
    image = cv2.imread(str(samples / "group.jpg"))
    cv2.putText(image, "text", (100, 300), cv2.FONT_HERSHEY_SIMPLEX, 9, (255, 255, 255), 20)
    made = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    after = open_photo(made, Limits()).conceal([[]], lambda pixels, mask, frame: pixels, Output(agreed=True))
    assert after.path == "spliced"


def test_the_smallest_pictures_can_be_told(samples: Path) -> None:
    for side in (1, 7, 9):
        made = cv2.imencode(".jpg", np.full((side, side, 3), 90, np.uint8))[1].tobytes()
        assert jpeg_agreement.agreed(made, parse(made, Limits()))
