"""Containers: bytes to an upright photo, and a concealed photo to bytes; one module a format.

data = open_photo(data).conceal(masks, paint, Output()).data
"""

from collections.abc import Callable
from functools import partial

from cloak.errors import NotAnImage, TooLarge, Unsupported
from cloak.metadata import sniff
from cloak.photo.base import Encoded, Limits, Output, Paint, Photo
from cloak.photo.raster import Decoding

__all__ = ["FORMATS", "Encoded", "Limits", "Output", "Paint", "Photo", "open_photo"]

FORMATS = ("avif", "bmp", "gif", "heif", "jpeg", "png", "tiff", "webp")
"""What `open_photo` reads and writes."""

_OTHER_IMAGES = (
    (0, b"8BPS", "Photoshop documents"),
    (0, b"\xff\x0a", "JPEG XL images"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL images"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000 images"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000 images"),
    (0, b"\0\0\1\0", "icons"),
    (0, b"\0\0\2\0", "cursors"),
    (0, b"icns", "icons"),
    (0, b"DDS ", "DirectDraw surfaces"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR images"),
    (0, b"#?RADIANCE", "Radiance images"),
    (0, b"qoif", "QOI images"),
    (0, b"FUJIFILMCCD-RAW", "camera raw files"),
    (0, b"IIRO", "camera raw files"),
    (0, b"IIU\0", "camera raw files"),
    (6, b"HEAPCCDR", "camera raw files"),
    (0, b"\x01\xda", "SGI images"),
    (0, b"\x0a\x05\x01", "PCX images"),
    (0, b"BLP1", "game textures"),
    (0, b"BLP2", "game textures"),
    (4, b"ftyp", "videos and images of this kind"),
)
"""(offset, signature, what it is), for a line that helps; everything else is no image to us."""


def open_photo(data: bytes, limits: Limits = Limits(), *, checked: bool = False) -> Photo:  # noqa: B008 - frozen
    """Open a photo by its content, whatever its name.

    Args:
        data: the whole file.
        limits: what it may cost; checked on the headers, before any pixel is decoded.
        checked: the caller lets `jpeg_check.check_scan` pass a JPEG before it asks for pixels; we need not do the same.

    Raises `NotAnImage`, `Unsupported`, `TooLarge` or `Corrupt`; never anything else, whatever the bytes.
    """
    if not data:
        raise NotAnImage("the file is empty")
    if len(data) > limits.bytes:
        raise TooLarge(
            f"{len(data)} bytes are over the limit of {limits.bytes}",
            next_step="If you trust the file, raise the limit of bytes.",
        )
    kind = sniff(data)
    if kind not in FORMATS:
        for offset, signature, name in _OTHER_IMAGES:
            if data.startswith(signature, offset):
                raise Unsupported(f"{name} are not supported")
        raise NotAnImage("the bytes are no image of a known format")
    opener = _opener(kind)
    if checked and kind == "jpeg":
        from cloak.photo.jpeg import open_jpeg

        opener = partial(open_jpeg, checked=True)
    with Decoding(kind):
        return opener(data, limits)


def _opener(kind: str) -> Callable[[bytes, Limits], Photo]:
    # Imported when needed: a run over JPEGs loads no HEVC decoder.
    if kind == "jpeg":
        from cloak.photo.jpeg import open_jpeg

        return open_jpeg
    if kind == "png":
        from cloak.photo.png import open_png

        return open_png
    if kind == "tiff":
        from cloak.photo.tiff import open_tiff

        return open_tiff
    if kind == "webp":
        from cloak.photo.webp import open_webp

        return open_webp
    if kind == "gif":
        from cloak.photo.gif import open_gif

        return open_gif
    if kind == "bmp":
        from cloak.photo.bmp import open_bmp

        return open_bmp
    from cloak.photo.heif import open_heif

    return open_heif
