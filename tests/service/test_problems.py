"""What no real photo provokes: a fault of the service itself, and parts that are not installed."""

import asyncio
import logging
import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI

from cloak.service import problems
from cloak.service.server import _Silent


def test_an_internal_error_tells_its_kind_and_none_of_its_words(caplog):
    app, seen = FastAPI(), []
    problems.install(app, seen.append)

    @app.get("/")
    async def fail():
        raise ValueError("words of a photo")

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["detail"]) == (500, "internal error: ValueError")
    assert seen == ["error"]
    assert "words of a photo" not in answer.text + caplog.text


def test_tracebacks_do_not_reach_the_log(caplog):
    try:
        raise ValueError("words of a photo")
    except ValueError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Exception", (), sys.exc_info())
    assert _Silent().filter(record)
    assert "words of a photo" not in logging.Formatter().format(record)


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [("fastapi", ["serve"], "serve"), ("watchfiles", ["watch", ".", "--out", "{out}"], "watch")],
)
def test_a_missing_extra_is_named(tmp_path, missing, arguments, extra):
    code = f"import sys; sys.modules[{missing!r}] = None; from cloak.cli import main; main()"
    command = [sys.executable, "-c", code, *(word.format(out=tmp_path / "out") for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert f"cloak-images[{extra}]" in done.stderr
