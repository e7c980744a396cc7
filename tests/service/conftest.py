"""A real `cloak serve` process, and how tests speak to it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from cloak.service import wire

TOKEN = "a-token-for-the-tests-0123456789"


class Running:
    """A service in a process of its own. `http` speaks to it, with the token if it has one."""

    def __init__(self, process, url, token):
        self.process, self.url = process, url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False)

    def family(self):
        """Process ids of all its processes, besides itself, with that of their parent."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = f"CLOAK_TEST={self.url}".encode() in (process / "environ").read_bytes()
                state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
                if ours and state != "Z" and int(process.name) != self.process.pid:
                    found[int(process.name)] = int(parent)
        return found

    def workers(self):
        """Process ids of its workers: they are forked from a process that its own forked for that."""
        return [pid for pid, parent in self.family().items() if parent != self.process.pid]


@contextlib.contextmanager
def service(*options, token=TOKEN, environment=(), ready=True):
    """Start `cloak serve` on a free port, and end it as an operator would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "cloak.cli", "serve", "--port", str(port), *map(str, options)]
    variables = {**os.environ, "CLOAK_TEST": url, **dict(environment)}
    variables.pop("CLOAK_TOKEN", None)
    if token:
        variables["CLOAK_TOKEN"] = token
    process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    running = Running(process, url, token)
    try:
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                if running.http.get("/readyz" if ready else "/healthz").status_code == 200:
                    break
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end, "the service did not start"
            time.sleep(0.1)
        yield running
    finally:
        running.http.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextlib.contextmanager
def connections(app):
    """A function that opens a connection to an app in a server of its own, in this process; `server` is that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=wire.Impatient, ws="none", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        opened = []

        def connection():
            opened.append(socket.create_connection(listener.getsockname(), timeout=20))
            return opened[-1]

        connection.server = server
        try:
            yield connection
        finally:
            for one in opened:
                one.close()
            server.should_exit = True
            thread.join(20)


@contextlib.contextmanager
def writing(file, *pids):
    """A list that holds, after the block, what processes opened for writing within it, as strace tells."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-e", "trace=open,openat,creat,memfd_create", "-o", file]
    tracer = subprocess.Popen([*command, *(f"-p{pid}" for pid in pids)], stderr=subprocess.DEVNULL)
    while any("TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text() for pid in pids):
        if tracer.poll() is not None:
            pytest.skip("this machine does not let us trace")
        time.sleep(0.05)
    found = []
    yield found
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    lines = file.read_text().splitlines()
    assert any("O_RDONLY" in line for line in lines)  # the trace works
    found += [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|memfd", line)]


@pytest.fixture(scope="session")
def running():
    """One service for all tests that do not harm it."""
    with service("--workers", "1", "--max-bytes", "2000000", "--max-pixels", "4000000") as started:
        yield started
