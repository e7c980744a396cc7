"""Resumable uploads to a real @tus/server, by the real client: clean when they count as finished, or gone."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.hooks.running import TOKEN, assert_clean, free_port, make_photo, need, running

pytestmark = pytest.mark.hooks

HERE = Path(__file__).parent / "tus"


@pytest.fixture(scope="module")
def _server(_service, tmp_path_factory):
    need("node", str(HERE / "node_modules"))
    folder = tmp_path_factory.mktemp("tus")
    port = free_port()
    command = ["node", str(HERE / "server.mjs"), str(port), str(folder / "quarantine")]
    environment = {**os.environ, "CLOAK_SERVER": _service.address, "CLOAK_TOKEN": TOKEN}
    address = f"http://127.0.0.1:{port}/files"
    ready = lambda: httpx.options(address).status_code == 204  # noqa: E731
    with running(command, ready, folder / "log", env=environment):
        yield address, folder / "quarantine"


@pytest.fixture
def quarantine(_server, service):
    """The folder into which the server writes, empty."""
    for path in _server[1].iterdir():
        path.unlink()
    return _server[1]


@pytest.fixture
def upload(_server, tmp_path):
    """A function that uploads bytes by tus-js-client: what the client says of it."""

    def run(data, **options):
        path = tmp_path / "source"
        path.write_bytes(data)
        command = ["node", str(HERE / "upload.mjs"), _server[0], str(path), json.dumps(options)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        return json.loads(done.stdout)

    return run


WAYS = [
    {},
    {"chunkSize": 10_000},
    {"uploadDataDuringCreation": True},
    {"uploadLengthDeferred": True, "chunkSize": 20_000},
]


@pytest.mark.parametrize("options", WAYS, ids=["whole", "chunks", "with creation", "length deferred"])
def test_a_finished_upload_is_clean(quarantine, upload, photo, options):
    result = upload(photo, **options)
    assert result["finished"], result
    stored = [path for path in quarantine.iterdir() if path.suffix != ".json"]
    assert len(stored) == 1
    assert_clean(stored[0].read_bytes(), photo)


def test_nothing_can_be_appended_to_a_clean_photo(quarantine, upload, photo):
    url = upload(photo)["url"]
    (stored,) = [path for path in quarantine.iterdir() if path.suffix != ".json"]
    before = stored.read_bytes()
    headers = {"Tus-Resumable": "1.0.0"}
    head = httpx.head(url, headers=headers).headers
    assert head["upload-length"] == head["upload-offset"] == str(len(before))
    for offset in {len(before), len(photo)}:
        more = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        assert httpx.patch(url, headers=headers | more, content=photo[-5000:]).status_code >= 400
    assert stored.read_bytes() == before


def test_downloads_are_refused(quarantine, upload, photo):
    assert httpx.get(upload(photo)["url"]).status_code == 404


def test_a_text_file_is_refused_with_a_reason_and_removed(quarantine, upload):
    result = upload(b"These are words, and no photo.")
    assert (result["finished"], result["status"]) == (False, 415)
    assert "could not be made safe to publish" in result["body"]
    assert list(quarantine.iterdir()) == []


def test_a_stopped_service_leaves_nothing_and_no_client_believes_in_success(quarantine, service, upload, photo):
    service.stop()
    result = upload(photo)
    assert (result["finished"], result["status"]) == (False, 503)
    assert "does not answer" in result["body"]
    assert list(quarantine.iterdir()) == []


@pytest.mark.slow
def test_30_megabytes_arrive_clean(quarantine, upload):
    big = make_photo(noise=110, size=(4500, 3000), quality=98)
    assert len(big) > 30_000_000
    result = upload(big, chunkSize=5_000_000)
    assert result["finished"], result
    (stored,) = [path for path in quarantine.iterdir() if path.suffix != ".json"]
    assert_clean(stored.read_bytes(), big)
