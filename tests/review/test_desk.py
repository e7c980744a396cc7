"""The desk and its HTTP interface, without a browser."""

import asyncio
import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from queue import SimpleQueue
from types import SimpleNamespace

import cv2
import httpx
import numpy as np
import pytest
from cloak.cli.review import _browser, _login
from PIL import Image, ImageFilter

from cloak.decisions import Change, parse
from cloak.errors import Conflict, NotFound, NotWritten, OutputError, UsageError
from cloak.geometry import Box, Region
from cloak.photo import open_photo
from cloak.records import beside
from cloak.report import flagged
from cloak.review.app import Review, _version, create_app
from cloak.review.case import detail
from cloak.review.desk import Desk
from cloak.review.doors import DoorKeeper, Doors
from cloak.review.neighbours import Comparison
from cloak.review.pictures import Kept, Pictures
from cloak.review.queue import Doubt, doubt
from cloak.review.workers import Task, Workers
from cloak.store import Folder
from tests.faults.conftest import digests
from tests.review.conftest import CLOAK, HOSTILE, Server, killed_before_rename, published, visit_http, wait_for


@pytest.fixture
def desk(copied):
    made = Desk(copied)
    yield made
    made.close()


def case(desk, name):
    return next(case for case in desk.cases.values() if case.name == name)


def test_the_most_doubtful_photo_comes_first(desk):
    assert next(iter(desk.cases.values())).reason is Doubt.NO_FACE
    assert {case.state for case in desk.cases.values()} == {"waiting"}


def test_decisions_are_for_the_owner_only(desk):
    assert desk.place.with_name("decisions").stat().st_mode & 0o077 == 0


def test_the_page_that_lets_the_browser_in_is_new_and_for_the_owner_only(tmp_path):
    mine = tmp_path / "open.html"
    mine.write_text("my own page")
    with _browser(tmp_path, "http://127.0.0.1:1/enter?token=secret"):
        (page,) = set(tmp_path.iterdir()) - {mine}
        assert (page.stat().st_mode & 0o777, page.suffix, "token=secret" in page.read_text()) == (0o600, ".html", True)
        assert mine.read_text() == "my own page"
    assert list(tmp_path.iterdir()) == [mine]


FACE = {"score": 0.95, "models": ["centerface", "yunet"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"detections": [[]]}, Doubt.NO_FACE),
        ({"detections": [[FACE]], "doubtful": [[{"score": 0.2}]]}, Doubt.LOW_SCORE),
        ({"detections": [[FACE, {**FACE, "score": 0.5}]]}, Doubt.LOW_SCORE),
        ({"detections": [[FACE]], "faceless": [[{"score": 0.5}]]}, Doubt.PERSON),
        ({"detections": [[FACE]], "faceless": [[]]}, Doubt.REST),
        ({"detections": [[]], "faceless": [[{"score": 0.5}]]}, Doubt.NO_FACE),
        ({"detections": [[{**FACE, "models": ["yunet"]}]]}, Doubt.ONE_MODEL),
        ({"detections": [[FACE]], "bare_in_burst": [{}]}, Doubt.BURST),
        ({"detections": [[]], "revealed": [[FACE]]}, Doubt.REST),
    ],
)
def test_reasons_to_look(row, reason):
    assert doubt(row, models=2)[0] is reason


def test_of_photos_without_a_face_those_with_a_person_come_first():
    alone, person = {"detections": [[]]}, {"detections": [[]], "faceless": [[{"score": 0.5}]]}
    assert doubt(person, models=1) < doubt(alone, models=1)


def test_a_photo_is_one_editors_at_a_time(desk):
    photo = case(desk, "group.jpg")
    with pytest.raises(Conflict, match="nobody has claimed"):
        desk.change(photo.id, "ada", "Ada", 0, ())
    desk.claim(photo.id, "ada", "Ada")
    with pytest.raises(Conflict, match="Ada is looking"):
        desk.claim(photo.id, "grace", "Grace")
    with pytest.raises(Conflict, match="Ada has claimed"):
        desk.accept(photo.id, "grace", "Grace", 0)
    assert desk.leave("ada") == [photo.id]
    desk.claim(photo.id, "grace", "Grace")


