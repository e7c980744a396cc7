"""A small shoot that was run through the newsroom, a server over it, and a real browser that looks at it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx
import pytest

from cloak.review import workers

CLOAK = [sys.executable, "-m", "cloak.cli"]
HOSTILE = '"><img src=x onerror=alert(1)>.jpg'
BROWSER = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def shoot(tmp_path_factory, samples):
    root = tmp_path_factory.mktemp("review") / "shoot"
    root.mkdir()
    for name in ("group.jpg", "landscape.jpg", "located.jpg"):
        shutil.copy(samples / name, root / name)
    shutil.copy(samples / "turned.jpg", root / HOSTILE)
    return root


@pytest.fixture(scope="session")
def batch(shoot):
    """What `cloak run` of the newsroom leaves: nothing published, everything waiting."""
    out = shoot.parent / "public"
    command = [*CLOAK, "run", shoot, "-o", out, "-p", "newsroom", "--recall", "fast", "--keep", "icc", "-j", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    return out


@dataclass
class Server:
    """`cloak review` over an output folder."""

    out: object
    reviewer: str = "Ada"
    port: int = 0
    process: object = None
    words: list = field(default_factory=list)

    def start(self):
        command = [*CLOAK, "review", self.out, "--no-browser", "--port", self.port, "--reviewer", self.reviewer]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        line = self.process.stdout.readline()
        self.words.append(line)
        found = re.search(r"http://127.0.0.1:(\d+)/enter\?token=(\S+)", line)
        assert found, line + self.process.stdout.read()
        self.address, self.port, self.token = found.group(), int(found[1]), found[2]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.words.append(self.process.communicate(timeout=60)[0])
        elif self.process:
            self.process.stdout.close()
        self.process = None


@pytest.fixture
def copied(batch, tmp_path):
    """The batch, for one test to change."""
    for name in ("public", "public.cloak"):
        shutil.copytree(batch.with_name(name), tmp_path / name)
    return tmp_path / "public"


@pytest.fixture
def server(copied):
    made = Server(copied).start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chromium():
    if BROWSER is None:
        pytest.skip("chromium is not here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, server):
    """A function that opens the desk in a browser of its own; a page that complains fails the test."""
    contexts, complaints = [], []

    def open_(address=None, expect_complaints=False, **options):
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        if not expect_complaints:
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: message.type == "error" and complaints.append(complaint(message)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        visit(page, address or server.address)
        page.wait_for_selector("body[data-opened]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def killed_before_rename(task):
    """For a worker: carry out a verdict up to where the photo would get its name."""
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    return workers._carry_out(task)


def complaint(message):
    return f"{message.text} {message.location.get('url', '')}"


def visit(page, address):
    """Go there, once the server listens: the address works only once."""
    visit_http(address)
    page.goto(address, wait_until="commit")


def wait_for(condition, seconds=120):
    """Until something is so, in another process."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def published(server, name):
    """The bytes at a name of the output folder, None if there are none."""
    path = server.out / name
    return path.read_bytes() if os.path.exists(path) else None


def visit_http(address):
    """Until the server at an address listens."""
    url = "/".join(address.split("/")[:3])

    def answers():
        try:
            return httpx.get(url, trust_env=False, timeout=30).status_code == 401
        except httpx.TransportError:
            return False

    wait_for(answers)
