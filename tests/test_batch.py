"""Whole runs with real workers."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from cloak.decisions import Change, Decisions, dump
from cloak.geometry import Box, Region, Size
from cloak.ledger import Ledger
from cloak.records import beside
from cloak.reviews import Reviews

CLOAK = [sys.executable, "-m", "cloak.cli"]


# Weak hits in a photo ask for a look: 4 is as good as 0 where a test is not about that.
FINE = (0, 4)


def run(*arguments, code=FINE, **options):
    done = subprocess.run([*CLOAK, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)
    wanted = code if isinstance(code, tuple) else (code,)
    assert done.returncode in wanted, (done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def shoot(tmp_path, jpeg, landscape):
    """A small shoot: two photos of one name in two folders, one without a face, one broken."""
    root = tmp_path / "shoot"
    (root / "day 2").mkdir(parents=True)
    (root / "a.jpg").write_bytes(jpeg())
    (root / "day 2/a.jpg").write_bytes(jpeg(quality=80))
    (root / "b.jpg").write_bytes(landscape)
    (root / "broken.jpg").write_bytes(jpeg()[:3000])
    (root / "a.xmp").write_text("<x/>")
    return root


def digests(root):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def names(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_a_shoot_keeps_its_structure_and_the_broken_photo_is_named(shoot, tmp_path):
    before = digests(shoot)
    done = run("run", shoot, "--out", tmp_path / "public", "--report", tmp_path / "report.json", code=1)
    assert names(tmp_path / "public") == ["a.jpg", "b.jpg", "day 2/a.jpg"]
    assert digests(shoot) == before
    assert "broken.jpg" in done.stderr
    assert "a.xmp: a sidecar, never copied" in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["totals"]["exit_code"] == 1
    status = {row["source"].rpartition("shoot/")[2]: row["status"] for row in report["photos"]}
    assert status == {"a.jpg": "concealed", "day 2/a.jpg": "concealed", "b.jpg": "no-face", "broken.jpg": "withheld"}
    (broken,) = [row for row in report["photos"] if row["status"] == "withheld"]
    assert broken["reason"] == "corrupt"
    assert broken["next"]
    (row,) = [row for row in report["photos"] if row["source"].endswith("shoot/a.jpg")]
    assert row["detections"][0][0]["box"]["width"] > 10
    assert row["effect"]["name"] == "pixelate"
    assert row["pipeline"] == report["pipeline_hash"]
    assert set(row["milliseconds"]) >= {"open", "detect", "conceal", "verify"}
    run("verify", tmp_path / "public")


def test_a_second_run_does_nothing_again_and_force_does(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    run("run", shoot, "--out", tmp_path / "public")
    first = digests(tmp_path / "public")
    done = run("run", shoot, "--out", tmp_path / "public")
    assert "of these" in done.stdout
    assert digests(tmp_path / "public") == first
    run("run", shoot, "--out", tmp_path / "public", "--force")
    assert digests(tmp_path / "public") != first  # another key, other noise


def test_a_published_file_that_was_damaged_is_named_and_made_again_by_force(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    run("run", shoot, "--out", tmp_path / "public", "--noise-key", "k")
    first = digests(tmp_path / "public")
    (tmp_path / "public/a.jpg").write_bytes(b"half")
    # Nothing tells it from one that somebody has put there.
    assert "a.jpg: a file that cloak did not" in run("run", shoot, "--out", tmp_path / "public", code=1).stderr
    run("run", shoot, "--out", tmp_path / "public", "--noise-key", "k", "--force")
    assert digests(tmp_path / "public") == first


def test_another_pipeline_is_done_anew(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    run("run", shoot, "--out", tmp_path / "public")
    done = run("run", shoot, "--out", tmp_path / "public", "--effect", "fill")
    assert "of these" not in done.stdout


def test_what_an_earlier_run_published_is_counted_apart_from_what_was_never_taken(shoot, tmp_path):
    report = tmp_path / "report.json"
    run("run", shoot, "--out", tmp_path / "public", "--recall", "fast", code=1)
    published = names(tmp_path / "public")
    done = run(
        "run", shoot, "--out", tmp_path / "public", "--recall", "fast", "--names", "random", "--report", report, code=1
    )
    told = json.loads(report.read_text())
    never = [row for row in told["left_out"] if "published by an earlier run" not in row["reason"]]
    assert told["totals"]["leftovers"] == len(published) == len(told["left_out"]) - len(never)
    assert told["totals"]["left_out"] == len(never)
    assert f"left over  {tmp_path / 'public' / published[0]}: published by an earlier run" in done.stderr
    assert f"left over{len(published):>13}  files and decisions of earlier runs" in done.stdout


def test_a_dry_run_writes_nothing(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    done = run("run", shoot, "--out", tmp_path / "public", "--dry-run")
    assert "dry run" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shoot"]


def test_a_foreign_file_in_the_output_is_not_replaced(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    (tmp_path / "public").mkdir()
    (tmp_path / "public/a.jpg").write_bytes(b"not ours")
    done = run("run", shoot, "--out", tmp_path / "public", code=1)
    assert "did not write" in done.stderr
    assert (tmp_path / "public/a.jpg").read_bytes() == b"not ours"
    run("run", shoot, "--out", tmp_path / "public", "--force")
    assert (tmp_path / "public/a.jpg").read_bytes() != b"not ours"


def test_an_output_name_that_is_a_link_to_an_original_is_refused(shoot, tmp_path):
    original = (shoot / "a.jpg").read_bytes()
    (tmp_path / "public").mkdir()
    os.link(shoot / "a.jpg", tmp_path / "public/a.jpg")
    done = run("run", shoot / "a.jpg", "--out", tmp_path / "public", "--force", code=1)
    assert "original" in done.stderr
    assert (shoot / "a.jpg").read_bytes() == original


def test_the_newsroom_publishes_nothing_before_a_person_accepts(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    command = ("run", shoot, "--out", tmp_path / "public", "-p", "newsroom", "--recall", "fast")
    done = run(*command, code=4)
    assert names(tmp_path / "public") == []
    assert "held back            3" in done.stdout
    assert "cloak review" in done.stdout
    again = run(*command, code=4)
    assert "of these             3" in again.stdout


def test_a_photo_that_now_waits_for_a_person_is_withdrawn(shoot, tmp_path):
    command = ("run", shoot / "a.jpg", "--out", tmp_path / "public", "--recall", "fast")
    run(*command)
    assert names(tmp_path / "public") == ["a.jpg"]
    run(*command, "-p", "newsroom", code=4)
    assert names(tmp_path / "public") == []


def test_what_was_published_of_other_bytes_goes_when_the_photo_is_withheld(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    command = ("run", shoot, "--out", tmp_path / "public", "--recall", "fast")
    run(*command)
    whole = (shoot / "a.jpg").read_bytes()
    (shoot / "a.jpg").write_bytes(whole[:3000])
    run(*command, code=1)
    assert names(tmp_path / "public") == ["b.jpg", "day 2/a.jpg"]
    with Ledger(beside(tmp_path / "public"), lock=False) as ledger:
        assert ledger.find("a.jpg").published is None  # the review page is not to call it published
    (shoot / "a.jpg").write_bytes(whole)
    run(*command)
    assert names(tmp_path / "public") == ["a.jpg", "b.jpg", "day 2/a.jpg"]


def test_what_was_published_in_another_way_goes_even_if_the_original_can_no_longer_be_read(shoot, tmp_path):
    (shoot / "broken.jpg").unlink()
    (tmp_path / "later.jpg").write_bytes((shoot / "a.jpg").read_bytes())
    (shoot / "c.jpg").symlink_to(tmp_path / "later.jpg")
    command = ("run", shoot, "--out", tmp_path / "public", "--recall", "fast")
    run(*command)
    (tmp_path / "later.jpg").unlink()
    run(*command, code=1)  # nothing tells that it is not what is asked for
    assert names(tmp_path / "public") == ["a.jpg", "b.jpg", "c.jpg", "day 2/a.jpg"]
    run(*command, "--effect", "fill", code=1)
    assert names(tmp_path / "public") == ["a.jpg", "b.jpg", "day 2/a.jpg"]


def test_a_file_that_somebody_changed_is_not_ours_to_withdraw(shoot, tmp_path):
    command = ("run", shoot / "a.jpg", "--out", tmp_path / "public", "--recall", "fast")
    run(*command)
    (tmp_path / "public/a.jpg").write_bytes(b"by hand")
    (shoot / "a.jpg").write_bytes((shoot / "a.jpg").read_bytes()[:3000])
    run(*command, code=1)
    assert (tmp_path / "public/a.jpg").read_bytes() == b"by hand"


def test_the_same_key_gives_the_same_bytes_whatever_the_number_of_workers(shoot, tmp_path):
    for jobs in (1, 3):
        run("run", shoot / "a.jpg", shoot / "day 2", "--out", tmp_path / f"p{jobs}", "-j", jobs, "--noise-key", "k")
    one, three = ({k.relative_to(tmp_path / n): v for k, v in digests(tmp_path / n).items()} for n in ("p1", "p3"))
    assert one == three
    assert len(one) == 2


def test_killed_in_the_middle_nothing_half_written_stands_and_the_next_run_goes_on(tmp_path, jpeg):
    root = tmp_path / "shoot"
    root.mkdir()
    for i in range(12):
        (root / f"{i:02}.jpg").write_bytes(jpeg(quality=70 + i))
    out = tmp_path / "public"
    for wait in (2.0, 3.0):
        process = subprocess.Popen(
            [*CLOAK, "run", str(root), "--out", str(out), "-j", "2"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in out.glob("*.jpg") if out.exists() else ():
            run("verify", path, "--ledger", beside(out))
    run("run", root, "--out", out)
    assert names(out) == [f"{i:02}.jpg" for i in range(12)]
    run("verify", out, "--quiet")


def test_an_interrupt_stops_cleanly_and_the_next_run_goes_on(tmp_path, jpeg):
    root = tmp_path / "shoot"
    root.mkdir()
    for i in range(30):
        (root / f"{i:02}.jpg").write_bytes(jpeg(quality=60 + i))
    out, report = tmp_path / "public", tmp_path / "report.json"
    process = subprocess.Popen(
        [*CLOAK, "run", str(root), "--out", str(out), "-j", "2", "--report", str(report)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out.exists() and list(out.glob("*.jpg"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130, words
    assert "Traceback" not in words
    done = json.loads(report.read_text())["photos"]
    assert 0 < len(done) < 30
    assert len(names(out)) == len(done)
    again = run("run", root, "--out", out)
    assert f"of these{len(done):>14}" in again.stdout
    assert len(names(out)) == 30


def test_two_runs_on_one_output_at_once_are_refused(tmp_path, shoot):
    (tmp_path / "public").mkdir()
    with Ledger(beside(tmp_path / "public")):
        done = run("run", shoot, "--out", tmp_path / "public", code=2)
    assert "another run" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_withholds_photos_and_leaves_nothing_half_written(tmp_path, shoot):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    try:
        filler = disk / "filler"
        (disk / "public").mkdir()
        filler.write_bytes(bytes(56 * 1024))
        done = run("run", shoot, "--out", disk / "public", "--ledger", tmp_path / "ledger.sqlite", code=1)
        assert "No space left" in done.stderr
        assert names(disk / "public") == []
        filler.unlink()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_unreadable_file_is_named_and_the_run_goes_on(tmp_path, shoot):
    (shoot / "broken.jpg").unlink()
    (shoot / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    done = run("run", shoot, "--out", tmp_path / "public", code=1)
    assert "gone.jpg" in done.stderr
    assert len(names(tmp_path / "public")) == 3


def test_names_that_are_no_text_are_published_and_printed_harmlessly(tmp_path, jpeg):
    root = tmp_path / "shoot"
    root.mkdir()
    hostile = [b"\xff\xfe.jpg", b"a\nb.jpg", b"\x1b[31mred.jpg", b"x" * 251 + b".jpg"]
    for name in hostile:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(jpeg())
    done = run("run", root, "--out", tmp_path / "public", "--report", "-")
    assert "\x1b" not in done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 4
    assert sorted(os.listdir(os.fsencode(tmp_path / "public"))) == sorted(hostile)


def test_a_wrong_extension_does_not_matter(tmp_path, jpeg):
    (tmp_path / "photo.png").write_bytes(jpeg())
    run("run", tmp_path / "photo.png", "--out", tmp_path / "public")
    assert (tmp_path / "public/photo.png").read_bytes().startswith(b"\xff\xd8\xff")


def test_nothing_of_the_original_lies_in_temporary_folders(tmp_path, shoot):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (shoot / "broken.jpg").unlink()
    run("run", shoot, "--out", tmp_path / "public", env={**os.environ, "TMPDIR": str(temporary)})
    assert [p for p in temporary.rglob("*") if p.is_file()] == []


def test_the_ledger_survives_a_copy_of_the_output(tmp_path, shoot):
    (shoot / "broken.jpg").unlink()
    run("run", shoot, "--out", tmp_path / "public")
    shutil.copytree(tmp_path / "public", tmp_path / "copy")
    run("verify", tmp_path / "copy", "--ledger", beside(tmp_path / "public"))


def decided(ledger, name, *changes, verdict="accept"):
    """What the review page would have stored of a photo."""
    reviews, entry = Reviews(ledger), ledger.find(name)
    size = Size(**entry.row["size"])
    seen = tuple(tuple(Box(**face["box"]) for face in frame) for frame in entry.row["detections"])
    review = reviews.decide(name, reviews.latest(name).version, entry.content, Decisions(size, changes, seen, verdict))
    return review.decisions


def test_decisions_are_applied_to_a_re_export_by_position(tmp_path, samples):
    command = ("--recall", "fast", "-j", "1")
    run("run", samples / "group.jpg", "--out", tmp_path / "public", *command)
    with Ledger(beside(tmp_path / "public")) as ledger:
        face = Box(**ledger.find("group.jpg").row["detections"][0][0]["box"])
        decisions = decided(ledger, "group.jpg", Change(face), Change(area=Region(Box(20, 20, 60, 60), effect="fill")))
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions/group.jpg.cloak.json").write_bytes(dump(decisions))
    (tmp_path / "re-export").mkdir()
    whole = Image.open(samples / "group.jpg")
    whole.resize((960, 540)).save(tmp_path / "re-export/group.png")
    again = ("run", tmp_path / "re-export", "--out", tmp_path / "again", *command, "--report", "-")
    (row,) = map(json.loads, run(*again, "--decisions", tmp_path / "decisions").stdout.splitlines())
    assert [len(row[key][0]) for key in ("detections", "revealed", "areas")] == [3, 1, 1]
    assert row["areas"][0][0]["shape"] == {"x": 15, "y": 15, "width": 45, "height": 45}
    run("verify", tmp_path / "again", "--recall", "fast")
    # Another picture of that name, and a file that is none: withheld, rather than the wrong person revealed.
    whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "re-export/group.png")
    done = run(*again, "--decisions", tmp_path / "decisions", code=1)
    assert "decisions-unfit" in done.stdout
    (tmp_path / "decisions/group.jpg.cloak.json").write_text("{}")
    assert "decisions-unfit" in run(*again, "--decisions", tmp_path / "decisions", code=1).stdout
    # Where every photo must be accepted, a verdict on another export is a start, not an acceptance.
    (tmp_path / "decisions/group.jpg.cloak.json").write_bytes(dump(decisions))
    whole.save(tmp_path / "re-export/group.png")
    waiting = ("run", tmp_path / "re-export", "--out", tmp_path / "news", *command, "-p", "newsroom", "--report", "-")
    (row,) = map(json.loads, run(*waiting, "--decisions", tmp_path / "decisions", code=4).stdout.splitlines())
    assert (row["status"], len(row["revealed"][0])) == ("held", 1)


def test_what_was_published_goes_when_the_decisions_about_it_cannot_be_read(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "decisions").mkdir()
    out, command = tmp_path / "public", ("run", tmp_path / "a.jpg", "--recall", "fast", "-j", "1", "--out")
    run(*command, out)
    assert (out / "a.jpg").exists()
    sidecar = tmp_path / "decisions/a.jpg.cloak.json"
    sidecar.write_text("{")
    run(*command, out, "--decisions", tmp_path / "decisions", code=1)
    assert not (out / "a.jpg").exists()
    sidecar.unlink()
    run(*command, out, "--decisions", tmp_path / "decisions")
    assert (out / "a.jpg").exists()


def test_a_run_that_starts_over_keeps_to_what_a_person_decided(tmp_path, jpeg):
    photo, out = tmp_path / "a.jpg", tmp_path / "public"
    photo.write_bytes(jpeg())
    command = ("run", photo, "--out", out, "--recall", "fast", "--force", "--report", "-")
    run(*command)
    with Ledger(beside(out)) as ledger:
        decided(ledger, "a.jpg", Change(area=Region(Box(5, 5, 30, 30), effect="fill")))
    (row,) = map(json.loads, run(*command).stdout.splitlines())
    assert len(row["areas"][0]) == 1
    photo.write_bytes(jpeg(quality=50))  # other bytes: nobody looked at them
    (row,) = map(json.loads, run(*command, code=4).stdout.splitlines())
    assert row["status"] == "held"
    assert names(out) == []
    photo.write_bytes(jpeg())
    with Ledger(beside(out)) as ledger:
        decided(ledger, "a.jpg", verdict=None)  # looked at again, and not finished
    assert json.loads(run(*command, code=4).stdout)["status"] == "held"


def test_nothing_is_imported_from_the_folder_in_which_the_user_stands(shoot, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    (shoot / "broken.jpg").unlink()
    for name in ("numpy", "onnxruntime", "cv2", "cloak"):
        (here / f"{name}.py").write_text("open('imported', 'w')\n")
    command = [Path(sys.executable).with_name("cloak"), "run", shoot, "--out", tmp_path / "public", "--recall", "fast"]
    done = subprocess.run(list(map(str, command)), cwd=here, capture_output=True, text=True)
    assert done.returncode in {0, 4}, done.stderr
    assert not (here / "imported").exists()
