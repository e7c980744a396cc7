"""No network, ever; and nothing is left on the disk but what was asked for."""

import inspect
import os
import re
import shutil
import subprocess
import sys

import pytest
from cloak.cli import COMMANDS

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
    command = ["strace", "-f", "--seccomp-bpf", "-e", "trace=socket,connect", "-o", str(trace), *CLOAK, "run"]
    command += [str(samples / "located.jpg"), "--out", str(tmp_path / "public"), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let us trace")
    assert done.returncode in (0, 4), done.stderr
    lines = trace.read_text().splitlines()
    assert any("AF_UNIX" in line for line in lines)  # the pool's own: the trace works
    assert [line for line in lines if "AF_INET" in line] == []


UNSHARE = ["unshare", "-n"]
"""In a network namespace of its own, in which nothing can be reached."""


@pytest.fixture
def alone(tmp_path):
    """A function that runs a command of cloak where there is no network; it gives what the command said."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us make network namespaces (it takes root)")

    def call(*arguments, codes=(0,), stdin=b""):
        command = [*UNSHARE, *CLOAK, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, input=stdin, capture_output=True, timeout=300)
        assert done.returncode in codes, (arguments, done.stderr.decode())
        return done.stdout

    return call


def test_every_command_that_looks_at_photos_works_without_a_network(alone, tmp_path, samples):
    photo = samples / "located.jpg"
    fast = ["--recall", "fast"]
    alone("run", photo, "--out", tmp_path / "public", "-q", "-j", "1", *fast, codes=(0, 4))
    assert (tmp_path / "public/located.jpg").exists()
    alone("verify", tmp_path / "public", *fast)
    alone("inspect", photo, codes=(0, 1, 4))
    alone("plan", photo, "--out", tmp_path / "other", "--sample", "1", *fast)
    piped = alone("run", "-", "--out", "-", *fast, stdin=photo.read_bytes(), codes=(0, 4))
    assert piped[:2] == b"\xff\xd8"
    assert b"yunet" in alone("models")
    assert b"newsroom" in alone("pipelines", "list")
    assert b"Apache-2.0" in alone("licences")


WATCH_AND_SERVE = """
set -e
ip link set lo up
python=$1 photo=$2
mkdir in
"$python" -m cloak.cli watch in --out seen --recall fast > watch.log 2>&1 & watch=$!
"$python" -m cloak.cli serve --port 9377 > serve.log 2>&1 & serve=$!
trap 'kill $watch $serve $review 2>/dev/null' EXIT
for _ in $(seq 3000); do
    if CLOAK_SERVER=http://127.0.0.1:9377 "$python" -c "
import os, urllib.request
urllib.request.urlopen(os.environ['CLOAK_SERVER'] + '/readyz', timeout=5)" 2>/dev/null; then break; fi
    sleep 0.1
done
cp "$photo" in/
cp "$photo" one.jpg
CLOAK_SERVER=http://127.0.0.1:9377 "$python" -m cloak.cli run --in-place one.jpg || [ $? = 4 ]
for _ in $(seq 3000); do [ -e seen/located.jpg ] && break; sleep 0.1; done
test -s seen/located.jpg
"$python" -m cloak.cli review seen --no-browser --port 9378 > review.log 2>&1 & review=$!
for _ in $(seq 600); do grep -q http review.log && break; sleep 0.1; done
"$python" -c "
import sys, time, urllib.error, urllib.request
for _ in range(100):
    try:
        print(urllib.request.urlopen(sys.argv[1]).read().decode())
        break
    except urllib.error.URLError:
        time.sleep(0.1)
" "$(grep -o 'http:[^ ]*' review.log)" > page.html
"""


@pytest.mark.slow
def test_the_service_its_client_the_watcher_and_the_review_work_without_a_network(alone, tmp_path, samples):
    pytest.importorskip("watchfiles")
    pytest.importorskip("uvicorn")
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed: the loopback cannot be brought up")
    command = ["unshare", "-n", "sh", "-c", WATCH_AND_SERVE, "sh", sys.executable, str(samples / "located.jpg")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stderr, *(log.read_text() for log in tmp_path.glob("*.log")))
    original = (samples / "located.jpg").read_bytes()
    assert (tmp_path / "one.jpg").read_bytes() != original
    assert (tmp_path / "seen/located.jpg").read_bytes() != original
    assert (tmp_path / "review.log").read_text().startswith("1 photos to look at")
    assert "<html" in (tmp_path / "page.html").read_text()


def test_no_command_is_forgotten_here():
    """All but the audit, which measures and publishes nothing."""
    alone = inspect.getsource(test_every_command_that_looks_at_photos_works_without_a_network)
    tried = {*re.findall(r'alone\("(\w+)"', alone), *re.findall(r"-m cloak.cli (\w+)", WATCH_AND_SERVE)}
    assert tried | {"audit"} == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_mediapipe_talks_to_nobody(tmp_path, samples):
    pytest.importorskip("mediapipe")
    code = (
        "import sys, numpy as np; from PIL import Image; from cloak.detect import registry;"
        "detector = registry.load('blazeface-short');"
        "print(len(detector(np.asarray(Image.open(sys.argv[1]).convert('RGB').resize((320, 240))))))"
    )
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    command = ["strace", "-f", "--seccomp-bpf", "-e", calls, "-o", str(trace), sys.executable, "-c", code]
    done = subprocess.run([*command, str(samples / "group.jpg")], capture_output=True, text=True, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let us trace")
    assert done.returncode == 0, done.stderr
    # Its library opens one datagram socket as it loads (1.2.2), and neither connects it nor sends anything.
    assert [line for line in trace.read_text().splitlines() if re.search(r"AF_INET|send", line)] == []
    assert "Traceback" not in done.stderr  # it ends in peace
