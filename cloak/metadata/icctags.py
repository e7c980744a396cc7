"""What a colour profile says about its maker (ICC.1:2022): descriptions, device names, dates."""

from cloak.metadata.base import Fact, Kind
from cloak.metadata.exif import note_gaps
from cloak.metadata.listing import DATE, DEVICE, OTHER, PERSON, SOFTWARE, Listing, Span, fact

_FACTS = {
    b"desc": ("colour profile", OTHER),
    b"cprt": ("profile copyright", OTHER),
    b"dmnd": ("profile's device maker", DEVICE),
    b"dmdd": ("profile's device model", DEVICE),
    b"targ": ("profile's measurements", PERSON),
    b"calt": ("profile calibrated", DATE),
    b"vued": ("profile's viewing conditions", OTHER),
    b"meta": ("profile's notes", DEVICE),
    b"mmod": ("profile's display", PERSON),
}
MAX_TAGS = 200


def read_icc(listing: Listing, span: Span, inside: str) -> None:
    """Note the tags of a profile, and bytes that none refers to."""
    data, start = span.data, span.start
    if len(span) < 132 or data[start + 36 : start + 40] != b"acsp":
        listing.note("ICC damaged", Kind.UNKNOWN, span, inside)
        return
    when = [span.number(start + 24 + 2 * i, 2) for i in range(6)]
    stamp = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*when)
    facts = [Fact("profile date", stamp, DATE)] if when[0] else []
    facts += fact("profile's device maker", data[start + 48 : start + 52], DEVICE)
    facts += fact("profile's device model", data[start + 52 : start + 56], DEVICE)
    facts += fact("profile's software", data[start + 80 : start + 84], SOFTWARE)
    listing.note("ICC header", Kind.COLOUR, span.cut(start, start + 128), inside, tuple(facts))
    count = span.number(start + 128, 4)
    used = [(start, start + 132 + 12 * min(count, MAX_TAGS))]
    for i in range(min(count, MAX_TAGS)):
        at = start + 132 + 12 * i
        place = start + span.number(at + 4, 4)
        value = span.cut(place, place + span.number(at + 8, 4))
        tag = data[at : min(at + 4, span.end)]
        # Names of parts hold nothing of the file's own words: only tags that are known.
        label = tag.decode("ascii").strip() if tag in _KNOWN else "private tag"
        listing.note(f"ICC {label}", Kind.COLOUR if tag in _KNOWN else Kind.UNKNOWN, value, inside, _says(tag, value))
        used.append((value.start, value.end))
    declared = start + span.number(start, 4)
    used = [(begin, min(end, declared)) for begin, end in used]
    note_gaps(listing, span, used, "ICC gap", inside, pad=3)


_KNOWN = set(
    b"A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 B2D0 B2D1 B2D2 B2D3 D2B0 D2B1 D2B2 D2B3 bXYZ bTRC bkpt calt chad chrm ciis cicp "
    b"clot cprt desc dmdd dmnd gXYZ gTRC gamt kTRC lumi meas pre0 pre1 pre2 pseq psid rXYZ rTRC rig0 rig2 targ tech "
    b"vcgt view vued wtpt meta mmod ndin aarg aabg aagg dscm vcgp arts".split()
)


def _says(tag: bytes, value: Span) -> tuple[Fact, ...]:
    if tag in _KNOWN and tag not in _FACTS:
        return ()
    label, rank = _FACTS.get(tag, ("profile's private tag", OTHER))
    kind, body = value.raw(4), value.cut(value.start + 8, value.end)
    if kind == b"text":
        return fact(label, body.raw(800), rank)
    if kind == b"desc":
        return fact(label, body.cut(body.start + 4, body.start + 4 + body.number(body.start, 4)).raw(800), rank)
    if kind == b"mluc":
        length, offset = value.number(value.start + 20, 4), value.number(value.start + 24, 4)
        text = value.cut(value.start + offset, value.start + offset + length).raw(800)
        return fact(label, text.decode("utf-16-be", "replace"), rank)
    return fact(label, f"{len(value)} bytes", rank)
