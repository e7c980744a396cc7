"""`cloak run --in-place`, alone and through a running service."""

import os
import socket
import subprocess
import sys
import threading

import pytest
from cloak.cli import main
from cloak.cli.handover import hand_over, worst

from tests.service.conftest import TOKEN, service
from tests.service.test_anonymize import bare_faces, carriers


@pytest.fixture(scope="module")
def server():
    with service("--workers", "1") as running:
        yield running


def in_place(*arguments, code="from cloak.cli import main; main()", **environment):
    clear = {key: value for key, value in os.environ.items() if not key.startswith("CLOAK_")}
    command = [sys.executable, "-c", code, "run", "--in-place", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=clear | environment)


@pytest.fixture
def photos(tmp_path, samples, landscape):
    (tmp_path / "located.jpg").write_bytes((samples / "located.jpg").read_bytes())
    (tmp_path / "landscape.jpg").write_bytes(landscape)
    (tmp_path / "words.jpg").write_bytes(b"words, not pixels")
    return tmp_path


def check(photos, done, words=""):
    """One photo is concealed, one is held, one is no photo: both of these stay as they were."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = sorted(line for line in done.stderr.splitlines() if line.startswith("withheld"))
    assert len(lines) == 2
    assert "landscape.jpg: no face was found" in lines[0]
    assert "words.jpg: the bytes are no image" in lines[1]
    assert words in done.stderr
    clean = (photos / "located.jpg").read_bytes()
    assert not bare_faces(clean)
    assert not set(carriers(clean)) - {"APP2 ICC profile"}
    assert (photos / "words.jpg").read_bytes() == b"words, not pixels"
    assert sorted(path.name for path in photos.iterdir()) == ["landscape.jpg", "located.jpg", "words.jpg"]


def test_without_a_service_this_process_does_it(photos):
    check(photos, in_place("-p", "cms", "--no-face", "hold", *sorted(photos.iterdir())))


def test_a_running_service_does_it_and_nothing_heavy_is_imported(photos, server):
    code = (
        "import sys; from cloak.cli import main\ntry: main()\nfinally:\n"
        " heavy = [m for m in ('click', 'cv2', 'numpy', 'onnxruntime', 'PIL', 'msgspec', 'cloak.pipeline', 'asyncio')"
        " if m in sys.modules]\n print(heavy, file=sys.stderr)"
    )
    served = server.http.get("/metrics").text.count("cloak_photos_total")
    hand = {"CLOAK_SERVER": server.url, "CLOAK_TOKEN": TOKEN}
    done = in_place("-p", "cms", "--no-face", "hold", *sorted(photos.iterdir()), code=code, **hand)
    check(photos, done, words="[]")
    assert server.http.get("/metrics").text.count("cloak_photos_total") > served


def test_options_reach_the_service_as_they_reach_the_command(photos, server):
    photo = photos / "located.jpg"
    done = in_place("--effect=sepia", photo, CLOAK_SERVER=server.url, CLOAK_TOKEN=TOKEN)
    assert (done.returncode, "effect" in done.stderr) == (2, True), done.stderr
    done = in_place(photo, CLOAK_SERVER=server.url, CLOAK_TOKEN="wrong")
    assert (done.returncode, "token" in done.stderr) == (2, True), done.stderr
    assert bare_faces(photo.read_bytes())
    done = in_place("--quiet", "--effect", "fill", "--", photo, CLOAK_SERVER=server.url, CLOAK_TOKEN=TOKEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not bare_faces(photo.read_bytes())


def test_a_person_without_a_face_ends_with_4_and_is_named_here_and_through_the_service(tmp_path, server, behind):
    for hand in ({}, {"CLOAK_SERVER": server.url, "CLOAK_TOKEN": TOKEN}):
        (tmp_path / "a.jpg").write_bytes(behind)
        done = in_place("-p", "cms", tmp_path / "a.jpg", **hand)
        assert done.returncode == 4, done.stderr
        words = "people without a face, as from behind, are bare; look at it"
        assert f"to review  {tmp_path / 'a.jpg'}: {words}" in done.stderr.splitlines()


def test_a_photo_without_a_face_is_named_here_and_by_way_of_the_service(photos, server, monkeypatch, capsys):
    photo = photos / "landscape.jpg"
    monkeypatch.setenv("CLOAK_SERVER", server.url)
    for flags, words in ([], [f"no face    {photo}"]), (["-q"], []), (["--jobs=1"], [f"no face    {photo}"]):
        monkeypatch.setenv("CLOAK_TOKEN", TOKEN)  # --jobs is left to this process
        with pytest.raises(SystemExit) as stop:
            main(["run", "--in-place", "--recall", "fast", *flags, str(photo)])
        said = capsys.readouterr().err.splitlines()
        assert (stop.value.code, [line.split(":")[0] for line in said]) == (0, words), flags


def test_a_service_that_is_down_leaves_the_work_to_this_process(photos):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = in_place("-p", "cms", "--no-face", "hold", *sorted(photos.iterdir()), CLOAK_SERVER=address)
    check(photos, done, words="the service does not answer")


def test_what_is_too_large_for_the_service_is_done_by_this_process(photos):
    with service("--workers", "1", "--max-pixels", "100000") as small:
        done = in_place(photos / "located.jpg", CLOAK_SERVER=small.url, CLOAK_TOKEN=TOKEN)
        assert 'cloak_refusals_total{reason="too-large"} 1.0' in small.http.get("/metrics").text
    assert (done.returncode, done.stderr) == (0, "")
    assert not bare_faces((photos / "located.jpg").read_bytes())


def test_something_else_at_the_address_makes_no_photo_clean(photos):
    """A web server that says 200 to everything, even with an image."""
    page = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                received = b""
                while not received.endswith(b"words, not pixels"):
                    received += connection.recv(65536)
                connection.sendall(page)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = in_place(photos / "words.jpg", CLOAK_SERVER=f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    assert done.returncode == 1
    assert "not cloak's service" in done.stderr
    assert (photos / "words.jpg").read_bytes() == b"words, not pixels"


@pytest.mark.parametrize("arguments", [["--out", "x", "a.jpg"], ["--report", "r.json", "a.jpg"], ["."], ["-"]])
def test_what_makes_no_sense_in_place_is_refused(arguments):
    assert in_place(*arguments).returncode == 2


SERVER = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CLOAK_TOKEN": "a-token-that-nobody-may-see\n"}, "token"),
        ({"CLOAK_TOKEN": "a-token-that-nobody-may-\u015dee"}, "token"),
        ({"CLOAK_SERVER": f"http://{'a' * 64}.example:1"}, "address"),
        ({"CLOAK_SERVER": f"{SERVER}/\xfc"}, "address"),
    ],
)
def test_what_no_request_can_carry_is_told_without_repeating_it(photos, environment, words):
    done = in_place(photos / "located.jpg", **{"CLOAK_SERVER": SERVER, **environment})
    assert (done.returncode, done.stderr.count("\n"), words in done.stderr) == (2, 1, True), done.stderr
    assert "nobody-may" not in done.stderr


def test_each_photo_that_fails_on_the_way_to_the_service_is_named(photos, monkeypatch, capsys):
    monkeypatch.setenv("CLOAK_SERVER", SERVER)
    monkeypatch.setattr("cloak.client.Client.anonymize", lambda *_, **__: 1 / 0)
    long = photos / ("a" * 300 + ".jpg")
    with pytest.raises(SystemExit) as stop:
        main(["run", "--in-place", str(long), *2 * [str(photos / "located.jpg")], str(photos / "words.jpg")])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"withheld   {path}" for path in (long, photos / "located.jpg", photos / "words.jpg")
    ]
    assert stop.value.code == 2


def test_a_name_that_the_system_refuses_withholds_no_other_photo(photos):
    long = photos / ("a" * 300 + ".jpg")
    done = in_place("-j", "1", "-p", "cms", long, photos / "words.jpg", photos / "words.jpg")
    assert done.returncode == 1
    assert done.stderr.count("withheld") == 2
    assert "File name too long" in done.stderr
    assert "words.jpg: the bytes are no image" in done.stderr


def test_an_interrupt_while_the_service_works_is_no_traceback(photos, monkeypatch, capsys):
    monkeypatch.setenv("CLOAK_SERVER", SERVER)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("cloak.client.Client.anonymize", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["run", "--in-place", str(photos / "located.jpg")])
    assert (stop.value.code, capsys.readouterr().err) == (130, "cloak: interrupted\n")


@pytest.mark.parametrize(
    "words",
    [
        ["--", "--in-place", "a.jpg"],
        ["-p", "--in-place", "a.jpg"],
        ["--in-place", "--effect", "perturb", "a.jpg"],
        ["--in-place", "--effect=perturb", "a.jpg"],
    ],
)
def test_a_service_gets_no_photo_that_was_not_named_for_it_or_keeps_its_faces(monkeypatch, words):
    """A file may be called as an option, and `cloak run -- *` replaces nothing."""
    monkeypatch.setenv("CLOAK_SERVER", SERVER)
    monkeypatch.delattr("cloak.client.Client")
    assert hand_over(["run", *words]) == (0, ["run", *words])


def test_what_ends_the_work_early_beats_what_was_found_before():
    assert [worst(*codes) for codes in ((0, 4), (4, 1), (1, 2), (1, 130), (4, 3))] == [4, 1, 2, 130, 3]
