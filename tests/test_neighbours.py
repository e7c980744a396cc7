"""Faces that stand so close that their windows, or their blocks, are shared: neither may be uncovered by the other."""

import io

import numpy as np
import pytest
from PIL import Image

from cloak.effects import Fill, Noise, conceal
from cloak.geometry import Ellipse, Region
from cloak.masks import draw
from cloak.photo import Output, open_photo

FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 2},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "BMP": {},
}


@pytest.mark.parametrize("gap", [1.5, 4.0, 9.0])
@pytest.mark.parametrize("format", FORMATS)
def test_two_masks_side_by_side_are_both_concealed(format, gap, portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, format, **FORMATS[format])
    photo = open_photo(buffer.getvalue())
    regions = [Region(Ellipse(100, 100, 20, 26)), Region(Ellipse(100 + 40 + gap, 100, 20, 26))]
    masks = draw(regions, photo.size, feather=0.0)
    assert len(masks) == 2
    paint = lambda pixels, mask, frame: conceal(pixels, mask, Fill(colour=(255, 0, 255)), Noise(b""))  # noqa: E731
    out = np.asarray(Image.open(io.BytesIO(photo.conceal([masks], paint, Output()).data)).convert("RGB")).astype(int)
    for mask in masks:
        inner = out[mask.window()][mask.core]
        # Chroma is shared across the edge of a mask in a subsampled JPEG: most pixels are exact, none is the photo's.
        far = np.abs(inner - [255, 0, 255]).max(axis=1) > 90
        assert far.mean() < (0.1 if format == "JPEG" else 1e-9)
