"""Starting and stopping a server: requests in flight end, new ones are told that it stops."""

import logging
import time
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from cloak.errors import CloakError, SetupError
from cloak.process import end_at_once
from cloak.service.wire import Impatient


class Life(Protocol):
    """What a server asks of the app that it serves."""

    @property
    def idle(self) -> bool:
        """No request is in flight."""

    @property
    def failure(self) -> CloakError | None:
        """Why the app can never work, if it cannot."""

    def stop(self) -> None:
        """New requests are to be refused from now on."""


class Server(uvicorn.Server):
    """Uvicorn, stopping gracefully: uvicorn alone closes its door at once, so that callers see a refused connection.

    Args:
        config: uvicorn's.
        life: of the app.
        grace: seconds after a signal at which the server ends all the same.
    """

    def __init__(self, config: uvicorn.Config, life: Life, grace: float) -> None:
        super().__init__(config)
        self._life, self._grace = life, grace
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """The first signal lets requests in flight end, the second ends at once."""
        if self._until is not None:
            # Not by way of uvicorn: it would have the app tell of its end in a traceback, and Python wait for what the
            # workers have in hand. They end with this process.
            end_at_once(130)
        self._until = time.monotonic() + self._grace
        self._life.stop()

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn asks ten times a second whether to end."""
        over = self._until is not None and (self._life.idle or time.monotonic() > self._until)
        if over or self._life.failure:
            self.should_exit = True
        return await super().on_tick(counter)


class _Silent(logging.Filter):
    """Uvicorn logs errors of an app with their traceback, whose words may hold values of a photo."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


def serve(app: ASGIApp, host: str, port: int, life: Life, grace: float) -> None:
    """Serve an app until a signal ends it.

    Args:
        app: with its guard.
        host, port: where to listen; port 0 takes a free one. A line on the log tells which.
        life: of the app.
        grace: seconds that requests in flight get after a signal.

    Raises `SetupError` when it cannot listen there, and the app's own failure.
    """
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        http=Impatient, ws="none", lifespan="on", timeout_keep_alive=30, timeout_graceful_shutdown=5,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").addFilter(_Silent())
    server = Server(config, life, grace)
    try:
        server.run()
    except SystemExit:  # uvicorn's way to say that it could not start
        if not server.started:
            raise SetupError(
                f"the service cannot listen on {host}, port {port}",
                next_step="Is another service running there? Name another --port.",
            ) from None
        raise
    if life.failure:
        raise life.failure
