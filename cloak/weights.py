"""Weight files and the sessions over them: never handed out unless their hash is the listed one.

A package that has models keeps them in its folder `weights/`, beside `PROVENANCE.toml`, which says where each file is
from, its licence and its SHA-256.
"""

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from cloak.errors import SetupError, starved, without_memory


@cache
def provenance(package: str) -> dict[str, dict[str, Any]]:
    """What a package's `weights/PROVENANCE.toml` says, by file name. Raises `SetupError` when it cannot be read."""
    try:
        return tomllib.loads(folder(package).joinpath("PROVENANCE.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError("the list of model weights is missing or broken") from error


def read(package: str, file: str) -> bytes:
    """The bytes of a weight file, after its SHA-256 was compared with `PROVENANCE.toml`.

    Raises `SetupError` when the file is missing, unlisted, or not the one that was listed.
    """
    listed = provenance(package).get(file)
    if listed is None:
        raise SetupError(f"the model weights {file!r} are not listed in PROVENANCE.toml")
    try:
        data = folder(package).joinpath(file).read_bytes()
    except OSError as error:
        raise SetupError(f"the model weights {file!r} are missing") from error
    return checked(data, file, listed["sha256"])


def checked(data: bytes, file: str, sha256: str) -> bytes:
    """The bytes of a weight file, if they have that SHA-256; raises `SetupError` otherwise."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SetupError(f"the model weights {file!r} are not the ones cloak was tested with: their SHA-256 differs")
    return data


def session(data: bytes, name: str) -> Any:
    """An onnxruntime session over an ONNX model, on one thread of the CPU; `name` is for messages.

    Raises `SetupError` when onnxruntime or the model cannot be loaded, `TooLarge` when there is no memory for it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise SetupError("onnxruntime cannot be loaded") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena saves a third of the time (no page faults at every node); it must not round up to powers of two.
    options.enable_cpu_mem_arena = True
    # Quantised weights are unpacked once, at load, not at every run.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        if starved(error):
            raise without_memory() from error
        raise SetupError(f"onnxruntime cannot load the model weights {name!r}") from error


def folder(package: str) -> Traversable:
    return files(package).joinpath("weights")
