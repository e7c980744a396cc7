"""Manifests that somebody else made to look like ours."""

import ssl
import struct
import sys
import time

import pytest

from cloak.metadata import manifest
from cloak.photo.base import Limits
from cloak.pipeline import load
from cloak.verify import problems
from tests import plant
from tests.metadata.test_published import STILL, png
from tests.signing import certified

cbor2 = pytest.importorskip("cbor2")
CERTIFICATE = ssl.PEM_cert_to_DER_cert(certified()[0].split(b"-----END")[0].decode() + "-----END CERTIFICATE-----")
UUID = "12345678-1234-1234-1234-123456789012"
LABEL = f"urn:c2pa:{UUID}"
EDITED = {"action": "c2pa.edited", "description": manifest.STRIPPED}


def superbox(kind: bytes, label: str, *inside: bytes) -> bytes:
    salt = b"\0\0\0\x18c2sh" + bytes(16) if kind == b"cbor" else b""
    described = kind + manifest._JUMD + (b"\x13" if salt else b"\x03") + label.encode() + b"\0" + salt
    return plant.box(b"jumb", plant.box(b"jumd", described), *inside)


def reference(name: str) -> dict[str, object]:
    return {"url": f"self#jumbf=c2pa.assertions/{name}", "hash": bytes(32)}


def assertion(name: str, coded: bytes) -> bytes:
    return superbox(b"cbor", name, plant.box(b"cbor", coded))


INGREDIENT, ACTIONS, HASH = "c2pa.ingredient.v3", "c2pa.actions.v2", "c2pa.hash.data"
OPENED = {"action": "c2pa.opened", "parameters": {"ingredients": [reference(INGREDIENT)]}}
OURS = {
    INGREDIENT: {"relationship": "parentOf", "dc:format": "image/png", "instanceID": f"xmp.iid:{UUID}"},
    ACTIONS: {"actions": [OPENED, EDITED]},
    HASH: {
        "exclusions": [{"start": 1, "length": 2}],
        **{"name": "jumbf manifest", "alg": "sha256", "hash": bytes(32), "pad": b""},
    },
}
CLAIM = {
    "instanceID": f"xmp.iid:{UUID}",
    "claim_generator_info": {"name": "cloak", "version": "1", "org.contentauth.c2pa_rs": "1"},
    "signature": f"self#jumbf=/c2pa/{LABEL}/c2pa.signature",
    "created_assertions": [reference(HASH)],
    "gathered_assertions": [reference(INGREDIENT), reference(ACTIONS)],
    "alg": "sha256",
}


def store(*before: bytes, certificates: object = CERTIFICATE) -> bytes:
    signature = cbor2.CBORTag(18, [cbor2.dumps({1: -7, 33: certificates}), {}, None, bytes(64)])
    assertions = (assertion(name, cbor2.dumps(said)) for name, said in OURS.items())
    return superbox(
        b"c2pa",
        "c2pa",
        superbox(
            b"c2ma",
            LABEL,
            superbox(b"c2as", "c2pa.assertions", *before, *assertions),
            superbox(b"c2cl", "c2pa.claim.v2", plant.box(b"cbor", cbor2.dumps(CLAIM))),
            superbox(b"c2cs", "c2pa.signature", plant.box(b"cbor", cbor2.dumps(signature))),
        ),
    )


def test_what_is_built_like_ours_passes() -> None:
    assert manifest.fault(store()) == ""
    assert manifest.fault(store(certificates=[CERTIFICATE, CERTIFICATE])) == ""


def test_an_assertion_does_not_hide_behind_another_of_its_name() -> None:
    words = assertion(ACTIONS, cbor2.dumps({"author": "Jane Doe"}))
    assert manifest.fault(store(words)) == "another number of assertions"


@pytest.mark.parametrize(
    "certificates",
    [
        [b"Jane Doe", b"\xff\xd8\xff\xe0"],
        [CERTIFICATE, b"Jane Doe"],
        CERTIFICATE + b"words",
        {"words": 1},
        "words",
        ["words"],
        [],
        b"\x30\x0b\x30\x05words\x30\x00\x03\x00",
    ],
)
def test_certificates_are_nothing_else(certificates: object) -> None:
    assert manifest.fault(store(certificates=certificates))


def shared(levels: int) -> bytes:
    """Arrays of two references to the array before (tags 28 and 29): twice as large at each level."""
    coded = bytes((0x98, levels + 1)) + b"\xd8\x1c\x82\0\0"
    for level in range(levels):
        coded += b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + cbor2.dumps(level))
    return coded


def repeated(times: int) -> bytes:
    """One long text, and many references to it (tags 256 and 25)."""
    return b"\xd9\x01\x00\x99" + struct.pack(">H", times + 1) + cbor2.dumps("x" * 50_000) + b"\xd8\x19\0" * times


@pytest.mark.parametrize("coded", [shared(60), repeated(60_000)])
def test_a_value_that_grows_when_it_is_coded_again_is_refused_at_once(coded: bytes) -> None:
    assert manifest.fault(store(assertion(ACTIONS, coded))) == "a value that is not coded plainly"


def test_many_small_pieces_take_no_longer_than_few_large_ones() -> None:
    before = time.process_time()
    pieces = plant.chunk(b"caBX", bytes(4_000_000)) + plant.chunk(b"caBX", b"x") * 20_000
    assert manifest.carve(png(pieces, STILL))[0] == png(STILL)
    assert manifest.fault(b"\0\0\0\x08jumb" * 200_000)
    assert time.process_time() - before < 2.0  # a fifth of a second, when the machine has time


def test_without_its_reader_a_manifest_is_a_problem_of_its_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    data = png(plant.chunk(b"caBX", store()), STILL)
    (problem,) = problems(data, load("photographer", recall="fast").recipe, Limits(), [()], frozenset())
    assert problem == "it carries a C2PA manifest: checking a C2PA manifest needs the extra 'c2pa'"
