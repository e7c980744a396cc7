"""Signed photos: our manifest and nothing else, and other readers agree."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.leaks import surviving
from cloak import provenance
from cloak.anonymizer import anonymize
from cloak.decisions import Change, Decisions
from cloak.errors import ConcealmentFailed, Unsupported, UsageError, VerificationFailed
from cloak.geometry import Box, Ellipse, Region
from cloak.metadata import manifest
from cloak.photo import open_photo
from cloak.photo.base import Limits
from cloak.pipeline import load
from cloak.provenance import load_signer, sign, signed
from cloak.result import Status
from cloak.verify import problems
from tests.plant import PLANTED
from tests.signing import certified
from tests.test_batch import digests, run

c2pa = pytest.importorskip("c2pa")
cbor2 = pytest.importorskip("cbor2")
TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    certificates, key = certified()
    (folder / "cert.pem").write_bytes(certificates)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def signer(files):
    return load_signer(*files)


@pytest.fixture(scope="module")
def published(signer):
    """By format: a planted photo anonymized, the same signed, and the markers."""
    made = {}
    for name in TYPES:
        data, markers = PLANTED[name]()
        result = anonymize(data, load("cms", recall="fast"))
        made[name] = result.data, signed(result, signer), [m if isinstance(m, bytes) else m.encode() for m in markers]
    return made


def said(data, kind):
    """What an independent reader finds: the store, with all values."""
    context = c2pa.Context(c2pa.Settings.from_dict(provenance._SETTINGS))
    with c2pa.Reader(kind, io.BytesIO(data), context=context) as reader:
        return json.loads(reader.detailed_json())


@pytest.mark.parametrize("name", TYPES)
def test_the_manifest_says_opened_and_edited_and_is_valid(name, published):
    plain, result, markers = published[name]
    store = said(result.data, TYPES[name])
    assert store["validation_state"] == "Valid"
    (held,) = store["manifests"].values()
    assertions = held["assertion_store"]
    opened, edited = assertions["c2pa.actions.v2"]["actions"]
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["description"] == manifest.STRIPPED
    assert set(assertions) == {"c2pa.actions.v2", "c2pa.hash.data", "c2pa.ingredient.v3"}
    assert set(assertions["c2pa.ingredient.v3"]) == {"relationship", "dc:format", "instanceID"}
    assert result.report.verified[-1] == "manifest"
    assert surviving(result.data, markers) == 0
    assert manifest.carve(result.data)[0] == plain
    assert problems(result.data, load("cms").recipe, Limits(), None, frozenset()) == []


@pytest.mark.parametrize("name", TYPES)
def test_exiftool_finds_the_manifest_and_no_picture_in_it(name, published, tmp_path):
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    path = tmp_path / f"a.{name}"
    path.write_bytes(published[name][1].data)
    command = ["exiftool", "-j", "-a", "-u", "-U", "-G3", "-b", path]
    found = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)[0]
    # Of WebP's manifest it prints the bytes.
    raw = [base64.b64decode(v[7:]) for v in found.values() if isinstance(v, str) and v.startswith("base64:")]
    text = b"".join((json.dumps(found).encode(), *raw))
    assert b"c2pa.edited" in text
    assert b"humbnail" not in text
    assert surviving(text, published[name][2]) == 0


def test_a_photo_with_a_concealed_face_says_so(jpeg, signer):
    result = signed(anonymize(jpeg(), load("photographer", recall="fast")), signer)
    assert manifest.CONCEALED in json.dumps(said(result.data, "image/jpeg"))
    assert Image.open(io.BytesIO(result.data)).size == Image.open(io.BytesIO(jpeg())).size


def test_what_is_signed_is_true_of_every_way_to_publish_a_photo(jpeg, signer):
    fast = load("photographer", recall="fast")
    (face,) = anonymize(jpeg(), fast).report.detections[0]
    area = Region(Ellipse(*face.box.center, face.box.width, face.box.height))
    decided = {
        manifest.CONCEALED: (Change(face.box, area),),  # a person's area in place of the one that cloak made
        manifest.REVEALED: (Change(face.box),),
        manifest.COVERED: (Change(face.box), Change(area=Region(Box(2, 2, 30, 30)))),
    }
    for words, changes in decided.items():
        result = anonymize(jpeg(), fast, decisions=Decisions(open_photo(jpeg()).size, changes, verdict="accept"))
        assert provenance.statement(result.report) == words
        assert said(signed(result, signer).data, "image/jpeg")["validation_state"] == "Valid"
    report = anonymize(jpeg(), fast).report
    assert provenance.statement(report) == manifest.CONCEALED
    assert provenance.statement(replace(report, status=Status.PERTURBED)) == manifest.PERTURBED
    assert provenance.statement(replace(report, status=Status.NO_FACE)) == manifest.STRIPPED


@pytest.mark.parametrize("words", manifest.STATEMENTS)
def test_each_of_our_statements_passes_our_check_and_no_other(words, jpeg, signer):
    written = sign(jpeg(), "jpeg", signer, words)
    assert fault(written) == ""
    with pytest.raises(VerificationFailed, match="more than it should"):
        sign(jpeg(), "jpeg", signer, words + " By Anna.")


def fault(data, chain=None):
    return manifest.fault(manifest.carve(data)[1], data, chain)


def _builder(monkeypatch, change):
    """Let the library write what it would with other settings or statements."""
    whole = c2pa.Builder.from_json

    def from_json(text, context=None):
        definition, settings = json.loads(text), json.loads(json.dumps(provenance._SETTINGS))
        change(definition, settings)
        return whole(json.dumps(definition), c2pa.Context(c2pa.Settings.from_dict(settings)))

    monkeypatch.setattr(c2pa.Builder, "from_json", from_json)


CHANGES = {
    "a thumbnail": lambda definition, settings: settings["builder"]["thumbnail"].update(enabled=True),
    "a title": lambda definition, settings: definition.update(title="anna.jpg"),
    "another generator": lambda definition, settings: definition["claim_generator_info"][0].update(name="x"),
    "more of the generator": lambda definition, settings: definition["claim_generator_info"][0].update(host="anna-pc"),
    "another action": lambda definition, settings: definition.update(
        assertions=[{"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.cropped"}]}}]
    ),
    "another assertion": lambda definition, settings: definition.update(
        assertions=[{"label": "stds.exif", "data": {"@context": {"exif": "x"}, "exif:Make": "Anna"}, "kind": "Json"}]
    ),
    "another ingredient": lambda definition, settings: definition.update(
        ingredients=[{"title": "anna.jpg", "format": "image/jpeg", "relationship": "componentOf"}]
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_else_the_library_states_is_withheld(name, jpeg, signer, monkeypatch):
    _builder(monkeypatch, CHANGES[name])
    with pytest.raises((VerificationFailed, ConcealmentFailed)):
        sign(jpeg(), "jpeg", signer, manifest.CONCEALED)


def test_the_thumbnail_of_the_default_settings_would_be_there_and_is_refused(jpeg, signer, monkeypatch):
    """The danger is real: the test above must not pass because the library states nothing anyway."""
    _builder(monkeypatch, CHANGES["a thumbnail"])
    written = provenance._signed(jpeg(), "image/jpeg", signer, manifest.CONCEALED)
    assert b"c2pa.thumbnail" in written
    assert fault(written)
    # The verifier of published files refuses it as well, whoever signed it.
    assert any("C2PA" in problem for problem in problems(written, load("cms").recipe, Limits(), None, frozenset()))


def test_a_manifest_of_another_signer_is_not_ours(jpeg, signer, tmp_path):
    written = sign(jpeg(), "jpeg", signer, manifest.CONCEALED)
    assert fault(written, signer.chain) == ""
    assert "certificates" in fault(written, signer.chain[:1])


def test_every_byte_of_a_manifest_is_looked_at(jpeg, signer):
    written = sign(jpeg(), "jpeg", signer, manifest.CONCEALED)
    store = manifest.carve(written)[1]
    for place in range(len(store)):
        changed = store[:place] + bytes([store[place] ^ 0x80]) + store[place + 1 :]
        assert manifest.fault(changed, written, signer.chain), place
    assert manifest.fault(store + bytes(8), written, signer.chain)
    assert manifest.fault(store[:-1], written, signer.chain)
    assert manifest.fault(b"", written, signer.chain)


@pytest.mark.parametrize("name", TYPES)
def test_a_manifest_is_of_its_own_file(name, published):
    written = published[name][1].data
    assert fault(written) == ""
    store = manifest.carve(written)[1]
    other = bytearray(written)
    other[written.index(store[:64]) - 40 if name == "webp" else -20] ^= 1  # of the pixels
    assert manifest.fault(store, bytes(other)) == "the hash of another file"
    assert manifest.fault(store, bytes(24) + written)


def test_bytes_in_a_manifests_segments_or_beside_it_stay_in_sight(jpeg, signer):
    written = sign(jpeg(), "jpeg", signer, manifest.CONCEALED)
    second = b"\xff\xeb\0\x10JP\x02\x11\0\0\0\x05secret"  # a segment that continues nothing
    for spoiled in (written[:2] + second + written[2:], written + b"secret"):
        assert problems(spoiled, load("cms").recipe, Limits(), None, frozenset())


def test_bytes_in_a_webps_manifest_chunk_or_beside_it_stay_in_sight(published):
    written = published["webp"][1].data
    at = written.index(b"C2PA")
    odd = int.from_bytes(written[at + 4 : at + 8], "little") + 1
    longer = written[: at + 4] + odd.to_bytes(4, "little") + written[at + 8 :] + b"s"  # a byte more in the chunk
    if odd & 1:
        longer += b"s"  # and one where the padding is
    whole = longer[:4] + (len(longer) - 8).to_bytes(4, "little") + longer[8:]
    second = written + b"C2PA\6\0\0\0secret"
    second = second[:4] + (len(second) - 8).to_bytes(4, "little") + second[8:]
    for spoiled in (whole, second, longer, written + b"secret"):
        assert problems(spoiled, load("cms").recipe, Limits(), None, frozenset())


def test_formats_that_cannot_be_signed_are_withheld(signer):
    with pytest.raises(Unsupported, match="JPEG, PNG and WebP"):
        sign(b"GIF89a", "gif", signer, manifest.CONCEALED)


def test_a_key_that_does_not_fit_and_files_that_are_none_are_usage_errors(files, tmp_path):
    (tmp_path / "key.pem").write_bytes(certified()[1])
    with pytest.raises(UsageError, match="not that of"):
        load_signer(files[0], tmp_path / "key.pem")
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(UsageError, match="PEM"):
        load_signer(files[0], tmp_path / "key.pem")
    with pytest.raises(UsageError, match="read"):
        load_signer(tmp_path / "none.pem", files[1])
    assert "PRIVATE" not in repr(load_signer(*files))


@pytest.mark.parametrize("order", ["certificates first", "key first"])
def test_a_key_in_the_file_of_certificates_stays_out_of_photos(order, landscape, files, signer, tmp_path):
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    texts = [path.read_bytes() for path in files]
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(texts if order == "certificates first" else texts[::-1]))
    combined = load_signer(both, both)
    assert combined.certificates == signer.certificates
    assert combined.digest == signer.digest
    assert "PRIVATE" not in repr(combined)
    secret = load_pem_private_key(texts[1], None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    written = provenance._signed(landscape, "image/jpeg", combined, manifest.STRIPPED)
    assert secret[36:68] not in written  # the number itself
    assert said(sign(landscape, "jpeg", combined, manifest.STRIPPED), "image/jpeg")["validation_state"] == "Valid"


def test_other_kinds_of_keys_sign_too(landscape, tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    kinds = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    for key in (*kinds, ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 2048)):
        certificates, secret = certified(key)
        (tmp_path / "c.pem").write_bytes(certificates)
        (tmp_path / "k.pem").write_bytes(secret)
        written = sign(landscape, "jpeg", load_signer(tmp_path / "c.pem", tmp_path / "k.pem"), manifest.STRIPPED)
        assert said(written, "image/jpeg")["validation_state"] == "Valid"
        assert fault(written) == ""


def test_a_run_signs_resumes_and_verifies_and_opens_no_internet_socket(landscape, files, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(landscape)
    options = ("--out", tmp_path / "public", "--recall", "fast", "--c2pa-sign", files[0], "--c2pa-key", files[1])
    command = [sys.executable, "-m", "cloak.cli", "run", tmp_path / "in", *options, "-q", "-j", "1"]
    trace = tmp_path / "trace"
    if shutil.which("strace"):
        command = ["strace", "-f", "--seccomp-bpf", "-e", "trace=socket,connect", "-o", trace, *command]
    done = subprocess.run(list(map(str, command)), env={**os.environ}, capture_output=True, text=True, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let us trace")
    assert done.returncode in (0, 4), done.stderr
    if trace.exists():
        assert "AF_INET" not in trace.read_text()
    first = digests(tmp_path / "public")
    assert said(next(iter(first)).read_bytes(), "image/jpeg")["validation_state"] == "Valid"
    again = run("run", tmp_path / "in", *options)
    assert "of these             1" in again.stdout
    assert digests(tmp_path / "public") == first
    run("verify", tmp_path / "public", "--recall", "fast")
    # Without the signature it is another output: done again.
    run("run", tmp_path / "in", "--out", tmp_path / "public", "--recall", "fast")
    assert digests(tmp_path / "public") != first


def test_a_certificate_without_its_key_is_a_usage_error(landscape, files, tmp_path):
    (tmp_path / "a.jpg").write_bytes(landscape)
    done = run("run", tmp_path / "a.jpg", "--out", tmp_path / "o", "--c2pa-sign", files[0], code=2)
    assert "go together" in done.stderr