def test_a_claim_without_a_sign_of_life_ends(desk, monkeypatch):
    photo = case(desk, "group.jpg")
    desk.claim(photo.id, "ada", "Ada")
    assert desk.lapsed() == []
    monkeypatch.setattr("cloak.review.desk.time.monotonic", lambda: float("inf"))
    assert desk.holder(photo.id) is None
    assert desk.lapsed() == [photo.id]
    assert desk.lapsed() == []


def test_a_decision_on_an_older_version_is_refused_and_nothing_of_it_stored(desk):
    photo = case(desk, "group.jpg")
    face = photo.found()[0][0].box
    desk.claim(photo.id, "ada", "Ada")
    assert desk.change(photo.id, "ada", "Ada", 0, (Change(face),)).review.version == 1
    with pytest.raises(Conflict, match="somebody else"):
        desk.change(photo.id, "ada", "Ada", 0, ())
    assert desk.case(photo.id).changes == (Change(face),)


def test_a_decision_on_what_a_run_has_replaced_meanwhile_is_refused(desk):
    photo = case(desk, "group.jpg")
    seen = {"version": 0, "record": photo.record}
    assert _version(seen, photo) == 0
    entry, origin = photo.entry, photo.origin
    for other in (
        replace(photo, entry=replace(entry, content="of other bytes")),
        replace(photo, entry=replace(entry, row=entry.row | {"detections": [[]]})),
        replace(photo, origin=replace(origin, pipeline="of other settings")),
    ):
        with pytest.raises(Conflict):
            _version(seen, other)


def test_who_was_left_bare_by_consent_of_a_run_is_revealed_by_no_acceptance(desk):
    """Consent can be withdrawn; a person's decision stays."""
    photo = case(desk, "group.jpg")
    first, *others = photo.entry.row["detections"][0]
    row = photo.entry.row | {"detections": [others], "revealed": [[first]]}
    desk.cases[photo.id] = kept = replace(photo, entry=replace(photo.entry, row=row))
    assert (kept.changes, kept.found()) == ((), photo.found())
    desk.claim(photo.id, "ada", "Ada")
    assert desk.accept(photo.id, "ada", "Ada", 0).review.decisions.changes == ()


def test_an_effect_that_the_newsroom_refuses_is_neither_offered_nor_stored(desk):
    photo = case(desk, "group.jpg")
    assert detail(photo, None)["effects"] == ("fill", "decoy")
    desk.claim(photo.id, "ada", "Ada")
    with pytest.raises(UsageError, match="permits only decoy, fill"):
        desk.change(photo.id, "ada", "Ada", 0, (Change(area=Region(Box(10, 10, 20, 20), effect="blur")),))
    assert desk.case(photo.id).review.version == 0


def test_decisions_outlive_the_desk_and_verdicts_are_kept_for_good(desk, copied):
    photo = case(desk, "group.jpg")
    area = Region(Box(10, 10, 20, 20), effect="fill")
    desk.claim(photo.id, "ada", "Ada")
    desk.change(photo.id, "ada", "Ada", 0, (Change(area=area),))
    desk.hold(photo.id, "ada", "Ada", 1, "why")
    desk.change(photo.id, "ada", "Ada", 2, ())
    desk.accept(photo.id, "ada", "Ada", 3)
    desk.close()
    again = Desk(copied)
    assert again.case(photo.id).review.version == 4
    assert [case.id for case in again.unfinished()] == [photo.id]
    again.close()
    with closing(sqlite3.connect(beside(copied))) as db:
        rows = db.execute("SELECT reviewer, verdict, decisions FROM verdict").fetchall()
    assert [row[:2] for row in rows] == [("Ada", "hold"), ("Ada", "accept")]
    assert parse(rows[0][2].encode()).changes == (Change(area=area),)
    desk.__init__(copied)  # for the fixture to close


@pytest.fixture(scope="module")
def burst(tmp_path_factory, samples, expected):
    """Two frames of one scene that came with two runs, neither of them published; one face of the second is blurred,
    so that no detector sees it. The output folder, and where that face is."""
    root = tmp_path_factory.mktemp("burst")
    frame, face = Image.open(samples / "group.jpg").convert("RGB"), Box(*expected["group.jpg"]["faces"][0])
    for name in ("1.jpg", "2.jpg"):
        (root / "shoot").mkdir(exist_ok=True)
        frame.save(root / "shoot" / name, quality=92)
        command = [*CLOAK, "run", root / "shoot", "-o", root / "out", "-p", "newsroom", "--recall", "fast", "-j", "1"]
        assert subprocess.run(command, capture_output=True).returncode == 4
        around = face.grown(2)
        place = tuple(map(int, (around.x, around.y, around.right, around.bottom)))
        frame.paste(frame.crop(place).filter(ImageFilter.GaussianBlur(face.width / 3)), place[:2])
    return root / "out", face


