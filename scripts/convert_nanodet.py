"""NanoDet, a TensorFlow.js graph, as an ONNX graph whose weights are stored in 8 bits: for `fetch_weights.py`.

The graph takes `image`, (1, H, W, 3) uint8 RGB with H and W multiples of 32, where the published one takes 416 x 416
normalised BGR. For each stride of 8, 16 and 32 it gives `scores_STRIDE`, (1, 1, H / stride, W / stride), how surely a
person is there, and `sides_STRIDE`, (1, 44, ...), 11 logits for each of left, top, right and bottom; the other 79 kinds
of things that it knows are left out. It computes in single precision: onnxruntime unpacks the weights at load. Refuses
any layer that the published graph does not have.
"""

import base64
import json
from typing import Any

import numpy as np
import onnx
from convert_recognisers import Graph, tensorflow_weights
from onnx import TensorProto, helper

MEANS, DEVIATIONS = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue: what the network was trained with (nanodet's config files)."""

KINDS, PERSON = 80, 0
SIDES = 44
STRIDES = (8, 16, 32)

SMALL = 10_000
"""Kernels of fewer weights stay in half precision, as they are published: for 60 kB, scores are off by 0.003 (root mean
square over 2,618 places in crowds that score over 0.25) instead of 0.010, and by at most 0.018 instead of 0.055."""

UPWARDS = ("resize", "resize_1")
"""Of the four changes of size, those that double; the others halve."""


def nanodet(description: bytes, buffer: bytes) -> bytes:
    """`nanodet.json` and `nanodet.bin` to the ONNX graph."""
    model = json.loads(description)
    weights = tensorflow_weights(model, buffer)
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    graph = Graph(None, "image")
    for kind, values, name in (("Sub", MEANS, "centred"), ("Div", DEVIATIONS, "input_1")):
        source = graph.nodes[-1].output[0]
        graph.node(kind, [source, graph.weight(np.reshape(values, (1, 3, 1, 1)), f"{name}/by")], name)
    made = {"input_1": "input_1"}

    def visit(name: str) -> str:
        """The output of a node, in our graph."""
        if name not in made:
            node = nodes[name]
            inputs = [entry.split(":")[0] for entry in node["input"]]
            made[name] = _layer(graph, node, inputs, weights, visit)
        return made[name]

    splits = sorted((node for node in nodes.values() if node["op"] == "SplitV"), key=lambda node: _number(node["name"]))
    outputs = []
    for stride, split in zip(STRIDES, splits, strict=True):
        if weights[split["input"][1]].tolist() != [KINDS, SIDES]:
            raise SystemExit("nanodet's heads are not the ones that are known")
        graph.weight([1, SIDES], f"split_{stride}", np.int64)
        whole = visit(split["input"][0])
        graph.nodes.append(
            helper.make_node("Split", [whole, f"split_{stride}"], [f"logits_{stride}", f"sides_{stride}"], axis=1)
        )
        graph.node("Sigmoid", [f"logits_{stride}"], f"scores_{stride}")
        for name, count in (("scores", 1), ("sides", SIDES)):
            shape = [1, count, f"rows_{stride}", f"columns_{stride}"]
            outputs.append(helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, shape))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3])
    built = helper.make_graph(graph.nodes, "nanodet", [image], outputs, graph.weights)
    result = helper.make_model(built, ir_version=8, opset_imports=[helper.make_opsetid("", 13)], producer_name="cloak")
    onnx.checker.check_model(result)
    return bytes(result.SerializeToString(deterministic=True))


def _layer(graph: Graph, node: dict[str, Any], inputs: list[str], weights: dict[str, Any], visit: Any) -> str:
    """One layer of the published graph, which turns pictures to (1, height, width, channels) and back around each."""
    kind, name, attributes = node["op"], node["name"], node.get("attr", {})
    if kind == "Transpose":
        return str(visit(inputs[0]))
    if kind in {"Pad", "PadV2"}:
        low, high = weights[inputs[1]].T.tolist()
        if kind == "PadV2":  # with the least number, before a maximum: what MaxPool does by itself
            return str(visit(inputs[0]))
        pads = graph.weight([*low, *high], f"{name}/pads", np.int64)
        return graph.node("Pad", [visit(inputs[0]), pads], name)
    if kind == "Conv2D":
        kernel = weights[inputs[1]].transpose(3, 2, 0, 1)
        if inputs[1] == "PartitionedCall/split":
            kernel = kernel[:, ::-1]  # it was trained on BGR
        kernel = _person(kernel)
        steps = [int(attributes["strides"]["list"]["i"][axis]) for axis in (1, 2)]
        if base64.b64decode(attributes["padding"]["s"]) != b"VALID":
            raise SystemExit(f"nanodet has a convolution of a kind that is not known: {name}")
        return graph.node("Conv", [visit(inputs[0]), _kernel(graph, kernel, f"{name}/kernel")], name, strides=steps)
    if kind == "Add":
        if inputs[1] in weights:
            bias = graph.weight(_person(weights[inputs[1]]).reshape(1, -1, 1, 1), f"{name}/bias")
            return graph.node("Add", [visit(inputs[0]), bias], name)
        return graph.node("Add", [visit(inputs[0]), visit(inputs[1])], name)
    if kind == "LeakyRelu":
        return graph.node("LeakyRelu", [visit(inputs[0])], name, alpha=attributes["alpha"]["f"])
    if kind == "MaxPool":
        return graph.node("MaxPool", [visit(inputs[0])], name, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    if kind == "ConcatV2":
        return graph.node("Concat", [visit(entry) for entry in inputs[:-1]], name, axis=1)
    if kind == "ResizeBilinear":
        factor = 2.0 if name.split("/")[1] in UPWARDS else 0.5
        scales = graph.weight([1, 1, factor, factor], f"{name}/scales")
        return graph.node("Resize", [visit(inputs[0]), "", scales], name, mode="linear")
    raise SystemExit(f"nanodet has a layer that is not known: {kind}")


def _kernel(graph: Graph, values: np.ndarray, name: str) -> str:
    """A convolution's kernel, (out, in, height, width): 8 bits, a step for each output; a small one as it was."""
    if values.size < SMALL:
        half = graph.weight(values, f"{name}/half", np.float16)
        return graph.node("Cast", [half], name, to=TensorProto.FLOAT)
    most = np.abs(values).reshape(len(values), -1).max(1)
    step = (np.maximum(most, 1e-12) / 127).astype(np.float32)
    whole = np.rint(values / step[:, None, None, None])
    inputs = [graph.weight(whole, f"{name}/whole", np.int8), graph.weight(step, f"{name}/step")]
    return graph.node("DequantizeLinear", inputs, name, axis=0)


def _person(values: np.ndarray) -> np.ndarray:
    """A head's weights without the kinds of things that are no persons; others as they are."""
    if len(values) != KINDS + SIDES:
        return values
    return np.concatenate([values[PERSON : PERSON + 1], values[KINDS:]])


def _number(name: str) -> int:
    return int(name.rsplit("_", 1)[1])
