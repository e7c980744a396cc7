"""A recogniser that can be differentiated: its ONNX graph, run node by node in PyTorch (extra `cloak-images[perturb]`).

onnxruntime gives no gradients, and no converter for PyTorch is alive for the versions we support; recognisers use a
dozen operators, which are short to write down.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, reduce
from typing import Any, TypeAlias

import numpy as np

from cloak.errors import MissingExtra, SetupError, UsageError
from cloak.recognise.base import Frame
from cloak.recognise.registry import CARDS, Card, read

Tensor: TypeAlias = Any
"""A `torch.Tensor`; PyTorch is an extra, and is imported when a surrogate is loaded."""

_THRESHOLDS: Mapping[str, float] = {"sface": 0.363, "mobilefacenet": 0.349, "faceres": 0.611}
"""SFace's is OpenCV's; the others were measured on 110 people of LFW (benchmarks/perturb.py)."""

_Node: TypeAlias = tuple[str, list[str], str, Mapping[str, Any]]
"""Operator, names of the inputs, name of the output, attributes."""


class Surrogate:
    """A recogniser as a differentiable function.

    Args:
        name, frame: as of `cloak.recognise.Recogniser`.
        model: its ONNX graph, from (N, side, side, 3) RGB, 0 to 255, to (N, D).

    Raises `MissingExtra` without PyTorch or onnx, `SetupError` for a graph that is broken or has unknown operators.
    """

    def __init__(self, name: str, frame: Frame, model: bytes) -> None:
        try:
            import torch
            from onnx import load_from_string
        except ImportError as error:
            raise MissingExtra("the effect 'perturb'", "perturb") from error
        self.name, self.frame = name, frame
        self._torch = torch
        self._operators = _operators(torch)
        try:
            graph = load_from_string(model).graph
            nodes, constants = _read(graph, torch)
            (self._input,) = (value.name for value in graph.input if value.name not in constants)
            (self._output,) = (value.name for value in graph.output)
        except Exception as error:
            raise SetupError(f"the surrogate {name!r} is not a graph that cloak understands") from error
        unknown = {operator for operator, *_ in nodes} - set(self._operators)
        if unknown:
            raise SetupError(f"the surrogate {name!r} needs operators that cloak does not know: {sorted(unknown)}")
        with torch.no_grad():
            self._nodes, self._constants = self._folded(nodes, constants)

    def __call__(self, faces: Tensor) -> Tensor:
        """(N, D) embeddings of length 1 of (N, side, side, 3) float32 RGB, 0 to 255; gradients flow."""
        known = {**self._constants, self._input: faces}
        for operator, names, output, attributes in self._nodes:
            known[output] = self._run(operator, names, attributes, known)
        return self._torch.nn.functional.normalize(known[self._output], dim=1)

    def _run(self, operator: str, names: list[str], attributes: Mapping[str, Any], known: dict[str, Tensor]) -> Tensor:
        return self._operators[operator]([known[name] if name else None for name in names], attributes)

    def _folded(self, nodes: list[_Node], constants: dict[str, Tensor]) -> tuple[list[_Node], dict[str, Tensor]]:
        """What does not depend on the picture is computed once; normalisation after a convolution joins it."""
        known, left = dict(constants), []
        for node in nodes:
            operator, names, output, attributes = node
            if all(name in known for name in names if name):
                known[output] = self._run(operator, names, attributes, known)
            else:
                left.append(node)
        uses: dict[str, int] = {}
        for _, names, _, _ in left:
            for name in names:
                uses[name] = uses.get(name, 0) + 1
        made: dict[str, int] = {}
        kept: list[_Node] = []
        for operator, names, output, attributes in left:
            place = made.get(names[0])
            if operator == "BatchNormalization" and place is not None and uses[names[0]] == 1:
                _, before, _, how = kept[place]
                if kept[place][0] == "Conv":
                    kernel, bias = _merged([known[n] for n in names[1:5]], attributes, known, before)
                    known[f"{output}/kernel"], known[f"{output}/bias"] = kernel, bias
                    kept[place] = "Conv", [before[0], f"{output}/kernel", f"{output}/bias"], output, how
                    made[output] = place
                    continue
            made[output] = len(kept)
            kept.append((operator, names, output, attributes))
        needed = {name for _, names, _, _ in kept for name in names}
        return kept, {name: value for name, value in known.items() if name in needed}


@cache
def surrogate(name: str) -> Surrogate:
    """The surrogate of that name, loaded once a process.

    Raises as `check` does, and `SetupError` when its weights are missing or broken.
    """
    card = check(name)
    return Surrogate(name, card.frame, read(card))


def check(name: str) -> Card:
    """The card of a surrogate.

    Raises `UsageError` for any other recogniser: figures of those that are held out are worth nothing if `perturb` has
    seen them.
    """
    card = CARDS.get(name)
    if card is None or card.role != "surrogate":
        known = sorted(card.name for card in CARDS.values() if card.role == "surrogate")
        raise UsageError(f"{name!r} is no surrogate; known: {', '.join(known)}")
    return card


def threshold(name: str) -> float:
    """Cosine from which a surrogate takes two faces for one person, about once in 1,000 pairs wrongly."""
    return _THRESHOLDS[name]


@cache
def fingerprint(name: str) -> str:
    """SHA-256 of a surrogate's weights. Raises as `surrogate` does."""
    return hashlib.sha256(read(check(name))).hexdigest()


