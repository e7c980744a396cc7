"""The hook program of tusd, given what tusd gives it: the event on standard input and the upload in two files.

tusd itself is not in the registries that tests may use; the event is the one that its documentation shows, and the
program is run as tusd's source runs it (pkg/hooks/file): in the folder of hooks, refusing by its exit code.
"""

import json
import os
import subprocess

import pytest

from tests.hooks.running import INTEGRATIONS, REPORT, TOKEN, assert_clean, before, need

pytestmark = pytest.mark.hooks


@pytest.fixture
def finish(tmp_path, service):
    """A function that stores bytes as tusd's filestore does and runs the hook: (exit code, output, files left)."""
    need("node")

    def run(data, info=None, partial=False, server=service.address, **event):
        stored, about = (
            tmp_path / "24e533e02ec3bc40c387f1a0e460e216",
            tmp_path / "24e533e02ec3bc40c387f1a0e460e216.info",
        )
        storage = {"Type": "filestore", "Path": str(stored), "InfoPath": str(about)}
        upload = {
            "ID": stored.name, "Size": len(data), "SizeIsDeferred": False, "Offset": len(data),
            "MetaData": {"filename": "photo.jpg"}, "IsPartial": partial, "IsFinal": False, "PartialUploads": None,
            "Storage": storage,
        }  # fmt: skip
        stored.write_bytes(data)
        about.write_text(info or json.dumps(upload))
        request = {"Method": "PATCH", "URI": f"/files/{stored.name}", "RemoteAddr": "127.0.0.1:4242", "Header": {}}
        document = {"Type": "pre-finish", "Event": {"Upload": upload, "HTTPRequest": request}} | event
        done = subprocess.run(
            [INTEGRATIONS / "tus/pre-finish"], input=json.dumps(document), text=True, capture_output=True, timeout=120,
            env={**os.environ, "CLOAK_SERVER": server, "CLOAK_TOKEN": TOKEN}, cwd=INTEGRATIONS / "tus",
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, done.stdout, {path.suffix: path.read_bytes() for path in tmp_path.iterdir()}

    return run


def test_a_busy_service_is_asked_again_when_it_says(finish, service, photo):
    with before(service, (503, {"Retry-After": "1"}, b"{}"), (503, {"Retry-After": "1"}, b"{}")) as server:
        code, _, left = finish(photo, server=server)
    assert code == 0
    assert_clean(left[""], photo)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/jpeg"},
        REPORT | {"Content-Type": "text/html"},
        REPORT | {"Cloak-Report": '{"status":"no-face","verified":[]}'},
        REPORT | {"Cloak-Report": '{"status":"held","verified":["faces"]}'},
    ],
    ids=["no report", "no image", "not verified", "held"],
)
def test_another_server_at_the_address_is_not_believed(finish, service, photo, headers):
    with before(service, (200, headers, photo)) as server:
        code, out, left = finish(photo, server=server)
    assert (code, left) == (1, {})
    assert "is not cloak" in out


def test_faces_in_sight_are_taken_where_the_operators_pipeline_leaves_them(finish, service, photo):
    report = {"Cloak-Report": '{"status":"perturbed","verified":["faces"]}'}
    with before(service, (200, REPORT | report, photo)) as server:
        code, out, left = finish(photo, server=server)
    assert (code, out, left[""]) == (0, "", photo)


@pytest.mark.parametrize("encoding", [None, "identity", "chunked"])
def test_an_answer_that_does_not_say_its_length_may_have_broken_off(finish, service, photo, encoding):
    headers = REPORT | {"Connection": "close"} | ({"Transfer-Encoding": encoding} if encoding else {})
    body = b"3e8\r\n" + photo[:1000] + b"\r\n" if encoding == "chunked" else photo[:1000]
    with before(service, (200, headers, body)) as server:
        code, out, left = finish(photo, server=server)
    assert (code, left) == (1, {})
    assert "is not whole" in out


def test_a_finished_upload_is_clean_and_its_length_known(finish, photo):
    code, out, left = finish(photo)
    assert (code, out) == (0, "")
    assert_clean(left[""], photo)
    about = json.loads(left[".info"])
    assert about["Size"] == len(left[""])
    assert about["MetaData"] == {"filename": "photo.jpg"}


def test_a_text_file_is_refused_with_a_reason_and_removed(finish):
    code, out, left = finish(b"These are words, and no photo.")
    assert (code, left) == (1, {})
    assert "could not be made safe to publish" in out


def test_a_stopped_service_leaves_nothing(finish, service, photo):
    service.stop()
    code, out, left = finish(photo)
    assert (code, left) == (1, {})
    assert "does not answer" in out


def test_an_upload_whose_length_cannot_be_noted_is_removed(finish, photo):
    code, out, left = finish(photo, info="not JSON")
    assert (code, left) == (1, {})
    assert "server failed" in out


def test_a_part_of_an_upload_is_refused_even_if_it_is_a_photo(finish, photo):
    code, out, left = finish(photo, partial=True)
    assert (code, left) == (1, {})
    assert "-disable-concatenation" in out


def test_another_event_is_refused(finish, photo):
    code, out, _ = finish(photo, Type="post-finish")
    assert code == 1
    assert "pre-finish" in out
