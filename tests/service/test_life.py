"""A real service under load, with workers that hang or die, while it stops, and what it leaves behind."""

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from cloak import anonymize
from cloak.errors import UsageError
from cloak.service.settings import Settings
from tests import plant
from tests.faults.conftest import environment
from tests.service.conftest import service, writing


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def busy(running):
    return "cloak_workers_busy 1.0" in running.http.get("/metrics").text


def crashed(running):
    """How many workers the service knows to have died."""
    return re.findall(r'cloak_workers_replaced_total\{why="crashed"\} (\S+)', running.http.get("/metrics").text)


def harm(running, photo, how, times=1):
    """Send a photo, harm each worker that takes it, and give the answer."""
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(running.http.post, "/v1/anonymize", content=photo)
        for _ in range(times):
            wait_for(lambda: busy(running) and running.workers())
            (pid,), before = running.workers(), crashed(running)
            os.kill(pid, how)
            # Until the service knows, it calls the dead one busy; the next would be killed before it has the photo.
            wait_for(lambda pid=pid, before=before: pid not in running.workers() and crashed(running) != before)
        return answer.result(120)


def test_workers_that_die_are_replaced_and_the_request_gets_a_clean_answer(samples, jpeg):
    with service("--workers", "1") as running:
        # Idle: nobody notices. At work: the photo is tried once more, then given up.
        os.kill(running.workers()[0], signal.SIGKILL)
        assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
        assert harm(running, (samples / "group.jpg").read_bytes(), signal.SIGKILL).status_code == 200
        again = harm(running, (samples / "crowd.jpg").read_bytes(), signal.SIGKILL, times=2)
        assert (again.status_code, again.json()["reason"]) == (422, "concealment-failed")
        assert 'cloak_workers_replaced_total{why="crashed"} 4.0' in running.http.get("/metrics").text


def test_a_worker_that_hangs_is_replaced_at_the_deadline(jpeg):
    with service("--workers", "1", "--deadline", "3") as running:
        (pid,) = running.workers()
        os.kill(pid, signal.SIGSTOP)
        stuck = running.http.post("/v1/anonymize?recall=fast", content=jpeg())
        assert (stuck.status_code, stuck.json()["reason"]) == (504, "timed-out")
        wait_for(lambda: running.http.get("/readyz").status_code == 200)
        assert pid not in running.workers()
        assert 'cloak_workers_replaced_total{why="stuck"} 1.0' in running.http.get("/metrics").text


def test_a_full_queue_is_told_at_once_and_a_stop_lets_requests_in_flight_end(jpeg):
    with service("--workers", "1", "--queue", "1") as running, ThreadPoolExecutor(2) as clients:
        (pid,) = running.workers()
        os.kill(pid, signal.SIGSTOP)  # at work for as long as we want
        flying = [clients.submit(running.http.post, "/v1/anonymize", content=jpeg()) for _ in range(2)]
        wait_for(lambda: busy(running) and "cloak_queue_depth 1.0" in running.http.get("/metrics").text)
        full = running.http.post("/v1/anonymize", content=jpeg())
        assert (full.status_code, full.json()["reason"]) == (503, "unavailable")
        assert 1 <= int(full.headers["retry-after"]) <= 60
        for one in (running.process.pid, *running.family()):  # a service manager signals all of them
            os.kill(one, signal.SIGTERM)
        wait_for(lambda: running.http.get("/readyz").status_code == 503)
        late = running.http.post("/v1/anonymize", content=jpeg())
        assert (late.status_code, "stopping" in late.json()["detail"]) == (503, True)
        os.kill(pid, signal.SIGCONT)
        assert [answer.result(60).status_code for answer in flying] == [200, 200]
        assert running.process.wait(30) == 0
        assert "crashed" not in running.process.stderr.read()
        assert running.workers() == []


def test_a_client_that_leaves_frees_its_place(jpeg):
    with service("--workers", "1", "--queue", "1") as running, ThreadPoolExecutor(1) as client:
        (pid,) = running.workers()
        os.kill(pid, signal.SIGSTOP)
        first = client.submit(running.http.post, "/v1/anonymize", content=jpeg())
        wait_for(lambda: busy(running))
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{running.url}/v1/anonymize", content=jpeg(), headers=running.http.headers, timeout=1)
        wait_for(lambda: "cloak_queue_depth 0.0" in running.http.get("/metrics").text, 10)
        os.kill(pid, signal.SIGCONT)
        assert first.result(60).status_code == 200


def test_it_is_healthy_before_it_is_ready_and_can_be_stopped_then():
    slow = environment({"at": "cloak.anonymizer:_search", "do": "sleep:30"})
    with service("--workers", "1", ready=False, environment=slow) as running:
        early = running.http.get("/readyz")
        assert (early.status_code, early.json()["reason"]) == (503, "unavailable")
        assert "cloak_ready 0.0" in running.http.get("/metrics").text
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0


