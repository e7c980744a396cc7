"""Errors as problem documents (RFC 9457); the library's tree of errors decides the status."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from cloak.errors import CloakError, Unavailable, UsageError

MEDIA_TYPE = "application/problem+json"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason", "next"],
    "properties": {
        "type": {"type": "string", "description": "urn:cloak:problem: and the reason"},
        "title": {"type": "string", "description": "the status in words"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened, for a person; nothing of the photo"},
        "reason": {"type": "string", "description": "the stable name of the reason"},
        "next": {"type": "string", "description": "what to do next, for a person"},
    },
}

_log = logging.getLogger("cloak.service")

_NEXT = {
    401: "Send the header Authorization: Bearer TOKEN.",
    403: "Ask from a program, or from a page of the service's own.",
    404: "See /docs for the paths that there are.",
    405: "See /docs for the methods of this path.",
    408: "Send the photo again, without pauses.",
    421: "Call the service by the name of this machine, or start it with a token.",
}


def problem(
    status: int, reason: str, detail: str, next_step: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem document as a response."""
    document = {
        "type": f"urn:cloak:problem:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "reason": reason,
        "next": next_step,
    }
    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return JSONResponse(document, status, {**fixed, **(headers or {})}, MEDIA_TYPE)


def of_error(error: CloakError) -> JSONResponse:
    """The problem document of an error of the library."""
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}
    return problem(error.http_status, error.slug, str(error), error.next_step, headers)


def of_status(status: int, detail: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """The problem document of a fault of HTTP itself: no such path, no token, ..."""
    words = detail or HTTPStatus(status).phrase
    return problem(status, slug(status), words, _NEXT.get(status, "See /docs."), headers)


def slug(status: int) -> str:
    """The reason that a fault of HTTP itself gives."""
    return HTTPStatus(status).phrase.lower().replace(" ", "-")


def install(app: FastAPI, seen: Callable[[str], None] = lambda _: None) -> None:
    """Let an app answer every error with a problem document; `seen` is told the reason of each."""

    def library(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, CloakError)
        seen(error.slug)
        _log.info("%s: refused, %s", getattr(request.scope.get("route"), "path", "-"), error.slug)
        return of_error(error)

    def parameters(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        seen(UsageError.slug)
        return of_error(UsageError(_words(error), next_step="Correct the address; /docs lists the parameters."))

    def protocol(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        response = of_status(error.status_code, headers=dict(error.headers or {}))
        seen(slug(error.status_code))
        return response

    def gone(_: Request, __: Exception) -> JSONResponse:
        seen("client-gone")
        return of_status(408)  # which nobody reads

    def internal(_: Request, error: Exception) -> JSONResponse:
        # The error's own words may hold values of a photo: its kind is told.
        seen(CloakError.slug)
        _log.error("internal error: %s", type(error).__name__)
        return of_error(CloakError(f"internal error: {type(error).__name__}"))

    app.add_exception_handler(CloakError, library)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(HTTPException, protocol)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, internal)


def _words(error: RequestValidationError) -> str:
    """What is wrong with the parameters, without repeating what the caller sent."""
    found = []
    for fault in error.errors():
        unknown = fault["type"] == "extra_forbidden"
        found.append("unknown parameter" if unknown else f"{fault['loc'][-1]}: {fault['msg']}")
    return "; ".join(sorted(set(found)))
