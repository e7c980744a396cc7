"""Telling every open page what changed, as server-sent events; the stream that ends tells that a page is gone."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

PING = 5.0
"""Seconds between signs of life: writing to a connection that is gone is how its end is noticed."""


class Hub:
    """The streams of all open pages."""

    def __init__(self) -> None:
        self._streams: dict[asyncio.Queue[str | None], str] = {}
        self._closed = False

    def tell(self, kind: str, data: Any) -> None:
        """Send an event to all pages."""
        for queue in self._streams:
            queue.put_nowait(f"event: {kind}\ndata: {json.dumps(data)}\n\n")

    async def stream(self, client: str, gone: Callable[[str], None]) -> AsyncIterator[str]:
        """The events of one page; `gone` is called when its last stream has ended."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._streams[queue] = client
        try:
            yield "retry: 1000\nevent: hello\ndata: {}\n\n"
            while not self._closed:
                try:
                    async with asyncio.timeout(PING):
                        event = await queue.get()
                except TimeoutError:
                    event = "event: ping\ndata: {}\n\n"
                if event is None:
                    return
                yield event
        finally:
            del self._streams[queue]
            if client not in self._streams.values():
                gone(client)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for queue in self._streams:
            queue.put_nowait(None)