def test_a_face_concealed_in_a_frame_of_an_earlier_run_is_found_bare_in_the_next(burst):
    out, face = burst
    desk = Desk(out)
    try:
        comparison = Comparison(Pictures(desk.key, Folder(out), b"seed"))

        def compare():
            while found := desk.uncompared():
                desk.compared(found[0], comparison.bare(*found))
            desk.refresh()
            return {case.name: case for case in desk.cases.values()}

        cases = compare()
        assert cases["1.jpg"].bare == ()
        (bare,) = cases["2.jpg"].bare
        assert bare.neighbour == "1.jpg"
        assert face.grown(2).iou(bare.box.grown(2)) > 0.2
        (told,) = detail(cases["2.jpg"], None)["bare"]
        assert told["neighbour"] == "1.jpg"
        second = {key: value for key, value in cases["2.jpg"].entry.row.items() if key != "doubtful"}
        assert doubt(flagged(second, cases["2.jpg"].bare), 1)[0] is Doubt.BURST

        # What a person conceals by hand counts, in this frame and for its neighbours; a revealed face is not missed.
        desk.claim(cases["2.jpg"].id, "ada", "Ada")
        desk.change(
            cases["2.jpg"].id, "ada", "Ada", 0, (Change(area=Region(face)), Change(area=Region(Box(560, 650, 90, 40))))
        )
        cases = compare()
        assert cases["2.jpg"].bare == ()
        assert [place.neighbour for place in cases["1.jpg"].bare] == ["2.jpg"]
        known = cases["2.jpg"].found()[0][0].box
        desk.change(cases["2.jpg"].id, "ada", "Ada", 1, (Change(area=Region(face)), Change(face=known)))
        assert compare()["2.jpg"].bare == ()
    finally:
        desk.close()


def test_nothing_of_a_comparison_is_written(burst):
    with closing(sqlite3.connect(beside(burst[0]))) as db:
        rows = db.execute("SELECT row FROM photo").fetchall()
    assert all("bare_in_burst" not in row for (row,) in rows)


def test_a_reason_that_is_no_text_is_refused(desk):
    photo = case(desk, "group.jpg")
    desk.claim(photo.id, "ada", "Ada")
    with pytest.raises(UsageError):
        desk.hold(photo.id, "ada", "Ada", 0, "\ud800")
    assert case(desk, "group.jpg").review.version == 0


def test_a_verdict_is_carried_out_whatever_becomes_of_its_sidecar(desk, monkeypatch):
    review, tasks = Review(desk, None, "", 1, 1.0, b"k"), []
    monkeypatch.setattr(review, "_workers", SimpleNamespace(submit=tasks.append))
    photo, sidecars = case(desk, "group.jpg"), beside(desk.out).with_name("decisions")
    desk.claim(photo.id, "ada", "Ada")
    review.decided(desk.accept(photo.id, "ada", "Ada", 0))
    assert (sidecars / "group.jpg.cloak.json").exists()
    monkeypatch.setattr("cloak.files.os.fsync", broken_disk)
    with pytest.raises(NotWritten, match=r"what was decided is stored.*No space left"):
        review.decided(desk.hold(photo.id, "ada", "Ada", 1, "no"))
    assert [task.decisions.verdict for task in tasks] == ["accept", "hold"]
    assert not (sidecars / "group.jpg.cloak.json").exists()  # it says what no longer holds


def broken_disk(_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("change", [Change(area=Region(Box(9e9, 0, 1, 1))), Change()])
def test_changes_that_nobody_can_have_made_are_refused(desk, change):
    photo = case(desk, "group.jpg")
    desk.claim(photo.id, "ada", "Ada")
    with pytest.raises(UsageError):
        desk.change(photo.id, "ada", "Ada", 0, (change,))


def test_a_second_desk_over_one_folder_is_refused(desk, copied):
    with pytest.raises(OutputError, match="another review"):
        Desk(copied)
    with pytest.raises(NotFound):
        desk.case("0" * 20)


def test_whom_the_system_knows_by_no_name_the_page_asks(monkeypatch):
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 3_141_592)
    assert _login() == ""


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no record"):
        Desk(tmp_path)


