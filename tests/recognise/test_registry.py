import subprocess
import sys

import cv2
import numpy as np
import pytest

from cloak import weights
from cloak.errors import SetupError, UnknownName
from cloak.recognise import CARDS, available, chips, load
from cloak.recognise.surrogate import fingerprint
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def sface():
    return load("sface")


def _embed(recogniser, image, landmarks):
    return recogniser(chips(image, [landmarks], recogniser.frame))[0]


def test_a_person_is_nearer_to_another_picture_of_the_same_than_to_any_other(sface, portraits):
    clean = {name: _embed(sface, *found) for name, found in portraits.items()}
    for name, (image, landmarks) in portraits.items():
        _, coded = cv2.imencode(".jpg", image[:, ::-1][::2, ::2], [cv2.IMWRITE_JPEG_QUALITY, 60])
        other = cv2.imdecode(coded, cv2.IMREAD_COLOR)  # mirrored, half the size, recompressed
        width = image.shape[1]
        order = (1, 0, 2, 4, 3)  # what was left is right now
        moved = [((width - landmarks[i][0]) / 2, landmarks[i][1] / 2) for i in order]
        cosines = {who: float(_embed(sface, other, moved) @ row) for who, row in clean.items()}
        assert cosines.pop(name) > 0.8
        assert max(cosines.values()) < 0.35


def test_embeddings_have_length_one_and_no_faces_give_no_rows(sface):
    faces = np.random.default_rng(0).integers(0, 255, (3, 112, 112, 3)).astype(np.uint8)
    rows = sface(faces)
    assert rows.shape == (3, 128)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert sface(faces[:0]).shape == (0, 128)


def test_a_batch_says_of_each_face_what_it_says_of_it_alone(sface):
    faces = np.random.default_rng(0).integers(0, 255, (18, 112, 112, 3)).astype(np.uint8)
    assert sface(faces)[17] == pytest.approx(sface(faces[17:])[0], abs=1e-5)


def test_the_weights_that_come_along_are_listed_with_their_licence():
    listed = weights.provenance("cloak.recognise")
    files = {path.name for path in (ROOT / "cloak" / "recognise" / "weights").iterdir()}
    assert {name for name in files if name.endswith(".onnx")} == set(listed)
    assert {CARDS[name].file for name in CARDS if CARDS[name].shipped} == set(listed)
    assert {facts["licence_file"] for facts in listed.values()} <= files


def test_weights_with_another_hash_are_refused(tmp_path, monkeypatch):
    file = CARDS["sface"].file
    (tmp_path / file).write_bytes(b"other weights")
    weights.provenance("cloak.recognise")
    monkeypatch.setattr("cloak.weights.folder", lambda package: tmp_path)
    with pytest.raises(SetupError, match="SHA-256"):
        load.__wrapped__("sface")


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if not card.shipped])
def test_other_weights_in_the_cache_are_not_loaded(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CLOAK_RECOGNISERS", str(tmp_path))
    sface = weights.read("cloak.recognise", CARDS["sface"].file)
    (tmp_path / CARDS[name].file).write_bytes(sface)
    with pytest.raises(SetupError, match=rf"'{CARDS[name].file}' are not the ones .* SHA-256"):
        load.__wrapped__(name)
    if CARDS[name].role == "surrogate":
        with pytest.raises(SetupError, match="SHA-256"):
            fingerprint.__wrapped__(name)


def test_surrogates_and_held_out_recognisers_share_no_weights():
    held_out = {card.source for card in CARDS.values() if card.role == "held-out"}
    surrogates = {card.source for card in CARDS.values() if card.role == "surrogate"}
    assert len(held_out) >= 2
    assert not held_out & surrogates


def test_what_is_not_in_the_cache_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOAK_RECOGNISERS", str(tmp_path))
    assert available() == ("sface",)
    with pytest.raises(SetupError, match="cache") as caught:
        load.__wrapped__("facenet")
    assert "fetch_recognisers" in caught.value.next_step
    with pytest.raises(UnknownName, match="sface"):
        load("arcface")


def test_asking_what_there_is_loads_no_network():
    code = "import sys; from cloak.recognise import available; available(); print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
