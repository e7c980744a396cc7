"""What lies beyond the edges of a JPEG that was cropped without decoding it goes; ordinary margins stay."""

from pathlib import Path

import numpy as np
import pytest

from cloak.geometry import Region
from cloak.photo import jpeg
from tests.photo.test_jpeg_coefficients import FACE, SAMPLINGS, coefficients, concealed, made

if not jpeg.NATIVE:
    pytest.skip("the native part is not installed", allow_module_level=True)


def resized(data: bytes, width: int, height: int) -> bytes:
    """The same coded data with another stated size: what a lossless crop does, and whoever wants to undo it."""
    at = min(found for mark in (b"\xff\xc0", b"\xff\xc2") if (found := data.find(mark)) > 0)
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


def samples(data: bytes, width: int, height: int) -> np.ndarray:
    """(H, W) int32 brightness of a picture, as a decoder shows it that is told another size."""
    return jpeg.open_jpeg(resized(data, width, height), jpeg.Limits()).preview()[..., 1].astype(np.int32)


def grid(sampling: str) -> tuple[int, int]:
    """Width and height of an MCU."""
    return {"grey": (8, 8), "444": (8, 8), "422": (16, 8), "440": (8, 16), "420": (16, 16), "411": (32, 8)}[sampling]


@pytest.mark.parametrize("regions", [[], FACE], ids=["no face", "faces"])
@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
def test_what_a_lossless_crop_left_beyond_the_edges_is_gone(sampling: str, regions: list[Region], tmp_path: Path):
    w, h = grid(sampling)
    before = resized(made(128, 96, sampling), 128 - w + 1, 96 - h + 3)
    after, _ = concealed(before, regions)
    assert after.path in {"spliced", "recoded-coefficients"}
    shown = samples(after.data, 128, 96)
    right, below = shown[:, 128 - w :], shown[96 - h + 2 :]
    assert (
        np.abs(right - right[:, :1])[: 96 - h].mean()
        < 6
        < np.abs(samples(before, 128, 96)[:, 128 - w :] - right).mean()
    )
    assert np.abs(below - below[:1])[:, : 128 - w].mean() < 6
    for a, b in zip(coefficients(before, tmp_path), coefficients(after.data, tmp_path), strict=True):
        inside = slice(0, (96 - h) // h * (a.shape[0] * h // 96)), slice(0, 1)
        assert regions or np.array_equal(a[inside], b[inside])


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
@pytest.mark.parametrize("size", [(121, 83), (97, 70)])
def test_the_margins_of_ordinary_encoders_are_kept(sampling: str, size: tuple[int, int], tmp_path: Path):
    before = made(*size, sampling)
    after, _ = concealed(before, [])
    assert after.path == "spliced"
    for a, b in zip(coefficients(before, tmp_path), coefficients(after.data, tmp_path), strict=True):
        assert np.array_equal(a, b)
