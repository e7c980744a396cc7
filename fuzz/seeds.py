"""Where the inputs of each target start from: small files of every kind, and what lies in them."""

import json
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from cloak import decisions, metadata, pipeline
from cloak.anonymizer import anonymize
from cloak.geometry import Box, Ellipse, Region, Size
from cloak.ledger import Ledger
from cloak.metadata import icc, manifest
from cloak.metadata.listing import Listing
from cloak.photo import Limits
from cloak.records import Entry
from cloak.reviews import Reviews
from fuzz import jpeg
from tests import plant, plant_parts
from tests.photo import making

LIMITS = Limits(bytes=2_000_000, pixels=500_000, frames=20)


@cache
def settings() -> pipeline.Pipeline:
    return pipeline.load("cms", recall="fast", no_face="publish", limits=msgspec.to_builtins(LIMITS))


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="cloak-fuzz-"))


def planted(*names: str) -> list[bytes]:
    """Small files with every carrier that we know of."""
    return [plant.PLANTED[name](plant_parts.picture(96, 64))[0] for name in names]


def pictures(kind: str) -> list[bytes]:
    """Small pictures of the kinds that the decoders know, beside what tests have for them."""
    from tests.photo.test_bad import SEEDS

    own = {
        "jpeg": lambda: list(jpeg.seeds())[::5],
        "png": lambda: [making.saved(making.picture(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "I;16")],
        "webp": lambda: [making.saved(making.picture("RGBA"), "WEBP", lossless=True)],
        "tiff": lambda: [making.saved(making.picture(mode), "TIFF") for mode in ("1", "L", "P", "CMYK")],
        "heic": lambda: [making.heic(making.gradient(), "RGB", quality=40)],
        "avif": lambda: [making.avif(making.gradient(), 8)],
        "bmp": lambda: [making.saved(making.picture(mode), "BMP") for mode in ("1", "L", "RGB")],
    }
    kinds = {"png": ("png", "apng")}.get(kind, (kind,))
    seeds = [make() for name, make in SEEDS.items() if name.split()[0] in kinds]
    return seeds + (own[kind]() if kind in own else [])


def whole(format: str, data: bytes) -> list[bytes]:
    """A file, if it is of a format (as `cloak.metadata.sniff` names it)."""
    return [data] if metadata.sniff(data) == format else []


def inside(kind: str, data: bytes) -> list[bytes]:
    """The carriers of a kind in a file, and in what lies in it."""
    return [carrier for found, carrier in _carriers(data) if found == kind]


def _carriers(data: bytes) -> list[tuple[str, bytes]]:
    listing, found = Listing(data), list[tuple[str, bytes]]()
    with suppress(Exception):  # a file of strangers
        metadata._READERS[metadata.sniff(data)](listing)
        while listing.pending:
            kind, span, where = listing.pending.popleft()
            found.append((kind, span.raw()))
            metadata._NESTED[kind](listing, span, where)
    return found


@cache
def carried() -> dict[str, list[bytes]]:
    """The carriers that lie in planted files, by kind."""
    found: dict[str, dict[bytes, None]] = {}
    for data in planted(*plant.PLANTED):
        for kind, carrier in _carriers(data):
            found.setdefault(kind, {})[carrier] = None
    return {kind: list(carriers) for kind, carriers in found.items()}


def all_pictures() -> list[bytes]:
    return [data for kind in ("jpeg", "png", "webp", "gif") for data in pictures(kind)]


def profiles() -> list[bytes]:
    return [*carried()["icc"], *(known.data for known in icc.KNOWN.values())]


def manifests() -> list[bytes]:
    """One of ours, alone and in a JPEG and a PNG; those of others."""
    from cloak.provenance import load_signer, signed
    from tests.signing import certified

    made = []
    certificates, key = certified()
    (folder() / "cert.pem").write_bytes(certificates)
    (folder() / "key.pem").write_bytes(key)
    signer = load_signer(folder() / "cert.pem", folder() / "key.pem")
    for kind in ("PNG", "JPEG"):
        made.append(signed(anonymize(making.saved(making.picture(), kind), settings(), key=b"fuzz"), signer).data)
    return [*made, *(manifest.carve(data)[1] for data in made), *carried()["jumbf"]]


def shipped() -> list[bytes]:
    return [pipeline.source(name) for name in pipeline.SHIPPED]


def sidecars() -> list[bytes]:
    box, turned = Box(10, 10, 40, 50), Region(Ellipse(90, 80, 20, 30, 12.5), effect="fill")
    changes = (
        decisions.Change(face=box), decisions.Change(area=turned),
        decisions.Change(box, Region(Box(5, 5, 50, 60)), None),
    )  # fmt: skip
    made = decisions.Decisions(
        Size(640, 480), changes, ((box,),), "accept", "a reason", "somebody", "2026-01-01T00:00:00+00:00"
    )
    return [decisions.dump(made), decisions.dump(decisions.Decisions(Size(10, 10)))]


@cache
def rows() -> list[bytes]:
    faces = Path(__file__).parent.parent / "tests" / "data" / "faces" / "astronaut.jpg"
    rows = []
    for overrides in ({}, {"resize": 300}):
        result = anonymize(faces.read_bytes(), pipeline.load("cms", recall="fast", **overrides), key=b"fuzz")
        row = msgspec.to_builtins(result.report) | {"areas": msgspec.to_builtins([[Region(Ellipse(50, 50, 9, 9))]])}
        rows.append(json.dumps(row).encode())
    return rows


def ledgers() -> list[bytes]:
    folder = Path(tempfile.mkdtemp(prefix="cloak-fuzz-"))
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.record("a.jpg", Entry("content", "pipeline", "published", json.loads(rows()[0])))
        Reviews(ledger).decide("a.jpg", 0, "content", decisions.parse(sidecars()[0]))
        ledger.give_name("sequence", b"a.jpg", "000001.jpg")
    with_wal = (folder / "ledger.sqlite").read_bytes()
    return [with_wal]


def requests() -> list[bytes]:
    token = b"Authorization: Bearer " + b"fuzz" * 4
    body = making.saved(making.picture("1", 20, 20), "PNG")
    return [
        b"/v1/anonymize?effect=decoy&strength=strong&keep=copyright,credit&quality=80&no_face=publish\n"
        + token + b"\nAccept: multipart/mixed;q=0.5, image/*\nContent-Type: image/png\n\n" + body,
        b"/v1/inspect?recall=thorough&pipeline=newsroom\nHost: [::1]:8571\n" + token + b"\n\n" + body,
        b"/v1/anonymize\n" + token + b"\nContent-Type: multipart/form-data; boundary=x\nContent-Length: 5\n\nabcde",
        b"/v1/anonymize\n" + token + b"\nContent-Encoding: gzip\nContent-Length: 99999999\n\n" + body,
    ]  # fmt: skip
