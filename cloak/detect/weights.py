"""The models' files: where they are from, and their bytes, never handed out unless the hash is right."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from cloak.errors import SetupError


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What `cloak models` says of one model.

    Attributes:
        name: how pipelines call it.
        file: name of its weight file, or "" if it is a plug-in's own affair.
        licence: SPDX identifier of the weights' licence, or "" if unknown.
        source: the package that the file was taken from, and its upstream.
        sha256: of the file, as it must be.
        trained_on: the data it learned from, as its authors state it.
        available: whether what it needs is installed.
    """

    name: str
    file: str
    licence: str
    source: str
    sha256: str
    trained_on: str
    available: bool


@cache
def provenance() -> dict[str, dict[str, Any]]:
    """What `weights/PROVENANCE.toml` says, by file name. Raises `SetupError` when it cannot be read."""
    try:
        return tomllib.loads(_folder().joinpath("PROVENANCE.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError("the list of model weights is missing or broken") from error


def read(file: str) -> bytes:
    """The bytes of a weight file, after its SHA-256 was compared with `PROVENANCE.toml`.

    Raises `SetupError` when the file is missing, unlisted, or not the one that was listed.
    """
    listed = provenance().get(file)
    if listed is None:
        raise SetupError(f"the model weights {file!r} are not listed in PROVENANCE.toml")
    try:
        data = _folder().joinpath(file).read_bytes()
    except OSError as error:
        raise SetupError(f"the model weights {file!r} are missing") from error
    if hashlib.sha256(data).hexdigest() != listed["sha256"]:
        raise SetupError(f"the model weights {file!r} are not the ones cloak was tested with: their SHA-256 differs")
    return data


def _folder() -> Traversable:
    return files("cloak.detect").joinpath("weights")
