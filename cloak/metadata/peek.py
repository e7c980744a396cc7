"""The size of a picture in a carrier, read from its header alone."""

from cloak.metadata.base import Fact
from cloak.metadata.listing import IMAGE, Span

_NO_FRAME = {0xC4, 0xC8, 0xCC}


def picture_size(span: Span) -> tuple[int, int] | None:
    """(width, height) of a JPEG or PNG; None if it is neither or says nothing in its first 64 segments."""
    if span.startswith(b"\x89PNG\r\n\x1a\n"):
        return span.number(span.start + 16, 4), span.number(span.start + 20, 4)
    if not span.startswith(b"\xff\xd8\xff"):
        return None
    at = span.start + 2
    for _ in range(64):
        if at + 9 > span.end or span.data[at] != 0xFF:
            return None
        code = span.data[at + 1]
        if 0xC0 <= code <= 0xCF and code not in _NO_FRAME:
            return span.number(at + 7, 2), span.number(at + 5, 2)
        at += 2 + max(span.number(at + 2, 2), 2)
    return None


def picture_fact(label: str, span: Span) -> tuple[Fact, ...]:
    """One fact that tells how large another picture is."""
    size = picture_size(span)
    text = f"{len(span)} bytes"
    return (Fact(label, f"{size[0]}x{size[1]}, {text}" if size else text, IMAGE),)
