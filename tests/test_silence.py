"""No network, ever; and nothing is left on the disk but what was asked for."""

import os
import shutil
import subprocess
import sys

import pytest

CLOAK = [sys.executable, "-m", "cloak.cli"]


def test_a_run_leaves_nothing_in_the_home_and_in_temporary_folders(tmp_path, samples):
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    for name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "CI", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    command = [*CLOAK, "run", str(samples / "located.jpg"), "--out", str(tmp_path / "public"), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 4), done.stderr
    assert [p for name in ("home", "tmp") for p in (tmp_path / name).rglob("*")] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_process_of_a_run_opens_an_internet_socket(tmp_path, samples):
    trace = tmp_path / "trace"
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    command = ["strace", "-f", "-e", "trace=socket,connect", "-o", str(trace), *CLOAK, "run"]
    command += [str(samples / "located.jpg"), "--out", str(tmp_path / "public"), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let us trace")
    assert done.returncode in (0, 4), done.stderr
    lines = trace.read_text().splitlines()
    assert any("AF_UNIX" in line for line in lines)  # the pool's own: the trace works
    assert [line for line in lines if "AF_INET" in line] == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_a_run_works_in_a_network_namespace_without_routes(tmp_path, samples):
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us make namespaces")
    command = ["unshare", "-n", *CLOAK, "run", str(samples / "located.jpg"), "--out", str(tmp_path / "public"), "-q"]
    assert subprocess.run(command, timeout=120).returncode in (0, 4)
    assert (tmp_path / "public/located.jpg").exists()
