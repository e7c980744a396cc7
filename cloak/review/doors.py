"""Who may come to the desk: with a one-time token on this machine, with a password from elsewhere."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloak.service.guard import host_name, of_another_site
from cloak.service.problems import of_status
from cloak.service.settings import is_loopback

MOST = 50
"""Invitations that may be open, and sessions for each; the oldest goes."""

OPEN = ("/enter", "/login", "/page/style.css", "/page/icon.svg", "/favicon.ico")
"""What needs no session: the doors themselves, and how they look."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""On every answer. Nothing is stored: pictures of originals would outlive the review in the browser's cache."""


@dataclass(slots=True)
class Session:
    """One browser: its secret, and the name of who sits at it."""

    secret: str
    editor: str

    def client(self, page: str) -> str:
        """A page of this browser, as others may see it."""
        return hashlib.sha256(f"{self.secret}|{page}".encode()).hexdigest()[:16]


class Doors:
    """Tokens, passwords and sessions; in memory only.

    Args:
        passwords: any of them opens the door at /login; none: there is no such door.
        editor: the name that a session starts with.
    """

    def __init__(self, passwords: Collection[str], editor: str) -> None:
        self._passwords = [password.encode() for password in passwords]
        self._editor = editor
        self._invitations: list[str] = []
        self._sessions: dict[str, Session] = {}

    def invite(self) -> str:
        """A token that lets one browser in, once."""
        token = secrets.token_urlsafe(24)
        self._invitations = [*self._invitations[1 - MOST :], token]
        return token

    def enter(self, token: str) -> Session | None:
        """A new session for a token, which is worth nothing from then on."""
        for known in self._invitations:
            if hmac.compare_digest(known.encode(), token.encode()):
                self._invitations.remove(known)
                return self._open(self._editor)
        return None

    def log_in(self, password: str, editor: str) -> Session | None:
        """A new session for a password."""
        # All are compared, in constant time each: how long it takes tells nothing.
        if sum(hmac.compare_digest(password.encode(), known) for known in self._passwords):
            return self._open(editor.strip()[:100])
        return None

    @property
    def has_passwords(self) -> bool:
        return bool(self._passwords)

    def session(self, secret: str) -> Session | None:
        """The session of a cookie."""
        return self._sessions.get(secret)

    def _open(self, editor: str) -> Session:
        session = Session(secrets.token_urlsafe(32), editor)
        self._sessions[session.secret] = session
        while len(self._sessions) > MOST:
            del self._sessions[next(iter(self._sessions))]
        return session


class DoorKeeper:
    """ASGI middleware: no session, no page; and the headers that keep a page to itself.

    Args:
        app: what is kept.
        doors: with the sessions.
        cookie: name of the session's cookie.
        anywhere: requests may call this machine by any name. Otherwise only by a name of loopback: a web page could
            reach the desk through a name of its own that it points at 127.0.0.1 (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, doors: Doors, cookie: str, anywhere: bool) -> None:
        self._app, self._doors, self._cookie, self._anywhere = app, doors, cookie, anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if not self._anywhere and not is_loopback(host_name(headers.get("host", ""))):
            return of_status(421, "the desk answers only to names of this machine")
        if of_another_site(scope["method"], headers):
            return of_status(403, "another site asked for this")
        if scope["path"] in OPEN:
            return None
        session = self._doors.session(_cookie(headers, self._cookie))
        if session is None:
            return of_status(401, "open the address that `cloak review` printed; each address works once")
        scope.setdefault("state", {})["session"] = session
        return None


def _cookie(headers: Headers, name: str) -> str:
    for pair in headers.get("cookie", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""
