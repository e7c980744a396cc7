"""Small pictures of every kind, and what tests do with them."""

import io
from collections.abc import Sequence

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image

from cloak.geometry import Box, Ellipse, Region, Size
from cloak.masks import Mask, draw
from cloak.photo import Encoded, Output, Photo, open_photo

WIDTH, HEIGHT = 97, 61
REGION = Region(Ellipse(40, 30, 9, 12))


def gradient(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8, no two quarters alike, so that turns and mirrors show."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x * 3 + y * 5) % 256], axis=2).astype(np.uint8)


def picture(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """The gradient in any mode of Pillow's; alpha falls in steps from opaque to nothing."""
    pixels = gradient(width, height)
    image = Image.fromarray(pixels)
    if mode.endswith("A"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray((255 - pixels[..., 0] // 64 * 85).astype(np.uint8)))
        return image
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, metadata=None, software=False, **options)
    return buffer.getvalue()


def heic(samples: np.ndarray, mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    size = (samples.shape[1], samples.shape[0])
    options = {"quality": 95, "chroma": 444, **options}
    pillow_heif.encode(mode, size, np.ascontiguousarray(samples).tobytes(), buffer, **options)
    return buffer.getvalue()


def avif(samples: np.ndarray, bits: int) -> bytes:
    return bytes(imagecodecs.avif_encode(np.ascontiguousarray(samples), level=95, bitspersample=bits, numthreads=1))


def paint(pixels: np.ndarray, mask: Mask, frame: int) -> np.ndarray:
    """A third of the range on the core, blended over the feather; nonsense where the mask has no weight."""
    tone = np.iinfo(pixels.dtype).max // 3
    weight = mask.weight[..., None]
    blended = np.rint(pixels * (1 - weight) + tone * weight).astype(pixels.dtype)
    return np.where(weight > 0, blended, np.iinfo(pixels.dtype).max - pixels)


def masks_of(photo: Photo, regions: Sequence[Region] = (REGION,), feather: float = 0.2) -> list[list[Mask]]:
    return [draw(regions, photo.size, feather=feather) for _ in range(photo.frames)]


def concealed(data: bytes, regions: Sequence[Region] = (REGION,), output: Output | None = None) -> Encoded:
    photo = open_photo(data)
    return photo.conceal(masks_of(photo, regions), paint, output or Output())


def untouched(size: Size, masks: Sequence[Mask]) -> np.ndarray:
    """(H, W) bool: where no mask has weight."""
    out = np.ones((size.height, size.width), bool)
    for mask in masks:
        out[mask.window()] &= ~(mask.weight > 0)
    return out


def core(size: Size, masks: Sequence[Mask]) -> np.ndarray:
    out = np.zeros((size.height, size.width), bool)
    for mask in masks:
        out[mask.window()] |= mask.core
    return out


def rgba(data: bytes, frame: int = 0) -> np.ndarray:
    """What Pillow sees, (H, W, 4), with hidden colour cleared."""
    image = Image.open(io.BytesIO(data))
    image.seek(frame)
    out = np.asarray(image.convert("RGBA")).copy()
    out[out[..., 3] == 0] = 0
    return out


EDGE = Region(Box(-5, -5, 20, 20))
