"""Whether all decoders show the same of a JPEG, whenever they clip.

Samples are clipped to black and white, and R, G and B after them. What is beyond does not show in full and in colour;
where a decoder reduces the picture before it clips (thumbnails), or leaves colour away, it counts.
"""

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from cloak.photo.jpeg_header import Header

Grey = npt.NDArray[np.uint8]

LEVELS = 6.0
"""Root mean square of a difference, of 255, from which it may be a picture: faces were found in one of 6.5. Of 60
photos none but an icon differs by more than 4 when it is reduced, and four do as grey, where colours are fullest."""

SQUARE, AROUND = 8, 5
"""Side of a square in pixels, and of the area in squares that a difference is the mean of: the smallest face."""


def agreed(data: bytes, header: Header) -> bool:
    """Whether a JPEG shows no more when it is decoded at a half, quarter or eighth, or as brightness alone.

    False also where that cannot be told: of inks, of rare subsamplings, and where libjpeg warns.

    Args:
        data: a file as `jpeg_write.normalised` makes it.
    """
    if header.colour not in ("ycc", "grey"):
        return False
    try:
        light = _brightness(data, header, 1)
        if header.colour == "ycc":
            shown = simplejpeg.decode_jpeg(data, "RGB", strict=True, fastupsample=True)
            if _differ(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), light, SQUARE):
                return False
            del shown
        # What is shown in full, and nothing beyond: both are reduced in the same way.
        clipped = simplejpeg.encode_jpeg(light[..., None], 100, "GRAY", "Gray")
        return not any(
            _differ(_brightness(data, header, step), _brightness(clipped, header, step), SQUARE // step)
            for step in (2, 4, 8)
        )
    except ValueError:
        return False


def _brightness(data: bytes, header: Header, reduction: int) -> Grey:
    """(ceil(H / reduction), ceil(W / reduction)) samples of the first component. Raises `ValueError`."""
    height, width = -(-header.size.height // reduction), -(-header.size.width // reduction)
    found = simplejpeg.decode_jpeg(data, "GRAY", min_height=height, min_width=width, strict=True)
    return np.asarray(found[..., 0], np.uint8)


def _differ(one: npt.NDArray[np.uint8], other: Grey, side: int) -> bool:
    """Whether two pictures differ by `LEVELS` anywhere, over squares of `side` pixels and those around."""
    squares = np.square(cv2.absdiff(one, other), dtype=np.uint16)
    if side > 1:
        height, width = (max(length // side, 1) for length in squares.shape)
        squares = squares[: height * side, : width * side]
        squares = cv2.resize(squares, (width, height), interpolation=cv2.INTER_AREA)
    around = cv2.blur(squares.astype(np.float32), (AROUND, AROUND), borderType=cv2.BORDER_REPLICATE)
    return float(around.max()) >= LEVELS**2
