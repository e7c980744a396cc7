"""The review's HTTP interface: the page, its pictures, and what an editor does."""

import asyncio
import contextlib
import html
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloak.decisions import changes
from cloak.errors import CloakError, Conflict, NotFound, NotWritten, TooLarge, UsageError, of_failure
from cloak.review.case import Case, detail, summary
from cloak.review.desk import Desk
from cloak.review.doors import Doors, Session
from cloak.review.events import Hub
from cloak.review.neighbours import Comparison
from cloak.review.pictures import Pictures
from cloak.review.workers import Task, Workers
from cloak.service import problems
from cloak.service.wire import IDLE
from cloak.store import Folder

KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

BODY = 4_000_000
"""Bytes of the largest request: ten thousand changes."""

FORM = 4_000
"""Bytes of the largest form at the door, where nobody is known yet: a name and a password."""

_GO = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>cloak review</title><p><a href="/">Go on</a></p></html>"""

AWAKE = 1.0
"""Seconds between looks at the ledger, to which a run adds photos, and at claims without a sign of life."""


class Review:
    """A desk with all that serves it; the `Life` of its server.

    Args:
        desk: with the photos.
        doors: who may come in.
        cookie: name of the session's cookie.
        workers: processes that carry out verdicts.
        deadline: seconds for one of them.
        key: secret that seeds the noise.
    """

    def __init__(self, desk: Desk, doors: Doors, cookie: str, workers: int, deadline: float, key: bytes) -> None:
        self.desk, self.doors, self.cookie, self.hub = desk, doors, cookie, Hub()
        self.pictures = Pictures(desk.key, Folder(desk.out), key)
        self.failure: CloakError | None = None
        self.guessing = asyncio.Lock()
        self._count, self._deadline, self._key = workers, deadline, key
        self._workers: Workers | None = None

    @property
    def idle(self) -> bool:
        """Nothing is lost by stopping now: verdicts that wait are in the ledger."""
        return True

    def stop(self) -> None:
        """Pages are told that the server stops."""
        self.hub.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The workers, with what an earlier server left to do, and a look at the ledger now and then."""
        loop = asyncio.get_running_loop()

        def done(id_: str, version_: int, failure: str, withdrawn: tuple[str, ...]) -> None:
            loop.call_soon_threadsafe(self._settle, id_, version_, failure, withdrawn)

        self._workers = Workers(self._count, self._deadline, done)
        for case in self.desk.unfinished():
            self._submit(case)
            with contextlib.suppress(NotWritten):  # who decided was told
                self.desk.keep(case)
        watching = [asyncio.create_task(self._lasting(work)) for work in (self._watch(), self._compare())]
        ready = asyncio.create_task(self._make_ready())
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait({ready, *watching})
            await asyncio.to_thread(self._workers.end)
            await asyncio.sleep(0)  # the last ones to settle
            self.desk.close()

    def told(self, case: Case) -> Case:
        """The case, after all pages heard of it."""
        self.hub.tell("photo", summary(case, self.desk.holder(case.id)))
        return case

    def decided(self, case: Case) -> Case:
        """The case, with its verdict on the way to a worker. Raises `NotWritten` if it has no sidecar."""
        self._submit(case)
        self.told(case)
        self.desk.keep(case)
        return case

    def gone(self, client: str) -> None:
        """A page was closed, or its connection lost: what it had is free."""
        for id_ in self.desk.leave(client):
            self.told(self.desk.case(id_))

    def _submit(self, case: Case) -> None:
        assert self._workers is not None
        self._workers.submit(Task(case.id, case.review.version, *self.desk.task(case, self._key)))

    def _settle(self, id_: str, version_: int, failure: str, withdrawn: tuple[str, ...]) -> None:
        try:
            case = self.told(self.desk.settle(id_, version_, failure, withdrawn))
        except Exception as error:
            self._end(error)
            return
        if withdrawn:  # who decided has gone on to the next photo
            self.hub.tell("withdrawn", {"name": case.name, "names": withdrawn})

    def _end(self, error: Exception) -> None:
        """Without what failed, pages would show what is no longer so: they are told, and the server ends."""
        self.failure = self.failure or of_failure(error)
        self.hub.tell("failed", {"words": f"{self.failure}. {self.failure.next_step}"})
        self.stop()

    async def _lasting(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what is to go on as long as the server."""
        try:
            await work
        except Exception as error:
            self._end(error)

    async def _make_ready(self) -> None:
        """The first photo's preview, made while the browser starts; what goes wrong is told when it is asked for."""
        for case in list(self.desk.cases.values())[:1]:
            with contextlib.suppress(CloakError):
                await run_in_threadpool(self.pictures.preview, case, "result", 0, 1600)

    async def _compare(self) -> None:
        """Frames of bursts are compared one by one, with as long a rest between: editors come first."""
        comparison = Comparison(self.pictures)
        while True:
            rest = AWAKE
            if found := self.desk.uncompared():
                started = time.monotonic()
                self.desk.compared(found[0], await run_in_threadpool(comparison.bare, *found))
                rest = time.monotonic() - started
            await asyncio.sleep(rest)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(AWAKE)
            for id_ in self.desk.lapsed():
                self.told(self.desk.case(id_))
            if self.desk.refresh():
                self.hub.tell("queue", {})


def create_app(review: Review) -> FastAPI:
    """A review as an ASGI app, without its door keeper (`cloak.review.doors`)."""
    desk = review.desk

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with review.open():
            yield

    app = FastAPI(
        title="cloak review", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    problems.install(app)

    def here(request: Request) -> tuple[Session, str]:
        """Whose page asks: its session, and its name among all pages."""
        session: Session = request.state.session
        return session, session.client(request.headers.get("x-cloak-page", ""))

    def let_in(session: Session) -> Response:
        # No redirect: after a link from another program it would come without the cookie, which is for this site only.
        response = Response(_GO, media_type="text/html")
        response.set_cookie(review.cookie, session.secret, httponly=True, samesite="strict", path="/")
        return response

    @app.get("/enter")
    async def enter(token: str = "") -> Response:
        session = review.doors.enter(token)
        if session is None:
            return problems.of_status(401, "this address was used before, or is of an earlier start")
        return let_in(session)

    @app.get("/login")
    async def door() -> Response:
        return _door("", 200) if review.doors.has_passwords else problems.of_status(404)

    @app.post("/login")
    async def log_in(request: Request) -> Response:
        form = parse_qs((await _body(request, FORM)).decode("utf-8", "replace"))
        if review.guessing.locked():  # before the password is looked at: one wrong guess a second, however many ask
            return _door("Somebody gave a wrong password just now. Try again in a second.", 429)
        session = review.doors.log_in(form.get("password", [""])[0], form.get("editor", [""])[0])
        if session is None:
            async with review.guessing:
                await asyncio.sleep(1)
            return _door("That is not the password.", 401)
        return let_in(session)

    @app.get("/")
    async def page() -> Response:
        return _file("index.html")

    @app.get("/page/{name}")
    async def asset(name: str) -> Response:
        return _file(name)

    @app.get("/favicon.ico")  # asked for by browsers on whatever names no icon, as the page that /enter answers
    async def icon() -> Response:
        return _file("icon.svg")

    @app.get("/api/session")
    async def session(request: Request) -> dict[str, Any]:
        who, client = here(request)
        return {
            "editor": who.editor, "client": client, "folder": desk.out.name, "cloak": version("cloak-images"),
        }  # fmt: skip

    @app.put("/api/session")
    async def rename(request: Request) -> dict[str, Any]:
        who, _ = here(request)
        who.editor = msgspec.convert((await _json(request)).get("editor", ""), str).strip()[:100]
        return {"editor": who.editor}

    @app.post("/api/invitations")
    async def invite(request: Request) -> dict[str, str]:
        return {"address": f"{request.url.scheme}://{request.url.netloc}/enter?token={review.doors.invite()}"}

    @app.get("/api/events")
    async def events(request: Request, page: str = "") -> Response:
        client = request.state.session.client(page)
        return StreamingResponse(review.hub.stream(client, review.gone), media_type="text/event-stream")

    @app.get("/api/photos")
    async def photos() -> JSONResponse:
        return JSONResponse([summary(case, desk.holder(case.id)) for case in desk.cases.values()])

    @app.get("/api/photos/{id_}")
    async def photo(id_: str) -> JSONResponse:
        return JSONResponse(detail(desk.case(id_), desk.holder(id_)))

    @app.post("/api/photos/{id_}/claim")
    async def claim(request: Request, id_: str) -> JSONResponse:
        who, client = here(request)
        for other in desk.leave_others(client, id_):  # whether or not it gets this one
            review.told(desk.case(other))
        new = desk.holder(id_) is None
        desk.claim(id_, client, who.editor)
        if new:
            review.told(desk.case(id_))
        return JSONResponse(detail(desk.case(id_), desk.holder(id_)))

    @app.put("/api/photos/{id_}/changes")
    async def change(request: Request, id_: str) -> JSONResponse:
        who, client = here(request)
        body = await _json(request)
        case = desk.change(id_, client, who.editor, _version(body, desk.case(id_)), _parsed(body))
        return JSONResponse(summary(review.told(case), desk.holder(id_)))

    @app.post("/api/photos/{id_}/accept")
    async def accept(request: Request, id_: str) -> JSONResponse:
        who, client = here(request)
        body = await _json(request)
        case = desk.accept(id_, client, _named(who), _version(body, desk.case(id_)))
        return JSONResponse(summary(review.decided(case), desk.holder(id_)))

    @app.post("/api/photos/{id_}/hold")
    async def hold(request: Request, id_: str) -> JSONResponse:
        who, client = here(request)
        body = await _json(request)
        reason = msgspec.convert(body.get("reason", ""), str)
        case = desk.hold(id_, client, _named(who), _version(body, desk.case(id_)), reason)
        return JSONResponse(summary(review.decided(case), desk.holder(id_)))

    @app.get("/api/photos/{id_}/preview/{side}")
    async def preview(
        id_: str,
        side: Literal["original", "result"],
        frame: int = 0,
        longest: int = Query(1600, ge=64, le=4096),
        quick: bool = False,
    ) -> Response:
        case = desk.case(id_)
        return _picture(await run_in_threadpool(review.pictures.preview, case, side, frame, longest, quick))

    @app.get("/api/photos/{id_}/tile/{side}/{level}/{column}/{row}")
    async def tile(
        id_: str, side: Literal["original", "result"], level: int, column: int, row: int, frame: int = 0
    ) -> Response:
        case = desk.case(id_)
        return _picture(await run_in_threadpool(review.pictures.tile, case, side, frame, level, column, row))

    return app


def _picture(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")


def _file(name: str) -> Response:
    """An asset of the page."""
    kind = KINDS.get("." + name.rpartition(".")[2])
    place = files("cloak.review").joinpath("page", name)
    if kind is None or "/" in name or "\\" in name or not place.is_file():
        raise NotFound("there is no such file")
    return Response(place.read_bytes(), media_type=kind)


def _door(words: str, status: int) -> Response:
    text = files("cloak.review").joinpath("page", "login.html").read_text("utf-8")
    return Response(text.replace("<!-- words -->", html.escape(words)), status, media_type="text/html")


async def _body(request: Request, most: int = BODY) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(IDLE):
            async for chunk in request.stream():
                data += chunk
                if len(data) > most:
                    raise TooLarge("the request is too large", next_step="Make fewer changes.")
    except TimeoutError:
        raise HTTPException(408) from None
    return bytes(data)


async def _json(request: Request) -> dict[str, Any]:
    # Of a type that no form can send: another site cannot ask for anything without being asked itself.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("the request is not JSON")
    try:
        body = json.loads(await _body(request))
        json.dumps(body, ensure_ascii=False).encode()  # escapes can write half a character, which is no text
    except (ValueError, RecursionError):
        raise UsageError("the request is not JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the request is no object")
    return body


def _version(body: dict[str, Any], case: Case) -> int:
    """The version that the page saw. Raises `Conflict` if it saw another record of the photo, perhaps another photo."""
    try:
        version_, record = msgspec.convert([body.get("version"), body.get("record")], tuple[int, str])
    except ValueError:
        raise UsageError("the request names no version") from None
    if record != case.record:
        raise Conflict(
            "a run has treated this photo again meanwhile: nothing was stored", next_step="Look at it again."
        )
    return version_


def _parsed(body: dict[str, Any]) -> Any:
    try:
        return changes(body.get("changes"))
    except (ValueError, TypeError, AttributeError):
        raise UsageError("the changes are none") from None


def _named(session: Session) -> str:
    if not session.editor:
        raise UsageError("a verdict needs a name", next_step="Say who you are, at the top of the page.")
    return session.editor
