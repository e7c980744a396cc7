"""`cloak watch` as a process, against the ways in which files come into a folder."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePath
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from cloak.cli.watch import command

from benchmarks.watch import flood
from cloak.errors import Corrupt, UsageError
from cloak.job import Job
from cloak.pipeline import load
from cloak.place import Url
from cloak.report import Outcome, withheld
from cloak.result import Status
from cloak.watch import Watch
from tests.service.test_anonymize import bare_faces, carriers


@contextlib.contextmanager
def watching(folder, *options):
    """Watch folder/in; ends the process as an operator would. Yields a function that waits for published names."""
    command = [sys.executable, "-m", "cloak.cli", "watch", folder / "in", "--out", folder / "out", "--settle", "0.5"]
    command += ["--recall", "fast", "--jobs", "1", *options]
    with open(folder / "log", "a") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)

    def published(*names, seconds=120):
        end = time.monotonic() + seconds
        while {p.relative_to(folder / "out").as_posix() for p in (folder / "out").rglob("*.jpg")} != set(names):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)

    try:
        yield published
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_restart_calls_what_it_finds_as_before(tmp_path, inbox):
    """Names that differ in case only get numbers in the order in which they came."""
    job = Job((inbox,), tmp_path / "out", load("photographer", names="random"))
    first = Watch(job)
    names = []
    for name in ("dsc_1.jpg", "DSC_1.JPG"):
        (inbox / name).write_bytes(b"x")
        first._look(0)
    names.append({path.name: str(file.item.name) for path, file in first._files.items()})
    restarted = Watch(job)
    restarted._earlier = {path.absolute(): file.item.name for path, file in first._files.items()}
    (inbox / "Dsc_1.jpg").write_bytes(b"x")
    restarted._look(0)
    names.append({path.name: str(file.item.name) for path, file in restarted._files.items()})
    assert names[0] == {"dsc_1.jpg": "dsc_1.jpg", "DSC_1.JPG": "DSC_1-2.JPG"}
    assert names[1] == names[0] | {"Dsc_1.jpg": "Dsc_1-2-2.jpg"}


@pytest.mark.parametrize("outcome", [Outcome("in/q.jpg", "", Status.HELD), withheld("in/q.jpg", Corrupt("torn"))])
def test_what_is_withdrawn_with_a_photo_is_named(tmp_path, inbox, monkeypatch, outcome):
    monkeypatch.setattr("cloak.pool.prepare", lambda *_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("cloak.watch.Watch", lambda *_: [replace(outcome, withdrawn=("p.jpg",))])
    done = CliRunner().invoke(command, [str(inbox), "--out", str(tmp_path / "out"), "--quiet"])
    assert f"withdrawn  p.jpg: in/q.jpg has its bytes, and is {outcome.status}\n" in done.output


def test_a_photo_whose_copy_was_withdrawn_is_named_at_once_though_it_may_be_a_copy_that_pauses(tmp_path, inbox):
    (inbox / "q.jpg").write_bytes(b"x")
    watch = Watch(Job((inbox,), tmp_path / "out", load("photographer")))
    torn = withheld(str(inbox / "q.jpg"), Corrupt("torn"))
    for outcome, named in ((torn, 0), (replace(torn, withdrawn=("p.jpg",)), 1)):
        watch._look(0)
        run = SimpleNamespace(over=lambda items, outcome=outcome: list(items) and [outcome])
        assert len(list(watch._publish(run, 1000))) == named


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "in" / "day").mkdir(parents=True)
    return tmp_path / "in"


def test_photos_are_published_whatever_way_they_come(tmp_path, inbox, jpeg):
    photo = jpeg(comment=b"a comment")
    (inbox / "before.jpg").write_bytes(photo)
    with watching(tmp_path) as published:
        published("before.jpg")
        # One that cannot be made safe is named, and nothing dies of it.
        (inbox / "bad.jpg").write_bytes(b"words, not pixels")
        # A copy in small pieces, with rests longer than a file must rest.
        with open(inbox / "slow.jpg", "wb") as slow:
            for part in range(4):
                slow.write(photo[part * len(photo) // 4 : (part + 1) * len(photo) // 4])
                slow.flush()
                time.sleep(0.9)
        # A rename into place, from a name under which copies are made.
        (inbox / "renamed.jpg.part").write_bytes(photo)
        published("before.jpg", "slow.jpg")
        os.rename(inbox / "renamed.jpg.part", inbox / "renamed.jpg")
        # A folder that comes as a whole, and many at once.
        for number in range(8):
            (inbox / "day" / f"{number}.jpg").write_bytes(photo)
        many = [f"day/{number}.jpg" for number in range(8)]
        published("before.jpg", "slow.jpg", "renamed.jpg", *many)
    for path in (tmp_path / "out").rglob("*.jpg"):
        assert not bare_faces(path.read_bytes())
        assert not carriers(path.read_bytes())
    log = (tmp_path / "log").read_text()
    assert log.count("withheld") == log.count("bad.jpg") == 1
    assert "slow.jpg: 1 faces" in log


def test_a_photo_at_which_a_person_should_look_is_named(tmp_path, inbox, behind):
    (inbox / "behind.jpg").write_bytes(behind)
    with watching(tmp_path, "--persons") as published:
        published("behind.jpg")
    log = (tmp_path / "log").read_text()
    assert f"to review  {inbox / 'behind.jpg'}: people without a face, as from behind, are bare; look at it" in log


def test_a_name_that_is_no_text_ends_nothing_and_hides_no_other_photo(tmp_path, inbox, jpeg):
    strange = os.fsdecode(b"caf\xe9.jpg")
    try:
        (inbox / strange).write_bytes(b"")
    except OSError:
        pytest.skip("this disk takes no such name")
    with watching(tmp_path) as published:
        (inbox / strange).write_bytes(jpeg())
        published(strange)
        (inbox / "later.jpg").write_bytes(jpeg())
        published(strange, "later.jpg")


def test_a_folder_that_cannot_be_watched_is_swept_and_tried_ever_less_often(tmp_path, inbox, monkeypatch):
    tries, clock = [], [100.0]

    def refused(*_, **__):
        tries.append(clock[0])
        raise OSError(28, "OS file watch limit reached.")

    def wait(seconds):
        clock[0] += seconds
        return clock[0] > 400

    watch = Watch(Job((inbox,), tmp_path / "out", load("photographer")))
    monkeypatch.setattr("watchfiles.watch", refused)
    monkeypatch.setattr("cloak.watch.Run", lambda _: contextlib.nullcontext(SimpleNamespace(own_names=dict)))
    monkeypatch.setattr("cloak.watch.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(watch, "_stop", SimpleNamespace(wait=wait))
    looks = []
    monkeypatch.setattr(Watch, "_look", lambda _, now: looks.append(now))
    assert list(watch) == []
    assert [after - before for before, after in pairwise(tries)][:7] == [0.5, 1, 2, 4, 8, 16, 30]
    assert len(tries) < 20
    assert all(after - before < 32 for before, after in pairwise(looks))


def test_a_restart_catches_up_and_does_nothing_twice(tmp_path, inbox, jpeg):
    (inbox / "a.jpg").write_bytes(jpeg())
    with watching(tmp_path) as published:
        published("a.jpg")
    stamp = (tmp_path / "out/a.jpg").stat().st_ctime_ns
    (inbox / "b.jpg").write_bytes(jpeg())
    with watching(tmp_path) as published:
        published("a.jpg", "b.jpg")
        # One that changes is done again.
        (inbox / "a.jpg").write_bytes(jpeg(quality=70))
        end = time.monotonic() + 60
        while (tmp_path / "log").read_text().count("a.jpg") < 2 and time.monotonic() < end:
            time.sleep(0.1)
    log = (tmp_path / "log").read_text()
    assert (log.count("a.jpg"), log.count("b.jpg")) == (2, 1), log
    assert (tmp_path / "out/a.jpg").stat().st_ctime_ns != stamp


@pytest.mark.slow
def test_many_at_once_by_every_way_through_a_kill_are_published_once(tmp_path):
    """As in `python -m benchmarks.watch`, with fewer."""
    figures = flood(tmp_path, 60, 1)
    assert (figures["missing"], figures["strange"], figures["twice"]) == ([], [], [])
    assert figures["code"] == 0
    (bad,) = figures["withheld"]
    assert "words.jpg: the bytes are no image" in bad


def test_a_folder_that_is_not_there_is_told(tmp_path):
    command = [sys.executable, "-m", "cloak.cli", "watch", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "folder" in done.stderr


def test_a_folder_is_not_watched_for_a_store(tmp_path):
    job = Job((tmp_path,), Url("s3://bucket", "public"), load("photographer"))
    with pytest.raises(UsageError, match="into a folder only"):
        Watch(job)


def test_what_comes_later_takes_no_name_that_is_given(tmp_path, inbox):
    watch = Watch(Job((inbox,), tmp_path / "out", load("photographer")))

    def look(*names):
        for name in names:
            (inbox / name).touch()
        watch._look(time.monotonic())
        return {path.name: str(file.item.name) for path, file in watch._files.items()}

    first = look("DSC_1.JPG", "DSC_1.jpg")
    (inbox / "DSC_1.jpg").write_bytes(b"changed")
    later = look("DSC_1-2.jpg", "a.jpg")
    if len(first) == 2:  # the disk tells cases apart
        assert first == {"DSC_1.JPG": "DSC_1.JPG", "DSC_1.jpg": "DSC_1-2.jpg"}
        assert later == {**first, "DSC_1-2.jpg": "DSC_1-2-2.jpg", "a.jpg": "a.jpg"}


def test_a_name_that_two_photos_had_is_given_to_one(tmp_path, inbox):
    watch = Watch(Job((inbox,), tmp_path / "out", load("photographer")))
    (inbox / "x").mkdir()
    photos = [inbox / "a.jpg", inbox / "x/a.jpg", inbox / "x/b.jpg"]
    for photo in photos:
        photo.touch()
    watch._earlier = {photos[0]: PurePath("a.jpg"), photos[1]: PurePath("a.jpg"), photos[2]: PurePath("x/a.jpg")}
    watch._look(time.monotonic())
    names = {path: str(file.item.name) for path, file in watch._files.items()}
    assert names == dict(zip(photos, ["a.jpg", "x/a-2.jpg", "x/a.jpg"], strict=True))


def test_a_folder_that_gets_more_all_the_time_is_looked_through_for_a_tenth_of_the_time(tmp_path, monkeypatch):
    clock, looks = [100.0], []

    def look(_, now):
        looks.append(now)
        clock[0] += 2

    def events(*_, **__):
        for _ in range(400):
            clock[0] += 0.5
            yield {("added", "another.jpg")} if clock[0] < 250 else set()

    monkeypatch.setattr("watchfiles.watch", events)
    monkeypatch.setattr("cloak.watch.Run", lambda _: contextlib.nullcontext(SimpleNamespace(own_names=dict)))
    monkeypatch.setattr("cloak.watch.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Watch, "_look", look)
    assert list(Watch(Job((tmp_path,), tmp_path / "out", load("photographer")))) == []
    assert looks[0] == 100.5
    busy = [now for now in looks if now < 250]
    assert 4 <= len(busy) <= 0.1 * 150 / 2 + 1
    assert looks[len(busy)] - busy[-1] == 20  # what came meanwhile is not forgotten
