"""What processes that hold photos leave behind when they crash, and what those that they start get."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from cloak.pool import Pool
from cloak.process import take_secret


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