def test_a_ledger_of_an_earlier_version_is_named_not_a_traceback(copied):
    with sqlite3.connect(beside(copied)) as db:
        db.execute("DROP TABLE review")
    db.close()
    for _ in range(2):  # what is refused lets go of the lock
        with pytest.raises(OutputError, match="no such table"):
            Desk(copied)


@pytest.fixture
def site(server):
    """A client that has been let in."""
    visit_http(server.url)
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60, headers={"X-Cloak-Page": "p"}) as client:
        answer = client.get("/enter", params={"token": server.token})
        assert answer.status_code == 200
        yield client


def test_without_the_token_there_is_no_page_and_a_token_works_once(site, server):
    for path in ("/", "/page/main.js", "/api/photos", "/api/events", "/nothing"):
        answer = httpx.get(server.url + path, trust_env=False, timeout=60)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert httpx.get(server.address, trust_env=False, timeout=60).status_code == 401
    assert httpx.get(f"{server.url}/enter?token=", trust_env=False, timeout=60).status_code == 401
    assert httpx.get(f"{server.url}/login", trust_env=False, timeout=60).status_code == 404
    assert site.get("/").status_code == 200
    server.stop()
    assert [server.token in words for words in server.words] == [True, *(False for _ in server.words[1:])]


def test_a_browser_that_asks_for_an_icon_by_itself_gets_one(site, server):
    # As Chromium does, now and then, for the page that /enter answers: a 404 there is an error on its console.
    answer = httpx.get(f"{server.url}/favicon.ico", trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_the_page_keeps_to_itself(site):
    answer = site.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assets = [place.name for place in files("cloak.review").joinpath("page").iterdir()]
    assert {"main.js", "style.css"} <= set(assets)
    for name in assets:
        text = site.get(f"/page/{name}").text
        assert re.findall(r"""(?:https?:)?//(?!www\.w3\.org)[a-z0-9.-]+\.[a-z]{2,}""", text) == [], name
        assert "innerHTML" not in text, name
    assert site.get("/page/..%2fapp.py").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403), ({"Content-Type": "text/plain"}, 400)],
)
def test_other_sites_cannot_reach_the_desk(site, headers, status):
    photo = site.get("/api/photos").json()[0]["id"]
    body = json.dumps({"version": 0, "reason": ""})
    site.post(f"/api/photos/{photo}/claim")
    answer = site.post(
        f"/api/photos/{photo}/hold", content=body, headers={"Content-Type": "application/json", **headers}
    )
    assert answer.status_code == status


def test_text_that_is_none_and_decisions_on_what_nobody_has_seen_are_refused_and_the_queue_goes_on(site):
    photo = f"/api/photos/{site.get('/api/photos').json()[0]['id']}"
    site.post(f"{photo}/claim")
    half = {"headers": {"Content-Type": "application/json"}}
    assert site.post(f"{photo}/hold", content=r'{"version": 0, "reason": "\ud800"}', **half).status_code == 400
    assert site.put("/api/session", content=r'{"editor": "\ud800"}', **half).status_code == 400
    for ask, act in ((site.put, "changes"), (site.post, "accept"), (site.post, "hold")):
        assert ask(f"{photo}/{act}", json={"version": 0, "changes": []}).status_code == 400
        assert ask(f"{photo}/{act}", json={"version": 0, "record": "another", "changes": []}).status_code == 409
    assert site.get("/api/photos").json()[0]["version"] == 0


def test_names_are_told_as_they_are_and_paths_are_not(site, shoot):
    photos = site.get("/api/photos")
    assert HOSTILE in [photo["name"] for photo in photos.json()]
    assert str(shoot.parent) not in photos.text


