"""Who may speak to a service: those with the token, or this very machine where none is set."""

import hmac
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cloak.service.problems import of_status
from cloak.service.settings import is_loopback


class Guard:
    """ASGI middleware that demands a bearer token.

    Without tokens the service listens on loopback, and only requests that call it by a loopback name are answered: a
    web page could otherwise reach it through a name of its own that it points at 127.0.0.1 (DNS rebinding). Nor may a
    page of another site have work done, even if it cannot read the answers.

    Args:
        app: what is guarded.
        tokens: any of them lets a request in.
        open_paths: paths that need no token.
    """

    def __init__(self, app: ASGIApp, tokens: Collection[str], open_paths: Collection[str] = ()) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._tokens:
                if not is_loopback(host_name(headers.get("host", ""))):
                    refusal = of_status(421, "without a token, the service answers only to names of this machine")
                elif of_another_site(scope["method"], headers):
                    refusal = of_status(403, "without a token, the service works for no page of another site")
            elif scope["path"] not in self._open and not self._allowed(headers.get("authorization", "")):
                refusal = of_status(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
        await (refusal or self._app)(scope, receive, send)

    def _allowed(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "bearer":
            return False
        sent = given.strip().encode()
        # All are compared, in constant time each: how long it takes tells nothing.
        return sum(hmac.compare_digest(sent, token) for token in self._tokens) > 0


def of_another_site(method: str, headers: Headers) -> bool:
    """Whether a browser says that a page of another site wants something done. Looking is free: it gets no answer."""
    origin = headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2] != headers.get("host", "")
    return method not in {"GET", "HEAD"} and (foreign or headers.get("sec-fetch-site") == "cross-site")


def host_name(header: str) -> str:
    """The name in a Host header, without its port; "" if there is anything else in it."""
    found = re.fullmatch(r"(?:\[([^]]*)]|([^][:]*))(?::[0-9]*)?", header)
    return (found[1] or found[2]).lower() if found else ""