def test_a_second_signal_ends_it_at_once_without_a_traceback_whatever_a_worker_has_in_hand():
    """And leaves nothing in the temporary folder: the workers' socket was there."""
    slow = environment({"at": "cloak.anonymizer:_search", "do": "sleep:30"})
    with (
        tempfile.TemporaryDirectory() as folder,  # of a short name: in pytest's there could be no socket
        service("--workers", "1", ready=False, environment={**slow, "TMPDIR": folder}) as running,
    ):
        assert os.listdir(folder)
        wait_for(running.workers)
        (pid,) = running.workers()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.process.send_signal(number)
        said = running.process.communicate(timeout=5)[1]
        assert running.process.returncode == 130
        assert "Traceback" not in said
        assert "Warning" not in said
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 5)
        assert not os.listdir(folder)


def test_workers_end_with_a_service_that_is_killed():
    with service("--workers", "1") as running:
        (pid,) = running.workers()
        running.process.kill()
        wait_for(lambda: pid not in running.workers())


def larger(data):
    image = Image.open(io.BytesIO(data))
    buffer = io.BytesIO()
    image.resize((image.width * 2, image.height * 2)).save(buffer, "JPEG")
    return buffer.getvalue()


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


@pytest.mark.parametrize("token", ["a token with spaces in it", "a-t\xf6ken-of-many-letters", "a-token-\nof-lines"])
def test_a_token_that_no_request_can_carry_is_refused_at_the_start_and_not_repeated(token):
    with pytest.raises(UsageError, match="no header carries") as caught:
        Settings(tokens=("a-good-token-0123456789", token))
    assert token not in str(caught.value)


@pytest.mark.parametrize("seconds", [-1, 0, float("nan"), float("inf"), 1e30])
def test_a_deadline_that_nobody_can_mean_is_refused_at_the_start(seconds):
    with pytest.raises(UsageError, match="deadline"):
        Settings(deadline=seconds)


def test_without_a_token_only_names_of_this_machine_are_answered(tmp_path, jpeg):
    own = tmp_path / "own.toml"
    own.write_text('recall = "fast"\n[effect]\nname = "pixelate"\n[limits]\npixels = 70000\n')
    options = ["--pipeline", "mine", "--add-pipeline", f"mine={own}", "--noise-key", "secret"]
    with service("--workers", "1", *options, token=None) as running:
        answer = running.http.post("/v1/anonymize", content=jpeg())
        assert answer.status_code == 200
        # The operator's own pipeline and key; the same as in process, and as after any restart.
        assert answer.content == anonymize(jpeg(), str(own), key=hashlib.sha256(b"secret").digest()).data
        assert running.http.post("/v1/anonymize?pipeline=cms&recall=fast", content=larger(jpeg())).status_code == 200
        assert running.http.post("/v1/anonymize", content=larger(jpeg())).json()["reason"] == "too-large"
        for host in ("evil.example:8571", "[::1]evil.example", "[::1", "localhost:evil.example", "localhost]"):
            rebound = running.http.post("/v1/anonymize", content=jpeg(), headers={"Host": host})
            assert (rebound.status_code, rebound.json()["reason"]) == (421, "misdirected-request"), host
        for host in ("[::1]:8571", "LOCALHOST", "127.0.0.1:"):
            assert running.http.get("/healthz", headers={"Host": host}).status_code == 200, host
        for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                        {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://["}):  # fmt: skip
            refused = running.http.post("/v1/anonymize", content=b"", headers={"Content-Type": "text/plain", **foreign})
            assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden"), foreign
        own = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
        assert running.http.post("/v1/anonymize", content=b"", headers=own).json()["reason"] == "not-an-image"
        # A link on another site may lead to the manual.
        assert running.http.get("/docs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_response_log_or_metric_holds_a_marker_of_the_original(samples):
    data, markers = plant.PLANTED["jpeg"](Image.open(samples / "located.jpg").convert("RGB"))
    words = [marker.encode() for marker in markers if marker.encode() in data]
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
def test_the_original_never_touches_the_disk(tmp_path, samples):
    data = (samples / "located.jpg").read_bytes()
    with service("--workers", "1", environment={"TMPDIR": str(tmp_path)}) as running:
        with writing(tmp_path / "trace", running.process.pid, *running.family()) as written:
            assert running.http.post("/v1/anonymize", content=data + bytes(20_000_000)).status_code == 200
        assert [line for line in written if "/dev/null" not in line] == []


def test_a_worker_that_takes_too_much_memory_is_replaced_and_its_photo_refused(jpeg):
    buffer = io.BytesIO()
    Image.new("RGB", (9_900, 9_900)).save(buffer, "PNG")  # 98 megapixels in half a megabyte
    with service("--workers", "1", "--max-memory", "400") as running:
        (pid,) = running.workers()
        refused = running.http.post("/v1/anonymize?recall=fast", content=buffer.getvalue())
        assert (refused.status_code, refused.json()["reason"]) == (413, "too-large")
        assert refused.json()["detail"] == "it took more than 400 MB of memory"
        wait_for(lambda: running.http.get("/readyz").status_code == 200)
        assert pid not in running.workers()
        assert 'cloak_workers_replaced_total{why="swollen"} 1.0' in running.http.get("/metrics").text
        assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
