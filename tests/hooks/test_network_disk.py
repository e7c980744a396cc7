"""Originals, output and ledger on a real network disk (sshfs), over a line that is slow, stalls, and breaks."""

import contextlib
import os
import socket
import subprocess
import threading
import time

import pytest

from tests.faults.conftest import Shoot, digests, environment, files
from tests.hooks.running import need

pytestmark = pytest.mark.hooks

SERVER = "/usr/lib/openssh/sftp-server"

SLOWLY = {"at": "cloak.anonymizer:_search", "do": "sleep:1"}
"""Time for something to happen to the line between the first photo and the last."""


class Disk:
    """A folder of a server, mounted over a line that delays what goes each way.

    Attributes:
        flows: whether anything comes through now.
    """

    def __init__(self, far, near, delay):
        self.far, self.near, self.delay = far, near, delay
        self.flows = threading.Event()
        self.flows.set()
        self.closes = contextlib.ExitStack()
        near.mkdir(exist_ok=True)

    def __enter__(self):
        listener = self.closes.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=self._connect, args=(listener,), daemon=True).start()
        port = f"directport={listener.getsockname()[1]}"
        command = ["sshfs", "-o", port, f"127.0.0.1:{self.far}", self.near]
        if subprocess.run(command, timeout=60).returncode:
            self.__exit__()
            pytest.skip("this machine does not let us mount a network disk")
        return self

    def __exit__(self, *_):
        self.flows.set()
        subprocess.run(["umount", "-l", self.near], capture_output=True)
        self.closes.close()

    def _connect(self, listener):
        self.line, _ = listener.accept()
        listener.close()  # sshfs may call again when the line is cut, and would wait for ever to be answered
        server = subprocess.Popen([SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        ways = [(self.line.recv, server.stdin.write), (server.stdout.read, self.line.sendall)]
        passing = [threading.Thread(target=self._pass_on, args=way) for way in ways]
        for thread in passing:
            thread.start()
            self.closes.callback(thread.join)
        for close in (self.line.close, server.stdin.close, server.stdout.close):
            self.closes.callback(close)
        self.closes.callback(lambda: (self.cut(), server.kill(), server.wait()))

    def _pass_on(self, take, give):
        with contextlib.suppress(OSError, ValueError):  # the line is cut
            while data := take(1 << 16):
                time.sleep(self.delay)
                self.flows.wait()
                give(data)

    def cut(self):
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def disk(tmp_path):
    need("sshfs", SERVER)
    (tmp_path / "far").mkdir()
    with Disk(tmp_path / "far", tmp_path / "near", delay=0.005) as disk:
        yield disk


def begin(shoot, disk, *options):
    """A run, until its first photo is published."""
    run = subprocess.Popen(
        shoot.command("-j", "2", *options),
        env=environment(SLOWLY),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(disk.far.glob("public/[0-9].jpg")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return run


def shoot_on(disk, tmp_path, jpeg):
    shoot = Shoot(disk.near, jpeg)
    shoot.report = tmp_path / "report.json"
    return shoot


def test_a_network_disk_that_is_slow_and_stalls_only_takes_longer(disk, tmp_path, jpeg):
    shoot = shoot_on(disk, tmp_path, jpeg)
    shoot.add(*(f"{number}.jpg" for number in range(6)))
    run = begin(shoot, disk)
    disk.flows.clear()
    time.sleep(15)
    assert run.poll() is None
    disk.flows.set()
    _, words = run.communicate(timeout=240)
    assert (run.returncode, words) == (0, "")
    assert len(shoot.published()) == 6
    shoot.check()


def test_originals_on_a_disk_that_does_not_answer_are_withheld_at_the_deadline_and_the_run_ends(disk, tmp_path, jpeg):
    """A process that waits for such a disk cannot be killed: the system lets it go when the disk answers."""
    shoot = shoot_on(disk, tmp_path, jpeg)
    shoot.out = tmp_path / "public"
    shoot.add("a.jpg", "b.jpg", "c.jpg")
    with (tmp_path / "words").open("w") as words:  # no pipe: who hangs in the system keeps its end open
        run = subprocess.Popen(shoot.command("-j", "1", "--deadline", "15"), env=environment(SLOWLY), stderr=words)
    while not (shoot.out / "a.jpg").exists():
        time.sleep(0.05)
    disk.flows.clear()
    assert run.wait(120) == 1, (tmp_path / "words").read_text()
    rows = shoot.rows()
    assert (rows["a.jpg"]["status"], rows["c.jpg"].get("reason")) == ("concealed", "timed-out")
    disk.flows.set()
    shoot.run("-j", "1", code=0)
    assert len(shoot.published()) == 3


def test_a_network_disk_that_breaks_off_leaves_nothing_false_and_the_next_run_completes(disk, tmp_path, jpeg):
    shoot = shoot_on(disk, tmp_path, jpeg)
    shoot.add(*(f"{number}.jpg" for number in range(6)))
    originals = digests(disk.far / "shoot")
    run = begin(shoot, disk, "--deadline", "15")  # whoever had asked and got no answer waits for ever
    disk.cut()
    _, words = run.communicate(timeout=240)
    assert run.returncode == 2, words  # neither the ledger nor the originals can be reached
    assert "Traceback" not in words
    with contextlib.suppress(OSError):
        assert not files(disk.near)
    subprocess.run(["umount", "-l", disk.near], capture_output=True)

    assert digests(disk.far / "shoot") == originals
    standing = {name: digest for name, digest in digests(disk.far / "public").items() if name[0] != "."}
    assert 1 <= len(standing) < 6
    with Disk(disk.far, disk.near, delay=0.005):
        shoot.check(swept=False)  # whole, known to the ledger, and clean
        shoot.run("-j", "2", code=0)
        assert len(shoot.published()) == 6
        assert standing.items() <= digests(shoot.out).items()
        resumed = [name for name, row in shoot.rows().items() if row.get("resumed")]
        assert sorted(resumed) == sorted(standing)
    assert os.listdir(disk.near) == []
