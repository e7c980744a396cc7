"""The detectors by name: ours in one dict, users' own through the entry points group "cloak.detectors"."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from cloak.detect import weights
from cloak.detect.base import Detector
from cloak.detect.weights import ModelCard
from cloak.errors import SetupError, UnknownName

GROUP = "cloak.detectors"


def _yunet() -> Detector:
    from cloak.detect.yunet import YuNet

    return YuNet()


def _centerface() -> Detector:
    from cloak.detect.centerface import CenterFace

    return CenterFace()


def _blazeface_short() -> Detector:
    from cloak.detect.blazeface import SHORT_RANGE, BlazeFace

    return BlazeFace("blazeface-short", SHORT_RANGE)


def _blazeface_full() -> Detector:
    from cloak.detect.blazeface import FULL_RANGE, BlazeFace

    return BlazeFace("blazeface-full", FULL_RANGE)


def _nanodet() -> Detector:
    from cloak.detect.nanodet import NanoDet

    return NanoDet()


DETECTORS: dict[str, Callable[[], Detector]] = {
    "yunet": _yunet,
    "centerface": _centerface,
    "blazeface-short": _blazeface_short,
    "blazeface-full": _blazeface_full,
}

NEAR_ONLY = ("blazeface-short", "blazeface-full")
"""A further vote on large near faces. Alone, of faces of 32 to 64 pixels they find 1 and 23 % (the other two 90 %), of
smaller ones next to none."""

PERSONS: dict[str, Callable[[], Detector]] = {"nanodet": _nanodet}
"""Detectors of whole persons: they flag, and can be no pipeline's model of faces."""

_FILES = {
    "yunet": ("yunet_2023mar.onnx", "onnxruntime"),
    "centerface": ("centerface.onnx", "onnxruntime"),
    "blazeface-short": ("blazeface_short_range.tflite", "mediapipe"),
    "blazeface-full": ("blazeface_full_range_sparse.tflite", "mediapipe"),
    "nanodet": ("nanodet_g.onnx", "onnxruntime"),
}


def names() -> tuple[str, ...]:
    """All detectors of faces that a pipeline can name, ours first."""
    return (*DETECTORS, *sorted(_plugins()))


@cache
def load(name: str) -> Detector:
    """The detector of that name, loaded once a process.

    Raises `UnknownName`, `MissingExtra` when an optional package is missing, `SetupError` when its weights are not the
    listed ones or it fails to load.
    """
    loader = DETECTORS.get(name) or PERSONS.get(name)
    if loader is not None:
        return loader()
    plugin = _plugins().get(name)
    if plugin is None:
        raise UnknownName("detector", name, names())
    try:
        detector: Detector = plugin.load()()
    except Exception as error:
        raise SetupError(f"the detector {name!r} cannot be loaded: {type(error).__name__}") from error
    if not callable(detector) or not isinstance(getattr(detector, "name", None), str):
        raise SetupError(f"the detector {name!r} is no detector: it must be callable and have a name")
    return detector


def models() -> list[ModelCard]:
    """What is known of every detector. Loads none of them."""
    cards = []
    for name, (file, package) in _FILES.items():
        facts = weights.provenance().get(file, {})
        cards.append(
            ModelCard(
                name=name,
                file=file,
                licence=facts.get("licence", ""),
                source=f"{facts.get('upstream', '')}; from {facts.get('package', '')}",
                sha256=facts.get("sha256", ""),
                trained_on=facts.get("trained_on", ""),
                available=find_spec(package) is not None,
            )
        )
    cards += [
        ModelCard(name, "", "", f"plug-in {plugin.value}", "", "", True) for name, plugin in sorted(_plugins().items())
    ]
    return cards


def version(name: str) -> str:
    """Package and version of a plug-in, which is all that is known of what it finds; "" for our own."""
    point = _plugins().get(name)
    return f"{point.dist.name} {point.dist.version}" if point is not None and point.dist is not None else ""


@cache
def _plugins() -> dict[str, EntryPoint]:
    # A plug-in cannot take the place of one of our own.
    ours = {*DETECTORS, *PERSONS}
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in ours}