def test_pictures_are_scaled_and_tiled_and_held_by_nobody(site):
    group = next(photo for photo in site.get("/api/photos").json() if photo["name"] == "group.jpg")
    path = f"/api/photos/{group['id']}"
    original, result = (site.get(f"{path}/preview/{side}", params={"longest": 256}) for side in ("original", "result"))
    assert original.content[:3] == result.content[:3] == b"\xff\xd8\xff"
    assert original.content != result.content
    assert original.headers["cache-control"] == "no-store"
    assert site.get(f"{path}/tile/result/1/2/1").status_code == 200
    assert site.get(f"{path}/tile/result/1/3/0").status_code == 404
    assert site.get(f"{path}/tile/result/3/0/0").status_code == 404
    assert site.get(f"{path}/preview/original", params={"frame": 1}).status_code == 404
    assert site.get(f"{path}/preview/published").status_code == 400


def test_a_page_that_goes_on_frees_what_it_had_even_if_it_gets_nothing(site, server):
    one, other = (photo["id"] for photo in site.get("/api/photos").json()[:2])
    grace = {"X-Cloak-Page": "another"}
    site.post(f"/api/photos/{one}/claim")
    site.post(f"/api/photos/{other}/claim", headers=grace)
    assert site.post(f"/api/photos/{one}/claim", headers=grace).status_code == 409
    assert site.get(f"/api/photos/{other}").json()["claim"] is None


def test_a_picture_that_two_ask_for_at_once_is_made_once():
    made, kept, start = [], Kept(1000), threading.Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.2)
        return np.zeros((10, 10, 3), np.uint8)

    def ask(_):
        start.wait()
        return kept.get("a", make)

    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(ask, range(4)))
    assert (len(made), len({id(picture) for picture in pictures})) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        kept.get("b", lambda: 1 / 0)
    for key in "bcde":
        kept.get(key, make)
    assert sorted(kept._kept) == ["c", "d", "e"]


def test_a_small_picture_is_made_from_a_larger_one_that_is_there(desk, monkeypatch):
    group, decoded = case(desk, "group.jpg"), []
    monkeypatch.setattr("cloak.review.pictures.open_photo", lambda *given: decoded.append(1) or open_photo(*given))
    pictures, alone = (Pictures(desk.key, Folder(desk.out), b"seed") for _ in range(2))
    for longest in (1280, 168, 600):
        pictures.preview(group, "original", 0, longest)
    assert len(decoded) == 1
    small, decoded_small = (one.preview(group, "result", 0, 160) for one in (pictures, alone))
    assert len(decoded) == 2
    small, decoded_small = (cv2.imdecode(np.frombuffer(data, np.uint8), 1) for data in (small, decoded_small))
    assert small.shape == decoded_small.shape == (90, 160, 3)
    assert np.abs(small.astype(int) - decoded_small).mean() < 4


def test_who_is_in_a_hurry_gets_the_coarse_picture_that_is_there_never_a_coarser_one_than_half(desk, monkeypatch):
    group, decoded = case(desk, "group.jpg"), []
    monkeypatch.setattr("cloak.review.pictures.open_photo", lambda *given: decoded.append(1) or open_photo(*given))
    pictures = Pictures(desk.key, Folder(desk.out), b"seed")

    def width(longest, quick):
        return cv2.imdecode(np.frombuffer(pictures.preview(group, "result", 0, longest, quick), np.uint8), 1).shape[1]

    assert (width(320, True), len(decoded)) == (320, 1)
    assert (width(640, True), len(decoded)) == (320, 1)
    assert (width(1280, True), len(decoded)) == (1280, 2)
    assert (width(640, True), len(decoded)) == (640, 2)


def test_hold_withdraws_what_was_accepted_before(site, server):
    group = next(photo for photo in site.get("/api/photos").json() if photo["name"] == "group.jpg")
    path = f"/api/photos/{group['id']}"
    assert site.post(f"{path}/claim").status_code == 200
    record = group["record"]
    version = site.post(f"{path}/accept", json={"version": 0, "record": record}).json()["version"]
    wait_for(lambda: site.get(path).json()["state"] == "accepted")
    assert published(server, "group.jpg")
    site.post(f"{path}/claim")
    hold = {"version": version, "record": record, "reason": "no"}
    assert site.post(f"{path}/hold", json=hold).status_code == 200
    wait_for(lambda: site.get(path).json()["state"] == "held")
    assert published(server, "group.jpg") is None


