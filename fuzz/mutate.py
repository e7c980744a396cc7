"""Mutations that know how containers are built: parts doubled, moved, dropped, crossed.

Blind changes of bytes rarely get past a checksum or a length. Here a file is split into its parts, the parts are
changed, and lengths and checksums are written anew; a third of the files then get wrong numbers at random places.
"""

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Part = tuple[bytes, bytes]
"""What a part is (marker, type; b"" for bytes as they are), and what it holds."""

Bytewise = Callable[[bytes], bytes]
"""Changes bytes that have no form of their own; libFuzzer's own mutations, where it guides."""

NUMBERS = (
    0,
    1,
    2,
    4,
    7,
    8,
    12,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)


@dataclass(frozen=True, slots=True)
class Form:
    """How files of one kind are taken apart, and put together with true lengths and checksums."""

    split: Callable[[bytes], list[Part]]
    join: Callable[[Sequence[Part]], bytes]
    nested: Callable[[Part], bool] = lambda _: False


def mutate(
    data: bytes, form: str, others: Sequence[bytes], rng: random.Random, bytewise: Bytewise | None = None
) -> bytes:
    """Another file, made from one of a form (a key of `FORMS`) and from parts of others.

    Args:
        data: the file.
        form: how it is built; "" for bytes without form, "any" to go by its first bytes.
        others: files whose parts may be taken over; files begin as one of them does.
        rng: the same numbers make the same file.
        bytewise: changes a part's bytes; default: a few wrong bytes.
    """
    if form == "any":
        form = _form(data)
        others = [other for other in rng.sample(list(others), min(len(others), 30)) if _form(other) == form]
    known = _SIGNATURES.get(form, 0) if others and rng.random() < 0.98 else 0
    signatures = [other[:known] for other in others]
    signature = data[:known] if data[:known] in signatures or not known else rng.choice(signatures)
    change = bytewise or (lambda piece: _poked(piece, rng))
    # Most files that are changed all over are refused early; one change beside the pixels gets to what is published.
    gently = rng.random() < 0.3
    if form == "tiff":
        data = _fields(data, rng) if rng.random() < 0.8 else change(data)
    elif form in FORMS and rng.random() < 0.9:
        data = _mutated(data, FORMS[form], others, rng, change, gently=gently)
    else:
        data = change(data)
    if not gently and rng.random() < 0.4:
        data = _poked(data, rng)
    if not gently and rng.random() < 0.07:
        data = data[: rng.randrange(len(data) + 1)]
    return signature + data[known:]


def _form(data: bytes) -> str:
    return "boxes" if data[4:8] == b"ftyp" else next((form for magic, form in _MAGIC if data.startswith(magic)), "")


def _mutated(
    data: bytes, form: Form, others: Sequence[bytes], rng: random.Random, change: Bytewise, *, gently: bool
) -> bytes:
    parts = form.split(data)
    for _ in range(1 if gently else rng.choice((1, 1, 2, 4))):
        if not parts:
            break
        # The largest part holds the pixels, as a rule.
        spared = max(range(len(parts)), key=lambda k: len(parts[k][1])) if gently else None
        i = rng.choice([k for k in range(len(parts)) if k != spared] or [0])
        j = rng.randrange(len(parts) + 1)
        head, body = parts[i]
        what = rng.randrange(10)
        if what == 0:
            parts[j:j] = [parts[i]] * rng.choice((1, 1, 1, 2, 50))
        elif what == 1:
            parts.insert(j, parts.pop(i))
        elif what == 2:
            del parts[i]
        elif what == 3 and others:
            foreign = form.split(rng.choice(others))
            parts[j:j] = [rng.choice(foreign)] if foreign else []
        elif what == 4:
            parts[i] = head, body[: rng.randrange(len(body) + 1)]
        elif what == 5:
            parts[i] = parts[rng.randrange(len(parts))][0], body
        elif form.nested(parts[i]) and rng.random() < 0.8:
            parts[i] = head, _mutated(body, form, others, rng, change, gently=gently)
        else:
            parts[i] = head, change(body)
    return form.join(parts)


