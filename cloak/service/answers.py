"""What clients send and get: query parameters, bounded bodies, the report in a header or as a part."""

import asyncio
import json
import logging
import secrets
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cloak.detect.recipe import RECIPES
from cloak.effects import EFFECTS, STRENGTHS
from cloak.errors import NotAnImage, TooLarge, UnknownName
from cloak.metadata.fields import KEEP_NAMES
from cloak.service.wire import IDLE
from cloak.service.work import Answer

MEDIA_TYPES = {name: f"image/{name}" for name in ("avif", "bmp", "gif", "jpeg", "png", "tiff", "webp")} | {
    "heif": "image/heic"
}

REPORT_HEADER = "Cloak-Report"

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

PIECE = 65_536
"""Bytes of an answer that a connection is given at once: what it holds when its client has had its time."""

_log = logging.getLogger("cloak.service")


class Choice(BaseModel):
    """What every request may choose."""

    model_config = ConfigDict(extra="forbid")

    pipeline: str | None = Field(None, max_length=64, description="A pipeline that the service was started with.")
    recall: Literal[tuple(RECIPES)] | None = Field(None, description="How hard faces are searched.")  # type: ignore[valid-type]

    def overrides(self) -> dict[str, Any]:
        """As `cloak.pipeline.load` takes them. Raises `UnknownName`."""
        return {"recall": self.recall}


_CONCEALING = tuple(name for name in EFFECTS if name != "perturb")
"""Faces stay in sight under perturb: an operator's pipeline may have it, no request may ask for it."""


class AnonymizeChoice(Choice):
    """What a request for a clean photo may choose; what it names beats the pipeline's settings."""

    effect: Literal[_CONCEALING] | None = Field(None, description="What replaces a face.")  # type: ignore[valid-type]
    strength: Literal[tuple(STRENGTHS)] | None = Field(None, description="How strong the effect is.")  # type: ignore[valid-type]
    no_face: Literal["hold", "publish"] | None = Field(None, description="What becomes of a photo without a face.")
    keep: str | None = Field(
        None, max_length=200, description=f"Fields to write anew, between commas: {', '.join(KEEP_NAMES)}."
    )
    quality: int | None = Field(None, ge=1, le=100, description="For lossy formats; default: the file's own.")

    def overrides(self) -> dict[str, Any]:
        names = None if self.keep is None else [name.strip() for name in self.keep.split(",") if name.strip()]
        for name in names or ():
            if name not in KEEP_NAMES:
                raise UnknownName("field to keep", name, KEEP_NAMES)
        return super().overrides() | {
            "effect": {"name": self.effect} if self.effect else None,
            "strength": self.strength,
            "no_face": self.no_face,
            "keep": names,
            "quality": self.quality,
        }


async def receive(request: Request, limit: int, until: float) -> bytes:
    """The raw body, in memory only and never more of it than the limit.

    Raises `TooLarge`, `NotAnImage` for a form or a coded body, and HTTP 408 when it comes too slowly.
    """
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content.startswith("multipart/"):
        raise NotAnImage(
            "the body is a form", next_step="Send the image itself as the body, as curl --data-binary does."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotAnImage("the body is compressed", next_step="Send the image as it is, without Content-Encoding.")
    too_large = TooLarge(f"it has more than {limit:,} bytes", next_step="Make it smaller, or raise --max-bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise too_large
    data = bytearray()
    stream = aiter(request.stream())
    clock = asyncio.get_running_loop().time
    while True:
        try:
            async with asyncio.timeout_at(min(until, clock() + IDLE)):
                data += await anext(stream)
        except StopAsyncIteration:
            return bytes(data)
        except TimeoutError:
            raise HTTPException(408) from None
        if len(data) > limit:
            raise too_large


class Kept(Response):
    """A response that keeps its request's place, for it is in memory, until its client has taken it or is gone.

    Args:
        response: what is sent.
        place: is given back then.
        seconds: that the client may take; past them the answer is cut off.
    """

    def __init__(self, response: Response, place: AbstractContextManager[Any], seconds: float) -> None:
        super().__init__(response.body, response.status_code)
        self.raw_headers = response.raw_headers
        self._place, self._seconds = place, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        with self._place:
            try:
                async with asyncio.timeout(self._seconds):
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    for start in range(0, len(self.body), PIECE):
                        piece = self.body[start : start + PIECE]
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                        await asyncio.sleep(0)  # others have their turn, and a connection that broke is told of
                    await send({"type": "http.response.body"})  # which waits until the last piece is taken
            except TimeoutError:
                _log.warning("an answer was not taken in %g seconds", self._seconds)


def clean(request: Request, answer: Answer) -> Response:
    """The clean photo: alone with a short report in a header, or with the whole report as a second part."""
    report = answer.report
    kind = MEDIA_TYPES[report["format"]]
    headers = {**HEADERS, "Vary": "Accept"}
    if not _wants_parts(request.headers.getlist("accept")):
        headers[REPORT_HEADER] = compact(_short(report))
        return Response(answer.data, media_type=kind, headers=headers)
    # Random: no photo can contain it by design of its sender.
    boundary = secrets.token_hex(16)
    line = f"--{boundary}\r\nContent-Type: "
    body = b"".join(
        (
            f"{line}{kind}\r\n\r\n".encode(),
            answer.data,
            f"\r\n{line}application/json\r\n\r\n{compact(report)}\r\n--{boundary}--\r\n".encode(),
        )
    )
    return Response(body, media_type=f"multipart/mixed; boundary={boundary}", headers=headers)


def compact(document: dict[str, Any]) -> str:
    """JSON on one line of ASCII, as headers want it."""
    return json.dumps(document, separators=(",", ":"))


def _short(report: dict[str, Any]) -> dict[str, Any]:
    """Bounded whatever the photo: a crowd's boxes would not fit into the headers that proxies let through."""
    removed = Counter[str]()
    for carrier in report["carriers"]:
        removed[carrier["kind"]] += carrier["bytes"]
    same = ("status", "faces", "format", "size", "frames", "effect", "kept", "verified", "path", "pipeline")
    short = {name: report[name] for name in same}
    doubts = {name: sum(map(len, report[name])) for name in ("doubtful", "faceless")}
    return short | doubts | {"removed": removed, "milliseconds": report["milliseconds"]}


def _wants_parts(accept: list[str]) -> bool:
    for item in ",".join(accept).split(","):
        kind, *parameters = (word.strip().lower() for word in item.split(";"))
        if kind == "multipart/mixed" and not any(p.replace(" ", "") in {"q=0", "q=0.0", "q=0.00"} for p in parameters):
            return True
    return False
