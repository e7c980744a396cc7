"""What a worker process of the service does: bytes in, clean bytes and a report out."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from cloak.errors import CloakError, NotAnImage, TooLarge, starved
from cloak.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Task:
    """One request's work.

    Attributes:
        kind: what to do with the photo.
        data: the photo.
        pipeline: the settings.
        key: secret that seeds the noise.
    """

    kind: Literal["anonymize", "inspect", "warm"]
    data: bytes = field(repr=False)
    pipeline: Pipeline
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        status: in a word.
        faces: how many were found.
        report: JSON types; without values of the photo's metadata.
        data: the clean photo, if one was asked for.
    """

    status: str = ""
    faces: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)


def setup() -> None:
    """In a new process: one thread."""
    import cv2

    cv2.setNumThreads(1)


def work(task: Task) -> Answer | CloakError:
    """Errors are answers too: one that is raised would carry its traceback, and with it values, to the parent."""
    try:
        return _KINDS[task.kind](task)
    except CloakError as error:
        return error
    except Exception as error:
        if starved(error):
            return TooLarge("it needs more memory than there is", next_step="Make the photo smaller.")
        return CloakError(f"internal error: {type(error).__name__}")


def _anonymize(task: Task) -> Answer:
    from cloak.anonymizer import anonymize

    result = anonymize(task.data, task.pipeline, key=task.key)
    data = result.published()
    status, faces = str(result.report.status), result.report.faces
    report = msgspec.to_builtins(result.report) | {"status": status, "faces": faces}
    return Answer(status, faces, report, data)


def _inspect(task: Task) -> Answer:
    from cloak.inspection import inspect

    found = inspect(task.data, task.pipeline.recall, task.pipeline.limits)
    if not found.contents.format:
        raise NotAnImage("the bytes are no image of a known format")
    document = found.document()
    # Names of what the file holds, never what stands there.
    document["facts"] = [{"label": fact["label"], "rank": fact["rank"]} for fact in document["facts"]]
    return Answer("inspected", len(document["faces"]), document)


def _warm(task: Task) -> Answer:
    """Load the models by working once on a small grey picture: the first photo shall not wait for them."""
    import cv2
    import numpy as np

    from cloak.anonymizer import anonymize

    _, data = cv2.imencode(".jpg", np.full((64, 64, 3), 128, np.uint8))
    anonymize(data.tobytes(), task.pipeline, key=b"warm")
    return Answer()


_KINDS = {"anonymize": _anonymize, "inspect": _inspect, "warm": _warm}
