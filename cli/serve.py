"""`cloak serve`: the HTTP service."""

import hashlib
import logging
import os
from pathlib import Path

import click

from .options import POSITIVE, max_memory_option, noise_key_option


@click.command(name="serve", short_help="Serve clean photos over HTTP, for content systems and hooks.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others demand a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8571, show_default=True, help="Port; 0: a free one.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="Bearer tokens, one a line (or one in CLOAK_TOKEN)."
)
@click.option("--pipeline", "-p", default="cms", show_default=True, metavar="NAME", help="For requests without one.")
@click.option(
    "--add-pipeline", multiple=True, metavar="NAME=FILE.toml", help="A pipeline of your own that requests may name."
)
@click.option("--workers", "-j", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [cores].")
@click.option("--queue", type=click.IntRange(0), default=16, show_default=True, help="Requests that may wait.")
@click.option("--deadline", type=POSITIVE, default=60.0, show_default=True, help="Seconds for one request.")
@click.option("--max-bytes", type=click.IntRange(1), default=100_000_000, show_default=True, help="Largest body.")
@click.option(
    "--max-pixels", type=click.IntRange(1), default=100_000_000, show_default=True, help="Largest photo, all frames."
)
@max_memory_option
@noise_key_option
@click.option("--quiet", "-q", is_flag=True, help="Log warnings only.")
def command(
    host: str,
    port: int,
    token_file: Path | None,
    pipeline: str,
    add_pipeline: tuple[str, ...],
    workers: int,
    queue: int,
    deadline: float,
    max_bytes: int,
    max_pixels: int,
    max_memory: int,
    noise_key: str | None,
    quiet: bool,
) -> None:
    """Take photos at POST /v1/anonymize and answer with clean ones; see docs/service.md and /docs of the service.

    Originals are held in memory only. SIGTERM or Ctrl-C stops it: requests in flight end, new ones get 503.
    """
    from cloak import pool

    pool.prepare("cloak.service.work")  # while this process imports the server
    from cloak.errors import MissingExtra, UsageError
    from cloak.pipeline import SHIPPED

    try:
        from cloak.service.app import OPEN_PATHS, Service, create_app
        from cloak.service.guard import Guard
        from cloak.service.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cloak"):
            raise
        raise MissingExtra("the service", "serve") from None
    from cloak.service.settings import Settings, demand_token, read_tokens

    pipelines = {name: name for name in SHIPPED}
    for pair in add_pipeline:
        name, equals, file = pair.partition("=")
        if not equals or not name or not file.endswith(".toml"):
            raise UsageError("--add-pipeline takes NAME=FILE.toml")
        pipelines[name] = file
    tokens = read_tokens(token_file)
    demand_token(host, tokens)
    key = {"key": hashlib.sha256(noise_key.encode()).digest()} if noise_key else {}
    service = Service(
        Settings(pipelines, pipeline, tokens=tokens, workers=workers, queue=queue, deadline=deadline,
                 max_bytes=max_bytes, max_pixels=max_pixels, max_memory=max_memory, **key)
    )  # fmt: skip
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level="WARNING" if quiet else "INFO")
    serve(Guard(create_app(service), tokens, OPEN_PATHS), host, port, service.crew, grace=deadline)
