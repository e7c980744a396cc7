"""Our own C2PA manifest in a published file: taken out again, and every value in it compared with what we state.

C2PA 2.1, sections 8 (JUMBF), 10 (claims), 11 (embedding) and 13 (COSE signatures). Written without the library that
makes manifests, so that what it embeds beyond our words (a thumbnail, a title, an ingredient's data) does not pass.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cloak.errors import MissingExtra

GENERATOR = "cloak"
CONCEALED = "Faces were concealed and metadata removed."
COVERED = "Areas that a person chose were concealed and metadata removed."
PERTURBED = "Faces were altered against face recognition and are still in sight; metadata was removed."
REVEALED = "Metadata was removed; every face that was found was left in sight on purpose."
STRIPPED = "Metadata was removed; no face was found."
STATEMENTS = (CONCEALED, COVERED, PERTURBED, REVEALED, STRIPPED)
"""What the action c2pa.edited says, one of these; nothing else may stand there."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_VERSION = r"\d{1,4}(?:\.\d{1,4}){0,3}(?:(?:a|b|rc|\.post|\.dev)\d{1,4})?"
_ASSERTIONS = ("c2pa.ingredient.v3", "c2pa.actions.v2", "c2pa.hash.data")
_FORMATS = r"image/(?:jpeg|png|webp)"
_JUMD = b"\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"  # ends the type's UUID (ISO/IEC 19566-5, section B)


class _Foreign(Exception):
    pass