def test_a_photo_that_changed_on_the_disk_is_not_published(tmp_path, samples):
    photo, out = tmp_path / "a.webp", tmp_path / "out"
    shutil.copy(samples / "portrait.webp", photo)
    subprocess.run([*CLOAK, "run", photo, "-o", out, "-p", "newsroom", "--recall", "fast"], capture_output=True)
    server = Server(out).start()
    try:
        visit_http(server.url)
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            client.get("/enter", params={"token": server.token})
            (row,) = client.get("/api/photos").json()
            shutil.copy(samples / "group.jpg", photo)
            client.post(f"/api/photos/{row['id']}/claim")
            client.post(f"/api/photos/{row['id']}/accept", json={"version": 0, "record": row["record"]})
            wait_for(lambda: client.get(f"/api/photos/{row['id']}").json()["state"] == "failed")
            assert "changed" in client.get(f"/api/photos/{row['id']}").json()["failure"]
    finally:
        server.stop()
    assert published(server, "a.webp") is None


def test_workers_that_cannot_be_started_or_are_killed_fail_a_verdict_and_the_next_tries_anew(desk, shoot, monkeypatch):
    def refused(_):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def accepted():
        photo = case(desk, "located.jpg")
        desk.claim(photo.id, "ada", "Ada")
        made = desk.accept(photo.id, "ada", "Ada", photo.review.version)
        workers.submit(Task(made.id, made.review.version, *desk.task(made, b"k")))
        settled = desk.settle(*told.get(timeout=30))
        return settled.state, settled.review.failure

    originals, told = digests(shoot), SimpleQueue()
    monkeypatch.setattr("cloak.review.workers._carry_out", killed_before_rename)
    monkeypatch.setattr("cloak.pool.ATTEMPTS", 1)
    with monkeypatch.context() as patch:
        patch.setattr("cloak.pool.Worker._launch", refused)
        workers = Workers(1, 60.0, lambda *given: told.put(given))
        state, failure = accepted()
        assert state == "failed"
        assert re.match(r"no worker process can be started: Resource temp.*\. Check the limits", failure)
    try:
        state, failure = accepted()
    finally:
        workers.end()
    assert state == "failed"
    assert "the worker died" in failure
    assert [name for name in digests(desk.out) if not name.startswith(".cloak-")] == []
    assert digests(shoot) == originals


def test_workers_that_do_not_end_as_they_should_let_the_server_end(monkeypatch):
    monkeypatch.setattr("cloak.review.workers.Pool.__exit__", lambda *_: 1 / 0)
    ending = threading.Thread(target=Workers(1, 60.0, lambda *_: None).end, daemon=True)
    ending.start()
    ending.join(30)
    assert not ending.is_alive()


def test_a_worker_goes_on_when_nobody_can_be_told(desk, monkeypatch):
    def refused(_):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    told, heard = [], threading.Event()

    def done(*given):
        told.append(given)
        if len(told) == 1:
            raise RuntimeError("Event loop is closed")
        heard.set()

    monkeypatch.setattr("cloak.pool.Worker._launch", refused)
    photo = case(desk, "located.jpg")
    desk.claim(photo.id, "ada", "Ada")
    made = desk.accept(photo.id, "ada", "Ada", photo.review.version)
    workers = Workers(1, 60.0, done)
    for _ in range(2):
        workers.submit(Task(made.id, made.review.version, *desk.task(made, b"k")))
    assert heard.wait(30)
    workers.end()


def ended(out, work):
    """Why a review of a folder has ended by itself after some work, and the last event that a page heard of it."""

    async def go():
        review, events = Review(Desk(out), None, "", 1, 60.0, b"k" * 32), []

        async def listen():
            async for event in review.hub.stream("page", lambda _: None):
                events.append(event)

        async with review.open(), asyncio.timeout(60):
            page = asyncio.create_task(listen())
            await asyncio.sleep(0)
            work(review)
            await page
        return str(review.failure), events[-1]

    with ThreadPoolExecutor(1) as thread:  # Playwright's loop may run in this one, from a test before
        return thread.submit(lambda: asyncio.run(go())).result()


def test_a_server_that_cannot_note_a_result_ends_and_says_why(copied, monkeypatch):
    monkeypatch.setattr("cloak.review.app.AWAKE", 1000)  # no look at the ledger finds it earlier

    def work(review):
        photo = case(review.desk, "located.jpg")
        review.desk.claim(photo.id, "ada", "Ada")
        review.decided(review.desk.accept(photo.id, "ada", "Ada", photo.review.version))
        shutil.move(review.desk.place.parent, copied.with_name("away"))

    failure, event = ended(copied, work)
    assert "the ledger was moved" in failure
    assert event.startswith("event: failed\n")
    assert failure in event


