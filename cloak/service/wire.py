"""Connections that cost more than they may are ended: uvicorn alone waits for ever, and bounds no header."""

import asyncio
from asyncio import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

IDLE = 15.0
"""Seconds that a client may take for the head of a request (and the rest of the body before it, where that was answered
unread), pause in a body, or take nothing of an answer."""

LONGEST_HEAD = 65_536
"""Bytes of a request's line and headers, or of what stands behind its body (trailers): nobody has looked at a token
when they come."""

LEAST = 65_536
"""Bytes of an answer that a client must take in `IDLE` seconds; answers that nobody takes would fill the memory."""


class Impatient(HttpToolsProtocol):
    """Uvicorn's protocol of one connection, with an end to waiting."""

    _reading: TimerHandle | None = None
    _writing: TimerHandle | None = None
    _held = 0
    _cycles: tuple[RequestResponseCycle, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # what a client does not take counts from its first byte
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self._cycles:  # uvicorn tells only the newest, and those before it would go on sending
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        self._head_came()
        self._taken()

    def data_received(self, data: bytes) -> None:
        self._held += len(data)
        super().data_received(data)
        if self._held > LONGEST_HEAD and not self.transport.is_closing():
            self._head_came()
            self.send_400_response("The head of the request is too long.")
        elif self.cycle is not None and self.cycle.response_complete:
            self._await_head()  # uvicorn's own wait ended with these bytes, be they of a body that was answered unread

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:  # a trailer, which comes behind the body, is none of the head's
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()
        self._cycles = (*(one for one in self._cycles if not one.response_complete), self.cycle)

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def _await_head(self) -> None:
        if self._reading is None:
            self._reading = self.loop.call_later(IDLE, self._late)

    def _late(self) -> None:
        self._reading = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:  # the answer to the request before it comes first
            self._await_head()

    def _head_came(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading, self._held = None, 0

    def _await_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._writing = self.loop.call_later(IDLE, self._look, left)

    def _look(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < LEAST:
            self.transport.abort()
        else:
            self._await_taking()

    def _taken(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
        self._writing = None