def _poked(data: bytes, rng: random.Random) -> bytes:
    """Numbers, bits and bytes changed at a few places, half of them near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not out:
            break
        at = rng.randrange(min(len(out), 64) if rng.random() < 0.5 else len(out))
        what = rng.randrange(5)
        if what == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            out[at] = rng.randrange(256)
        elif what == 2:
            size = rng.choice((1, 2, 4, 8))
            value = rng.choice((*NUMBERS, len(out), rng.randrange(len(out))))
            out[at : at + size] = (value % 256**size).to_bytes(size, rng.choice(("big", "little")))
        elif what == 3:
            del out[at : at + rng.choice((1, 2, 4, 100))]
        else:
            start = rng.randrange(len(out))
            out[at:at] = out[start : start + rng.choice((1, 2, 4, 100))]
    return bytes(out)


def _split_jpeg(data: bytes) -> list[Part]:
    parts, at = list[Part](), 0
    while at + 2 <= len(data) and data[at] == 0xFF:
        code = data[at + 1]
        if code in (0xD8, 0xD9, 0x01) or 0xD0 <= code <= 0xD7:
            parts.append((b"", data[at : at + 2]))
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append((data[at : at + 2], data[at + 4 : end]))
        at = max(end, at + 4)
        if code == 0xDA:  # the coded pixels reach up to the next marker
            end = at
            while end + 1 < len(data) and (data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7):
                end += 1
            parts.append((b"", data[at:end]))
            at = end
    return [*parts, (b"", data[at:])]


def _join_jpeg(parts: Sequence[Part]) -> bytes:
    return b"".join(h + struct.pack(">H", min(len(b) + 2, 65535)) + b[:65533] if h else b for h, b in parts)


def _split_png(data: bytes) -> list[Part]:
    parts, at = [(b"", data[:8])], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : end - 4]))
        at = end
    return [*parts, (b"", data[at:])]


def _join_png(parts: Sequence[Part]) -> bytes:
    return b"".join(
        struct.pack(">I", len(b)) + h + b + struct.pack(">I", zlib.crc32(h + b)) if h else b for h, b in parts
    )


def _split_riff(data: bytes) -> list[Part]:
    parts, at = list[Part](), 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return [*parts, (b"", data[at:])]


def _join_riff(parts: Sequence[Part]) -> bytes:
    body = b"".join(h + struct.pack("<I", len(b)) + b + bytes(len(b) % 2) if h else b for h, b in parts)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


_HOLDING_BOXES = b"moov trak mdia minf stbl iprp ipco dinf edts jumb".split()
_HOLDING_AFTER_VERSION = b"meta iref".split()


def _split_boxes(data: bytes) -> list[Part]:
    parts, at = list[Part](), 0
    if data[:4] == bytes(4):  # version and flags of a full box
        parts, at = [(b"", data[:4])], 4
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            break
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return [*parts, (b"", data[at:])] if at < len(data) else parts


def _join_boxes(parts: Sequence[Part]) -> bytes:
    return b"".join(struct.pack(">I", len(b) + 8) + h + b if h else b for h, b in parts)


def _split_gif(data: bytes) -> list[Part]:
    at = 13 + (3 << (data[10] % 8 + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    parts = [(b"", data[:at])]
    while at < len(data):
        start, kind = at, data[at]
        if kind == 0x2C:
            at += 10
            at += 1 + (3 << (data[at - 1] % 8 + 1) if at <= len(data) and data[at - 1] & 0x80 else 0)
        else:
            at += 2 if kind == 0x21 else 1
        while kind in (0x21, 0x2C) and at < len(data) and data[at]:
            at += 1 + data[at]
        at += kind in (0x21, 0x2C)
        parts.append((b"", data[start:at]))
    return parts


def _between(separator: bytes) -> Form:
    return Form(
        lambda data: [(b"", piece) for piece in data.split(separator)],
        lambda parts: separator.join(body for _, body in parts),
    )


FORMS: dict[str, Form] = {
    "jpeg": Form(_split_jpeg, _join_jpeg),
    "png": Form(_split_png, _join_png),
    "webp": Form(_split_riff, _join_riff, lambda part: part[0] == b"ANMF"),
    "boxes": Form(_split_boxes, _join_boxes, lambda part: part[0] in (*_HOLDING_BOXES, *_HOLDING_AFTER_VERSION)),
    "gif": Form(_split_gif, lambda parts: b"".join(body for _, body in parts)),
    "elements": _between(b"<"),
    "lines": _between(b"\n"),
    "items": _between(b","),
    "datasets": _between(b"\x1c"),
    "resources": _between(b"8BIM"),
}
"""How files are built; "tiff" besides, whose directories are changed in place, and "bmp", which is a header."""

_SIGNATURES = {"jpeg": 3, "png": 8, "webp": 4, "boxes": 12, "gif": 6, "tiff": 4, "bmp": 2}
"""Bytes without which nobody reads on: they are left alone, but for a few inputs."""

_MAGIC = (
    (b"\xff\xd8", "jpeg"), (b"\x89PNG", "png"), (b"RIFF", "webp"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II", "tiff"),
    (b"MM", "tiff"),
)  # fmt: skip

_TAGS = (
    254,
    256,
    257,
    258,
    259,
    262,
    273,
    277,
    278,
    279,
    284,
    317,
    320,
    322,
    324,
    325,
    330,
    338,
    339,
    347,
    400,
    513,
    514,
)
_TAGS += (700, 33432, 33723, 34377, 34665, 34675, 34853, 37500, 37510, 40965, 45057, 45058, 50341, 50740, 59932)


def _fields(data: bytes, rng: random.Random) -> bytes:
    """Fields of TIFF's directories changed: tags, types, counts, offsets to elsewhere, to themselves, outside."""
    out = bytearray(data)
    little = out[:2] != b"MM"
    order = "<" if little else ">"
    wide = len(out) > 4 and out[3 if not little else 2] == 0x2B
    head, step, number, word = (8, 20, "Q", 8) if wide else (2, 12, "I", 4)

    def get(at: int, size: int) -> int:
        return int.from_bytes(out[at : at + size], "little" if little else "big")

    places, todo = list[int](), [get(8 if wide else 4, word)]
    while todo and len(places) < 32:
        at = todo.pop()
        if at in places or not 8 <= at < len(out) - head:
            continue
        places.append(at)
        count = min(get(at, head), 400, (len(out) - at - head) // step)
        for i in range(count):
            field = at + head + i * step
            if get(field, 2) in (330, 34665, 34853, 40965):
                todo.append(get(field + step - word, word))
        todo.append(get(at + head + count * step, word))
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not places:
            return _poked(data, rng)
        at = rng.choice(places)
        count = min(get(at, head), 400, (len(out) - at - head) // step)
        field = at + head + rng.randrange(count + 1) * step  # the last is the offset of the next directory
        other = at + head + rng.randrange(count + 1) * step
        value = rng.choice((*NUMBERS, *places, at, field, len(out), len(out) - 1, rng.randrange(len(out))))
        value %= 256**word
        what = rng.randrange(7)
        if what == 0:
            out[field : field + step] = out[other : other + step]
        elif what == 1:
            out[field : field + 2] = struct.pack(order + "H", rng.choice(_TAGS))
        elif what == 2:
            out[field + 2 : field + 4] = struct.pack(order + "H", rng.choice((*range(20), 0xFFFF)))
        elif what == 3:
            out[field + 4 : field + 4 + word] = struct.pack(order + number, value)
        elif what == 4:
            out[field + step - word : field + step] = struct.pack(order + number, value)
        elif what == 5:
            out[at : at + head] = struct.pack(order + ("Q" if wide else "H"), value % 65536)
        else:
            end = at + head + count * step
            out[end : end + word] = struct.pack(order + number, value)
    return bytes(out)
