"""Recognisers as differentiable functions."""

import builtins
import sys

import numpy as np
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloak.errors import MissingExtra, SetupError, UsageError
from cloak.recognise import ARCFACE, CARDS, available, chips, load
from cloak.recognise.surrogate import Surrogate, fingerprint, surrogate

torch = pytest.importorskip("torch")


def graph(nodes, weights, side=4):
    """An ONNX file from `faces` to `out`."""
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", side, side, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def test_gradients_reach_every_part_of_the_face():
    face = torch.full((1, 112, 112, 3), 120.0, requires_grad=True)
    surrogate("sface")(face)[0, 0].backward()
    assert float((face.grad.abs().sum(3) > 0).float().mean()) > 0.99


@pytest.mark.parametrize("name", ["dlib", "facenet", "nobody"])
def test_a_recogniser_that_is_held_out_is_never_a_surrogate(name):
    with pytest.raises(UsageError, match="known: faceres, mobilefacenet, sface"):
        surrogate(name)


def test_surrogates_that_do_not_come_with_cloak_say_where_they_are_to_be_had(monkeypatch, tmp_path):
    monkeypatch.setenv("CLOAK_RECOGNISERS", str(tmp_path))
    with pytest.raises(SetupError) as error:
        surrogate.__wrapped__("faceres")
    assert "fetch_recognisers" in error.value.next_step


def test_unknown_operators_are_named():
    model = graph([helper.make_node("Softplus", ["faces"], ["out"])], {})
    with pytest.raises(SetupError, match="Softplus"):
        Surrogate("odd", ARCFACE, model)


def test_what_is_no_graph_is_refused():
    with pytest.raises(SetupError, match="odd"):
        Surrogate("odd", ARCFACE, b"no graph")


def test_normalisation_that_joins_a_convolution_changes_nothing():
    random = np.random.default_rng(1)
    kernel = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
    statistics = {name: random.uniform(0.5, 2, 5).astype(np.float32) for name in ("scale", "shift", "mean", "variance")}
    nodes = [
        helper.make_node("Transpose", ["faces"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["c"], pads=[1, 0, 1, 1], strides=[2, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["b"]),
        helper.make_node("Flatten", ["b"], ["out"]),
    ]
    model = graph(nodes, {"kernel": kernel, **statistics})
    faces = random.uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    wanted = onnx.reference.ReferenceEvaluator(onnx.load_from_string(model)).run(None, {"faces": faces})[0]
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    made = Surrogate("small", ARCFACE, model)
    assert np.allclose(made(torch.from_numpy(faces)).numpy(), wanted, atol=1e-4)
    assert "BatchNormalization" not in {operator for operator, *_ in made._nodes}


def test_swapped_channels_cut_off_activations_and_padding_to_the_same_size_are_understood():
    """As HSE-FaceRes has them: blue first, at most 6, and more padding below than above."""
    random = np.random.default_rng(1)
    six, none, kernel = np.float32([6]), np.float32([0]), random.normal(size=(2, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["faces", "bgr"], ["swapped"], axis=3),
        helper.make_node("Transpose", ["swapped"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Gather", ["c", "row"], ["one"], axis=2),
        helper.make_node("Min", ["one", "six"], ["low"]),
        helper.make_node("Max", ["low", "none"], ["cut"]),
        helper.make_node("Flatten", ["cut"], ["out"]),
    ]
    model = graph(nodes, {"kernel": kernel, "bgr": np.array([2, 1, 0]), "row": np.array(1), "six": six, "none": none})
    faces = random.uniform(0, 9, (2, 4, 4, 3)).astype(np.float32)
    wanted = onnx.reference.ReferenceEvaluator(onnx.load_from_string(model)).run(None, {"faces": faces})[0]
    assert {0, 6} < set(wanted.ravel().tolist())
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.allclose(Surrogate("small", ARCFACE, model)(torch.from_numpy(faces)).numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in available() if CARDS[name].role == "surrogate"])
def test_every_surrogate_that_is_here_sees_what_its_recogniser_sees(name, portraits):
    frame = CARDS[name].frame
    faces = np.concatenate([chips(image, [points], frame) for image, points in portraits.values()])
    with torch.no_grad():
        seen = surrogate(name)(torch.from_numpy(faces).float()).numpy()
    assert np.abs(seen - load(name)(faces)).max() < 1e-4


def test_without_pytorch_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "torch":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="perturb"):
        Surrogate("sface", ARCFACE, b"")


def test_the_fingerprint_is_the_hash_of_the_weights():
    assert len(fingerprint("sface")) == 64
    with pytest.raises(UsageError):
        fingerprint("dlib")
