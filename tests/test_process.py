"""What processes that hold photos leave behind when they crash, and what those that they start get."""

import io
import os
import resource
import signal
import subprocess
import sys

import pytest

from cloak.pool import Pool
from cloak.process import ready_streams, take_secret


def nothing():
    pass


def look(_):
    return resource.getrlimit(resource.RLIMIT_CORE)


def test_workers_dump_no_core():
    with Pool(look, 1, 60, nothing) as pool:
        ((_, limits),) = pool.map([0])
    assert set(limits) <= {0, 1}


@pytest.mark.skipif(sys.platform != "linux", reason="where cores are written differs")
def test_a_crash_writes_no_core(tmp_path):
    allowed = "import os, resource as r; r.setrlimit(r.RLIMIT_CORE, r.getrlimit(r.RLIMIT_CORE)[1:] * 2)\n"
    ours = "from cloak.process import no_core_dumps; no_core_dumps()\n"
    left = []
    for number, code in enumerate((allowed, allowed + ours)):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = subprocess.run([sys.executable, "-c", code + "os.abort()"], cwd=folder)
        assert done.returncode == -signal.SIGABRT
        left.append(list(folder.iterdir()))
    if not left[0]:
        pytest.skip("this machine writes cores elsewhere, or none")
    assert left[1] == []


def test_a_secret_is_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("CLOAK_TOKEN", "secret")
    assert take_secret("CLOAK_TOKEN") == "secret"
    assert "CLOAK_TOKEN" not in os.environ
    assert take_secret("CLOAK_TOKEN") == ""


def test_a_file_name_that_an_output_cannot_encode_is_printed_with_escapes(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n"))
    ready_streams()
    print("\u4e2d.jpg")
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == b"\\u4e2d.jpg\n"


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_no_file_takes_the_place_of_a_standard_stream_that_is_closed(tmp_path):
    code = "from cloak.process import ready_streams; ready_streams(); import os, sys\n"
    code += "file = open('lock', 'w'); sys.stderr.write('words'); os.write(2, b'words'); os.write(1, b'words')\n"
    code += "os.execvp('sh', ['sh', '-c', 'echo words >&2 || exit 9; cat; exit 7'])\n"  # so do programs that it starts
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "-", sys.executable, "-c", code]
    assert subprocess.run(command, cwd=tmp_path, timeout=60).returncode == 7
    assert (tmp_path / "lock").read_bytes() == b""
