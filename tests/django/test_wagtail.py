"""A real Wagtail site: what its own upload view stores, and what it says when nothing may be stored."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from cloak import metadata
from tests.service.conftest import TOKEN, service, writing
from tests.service.test_anonymize import bare_faces, carriers

SITE = Path(__file__).with_name("site.py")
PASSWORD = "a password for the tests"


class Site:
    """A site that runs, with an editor logged in."""

    def __init__(self, folder, url, pid):
        self.pid = pid
        self.media, self.temporary = folder / "media", folder / "temporary"
        self.http = httpx.Client(base_url=url, timeout=240, trust_env=False, headers={"Referer": url})
        assert self.http.get("/admin/login/").status_code == 200
        form = {"username": "editor", "password": PASSWORD, "csrfmiddlewaretoken": self.http.cookies["csrftoken"]}
        assert self.http.post("/admin/login/", data=form).status_code == 302

    def upload(self, name, data):
        """What the upload view of the image library answers."""
        answer = self.http.post(
            "/admin/images/multiple/add/",
            files={"files[]": (name, data, "image/jpeg")},
            data={"title": name, "collection": "1"},
            headers={"X-Requested-With": "XMLHttpRequest", "X-CSRFToken": self.http.cookies["csrftoken"]},
        )
        assert answer.status_code == 200, answer.text[:2000]
        return answer.json()

    def stored(self):
        return sorted(path for folder in (self.media, self.temporary) for path in folder.rglob("*") if path.is_file())


def python(*arguments, **environment):
    command = [sys.executable, str(SITE), *map(str, arguments)]
    return command, {**{k: v for k, v in os.environ.items() if not k.startswith("CLOAK")}, **environment}


@contextlib.contextmanager
def site(folder, **cloak):
    """Start the site of a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = python(folder, "serve", port, CLOAK=json.dumps(cloak))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        running = Site(folder, f"http://127.0.0.1:{port}", process.pid)
        yield running
        running.http.close()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command, environment = python(folder, "setup")
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    return folder


def check_clean(site, count):
    """Every file that the site has stored is clean and without a bare face."""
    stored = site.stored()
    assert len(stored) == count, stored
    for path in stored:
        data = path.read_bytes()
        assert metadata.sniff(data), path
        assert not set(carriers(data)) - {"APP2 ICC profile"}, path
        assert not bare_faces(data), path


def test_wagtail_stores_only_clean_photos_and_says_why_it_refuses_others(folder, samples):
    photo = (samples / "located.jpg").read_bytes()
    with site(folder, MAX_BYTES=35_000_000) as running:
        assert running.upload("a.jpg", photo)["success"]
        check_clean(running, 1)
        assert running.http.get("/admin/images/").status_code == 200  # makes a rendition
        check_clean(running, 2)

        words = running.upload("words.jpg", b"words, not pixels " * 9)
        assert not words["success"]
        assert "no image" in words["error_message"]
        large = running.upload("large.jpg", photo + bytes(36_000_000))
        assert not large["success"]
        assert "more than 35,000,000 bytes" in large["error_message"]
        broken = running.upload("broken.jpg", photo[:-5000])
        assert not broken["success"]
        check_clean(running, 2)


def test_wagtail_holds_a_photo_of_30_megabytes_in_memory_until_it_is_clean(folder, tmp_path, samples):
    """Django writes uploads over 2.5 MB to a temporary file, if it gets to see them."""
    photo = (samples / "located.jpg").read_bytes() + bytes(30_000_000)
    with site(folder) as running:
        before = running.stored()
        with writing(tmp_path / "trace", running.pid) as written:
            assert running.upload("thirty.jpg", photo)["success"]
        check_clean(running, len(before) + 1)
    assert any("/media/" in line for line in written)
    assert [line for line in written if not re.search(r"/media/|db\.sqlite3|/dev/null", line)] == []


def test_wagtail_through_the_service_refuses_uploads_when_it_is_stopped(folder, samples):
    photo = (samples / "located.jpg").read_bytes()
    before = {path for path in (folder / "media").rglob("*") if path.is_file()}
    with (
        service("--workers", "1", "--max-bytes", "25000000") as cleaner,
        site(folder, SERVER=cleaner.url, TOKEN=TOKEN) as running,
    ):
        assert running.upload("b.jpg", photo)["success"]
        check_clean(running, len(before) + 1)
        large = running.upload("large.jpg", photo + bytes(30_000_000))
        assert "more than 25,000,000 bytes" in large["error_message"]
        cleaner.process.terminate()
        assert cleaner.process.wait(60) == 0
        down = running.upload("c.jpg", photo)
        assert not down["success"]
        assert "the service does not answer" in down["error_message"].lower()
        check_clean(running, len(before) + 1)


