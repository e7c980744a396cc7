"""The service's client against answers that a service, a proxy or something else altogether may give."""

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cloak.client import Client
from cloak.errors import Corrupt, TimedOut, TooLarge, Unavailable, UsageError, Withheld

REPORT = json.dumps({"status": "concealed", "faces": 1, "verified": ["faces"]})
CLEAN = (200, {"Content-Type": "image/jpeg", "Cloak-Report": REPORT}, b"clean")


def problem(status, reason, **headers):
    return status, headers, json.dumps({"reason": reason, "detail": "words", "next": "Do this."}).encode()


@pytest.fixture
def answering():
    """A function: it serves some answers, one a request, and gives a client and the requests that came."""
    servers = []

    def start(*answers, **options):
        waiting, requests = list(answers), []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append((self.path, dict(self.headers), body))
                status, headers, content = waiting.pop(0)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    if value is not None:
                        self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return Client(f"http://127.0.0.1:{server.server_port}/below", "token", timeout=20, **options), requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_photo_goes_out_raw_and_comes_back_with_its_report(answering):
    client, requests = answering(CLEAN)
    assert client.anonymize(b"photo", pipeline="cms", effect=None) == (b"clean", json.loads(REPORT))
    ((path, headers, body),) = requests
    assert (path, body) == ("/below/v1/anonymize?pipeline=cms", b"photo")
    assert headers["Authorization"] == "Bearer token"


def test_to_keep_nothing_is_a_choice_too(answering):
    """Left out, the pipeline's own fields would stay in the photo."""
    client, requests = answering(CLEAN)
    client.anonymize(b"photo", keep="")
    assert requests[0][0] == "/below/v1/anonymize?keep="


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(413, "too-large"), TooLarge),
        (problem(422, "corrupt"), Corrupt),
        (problem(422, "a-reason-of-a-later-version"), UsageError),
        (problem(504, "timed-out"), TimedOut),
        (problem(400, "usage"), UsageError),
        (problem(401, "unauthorized"), UsageError),
        (problem(500, "error"), Unavailable),
        ((502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>"), Unavailable),
        ((504, {}, b""), Unavailable),
        ((302, {"Location": "/login"}, b""), Unavailable),
        ((200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>"), Unavailable),
        ((200, {"Content-Type": "image/jpeg"}, b"not cloak's"), Unavailable),
        ((200, {**CLEAN[1], "Content-Type": "text/html"}, b"clean"), Unavailable),
        ((200, {**CLEAN[1], "Cloak-Report": '{"status":"held","verified":[]}'}, b"original"), Unavailable),
        ((200, {**CLEAN[1], "Cloak-Report": '{"status":["concealed"],"verified":[1]}'}, b"original"), Unavailable),
        ((200, {**CLEAN[1], "Cloak-Report": '{"status":"perturbed","verified":["faces"]}'}, b"in sight"), UsageError),
        ((200, CLEAN[1], b""), Unavailable),
        ((200, {**CLEAN[1], "Content-Length": "9"}, b"clean"), Unavailable),
        ((200, {**CLEAN[1], "Content-Length": None}, b"cle"), Unavailable),
        ((200, {**CLEAN[1], "Content-Length": None, "Transfer-Encoding": "chunked"}, b"5\r\ncle"), Unavailable),
    ],
)
def test_only_a_whole_answer_of_the_service_makes_a_photo_clean(answering, answer, kind):
    client, _ = answering(answer, patience=0)
    with pytest.raises((UsageError, Unavailable, Withheld)) as caught:
        client.anonymize(b"photo")
    assert type(caught.value) is kind


def test_words_of_what_answers_cannot_drive_a_terminal(answering):
    said = {"reason": "corrupt", "detail": "\x1b]0;owned\x07 words\r\n", "next": "\ud800Do\u202e this."}
    client, _ = answering((422, {}, json.dumps(said).encode()))
    with pytest.raises(Corrupt) as caught:
        client.anonymize(b"photo")
    assert (str(caught.value), caught.value.next_step) == ("]0;owned words", "Do this.")


def test_a_full_service_is_asked_again_for_as_long_as_there_is_patience(answering):
    full = problem(503, "unavailable", Retry_After="1")
    client, requests = answering(full, CLEAN)
    started = time.monotonic()
    assert client.anonymize(b"photo")[0] == b"clean"
    assert len(requests) == 2
    assert time.monotonic() - started >= 1
    impatient, requests = answering(full, CLEAN, patience=0.5)
    with pytest.raises(Unavailable, match="words"):
        impatient.anonymize(b"photo")
    assert len(requests) == 1


def test_an_answer_in_chunks_is_whole_with_its_last_one(answering):
    headers = {**CLEAN[1], "Content-Length": None, "Transfer-Encoding": "chunked"}
    client, _ = answering((200, headers, b"2\r\ncl\r\n3\r\nean\r\n0\r\n\r\n"))
    assert client.anonymize(b"photo")[0] == b"clean"


@pytest.mark.parametrize("seconds", ["9" * 400, "9" * 5000, "¹", "-1", "soon"])
def test_a_wait_that_nobody_can_mean_is_no_error_of_its_own(answering, seconds):
    client, requests = answering(problem(503, "unavailable", Retry_After=seconds), patience=1)
    with pytest.raises(Unavailable, match="words"):
        client.anonymize(b"photo")
    assert len(requests) == 1


@pytest.mark.parametrize(
    "address",
    ["", "http://", "host:1", "ftp://a", "http://a:port", "http://user@a", "http://a/\xfc", f"http://{'a' * 64}.b"],
)
def test_an_address_that_is_none_is_told(address):
    with pytest.raises(UsageError, match="address"):
        Client(address)


@pytest.mark.parametrize("seconds", [-1, 0, float("nan"), float("inf"), 1e30])
def test_a_time_that_nobody_can_mean_is_told(seconds):
    for option in {"timeout", "patience"} - ({"patience"} if seconds == 0 else set()):
        with pytest.raises(UsageError, match="number of seconds"):
            Client("http://127.0.0.1:1", **{option: seconds})


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize("start", [HEAD + b"\r\n", HEAD + b"X-Slow: "], ids=["a body", "a header"])
def test_an_answer_that_comes_in_drops_is_given_up_in_time(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(start)
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer"):
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1).anonymize(b"photo")
        assert 1 <= time.monotonic() - started < 5


@pytest.mark.parametrize("token", ["secret\n", "two secrets", "secr\xe9t", "\u015decret", "secret\udcff", "secret\0"])
def test_a_token_that_no_header_carries_is_told_and_not_repeated(token):
    with pytest.raises(UsageError, match="token") as caught:
        Client("http://127.0.0.1:1", token)
    assert token not in f"{caught.value} {caught.value.next_step}"
