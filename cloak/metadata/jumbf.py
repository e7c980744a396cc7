"""JUMBF boxes (ISO/IEC 19566-5), in which C2PA keeps its manifests."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.listing import HISTORY, Listing, Span, fact
from cloak.metadata.peek import picture_fact

MAX_DEPTH = 16
MAX_BOXES = 5_000
_TYPES = {b"jumb", b"jumd", b"json", b"cbor", b"bfdb", b"bidb", b"uuid", b"jp2c", b"xml ", b"c2sh", b"free"}


def read_jumbf(listing: Listing, span: Span, inside: str) -> None:
    """Note every box, the labels of manifests and assertions, and pictures in them."""
    stack = [(span, 0)]
    count = 0
    while stack:
        run, depth = stack.pop()
        at = run.start
        while at < run.end:
            count += 1
            size = run.number(at, 4)
            head = 8
            if size == 1:
                size, head = run.number(at + 8, 8), 16
            elif size == 0:
                size = run.end - at
            kind = run.data[at + 4 : at + 8]
            if size < head or at + 8 > run.end or kind not in _TYPES or depth > MAX_DEPTH or count > MAX_BOXES:
                listing.note("JUMBF unknown bytes", Kind.UNKNOWN, run.cut(at, run.end), inside)
                break
            box, body = run.cut(at, at + size), run.cut(at + head, at + size)
            name = f"JUMBF {kind.decode('ascii').strip()}"
            picture = kind == b"bidb"
            listing.note(name, Kind.IMAGE if picture else Kind.METADATA, box, inside, _says(kind, body))
            if picture and body.startswith(b"\xff\xd8\xff"):
                listing.nest("jpeg", body, name)
            if kind == b"jumb":
                stack.append((body, depth + 1))
            at = box.end if box.end > at else run.end


def _says(kind: bytes, body: Span) -> tuple[Fact, ...]:
    if kind == b"jumd":
        label = body.cut(body.start + 17, body.end).raw(400).split(b"\0")[0]
        return fact("manifest", label, HISTORY)
    if kind == b"json":
        return fact("assertion", body.raw(800), HISTORY)
    if kind == b"bidb":
        return picture_fact("thumbnail", body)
    return ()
