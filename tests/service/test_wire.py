"""Connections that hold on to a place or to memory, against the protocol of the service in a server of its own."""

import socket
import time

import pytest

from cloak.service import wire
from tests.service.conftest import connections

ANSWER = bytes(16_000_000)


async def app(scope, receive, send):
    """Answers with more than the buffers between two sockets hold; at /names, after the body, with names of headers;
    at /some with some bytes, whatever comes."""
    body = bytes(30_000) if scope["path"] == "/some" else ANSWER
    if scope["path"] == "/names":
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        body = b" ".join(name for name, _ in scope["headers"])
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connect(monkeypatch):
    """A function that opens a connection to a server which waits for 0.5 seconds."""
    monkeypatch.setattr(wire, "IDLE", 0.5)
    with connections(app) as connection:
        yield connection


def read(connection):
    """What comes until the other side ends the connection, and after how many seconds."""
    started, data = time.monotonic(), bytearray()
    try:
        while part := connection.recv(1 << 20):
            data += part
    except ConnectionResetError:
        pass
    return bytes(data), time.monotonic() - started


def push(connection, piece, times, pause):
    for _ in range(times):
        connection.sendall(piece)
        time.sleep(pause)


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "half a head"])
def test_who_sends_no_request_is_cut_off(connect, head):
    connection = connect()
    connection.sendall(head)
    assert read(connection)[0] == b""


def test_one_byte_at_a_time_is_no_way_to_stay(connect):
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    started = time.monotonic()
    with pytest.raises(ConnectionError):
        push(connection, b"a", 1000, 0.05)
    assert time.monotonic() - started < 10


def test_half_a_second_request_does_not_cut_the_first_answer_short_nor_stay(connect, monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 2)  # a busy machine must not make a slow reader of this test
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
    data, _ = read(connection)
    assert len(data) > len(ANSWER)


def test_headers_without_end_are_refused(connect, monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 60)  # by their length, not by their time
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    with pytest.raises(ConnectionError):
        push(connection, b"a" * 10_000, 1000, 0.01)


UNREAD = b"POST /some HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


def answered(connection):
    """After the answer of /some."""
    data = b""
    while not data.endswith(bytes(30_000)):
        data += connection.recv(1 << 20)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("more", [b"a", b"a" * 1_000_000, b"a" * 1_000_000 + b"\r\n"], ids=["a byte", "all", "a line"])
def test_what_was_answered_before_its_body_came_is_no_way_to_stay(connect, more):
    connection = connect()
    connection.sendall(UNREAD)
    answered(connection)
    connection.sendall(more)
    assert read(connection)[0] == b""


def test_the_rest_of_a_body_that_was_answered_is_taken_and_the_next_request_answered(connect, monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 20)
    connection = connect()
    for _ in range(2):
        connection.sendall(UNREAD)
        answered(connection)
        connection.sendall(b"a" * 1_000_000)


def test_the_end_of_an_answer_that_nobody_takes_is_dropped_too(connect):
    connection, server = connect(), connect.server
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    held = lambda: [one.transport.get_write_buffer_size() for one in server.server_state.connections]  # noqa: E731
    while not any(held()):
        connection.sendall(b"GET /some HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.005)
    end = time.monotonic() + 4
    while held():
        assert time.monotonic() < end
        time.sleep(0.05)


CHUNKED = b"POST /names HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["many", "one long"])
def test_trailers_without_end_are_refused(connect, monkeypatch, end):
    monkeypatch.setattr(wire, "IDLE", 60)  # by their length, not by their time
    connection = connect()
    connection.sendall(CHUNKED + b"1\r\na\r\n0\r\nX: ")
    with pytest.raises(ConnectionError):
        push(connection, (b"a" * 98 + b":" + end) * 100, 1000, 0.01)


def test_trailers_are_none_of_the_head_and_a_long_body_in_small_pieces_is_no_long_head(connect):
    connection = connect()
    connection.sendall(CHUNKED)
    push(connection, b"1\r\na\r\n" * 20_000, 5, 0.05)
    connection.sendall(b"0\r\nAuthorization: Bearer a\r\n\r\n")
    assert read(connection)[0].endswith(b"\r\n\r\nhost transfer-encoding connection")


def test_an_answer_that_nobody_takes_is_dropped_and_a_slow_reader_gets_it_all(connect, monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 1)  # the slow reader takes three times that, and pauses for a twentieth
    stuck, slow = connect(), connect()
    for connection in (stuck, slow):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    got = 0
    while part := slow.recv(1 << 18):
        got += len(part)
        time.sleep(0.05)
    assert got > len(ANSWER)
    taken = len(read(stuck)[0])
    assert taken < len(ANSWER)
