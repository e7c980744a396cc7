"""Decompression with a limit."""

import zlib

MAX_PROFILE = 16 << 20
MAX_TEXT = 16 << 20
_STEP = 1 << 20


def inflate(data: bytes, limit: int) -> tuple[bytes, bytes]:
    """(at most `limit` bytes of a zlib stream, what lies behind the stream); garbage gives what came before it."""
    if limit <= 0:  # which means "no limit" to zlib
        return b"", b""
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, limit)
    except zlib.error:
        return b"", b""
    return out, stream.unused_data


class Meter:
    """Measures a zlib stream that comes in pieces, keeping none of what it holds."""

    def __init__(self, limit: int) -> None:
        self._stream = zlib.decompressobj()
        self._limit = limit
        self.length = 0
        self.damaged = False

    @property
    def ended(self) -> bool:
        return self._stream.eof

    @property
    def over(self) -> bool:
        return self.length > self._limit

    def feed(self, piece: bytes) -> int:
        """How many bytes at the end of the piece lie behind the stream."""
        if self.damaged or self.over:
            return 0
        if self._stream.eof:
            return len(piece)
        try:
            while piece and not self._stream.eof and not self.over:
                self.length += len(self._stream.decompress(piece, _STEP))
                piece = self._stream.unconsumed_tail
        except zlib.error:
            self.damaged = True
            return 0
        return len(self._stream.unused_data)
