"""A real service under load, with workers that hang or die, while it stops, and what it leaves behind."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from tests import plant
from tests.service.conftest import TOKEN, service


@pytest.fixture(scope="module")
def slow(samples):
    """A photo that takes a worker some seconds."""
    image = Image.open(samples / "crowd.jpg")
    buffer = io.BytesIO()
    image.resize((image.width * 2, image.height * 2)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def busy(running):
    return "cloak_workers_busy 1.0" in running.http.get("/metrics").text


def test_workers_that_die_or_hang_are_replaced_and_the_request_gets_a_clean_answer(slow, jpeg):
    with service("--workers", "1", "--deadline", "25") as running, ThreadPoolExecutor(1) as client:

        def harm(how, times=1):
            """Send a photo and harm each worker that takes it."""
            answer = client.submit(running.http.post, "/v1/anonymize", content=slow)
            for _ in range(times):
                wait_for(lambda: busy(running))
                (pid,) = running.workers()
                os.kill(pid, how)
                wait_for(lambda pid=pid: pid not in running.workers())
            return answer.result(60)

        # Idle: nobody notices. At work, once: it is tried again.
        os.kill(running.workers()[0], signal.SIGKILL)
        assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
        assert harm(signal.SIGKILL).status_code == 200
        again = harm(signal.SIGKILL, times=2)
        assert (again.status_code, again.json()["reason"]) == (422, "concealment-failed")
        wait_for(lambda: running.http.get("/readyz").status_code == 200)
        stuck = harm(signal.SIGSTOP)
        assert (stuck.status_code, stuck.json()["reason"]) == (504, "timed-out")
        wait_for(lambda: running.http.get("/readyz").status_code == 200)
        assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
        metrics = running.http.get("/metrics").text
        assert 'cloak_workers_replaced_total{why="crashed"} 4.0' in metrics
        assert 'cloak_workers_replaced_total{why="stuck"} 1.0' in metrics


def test_a_full_queue_is_told_at_once_and_a_stop_lets_requests_in_flight_end(slow):
    with service("--workers", "1", "--queue", "1") as running, ThreadPoolExecutor(2) as clients:
        flying = [clients.submit(running.http.post, "/v1/anonymize", content=slow) for _ in range(2)]
        wait_for(lambda: "cloak_queue_depth 1.0" in running.http.get("/metrics").text)
        started = time.monotonic()
        full = running.http.post("/v1/anonymize", content=slow)
        assert time.monotonic() - started < 2
        assert (full.status_code, full.json()["reason"]) == (503, "unavailable")
        assert 1 <= int(full.headers["retry-after"]) <= 60
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: running.http.get("/readyz").status_code == 503)
        late = running.http.post("/v1/anonymize", content=slow)
        assert late.status_code == 503
        assert "stopping" in late.json()["detail"]
        assert [answer.result(60).status_code for answer in flying] == [200, 200]
        assert running.process.wait(30) == 0
        assert running.workers() == []


def test_a_client_that_leaves_frees_its_place(slow):
    with service("--workers", "1", "--queue", "1") as running, ThreadPoolExecutor(1) as client:
        first = client.submit(running.http.post, "/v1/anonymize", content=slow)
        wait_for(lambda: busy(running))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{running.url}/v1/anonymize", content=slow, timeout=0.5, trust_env=False,
                headers={"Authorization": f"Bearer {TOKEN}"},
            )  # fmt: skip
        wait_for(lambda: "cloak_queue_depth 0.0" in running.http.get("/metrics").text, 5)
        assert first.result(60).status_code == 200


def test_workers_end_with_a_service_that_is_killed():
    with service("--workers", "1") as running:
        (pid,) = running.workers()
        running.process.kill()
        wait_for(lambda: not os.path.exists(f"/proc/{pid}") or "State:\tZ" in open(f"/proc/{pid}/status").read(), 20)


def test_off_loopback_a_token_is_demanded(tmp_path):
    command = [sys.executable, "-m", "cloak.cli", "serve", "--port", "0", "--host"]
    environment = {key: value for key, value in os.environ.items() if key != "CLOAK_TOKEN"}
    done = subprocess.run([*command, "0.0.0.0"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "token is demanded" in done.stderr
    tokens = tmp_path / "tokens"
    tokens.write_text("short\n")
    for mode, words in ((0o644, "chmod 600"), (0o600, "fewer than")):
        tokens.chmod(mode)
        done = subprocess.run([*command, "0.0.0.0", "--token-file", tokens], capture_output=True, text=True, timeout=60)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_without_a_token_only_names_of_this_machine_are_answered(jpeg):
    with service("--workers", "1", token=None) as running:
        assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
        rebound = running.http.post("/v1/anonymize", content=jpeg(), headers={"Host": "evil.example:8571"})
        assert (rebound.status_code, rebound.json()["reason"]) == (421, "misdirected-request")


def test_no_response_log_or_metric_holds_a_marker_of_the_original(samples):
    data, markers = plant.PLANTED["jpeg"](Image.open(samples / "located.jpg").convert("RGB"))
    words = [marker for marker in markers if marker in data]
    assert len(words) > 20
    with service("--workers", "1") as running:
        said = []
        for path in ("/v1/anonymize", "/v1/inspect"):
            for accept in ("*/*", "multipart/mixed"):
                answer = running.http.post(path, content=data, headers={"Accept": accept})
                assert answer.status_code == 200, answer.text
                said += [answer.content, repr(answer.headers.raw).encode()]
        said.append(running.http.post("/v1/anonymize", content=data[: len(data) // 3]).content)
        said.append(running.http.get("/metrics").content)
        running.process.send_signal(signal.SIGTERM)
        said.append(running.process.communicate(timeout=60)[1].encode())
    assert b"anonymize: concealed" in said[-1]
    assert [word for word in words for text in said if word in text] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_original_never_touches_the_disk(tmp_path, slow):
    trace = tmp_path / "trace"
    with service("--workers", "1", environment={"TMPDIR": str(tmp_path)}) as running:
        tracer = subprocess.Popen(
            ["strace", "-f", "-e", "trace=open,openat,creat,memfd_create", "-o", trace, "-p", str(running.process.pid)]
            + [word for pid in running.workers() for word in ("-p", str(pid))],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = tracer.stderr.readline()
        if "Operation not permitted" in line:
            pytest.skip("this machine does not let us trace")
        threading.Thread(target=tracer.stderr.read, daemon=True).start()
        time.sleep(1)
        assert running.http.post("/v1/anonymize", content=slow + bytes(20_000_000)).status_code == 200
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    lines = trace.read_text().splitlines()
    assert any("O_RDONLY" in line for line in lines)  # the trace works
    written = [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|memfd", line)]
    assert [line for line in written if "/dev/null" not in line] == []
