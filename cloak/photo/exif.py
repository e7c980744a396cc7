"""The one EXIF value that changes how pixels are shown: the orientation."""

from cloak.metadata.ifd import open_block
from cloak.metadata.listing import Span

ORIENTATION = 274


def orientation(tiff: bytes) -> int:
    """Tag 274 of IFD0 of a bare TIFF structure, 1-8; 1 if absent or unreadable."""
    start = 6 if tiff.startswith(b"Exif\0\0") else 0
    block = open_block(Span(tiff, start, len(tiff)))
    directory = block.directory(block.first) if block else None
    entry = directory.find(ORIENTATION) if directory else None
    values = block.integers(entry, 1) if block and entry else []
    return values[0] if values and 1 <= values[0] <= 8 else 1
