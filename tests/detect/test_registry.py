import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cloak.detect import registry, weights
from cloak.detect.base import Detection
from cloak.errors import MissingExtra, SetupError, UnknownName
from cloak.geometry import Box
from cloak.pipeline import load
from tests.conftest import ROOT


def test_an_unknown_detector_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"centerface.*yunet"):
        registry.load("yolo")


def test_a_detector_is_loaded_once():
    assert registry.load("yunet") is registry.load("yunet")


def test_every_model_has_a_card_with_licence_source_and_hash():
    cards = {card.name: card for card in registry.models()}
    assert {*registry.DETECTORS, *registry.PERSONS} == set(cards)
    for name in cards:
        card = cards[name]
        assert card.licence in {"MIT", "Apache-2.0"}
        assert len(card.sha256) == 64
        assert card.trained_on
        assert "==" in card.source
        assert weights.read(card.file)


def test_every_weight_file_is_listed_and_has_its_licence_beside_it():
    listed = weights.provenance()
    files = {path.name for path in (ROOT / "cloak" / "detect" / "weights").iterdir()}
    assert {name for name in files if name.endswith((".onnx", ".tflite"))} == set(listed)
    assert {facts["licence_file"] for facts in listed.values()} <= files


def test_model_cards_load_no_library():
    code = (
        "import sys; from cloak.detect import registry; registry.models();"
        "print(sorted({'cv2', 'onnxruntime', 'mediapipe'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_weights_with_another_hash_are_refused(tmp_path, monkeypatch):
    file = "yunet_2023mar.onnx"
    data = bytearray(weights.read(file))
    data[1000] ^= 1
    (tmp_path / file).write_bytes(data)
    weights.provenance()
    monkeypatch.setattr("cloak.weights.folder", lambda package: tmp_path)
    with pytest.raises(SetupError, match="SHA-256"):
        registry.DETECTORS["yunet"]()


def test_missing_and_unlisted_weights_are_refused(tmp_path, monkeypatch):
    weights.provenance()
    monkeypatch.setattr("cloak.weights.folder", lambda package: tmp_path)
    with pytest.raises(SetupError, match="missing"):
        weights.read("yunet_2023mar.onnx")
    with pytest.raises(SetupError, match="not listed"):
        weights.read("other.onnx")


def test_mediapipe_is_an_extra_that_the_error_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises((MissingExtra, SetupError)) as caught:
        registry.DETECTORS["blazeface-short"]()
    assert "mediapipe" in str(caught.value)


class Own:
    """The detector that docs/detection.md shows."""

    name = "own"

    def __call__(self, image):
        return [Detection(Box(1, 2, 30, 40), 0.9, self.name)]


@pytest.fixture
def plugin(monkeypatch):
    """Install entry points for the length of a test."""

    def install(version="1.0", **loaders):
        dist = SimpleNamespace(name="own-detectors", version=version)
        points = [
            SimpleNamespace(name=name, value=f"own:{name}", load=lambda loader=loader: loader, dist=dist)
            for name, loader in loaders.items()
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "cloak.detectors" else [])
        registry._plugins.cache_clear()

    yield install
    registry._plugins.cache_clear()
    registry.load.cache_clear()


def test_a_users_own_detector_comes_through_an_entry_point(plugin):
    plugin(own=Own)
    assert registry.load("own")(None)[0].model == "own"
    assert "own" in registry.names()
    assert any(card.name == "own" and card.licence == "" for card in registry.models())


def test_another_version_of_a_plugin_is_another_pipeline(plugin):
    """What the earlier one did not find stands published otherwise, as done."""
    ours, hashes = load("photographer").hash(), set()
    for version in ("1.0", "2.0"):
        plugin(version, own=Own)
        hashes.add(load("photographer", models=("yunet", "own")).hash())
        assert load("photographer").hash() == ours
    assert len(hashes) == 2


def test_a_plugin_cannot_take_the_place_of_our_own(plugin):
    registry.load.cache_clear()
    plugin(yunet=Own, nanodet=Own)
    for name in ("yunet", "nanodet"):
        assert not isinstance(registry.load(name), Own)
    assert "nanodet" not in registry.names()


def test_a_plugin_that_fails_to_load_is_a_setup_error_without_its_words(plugin):
    def broken():
        raise ValueError("secret/path")

    plugin(broken=broken, nonsense=lambda: 3)
    with pytest.raises(SetupError, match="ValueError") as caught:
        registry.load("broken")
    assert "secret" not in str(caught.value)
    with pytest.raises(SetupError, match="no detector"):
        registry.load("nonsense")


def test_the_entry_point_group_is_the_documented_one():
    assert registry.GROUP == "cloak.detectors"
    assert importlib.metadata.entry_points(group=registry.GROUP) is not None
    assert "cloak.detectors" in (ROOT / "docs" / "detection.md").read_text()
