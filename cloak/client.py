"""A client of the service, of the standard library alone and quick to import: for hooks that must not cost time."""

import http.client
import io
import json
import re
import time
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from cloak.errors import CloakError, Unavailable, UsageError, Withheld
from cloak.process import is_span, is_token

LARGEST_ANSWER = 1_000_000_000
"""Bytes: what answers is not trusted with more of this machine's memory."""


class Client:
    """One service. A plain class: dataclasses take a fifth of the time of this module's import.

    Args:
        server: its address, e.g. "http://127.0.0.1:8571".
        token: bearer token, "" for none.
        timeout: seconds to wait for a whole answer, and before that each for a connection and for the photo to be sent.
        patience: seconds to try again for while the service is full.

    Raises `UsageError` when the address or a time is not one, or no header can carry the token.
    """

    def __init__(self, server: str, token: str = "", timeout: float = 120.0, patience: float = 30.0) -> None:
        if not is_token(token):  # http.client would say so in words that repeat it
            raise UsageError(
                "the token of the service holds a space, a line's end or another character that no token has",
                next_step="Set it anew, without what stands around it.",
            )
        if not is_span(timeout) or not (patience == 0 or is_span(patience)):
            raise UsageError(
                "the time to wait for the service is not a valid number of seconds",
                next_step="Give one above 0, and no more than a day.",
            )
        self._server, self._token, self._timeout, self._patience = server, token, timeout, patience
        self._connection()

    def anonymize(self, data: bytes, **choice: Any) -> tuple[bytes, dict[str, Any]]:
        """The clean photo and the service's short report.

        Args:
            data: the photo.
            choice: query parameters of POST /v1/anonymize; None is left out, "" is a choice, as of `keep`.

        Raises `Unavailable` when the service does not answer or stays full, `Withheld` (one of its kinds) when the
        photo is refused, `UsageError` when the request is, or the pipeline leaves faces in sight.
        """
        query = urlencode({k: v for k, v in choice.items() if v is not None}, errors="surrogateescape")
        until = time.monotonic() + self._patience
        while True:
            try:
                return self._ask(data, query)
            except Unavailable as error:
                if not error.retry_after or time.monotonic() + error.retry_after > until:
                    raise
                time.sleep(error.retry_after)

    def _ask(self, data: bytes, query: str) -> tuple[bytes, dict[str, Any]]:
        headers = {"Content-Type": "application/octet-stream", "Accept": "image/*"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection, prefix = self._connection()
        try:
            connection.request("POST", f"{prefix}/v1/anonymize?{query}", data, headers)
            until = time.monotonic() + self._timeout
            connection.response_class = partial(_Answer, until=until)  # type: ignore[assignment]
            with connection.getresponse() as answer:
                # An answer that does not say where it ends may have broken off anywhere.
                bounded = answer.chunked or answer.length is not None
                body = answer.read(LARGEST_ANSWER)
                # read() with a bound does not say that the connection ended early: `length` is what is missing.
                whole = bounded and not answer.read(1) and not answer.length
        except (OSError, http.client.HTTPException) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            raise Unavailable(f"the service does not answer: {words}", retry_after=0) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise _error(answer.status, answer.headers.get("Retry-After", ""), body)
        # What answers may be anything that listens there: only cloak's own word makes a photo clean.
        report = _document(answer.headers.get("Cloak-Report", "").encode())
        status, image = report.get("status"), body and answer.headers.get_content_maintype() == "image"
        if status not in ("concealed", "no-face", "perturbed") or not report.get("verified") or not image:
            raise Unavailable(
                "what answers is not cloak's service", retry_after=0, next_step="Check the address of the service."
            )
        if not whole:
            raise Unavailable(
                "the service's answer did not come whole",
                retry_after=0,
                next_step="Check the service's log; a proxy before it must pass Content-Length on, or speak HTTP/1.1.",
            )
        if status == "perturbed":
            raise UsageError(
                "the service's pipeline leaves faces in sight (perturb): its photos are not clean",
                next_step="Name a pipeline of the service that conceals them.",
            )
        return body, report

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        try:
            address = urlsplit(self._server)
            kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
            if not address.hostname or address.query or address.username or not address.path.isascii():
                raise ValueError
            address.hostname.encode("idna")  # as every connection does: a ValueError for what is no name
            connection = kinds[address.scheme](address.hostname, address.port, timeout=self._timeout)
        except (ValueError, KeyError, http.client.InvalidURL):
            raise UsageError(
                "the address of the service is not valid", next_step="Write it as http://127.0.0.1:8571."
            ) from None
        return connection, address.path.rstrip("/")


class _Answer(http.client.HTTPResponse):
    """An answer that must come whole until a point of time: a socket's own timeout starts anew with every byte."""

    def __init__(self, sock: Any, *arguments: Any, until: float, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Until(sock, self.fp.detach(), until))


class _Until(io.RawIOBase):
    """The bytes of a socket, for as long as there is time."""

    def __init__(self, sock: Any, raw: io.RawIOBase, until: float) -> None:
        self._socket, self._raw, self._until = sock, raw, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _error(status: int, retry_after: str, body: bytes) -> CloakError:
    """The error that a problem document names; its words are the service's."""
    problem = _document(body)
    words = _plain(problem.get("detail")) or f"the service answered with HTTP {status}"
    step = _plain(problem.get("next")) or "Check the address of the service and its log."
    for kind in _kinds(Withheld):
        if kind.slug == problem.get("reason") and kind.http_status == status:
            return kind(words, next_step=step)
    if status in {401, 403}:
        return UsageError(f"the service wants a valid token: {words}", next_step="Set CLOAK_TOKEN.")
    if status == 503 and problem.get("reason") == Unavailable.slug:
        seconds = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 5
        return Unavailable(words, retry_after=seconds, next_step=step)
    if status >= 500 or not problem:
        return Unavailable(words, retry_after=0, next_step=step)
    if status == 408:
        return Unavailable(words, retry_after=1, next_step=step)
    return UsageError(words, next_step=step)


def _plain(words: object) -> str:
    """Words of whatever answers, as one line that is safe to print: it may send codes that drive a terminal."""
    return "".join(filter(str.isprintable, str(words or "")[:500]))


def _kinds(kind: type[Withheld]) -> list[type[Withheld]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _kinds(child))]


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