@pytest.mark.parametrize("name", ["refresh", "uncompared"])
def test_a_server_that_can_no_longer_look_at_the_ledger_ends_and_says_why(copied, monkeypatch, name):
    def fails():
        raise OutputError("the ledger cannot be read: disk I/O error")

    monkeypatch.setattr("cloak.review.app.AWAKE", 0.1)
    failure, event = ended(copied, lambda review: monkeypatch.setattr(review.desk, name, fails))
    assert "disk I/O error" in failure
    assert failure in event


def at_the_door(visit):
    """Have a visitor do something at the door of a desk whose password is "right"."""
    review = SimpleNamespace(desk=None, doors=Doors(["right"], ""), guessing=asyncio.Lock(), cookie="c")

    async def go():
        transport = httpx.ASGITransport(DoorKeeper(create_app(review), review.doors, "c", anywhere=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=10) as client:
            await visit(review, client)

    with ThreadPoolExecutor(1) as thread:  # Playwright's loop may run in this one, from a test before
        thread.submit(lambda: asyncio.run(go())).result()


def test_a_wrong_password_refuses_all_others_for_a_second_and_the_right_one_with_them():
    async def visit(review, client):
        def guess(password):
            return asyncio.create_task(client.post("/login", data={"editor": "Ada", "password": password}))

        wrong = guess("wrong")
        while not review.guessing.locked():
            await asyncio.sleep(0.01)
        early = await guess("right")
        assert (early.status_code, early.cookies.get("c")) == (429, None)
        assert not wrong.done()
        assert (await wrong).status_code == 401
        right = await guess("right")
        assert (right.status_code, bool(right.cookies.get("c"))) == (200, True)

    at_the_door(visit)


def test_the_door_takes_no_long_body_and_waits_for_none(monkeypatch):
    monkeypatch.setattr("cloak.review.app.IDLE", 0.1)

    async def stops():
        yield b"password="
        await asyncio.sleep(60)

    async def visit(_, client):
        assert (await client.post("/login", content=b"password=" + b"a" * 5000)).status_code == 413
        assert (await client.post("/login", content=stops())).status_code == 408

    at_the_door(visit)


def test_what_is_no_host_and_no_origin_is_refused_with_the_headers_of_the_page():
    async def visit(_, client):
        for headers, status in (({"Host": "["}, 421), ({"Origin": "http://["}, 403)):
            answer = await client.post("/login", headers=headers)
            assert (answer.status_code, answer.headers["x-frame-options"]) == (status, "DENY"), headers

    at_the_door(visit)


@pytest.mark.parametrize("password", [None, "a password of many letters"])
def test_elsewhere_a_password_is_demanded(copied, tmp_path, password):
    file = tmp_path / "passwords"
    file.write_text(f"{password}\n")
    file.chmod(0o600)
    command = [*CLOAK, "review", copied, "--host", "0.0.0.0", "--port", "0", "--no-browser"]
    if password is None:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert "demanded" in done.stderr
        return
    server = Server(copied)
    server.process = subprocess.Popen(
        [*map(str, command), "--password-file", str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        server.url = "http://127.0.0.1:" + re.search(r":(\d+)/login", server.process.stdout.readline())[1]
        visit_http(server.url)
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            assert client.get("/").status_code == 401
            assert "Password" in client.get("/login").text
            assert client.post("/login", data={"editor": "Eve", "password": "guess"}).status_code == 401
            client.post("/login", data={"editor": "Ada", "password": password})
            assert client.get("/api/session").json()["editor"] == "Ada"
    finally:
        server.stop()


def test_a_second_signal_leaves_no_way_in_behind(copied, tmp_path):
    """The file that takes the browser in holds a token, and lies beside the ledger."""
    command = [*CLOAK, "review", copied, "--port", "0"]
    quiet = {**os.environ, "BROWSER": "/bin/true"}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=quiet)
    url = "http://127.0.0.1:" + re.search(r":(\d+)/enter", process.stdout.readline())[1]
    visit_http(url)
    (page,) = (path for folder in (tmp_path, copied) for path in folder.rglob("open-*.html"))
    assert page.stat().st_mode & 0o777 == 0o600
    for number in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not page.exists()
