"""Answers that clients take slowly, or not at all: each keeps its request's place, and none for ever."""

import json
import time

import pytest

from cloak.service.app import Service, create_app
from cloak.service.crew import Crew
from cloak.service.settings import Settings
from cloak.service.work import Answer
from tests.service.conftest import connections

PHOTO = bytes(16_000_000)
"""More than the buffers between two sockets hold."""

REQUEST = b"POST /v1/anonymize HTTP/1.1\r\nHost: localhost\r\nAccept: multipart/mixed\r\nContent-Length: 5\r\n\r\nphoto"


@pytest.fixture
def crowd(monkeypatch):
    """A function: deadline -> a service with two places whose work is done at once, and a function that connects."""

    async def do(*_):
        return Answer("concealed", 1, {"format": "jpeg", "milliseconds": {}}, PHOTO)

    monkeypatch.setattr(Crew, "do", do)

    def start(deadline):
        service = Service(Settings(workers=1, queue=1, deadline=deadline))
        return service.crew, service.metrics, connections(create_app(service))

    return start


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def ask(connection):
    connection.sendall(REQUEST)
    return connection


def read(connection):
    """The status, headers and body of an answer, or what came of that."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    parts, left = [], int(headers["content-length"])
    while left and (data := connection.recv(1 << 20)):
        parts.append(data)
        left -= len(data)
    return int(lines[0].split()[1]), headers, b"".join(parts)


def test_an_answer_that_nobody_takes_keeps_its_place_and_who_leaves_or_reads_gives_it_back(crowd):
    crew, metrics, server = crowd(60)
    with server as connect:
        first, second = ask(connect()), ask(connect())
        wait_for(lambda: crew.untaken == 2)
        status, headers, body = read(ask(connect()))
        assert (status, json.loads(body)["reason"]) == (503, "unavailable")
        assert int(headers["retry-after"]) >= 1
        said = metrics.text().decode()
        assert "cloak_answers_untaken 2.0" in said
        assert "cloak_queue_depth 0.0" in said
        assert not crew.idle
        first.close()
        wait_for(lambda: crew.places == 1)
        other = connect()
        for _ in range(2):  # the connection lives on
            status, _, body = read(ask(other))
            assert (status, PHOTO in body) == (200, True)
        assert PHOTO in read(second)[2]  # which had only paused
        wait_for(lambda: (crew.idle, crew.untaken) == (True, 0))


def test_who_leaves_with_more_requests_waiting_is_sent_nothing_more(crowd, caplog):
    crew, _, server = crowd(60)
    with server as connect:
        connection = connect()
        connection.sendall(2 * REQUEST)
        wait_for(lambda: crew.untaken == 1)
        connection.close()
        wait_for(lambda: crew.idle)
        assert caplog.text == ""


def test_an_answer_that_is_not_taken_in_the_deadline_s_time_is_cut_off(crowd, caplog):
    crew, _, server = crowd(0.3)
    with server as connect:
        stuck = ask(connect())
        wait_for(lambda: crew.untaken == 1)
        wait_for(lambda: crew.idle)
        held = [one.transport.get_write_buffer_size() for one in connect.server.server_state.connections]
        assert sum(held) <= 65_536
        status, headers, body = read(stuck)
        assert (status, len(body) < int(headers["content-length"])) == (200, True)
        assert "an answer was not taken in 0.3 seconds" in caplog.text