def _read(graph: Any, torch: Any) -> tuple[list[_Node], dict[str, Tensor]]:
    from onnx.helper import get_attribute_value
    from onnx.numpy_helper import to_array

    def tensor(value: Any) -> Tensor:
        array = np.array(to_array(value))
        # Sizes stay whole numbers; weights, quantised ones too, become float32.
        return torch.from_numpy(array if array.dtype == np.int64 else array.astype(np.float32))

    constants = {item.name: tensor(item) for item in graph.initializer}
    nodes: list[_Node] = []
    for node in graph.node:
        attributes = {item.name: get_attribute_value(item) for item in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = tensor(attributes["value"])
        else:
            nodes.append((node.op_type, list(node.input), node.output[0], attributes))
    return nodes, constants


def _merged(
    normalisation: list[Tensor], attributes: Mapping[str, Any], known: Mapping[str, Tensor], before: list[str]
) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution with the normalisation behind it."""
    scale, shift, mean, variance = normalisation
    gain = scale / (variance + attributes.get("epsilon", 1e-5)).sqrt()
    bias = known[before[2]] if len(before) > 2 else 0.0
    return known[before[1]] * gain.reshape(-1, 1, 1, 1), shift + (bias - mean) * gain


_Operator: TypeAlias = Callable[[list[Tensor], Mapping[str, Any]], Tensor]


def _operators(torch: Any) -> dict[str, _Operator]:
    """The ONNX operators that recognisers use (opset 13 and later), on tensors."""
    f = torch.nn.functional

    def convolve(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        picture, strides, dilations = x[0], a.get("strides", (1, 1)), a.get("dilations", (1, 1))
        top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
        if a.get("auto_pad") == b"SAME_UPPER":  # what is odd goes below and to the right
            reach = [(side - 1) * spread + 1 for side, spread in zip(x[1].shape[2:], dilations, strict=True)]
            sizes = zip(picture.shape[2:], strides, reach, strict=True)
            high, wide = (max((-(-size // stride) - 1) * stride + r - size, 0) for size, stride, r in sizes)
            top, left, bottom, right = high // 2, wide // 2, high - high // 2, wide - wide // 2
        padding: Any = (top, left)
        if (top, left) != (bottom, right):
            picture, padding = f.pad(picture, (left, right, top, bottom)), 0
        bias = x[2] if len(x) > 2 else None
        return f.conv2d(picture, x[1], bias, strides, padding, dilations, a.get("group", 1))

    def pool(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
        padded = f.pad(x[0], (left, right, top, bottom), value=float("-inf"))
        return f.max_pool2d(padded, a["kernel_shape"], a.get("strides", 1))

    def dequantise(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        values, scale = x[0], x[1]
        zero = x[2] if len(x) > 2 else torch.zeros_like(scale)
        axis, block = a.get("axis", 1), a.get("block_size", 0)
        if block:
            scale, zero = (
                part.repeat_interleave(block, axis).narrow(axis, 0, values.shape[axis]) for part in (scale, zero)
            )
        elif scale.ndim == 1:
            shape = [-1 if i == axis else 1 for i in range(values.ndim)]
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        return (values - zero) * scale

    def gather(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        axis, places = a.get("axis", 0), x[1]
        return x[0].index_select(axis, places) if places.ndim == 1 else x[0].select(axis, int(places))

    def gemm(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        left = x[0].T if a.get("transA") else x[0]
        right = x[1].T if a.get("transB") else x[1]
        out = a.get("alpha", 1.0) * (left @ right)
        return out + a.get("beta", 1.0) * x[2] if len(x) > 2 else out

    def normalise(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        return f.batch_norm(x[0], x[3], x[4], x[1], x[2], False, 0, a.get("epsilon", 1e-5))

    def reshape(x: list[Tensor], _: Mapping[str, Any]) -> Tensor:
        sizes = [x[0].shape[i] if size == 0 else int(size) for i, size in enumerate(x[1].tolist())]
        return x[0].reshape(sizes)

    def mean(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        axes = x[1].tolist() if len(x) > 1 else a["axes"]
        return x[0].mean([int(axis) for axis in axes], keepdim=bool(a.get("keepdims", 1)))

    def pad(x: list[Tensor], _: Mapping[str, Any]) -> Tensor:
        sizes = [int(size) for size in x[1].tolist()]
        half = len(sizes) // 2
        flat = [side for i in reversed(range(half)) for side in (sizes[i], sizes[half + i])]
        return f.pad(x[0], flat, value=float(x[2]) if len(x) > 2 and x[2] is not None else 0.0)

    def clip(x: list[Tensor], _: Mapping[str, Any]) -> Tensor:
        return x[0].clamp(*(float(limit) if limit is not None else None for limit in (*x[1:], None, None)[:2]))

    def squeeze(x: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        axes = x[1].tolist() if len(x) > 1 else a["axes"]
        return x[0].squeeze([int(axis) for axis in axes])

    return {
        "Add": lambda x, _: x[0] + x[1],
        "BatchNormalization": normalise,
        "Cast": lambda x, _: x[0],  # to float32 only, which everything is
        "Clip": clip,
        "Concat": lambda x, a: torch.cat(x, a["axis"]),
        "Conv": convolve,
        "DequantizeLinear": dequantise,
        "Div": lambda x, _: x[0] / x[1],
        "Dropout": lambda x, _: x[0],
        "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
        "Gather": gather,
        "Gemm": gemm,
        "GlobalAveragePool": lambda x, _: x[0].mean((2, 3), keepdim=True),
        "Identity": lambda x, _: x[0],
        "MatMul": lambda x, _: x[0] @ x[1],
        "Max": lambda x, _: reduce(torch.maximum, x),
        "MaxPool": pool,
        "Min": lambda x, _: reduce(torch.minimum, x),
        "Mul": lambda x, _: x[0] * x[1],
        "PRelu": lambda x, _: f.prelu(x[0], x[1].reshape(-1)),
        "Pad": pad,
        "ReduceMean": mean,
        "Relu": lambda x, _: x[0].relu(),
        "Reshape": reshape,
        "Squeeze": squeeze,
        "Sub": lambda x, _: x[0] - x[1],
        "Transpose": lambda x, a: x[0].permute(*a["perm"]),
    }
