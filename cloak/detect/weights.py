"""The detectors' weight files, and what is known of them."""

from dataclasses import dataclass
from typing import Any

from cloak import weights

PACKAGE = "cloak.detect"


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


def provenance() -> dict[str, dict[str, Any]]:
    """What the detectors' `PROVENANCE.toml` says, by file name; see `cloak.weights`."""
    return weights.provenance(PACKAGE)


def read(file: str) -> bytes:
    """The bytes of a detector's weight file; see `cloak.weights`."""
    return weights.read(PACKAGE, file)
