"""Manifests that somebody else made to look like ours."""

import hashlib
import ssl
import struct
import sys
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from cloak.metadata import manifest
from cloak.photo.base import Limits
from cloak.pipeline import load
from cloak.verify import problems
from tests import plant
from tests.metadata.test_published import STILL, png
from tests.signing import certified

cbor2 = pytest.importorskip("cbor2")
PEM, SECRET = certified()
CERTIFICATE = ssl.PEM_cert_to_DER_cert(PEM.split(b"-----END")[0].decode() + "-----END CERTIFICATE-----")
KEY = serialization.load_pem_private_key(SECRET, None)
UUID = "12345678-1234-1234-1234-123456789012"
LABEL = f"urn:c2pa:{UUID}"
EDITED = {"action": "c2pa.edited", "description": manifest.STRIPPED}


def superbox(kind: bytes, label: str, *inside: bytes) -> bytes:
    salt = b"\0\0\0\x18c2sh" + bytes(16) if kind == b"cbor" else b""
    described = kind + manifest._JUMD + (b"\x13" if salt else b"\x03") + label.encode() + b"\0" + salt
    return plant.box(b"jumb", plant.box(b"jumd", described), *inside)


def reference(name: str, box: bytes = bytes(8)) -> dict[str, object]:
    return {"url": f"self#jumbf=c2pa.assertions/{name}", "hash": hashlib.sha256(box[8:]).digest()}


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


def store(*before: bytes, certificates: object = CERTIFICATE, **more: object) -> bytes:
    """A manifest as the library builds it for `png(chunk, STILL)`; `more` replaces values of its statements."""
    said = {**OURS, HASH: {**OURS[HASH], "hash": hashlib.sha256(png(STILL)).digest()}}
    length = 0
    while True:  # the manifest states its own length
        said[HASH] = {**said[HASH], "exclusions": [{"start": 33, "length": length}]}
        made = _store(said, before, certificates, {**CLAIM, **more})
        if length == len(made) + 12:
            return made
        length = len(made) + 12


def _store(said: dict[str, Any], before: tuple[bytes, ...], certificates: object, claim: dict[str, Any]) -> bytes:
    ingredient = assertion(INGREDIENT, cbor2.dumps(said[INGREDIENT]))
    opened = {**OPENED, "parameters": {"ingredients": [reference(INGREDIENT, ingredient)]}}
    actions = assertion(ACTIONS, cbor2.dumps({"actions": [opened, EDITED]}))
    bound = assertion(HASH, cbor2.dumps(said[HASH]))
    claim |= {"created_assertions": [reference(HASH, bound)]}
    claim |= {"gathered_assertions": [reference(INGREDIENT, ingredient), reference(ACTIONS, actions)]}
    protected, coded = cbor2.dumps({1: -7, 33: certificates}), cbor2.dumps(claim)
    signature = KEY.sign(cbor2.dumps(["Signature1", protected, b"", coded]), ec.ECDSA(hashes.SHA256()))
    plain = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    signed = cbor2.CBORTag(18, [protected, {}, None, plain])
    return superbox(
        b"c2pa",
        "c2pa",
        superbox(
            b"c2ma",
            LABEL,
            superbox(b"c2as", "c2pa.assertions", *before, ingredient, actions, bound),
            superbox(b"c2cl", "c2pa.claim.v2", plant.box(b"cbor", coded)),
            superbox(
                b"c2cs",
                "c2pa.signature",
                plant.box(b"cbor", cbor2.dumps(signed)),
            ),
        ),
    )


def fault(store: bytes) -> str:
    return manifest.fault(store, png(plant.chunk(b"caBX", store), STILL))


def test_what_is_built_like_ours_passes() -> None:
    assert fault(store()) == ""
    assert fault(store(certificates=[CERTIFICATE, CERTIFICATE])) == ""


@pytest.mark.parametrize("words", ["Jane.Doe-52.367573N-4.904139E", "serial-4711", "1.2.3+Jane", "52367573.4904139"])
def test_a_version_is_a_version(words: str) -> None:
    assert fault(store(claim_generator_info={"name": "cloak", "version": words, "org.contentauth.c2pa_rs": "1"}))
    assert not fault(store(claim_generator_info={"name": "cloak", "version": "1.0rc1", "org.contentauth.c2pa_rs": "1"}))


def test_a_signature_is_of_its_claim() -> None:
    made = store()
    assert fault(made[:-64] + b"Jane Doe".ljust(64)) == "a signature of something else"
    assert fault(made.replace(UUID.encode(), UUID[::-1].encode()))
    assert manifest.fault(made, png(plant.chunk(b"caBX", made), plant.chunk(b"gAMA", bytes(4)), STILL)) == (
        "the hash of another file"
    )
    assert manifest.fault(made, png(plant.chunk(b"gAMA", bytes(4)), plant.chunk(b"caBX", made), STILL)) == (
        "a hash of other bytes"
    )


def test_a_hash_is_no_text() -> None:
    form = manifest._reference(HASH, {HASH: bytes(32)})
    manifest._match({"url": f"self#jumbf=c2pa.assertions/{HASH}", "hash": bytes(32)}, form, "claim")
    with pytest.raises(manifest._Foreign):
        manifest._match({"url": f"self#jumbf=c2pa.assertions/{HASH}", "hash": "Jane Doe"}, form, "claim")


def test_of_a_png_one_whole_manifest_is_taken_out_and_every_other_stays_in_sight() -> None:
    whole, text = png(STILL), struct.pack(">I4s4s", 0, b"caBX", b"Jane")
    chunk = plant.chunk(b"caBX", b"words")
    assert manifest.carve(png(chunk, STILL)) == (whole, b"words")
    assert manifest.carve(png(chunk, text, STILL)) == (png(text, STILL), b"words")
    for spoiled in (png(text, STILL), png(text, chunk, STILL), whole + chunk, whole + text):
        assert manifest.carve(spoiled) == (spoiled, b"")
        assert problems(spoiled, load("photographer", recall="fast").recipe, Limits(), [()], frozenset())


def test_an_assertion_does_not_hide_behind_another_of_its_name() -> None:
    words = assertion(ACTIONS, cbor2.dumps({"author": "Jane Doe"}))
    assert fault(store(words)) == "another number of assertions"


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
    assert fault(store(certificates=certificates)) not in {"", "a signature of something else"}


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
    assert fault(store(assertion(ACTIONS, coded))) == "a value that is not coded plainly"


def test_many_small_pieces_take_no_longer_than_few_large_ones() -> None:
    before = time.process_time()
    first, box = b"JP\2\x11\0\0\0\1" + b"boxtypes" * 8_000, b"boxtypes"
    more = (
        struct.pack(">BBH8s8s", 0xFF, 0xEB, 18, struct.pack(">2sHI", b"JP", 0x0211, n), box) for n in range(2, 50_000)
    )
    data = b"\xff\xd8" + struct.pack(">BBH", 0xFF, 0xEB, len(first) + 2) + first + b"".join(more)
    assert manifest.carve(data) == (b"\xff\xd8", first[8:])
    assert manifest.fault(b"\0\0\0\x08jumb" * 200_000, b"")
    assert time.process_time() - before < 2.0  # a fifth of a second, when the machine has time


def test_without_its_reader_a_manifest_is_a_problem_of_its_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    data = png(plant.chunk(b"caBX", store()), STILL)
    (problem,) = problems(data, load("photographer", recall="fast").recipe, Limits(), [()], frozenset())
    assert problem == "it carries a C2PA manifest: checking a C2PA manifest needs the extra 'c2pa'"
