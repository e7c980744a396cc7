"""The service's HTTP interface."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Security
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from cloak.clock import Stopwatch
from cloak.errors import Unavailable, UnknownName
from cloak.photo.base import Limits
from cloak.pipeline import Pipeline, parse, source
from cloak.service import manual, problems
from cloak.service.answers import HEADERS, MEDIA_TYPES, REPORT_HEADER, AnonymizeChoice, Choice, Kept, clean, receive
from cloak.service.crew import Crew
from cloak.service.metrics import Metrics
from cloak.service.settings import Settings
from cloak.service.work import Answer, Task

OPEN_PATHS = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""What needs no token: nothing of photos, nor of who sends them."""

_log = logging.getLogger("cloak.service")

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The image itself, whatever the Content-Type says; never a form.",
        "content": {"application/octet-stream": _BINARY},
    }
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


_REFUSALS = _problems(400, 401, 403, 408, 413, 415, 421, 422, 500, 503, 504)
# For the description only: the guard stands before the app, which a page of another app may share.
_BEARER = [Security(HTTPBearer(auto_error=False, description="A token of the service."))]
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_CLEAN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The clean image; with Accept: multipart/mixed, the whole report is a second part.",
        "content": dict.fromkeys(sorted({*MEDIA_TYPES.values(), "multipart/mixed"}), _BINARY),
        "headers": {REPORT_HEADER: {"description": "A short report, JSON.", "schema": {"type": "string"}}},
    }
}


class Service:
    """A service: its settings, pipelines, workers and metrics. Raises `UsageError` when a pipeline is not valid."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._sources = {name: source(place) for name, place in settings.pipelines.items()}
        for name in self._sources:
            self.pipeline(name)
        self.crew = crew = Crew(settings, self.pipeline(), lambda why: self.metrics.replaced.labels(why).inc())
        self.metrics = Metrics(lambda: crew.queued, lambda: crew.busy, lambda: crew.untaken, lambda: float(crew.ready))

    def pipeline(self, name: str | None = None, **overrides: Any) -> Pipeline:
        """A pipeline of this service with a request's changes. Raises `UsageError` and its kinds."""
        chosen = name or self.settings.pipeline
        if chosen not in self._sources:
            raise UnknownName("pipeline", chosen, tuple(self._sources))
        pipeline = parse(self._sources[chosen], chosen, **overrides)
        limits, ours = pipeline.limits, self.settings
        bounded = Limits(min(limits.bytes, ours.max_bytes), min(limits.pixels, ours.max_pixels), limits.frames)
        return replace(pipeline, limits=bounded)

    async def answer(self, request: Request, kind: Literal["anonymize", "inspect"], choice: Choice) -> Response:
        """Receive a photo and have it worked on. Raises what the request is answered with instead.

        The request has a place until its answer is taken, for which there is the deadline's time once more.
        """
        pipeline = self.pipeline(choice.pipeline, **choice.overrides())
        until = asyncio.get_running_loop().time() + self.settings.deadline
        watch = Stopwatch()
        with ExitStack() as place:
            place.enter_context(self.crew.place())
            with watch("receive"):
                data = await receive(request, self.settings.max_bytes, until)
            task = Task(kind, data, pipeline, self.settings.key)
            answer = await _unless_gone(request, self.crew.do(task, until, watch))
            response = self._respond(request, kind, answer, watch)
            place.enter_context(self.crew.sending())
            return Kept(response, place.pop_all(), self.settings.deadline)

    def _respond(
        self, request: Request, kind: Literal["anonymize", "inspect"], answer: Answer, watch: Stopwatch
    ) -> Response:
        self.metrics.worked(watch.milliseconds)
        _log.info("%s: %s, %d faces, %s ms", kind, answer.status, answer.faces, watch.milliseconds)
        if kind == "inspect":
            response: Response = JSONResponse(answer.report, headers=dict(HEADERS))
        else:
            self.metrics.photos.labels(answer.status).inc()
            # A perturbed face is in sight, and never counted among those concealed.
            self.metrics.faces.inc(answer.faces - sum(map(len, answer.report.get("protections", ()))))
            self.metrics.worked(answer.report["milliseconds"])
            response = clean(request, answer)
        steps = (f"{step};dur={spent}" for step, spent in watch.milliseconds.items())
        response.headers["Server-Timing"] = ", ".join(steps)
        return response


async def _unless_gone(request: Request, work: Any) -> Answer:
    """The work's answer; given up while it waits if the client leaves meanwhile."""
    job = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise ClientDisconnect
        answer: Answer = job.result()
        return answer
    finally:
        job.cancel()
        gone.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def create_app(service: Service) -> FastAPI:
    """A service as an ASGI app, without its guard (`cloak.service.guard`)."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Beside the app, not before it: /healthz and /readyz answer while the models load.
        starting = asyncio.create_task(service.crew.start())
        yield
        starting.cancel()
        await service.crew.end()

    app = FastAPI(
        title="cloak",
        version=version("cloak-images"),
        description="Makes photos safe to publish: conceals every face, strips all metadata, proves both.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would read the query, whatever bytes that holds
        lifespan=lifespan,
    )
    problems.install(app, service.metrics.refused)

    @app.post(
        "/v1/anonymize",
        response_class=Response,
        responses=_CLEAN | _REFUSALS,
        openapi_extra=_BODY,
        dependencies=_BEARER,
    )
    async def anonymize(request: Request, choice: Annotated[AnonymizeChoice, Query()]) -> Response:
        """Conceal every face in a photo and strip all metadata."""
        return await service.answer(request, "anonymize", choice)

    @app.post(
        "/v1/inspect",
        response_class=JSONResponse,
        responses=_REFUSALS,
        openapi_extra=_BODY,
        dependencies=_BEARER,
    )
    async def inspect(request: Request, choice: Annotated[Choice, Query()]) -> Response:
        """Name the faces and the carriers of metadata in a photo, without their values."""
        return await service.answer(request, "inspect", choice)

    @app.get("/healthz", responses=_problems(421))
    async def healthz() -> dict[str, str]:
        """The service runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses=_problems(421, 503))
    async def readyz() -> dict[str, str]:
        """The models are loaded and photos are taken."""
        if not service.crew.ready:
            stopping = service.crew.stopping
            raise Unavailable("the service is stopping" if stopping else "the models are not loaded yet", retry_after=1)
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, responses=_TEXT | _problems(401, 421), dependencies=_BEARER)
    async def metrics() -> Response:
        """Counts and seconds, for Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(manual.page(app.openapi()), headers=dict(manual.HEADERS))

    return app
