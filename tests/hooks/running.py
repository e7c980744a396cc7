"""What the tests of hooks share: programs in the background, the service, a photo to protect, and what clean means."""

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import piexif
import pytest
from PIL import Image, ImageOps

from cloak import metadata
from cloak.metadata.base import Kind

ROOT = Path(__file__).parent.parent.parent
INTEGRATIONS = ROOT / "integrations"
SECRET = b"Kept-Secret-Place-7351"
TOKEN = "a-token-for-tests"
REPORT = {"Cloak-Report": '{"status":"no-face","verified":["faces"]}', "Content-Type": "image/jpeg"}


def need(*tools):
    """Skip without the tools; fail where scripts/test_hooks.sh promised them."""
    missing = [tool for tool in tools if not (shutil.which(tool) or Path(tool).exists())]
    if missing:
        words = f"needs {', '.join(missing)}: run sh scripts/test_hooks.sh"
        pytest.fail(words) if os.environ.get("CLOAK_HOOKS") else pytest.skip(words)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, ready, log, seconds=120, **options):
    """A program in the background, from when `ready()` is true until the block ends."""
    options |= {"start_new_session": True}  # PHP's workers outlive the program that started them
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, **options) as process:
        try:
            for _ in range(10 * seconds):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]} ended: {log.read_text()[-2000:]}")
                with contextlib.suppress(OSError, httpx.HTTPError):
                    if ready():
                        break
                time.sleep(0.1)
            else:
                raise RuntimeError(f"{command[0]} is not ready: {log.read_text()[-2000:]}")
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@dataclass
class Service:
    """`cloak serve`, which a test may stop; the next one that asks finds it running."""

    folder: Path
    port: int = field(default_factory=free_port)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    alive: bool = False

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        if not self.alive:
            command = [
                sys.executable,
                "-m",
                "cloak.cli",
                "serve",
                "--quiet",
                "--workers",
                "1",
                "--port",
                str(self.port),
            ]
            environment = {**os.environ, "CLOAK_TOKEN": TOKEN}
            ready = lambda: httpx.get(f"{self.address}/readyz").status_code == 200  # noqa: E731
            self.stack.enter_context(running(command, ready, self.folder / "service.log", env=environment))
            self.alive = True
        return self

    def stop(self):
        self.stack.close()
        self.alive = False


def make_photo(noise=0, size=(840, 560), quality=90):
    """Bytes of a JPEG with one large face in the middle; noise makes the file big."""
    shade = np.linspace(60, 180, size[0])[None, :, None] + np.zeros((size[1], 1, 3))
    if noise:
        shade += np.random.default_rng(7).integers(-noise, noise, shade.shape)
    picture = Image.fromarray(np.clip(shade, 0, 255).astype(np.uint8))
    face = Image.open(ROOT / "tests/data/faces/astronaut.jpg").convert("RGB")
    face = face.resize((size[1] // 2, size[1] // 2 * face.height // face.width))
    picture.paste(face, ((size[0] - face.width) // 2, (size[1] - face.height) // 2))
    small = io.BytesIO()
    ImageOps.fit(picture, (160, 120)).save(small, "JPEG")
    gps = {1: b"N", 2: ((52, 1), (31, 1), (7, 1)), 3: b"E", 4: ((13, 1), (24, 1), (5, 1))}
    exif = piexif.dump({"0th": {0x0110: SECRET}, "GPS": gps, "1st": {0x0103: 6}, "thumbnail": small.getvalue()})
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling=0, exif=exif, comment=SECRET)
    return out.getvalue()


def assert_clean(data, original):
    """No metadata, and where the face of the original was, something else; around it, the same picture."""
    assert SECRET not in data
    parts = metadata.read(data).parts
    left = [p.name for p in parts if p.kind not in {Kind.STRUCTURE, Kind.PIXELS, Kind.COLOUR}]
    # What PHP's GD writes into the derivatives that it makes.
    assert left == [] or (left == ["COM"] and b"CREATOR: gd-jpeg" in data), left
    with Image.open(io.BytesIO(data)) as image:
        shown = np.asarray(image.convert("L"), dtype=float)
    before = np.asarray(ImageOps.fit(Image.open(io.BytesIO(original)).convert("L"), shown.shape[::-1]), dtype=float)
    difference = np.abs(shown - before)
    height, width = shown.shape
    face = difference[int(height * 0.31) : int(height * 0.41), int(width * 0.45) : int(width * 0.51)]
    assert face.mean() > 10, f"the face shows: {face.mean():.1f}"
    assert difference[:, : width // 12].mean() < 6


@contextlib.contextmanager
def before(service, *answers):
    """A server that gives some answers, (status, headers, body), and then those of the service; yields its address."""
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if waiting:
                status, headers, data = waiting.pop(0)
            else:
                token = {"Authorization": self.headers["Authorization"]}
                answer = httpx.post(f"{service.address}{self.path}", content=body, headers=token, timeout=120)
                status, headers, data = answer.status_code, answer.headers, answer.content
            self.send_response(status)
            for name in set(headers) - {"content-length", "date", "server"}:
                self.send_header(name, headers[name])
            if "Connection" not in headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