def test_what_programs_save_is_cleaned_or_refused(tmp_path, samples):
    photo = (samples / "located.jpg").read_bytes()
    given = {"a.jpg": photo, "words.jpg": b"words", "no-suffix": photo, "document.pdf": b"%PDF-1.4 words" * 9}
    given["bomb.bin"] = b"P6\n60000 60000\n255\n" + bytes(64)
    given["unknown.bin"] = b"P6\n64 64\n255\n" + bytes(64 * 64 * 3)
    for name, data in given.items():
        (tmp_path / name).write_bytes(data)
    command, environment = python(tmp_path, "save", *(tmp_path / name for name in given))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert json.loads(done.stdout) == [
        "a.jpg", "NotAnImage", "no-suffix", "document.pdf", "Unsupported", "Unsupported"
    ], done.stderr  # fmt: skip
    stored = {path.name: path.read_bytes() for path in (tmp_path / "media").iterdir()}
    assert sorted(stored) == ["a.jpg", "document.pdf", "no-suffix"]
    assert stored["document.pdf"] == given["document.pdf"]
    for name in ("a.jpg", "no-suffix"):
        assert not bare_faces(stored[name])
        assert not set(carriers(stored[name])) - {"APP2 ICC profile"}


def test_a_copy_of_the_storage_and_that_of_a_migration_clean_photos_too(tmp_path, samples):
    command, environment = python(tmp_path, "save-copies", samples / "located.jpg")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert len(set(names)) == 4
    for name in names:
        stored = (tmp_path / "media" / name).read_bytes()
        assert not bare_faces(stored)
        assert not set(carriers(stored)) - {"APP2 ICC profile"}


BROKEN = [
    ({}, []),
    ({"CLOAK": {"PIPELINE": "mine"}}, ["cloak.E003"]),
    ({"CLOAK": {"PIPELIN": "cms"}}, ["cloak.E003"]),
    ({"CLOAK": {"MAX_BYTES": "many"}}, ["cloak.E003"]),
    ({"CLOAK": {"SERVER": "localhost"}}, ["cloak.E003"]),
    ({"CLOAK": {"SERVER": "http://127.0.0.1:1", "TIMEOUT": -1}}, ["cloak.E003"]),
    ({"CLOAK": {"SERVER": "http://127.0.0.1:1", "MAX_BYTES": -1}}, ["cloak.E003"]),
    ({"CLOAK": None}, ["cloak.E003"]),
    ({"CLOAK": ["PIPELINE"]}, ["cloak.E003"]),
    ({"CLOAK": {"SERVER": "http://127.0.0.1:1", "PIPELINE": "mine.toml"}}, ["cloak.E004"]),
    ({"CLOAK": {"PIPELINE": "newsroom"}}, ["cloak.E006"]),
    ({"CLOAK": {"PIPELINE": "{folder}/holding.toml"}}, ["cloak.E005"]),
    ({"FILE_UPLOAD_HANDLERS": ["django.core.files.uploadhandler.MemoryFileUploadHandler"]}, ["cloak.E001"]),
    (
        {
            "FILE_UPLOAD_HANDLERS": [
                "django.core.files.uploadhandler.TemporaryFileUploadHandler",
                "cloak.django.uploads.UploadHandler",
            ]
        },
        ["cloak.E002"],
    ),
    (
        {"STORAGES": {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}},
        ["cloak.W001"],
    ),
    ({"ASGI_APPLICATION": "site.asgi"}, ["cloak.W002"]),
]


def test_checks_say_what_is_wrong(tmp_path):
    (tmp_path / "holding.toml").write_text('no_face = "hold"\n')
    command, environment = python(tmp_path, "checks")
    done = subprocess.run(
        command,
        input=json.dumps([case for case, _ in BROKEN]).replace("{folder}", str(tmp_path)),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for (case, expected), found in zip(BROKEN, json.loads(done.stdout), strict=True):
        assert found == expected, case


def test_the_check_command_fails_when_something_is_wrong(tmp_path):
    command, environment = python(tmp_path, "check", CLOAK='{"PIPELINE": "mine"}')
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cloak.E003" in done.stderr
    assert "known: cms, newsroom, photographer" in done.stderr.replace("FILE.toml, ", "")