def carve(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG, PNG or WebP without its manifest, and the manifest's JUMBF, b"" if there is none. Never raises."""
    pieces = _pieces(data)
    if data.startswith(b"RIFF") and pieces:
        # The RIFF states its length; without the manifest it must be right again.
        length = int.from_bytes(data[4:8], "little") - sum(end - start for start, end, *_ in pieces)
        if length >= 0:
            data = data[:4] + length.to_bytes(4, "little") + data[8:]
    rest, at = [], 0
    for start, end, *_ in pieces:
        rest.append(data[at:start])
        at = end
    store = (body[repeated if number else 0 :] for number, (_, _, body, repeated) in enumerate(pieces))
    return b"".join((*rest, data[at:])), b"".join(store)


def _pieces(data: bytes) -> list[tuple[int, int, bytes, int]]:
    """Start, end and content of each part that holds a manifest, and how much of the content repeats the first's."""
    if data.startswith(b"\x89PNG"):
        return list(_chunks(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return list(_riff(data))
    return list(_segments(data))


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """The first chunk of a manifest, if it is whole: others stay in the file, and what is there in sight."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        word = data[at + 4 : at + 8]
        if word == b"IEND" or end > len(data):
            return
        if word == b"caBX":
            if zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
                yield at, end, data[at + 8 : end - 4], 0
            return
        at = end


def _riff(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + (length & 1)
        if data[at : at + 4] == b"C2PA":
            # A pad byte that is not zero is no padding: such a chunk stays in the file.
            if end <= len(data) and not any(data[at + 8 + length : end]):
                yield at, end, data[at + 8 : at + 8 + length], 0
            return
        at = end


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    at, number, head = 2, 0, b""
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda" and at + 4 <= len(data):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xEB and data[at + 4 : at + 6] == b"JP":
            # Each segment after the first repeats the box's length and type; what does not fit stays in the file.
            number, head = number + 1, head or data[at + 6 : at + 8] + data[at + 12 : at + 20]
            if data[at + 6 : at + 8] + data[at + 12 : at + 20] == head and data[at + 8 : at + 12] == struct.pack(
                ">I", number
            ):
                yield at, end, data[at + 12 : end], 8
        at = max(end, at + 2)


def fault(store: bytes, data: bytes, chain: Sequence[bytes] | None = None) -> str:
    """Why a manifest store is not ours and nothing else, not of this file, or not signed; or "".

    Args:
        store: the JUMBF, as `carve` returns it.
        data: the file that it lies in.
        chain: the certificates (DER) that must stand in the signature; None: any.

    Raises `MissingExtra` without cbor2 and cryptography.
    """
    try:
        (manifest,) = _superbox(store, b"c2pa", "c2pa")
        label, (assertions, claim, signature) = _labelled(manifest, b"c2ma", rf"urn:c2pa:{_UUID}")
        boxes = _superbox(assertions, b"c2as", "c2pa.assertions")
        said = [_assertion(box) for box in boxes]
        if len(said) != len(_ASSERTIONS):  # of two of one name only the last would be looked at
            raise _Foreign("another number of assertions")
        stated = dict(said)
        # What a hash is of: a box behind its length and type (C2PA 2.1, section 8.4.2.3).
        hashes = {name: hashlib.sha256(box[8:]).digest() for (name, _), box in zip(said, boxes, strict=True)}
        _match(stated, _statements(hashes), "assertions")
        (claimed,) = _superbox(claim, b"c2cl", "c2pa.claim.v2")
        _match(_cbor(claimed), _claim(label, hashes), "claim")
        _signature(_cbor(*_superbox(signature, b"c2cs", "c2pa.signature")), claimed[8:], chain)
        _of_this_file(stated["c2pa.hash.data"], data)
    except _Foreign as error:
        return str(error)
    except MissingExtra:
        raise
    except Exception:  # whatever the bytes are, they are not ours
        return "it is built otherwise"
    return ""


def _superbox(box: bytes, kind: bytes, label: str) -> list[bytes]:
    """The boxes inside a superbox of a type and label."""
    return _labelled(box, kind, re.escape(label))[1]


def _labelled(box: bytes, kind: bytes, label: str) -> tuple[str, list[bytes]]:
    described, *inside = _boxes(_body(box, b"jumb"))
    body = _body(described, b"jumd")
    salted = kind == b"cbor"
    found = re.fullmatch(rb"(.{4})(.{12})([\x03\x13])([^\0]+)\0(.*)", body, re.DOTALL)
    if found is None or found[1] != kind or found[2] != _JUMD or found[3] != (b"\x13" if salted else b"\x03"):
        raise _Foreign("a box of another type")
    # A salt of 16 random bytes keeps the hashes of short assertions from being guessed.
    if not re.fullmatch(rb"\0\0\0\x18c2sh.{16}" if salted else rb"", found[5], re.DOTALL):
        raise _Foreign("bytes behind a label")
    name = found[4].decode("ascii", "replace")
    if not re.fullmatch(label, name):
        raise _Foreign("a box of another name")
    return name, inside


def _boxes(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= length <= len(data) - at:
            raise _Foreign("a box of no valid length")
        found.append(data[at : at + length])
        at += length
    return found


def _body(box: bytes, kind: bytes) -> bytes:
    if len(_boxes(box)) != 1 or box[4:8] != kind:
        raise _Foreign("a box of another kind")
    return box[8:]


def _assertion(box: bytes) -> tuple[str, Any]:
    label, (content,) = _labelled(box, b"cbor", "|".join(map(re.escape, _ASSERTIONS)))
    return label, _cbor(content)


def _cbor(box: bytes) -> Any:
    try:
        import cbor2
    except ImportError:
        raise MissingExtra("checking a C2PA manifest", "c2pa") from None
    body = _body(box, b"cbor")
    value = cbor2.loads(body)
    _check_plain(value, body)
    return value


def _check_plain(value: Any, body: bytes) -> None:
    """Raise `_Foreign` unless bytes are the plain coding of a value, to their end: one value has many codings."""
    import cbor2

    # What is larger than its coding refers to itself (tags 28, 29, 256): coded again, it could fill the memory.
    left, pending = len(body), [value]
    while pending:
        node = pending.pop()
        left -= 1
        if isinstance(node, (str, bytes)):
            left -= len(node)
        elif isinstance(node, Mapping):
            pending += [*node, *node.values()]
        elif isinstance(node, Sequence):
            pending += node
        elif isinstance(node, cbor2.CBORTag):
            pending.append(node.value)
        elif not (node is None or (isinstance(node, int) and node.bit_length() <= 64)):
            raise _Foreign("a value of no plain kind")
        if left < 0:
            raise _Foreign("a value that is not coded plainly")
    if cbor2.dumps(value) != body and cbor2.dumps(value, canonical=True) != body:
        raise _Foreign("a value that is not coded plainly")


def _digest(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == 32


def _of_this_file(stated: dict[str, Any], data: bytes) -> None:
    """Raise `_Foreign` unless the hash is of all bytes but the manifest (C2PA 2.1, section 18.5)."""
    pieces = _pieces(data)
    start, end = pieces[0][0], pieces[-1][1]
    (out,) = stated["exclusions"]
    behind = out["start"] + out["length"]
    # A WebP's chunk may end with a byte that fills it up, and is not left out.
    if out["start"] != start or not end - 1 <= behind <= end or (behind < end and data[:4] != b"RIFF"):
        raise _Foreign("a hash of other bytes")
    view = memoryview(data)
    summed = hashlib.sha256(view[:start])
    summed.update(view[behind:])
    if summed.digest() != stated["hash"]:
        raise _Foreign("the hash of another file")


def _zeros(value: Any) -> bool:
    return isinstance(value, bytes) and not any(value)


def _small(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 32


def _reference(name: str, hashes: Mapping[str, bytes]) -> dict[str, Any]:
    return {"url": re.escape(f"self#jumbf=c2pa.assertions/{name}"), "hash": lambda value: bool(value == hashes[name])}


def _statements(hashes: Mapping[str, bytes]) -> dict[str, Any]:
    opened = {"action": "c2pa.opened", "parameters": {"ingredients": [_reference("c2pa.ingredient.v3", hashes)]}}
    edited = {"action": "c2pa.edited", "description": "|".join(map(re.escape, STATEMENTS))}
    return {
        "c2pa.ingredient.v3": {
            "relationship": "parentOf", "dc:format": _FORMATS, "instanceID": rf"xmp\.iid:{_UUID}",
        },
        "c2pa.actions.v2": {"actions": [opened, edited]},
        "c2pa.hash.data": {
            "exclusions": [{"start": _small, "length": _small}], "name": "jumbf manifest", "alg": "sha256",
            "hash": _digest, "pad": _zeros,
        },
    }  # fmt: skip


def _claim(label: str, hashes: Mapping[str, bytes]) -> dict[str, Any]:
    generator = {"name": GENERATOR, "version": _VERSION, r"org.contentauth.c2pa_rs": _VERSION}
    return {
        "instanceID": rf"xmp\.iid:{_UUID}",
        "claim_generator_info": generator,
        "signature": re.escape(f"self#jumbf=/c2pa/{label}/c2pa.signature"),
        "created_assertions": [_reference("c2pa.hash.data", hashes)],
        "gathered_assertions": [_reference(name, hashes) for name in ("c2pa.ingredient.v3", "c2pa.actions.v2")],
        "alg": "sha256",
    }


def _match(value: Any, form: Any, place: str) -> None:
    """Raise `_Foreign` unless a value has just the form: keys of dicts, items of lists, patterns of texts, tests."""
    if isinstance(form, dict):
        if not isinstance(value, dict) or set(value) != set(form):
            raise _Foreign(f"other statements than ours in {place}")
        for key, inner in form.items():
            _match(value[key], inner, f"{place}, {key}")
    elif isinstance(form, list):
        if not isinstance(value, list) or len(value) != len(form):
            raise _Foreign(f"another number of statements in {place}")
        for item, inner in zip(value, form, strict=True):
            _match(item, inner, place)
    elif isinstance(form, str):
        if not isinstance(value, str) or not re.fullmatch(form, value):
            raise _Foreign(f"other words than ours in {place}")
    else:
        test: Callable[[Any], bool] = form
        if not test(value):
            raise _Foreign(f"another value than ours in {place}")


def _signature(tagged: Any, claim: bytes, chain: Sequence[bytes] | None) -> None:
    """COSE_Sign1 with an algorithm, certificates, padding and a signature: no time stamp, no revocation answer.

    Whoever signed, and whatever the certificates tell of them: the signature is of this claim.
    """
    import cbor2

    protected, unprotected, payload, signature = tagged.value
    head = cbor2.loads(protected)
    certificates = head.get(33)
    certificates = [certificates] if isinstance(certificates, bytes) else certificates
    if tagged.tag != 18 or set(head) != {1, 33} or not _small(-head[1]) or payload is not None:
        raise _Foreign("a signature of another form")
    if not set(unprotected) <= {"pad", "pad2"} or not all(map(_zeros, unprotected.values())):
        raise _Foreign("something beside the signature")
    if not isinstance(signature, bytes) or not 64 <= len(signature) <= 1024:
        raise _Foreign("a signature of another form")
    _check_plain(head, protected)
    if not certificates or not all(map(_is_certificate, certificates)):
        raise _Foreign("something else than certificates")
    if chain is not None and list(certificates) != list(chain):
        raise _Foreign("other certificates than the ones given")
    if not _verified(certificates[0], head[1], signature, cbor2.dumps(["Signature1", protected, b"", claim])):
        raise _Foreign("a signature of something else")


def _verified(certificate: bytes, algorithm: int, signature: bytes, message: bytes) -> bool:
    """Whether a certificate's key made a signature (RFC 9053, section 2; RFC 8230, section 2)."""
    try:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
    except ImportError:
        raise MissingExtra("checking a C2PA manifest", "c2pa") from None
    key = x509.load_der_x509_certificate(certificate).public_key()
    sums = {-7: (256, hashes.SHA256()), -35: (384, hashes.SHA384()), -36: (521, hashes.SHA512())}
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in sums and key.key_size == sums[algorithm][0]:
            half = (sums[algorithm][0] + 7) // 8
            pair = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            key.verify(utils.encode_dss_signature(*pair), message, ec.ECDSA(sums[algorithm][1]))
            return len(signature) == 2 * half
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == -8:
            key.verify(signature, message)
            return True
        if isinstance(key, rsa.RSAPublicKey) and algorithm == -37:
            key.verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            return True
    except InvalidSignature:
        return False
    return False


def _is_certificate(der: Any) -> bool:
    """Whether bytes are built like an X.509 certificate (RFC 5280, section 4.1), to their end."""
    if not isinstance(der, bytes):
        return False
    [(outer, whole)] = _elements(der)
    [(first, body), (second, _), (third, _)] = _elements(whole)
    kinds = bytes(kind for kind, _ in _elements(body))
    # Version, serial number, algorithm, issuer, validity, subject, key; two old identifiers; extensions.
    form = re.fullmatch(rb"\xa0\x02\x30{5}\x81?\x82?\xa3?", kinds)
    return (outer, first, second, third) == (0x30, 0x30, 0x30, 0x03) and form is not None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the content of each element (ITU-T X.690)."""
    at = 0
    while at < len(der):
        kind, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise _Foreign("something else than certificates")
        yield kind, der[at : at + length]
        at += length
