"""Disks that are full, read-only, forbidden or gone, no temporary folder, no memory, a broken ledger, other weights."""

import contextlib
import io
import os
import shutil
import subprocess
import sys

import pytest
from cloak.cli import main

from cloak import weights
from cloak.detect import registry
from cloak.errors import OutputError
from cloak.records import beside
from cloak.rows import open_sheet
from tests.faults.conftest import CLOAK, digests, environment

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
BOUND = ("setpriv", *(f"--{kind}=-dac_override,-dac_read_search" for kind in ("bounding-set", "inh-caps")))
"""Root whom permissions bind as they bind everybody."""


@contextlib.contextmanager
def disk(folder, size):
    """A small disk of its own."""
    folder.mkdir()
    if not ROOT or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_whatever_was_to_be_written_and_leaves_nothing_half_written(shoot, tmp_path):
    """The photo itself: `tests/test_batch.py`."""
    shoot.add("a.jpg")
    with disk(tmp_path / "disk", "1m") as place:

        def fill(free):
            space = os.statvfs(place)
            (place / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - free * 1024))

        shoot.out = place / "public"
        for free in (8, 104):  # not even an empty ledger; no row in it
            fill(free)
            said = shoot.run("-j", "1", code=2).stderr
            assert "ledger" in said
            assert "Check space" in said or "has space" in said, said
            assert shoot.published() == []
            (place / "filler").unlink()
        shoot.out, shoot.report = tmp_path / "public", place / "report.json"
        fill(0)
        done = shoot.run("-j", "1", code=2)
        assert "the report cannot be written: No space left on device" in done.stderr
        assert not list(place.glob(".cloak-*"))
        shoot.report = tmp_path / "report.json"
        sheet = shoot.run("-j", "1", "--contact-sheet", place / "sheet.html", code=2)
        assert "the contact sheet cannot be written: No space left on device" in sheet.stderr
        assert not list(place.glob(".cloak-*"))
        assert shoot.rows()["a.jpg"]["resumed"]  # what was done stays done


def test_a_sheet_that_the_disk_does_not_take_is_told_when_it_is_written_however_small(tmp_path):
    with disk(tmp_path / "disk", "1m") as place:
        (place / "filler").write_bytes(bytes((1 << 20) - 8192))
        told = None
        with contextlib.suppress(OutputError), open_sheet(place / "sheet.html", None) as save:
            (place / "more").write_bytes(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize))
            with pytest.raises(OutputError, match="No space") as told:  # the report, written next, tells how it ended
                save(lambda: "<!doctype html>")
        assert told is not None
        assert told.type is OutputError
        assert sorted(file.name for file in place.iterdir()) == ["filler", "more"]


def test_a_disk_that_becomes_read_only_withholds_what_it_does_not_take(shoot, tmp_path):
    shoot.add("a.jpg", "b.jpg", "c.jpg")
    with disk(tmp_path / "disk", "1m") as place:
        shoot.out = place / "public"
        ledger = ("--ledger", tmp_path / "ledger.sqlite", "-j", "1")
        shut = {"at": "os:replace", "do": f"shell:mount -o remount,ro {place}", "photo": "b.jpg"}
        shoot.check = lambda **_: None  # what a disk took before it was shut cannot be removed from it
        done = shoot.run(*ledger, faults=[shut], code=1)
        assert done.stderr.count("Read-only file system") == 2
        assert "not writable" in shoot.run(*ledger, code=2).stderr
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        shoot.run(*ledger, code=0)
        assert shoot.published() == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_and_folders_that_are_lost_in_the_middle(shoot, tmp_path):
    if ROOT and shutil.which("setpriv") is None:
        pytest.skip("permissions do not bind root")
    shoot.add("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    out, modes = shoot.out, tmp_path / "modes"
    write, read = "cloak.files:_umask", "cloak.work:read"  # in the middle of the one, before the other
    faults = [
        {"at": write, "do": f"shell:chmod 500 {out}", "photo": "b.jpg"},
        {"at": read, "do": f"shell:find {out} -name '.cloak-*' -printf '%m\n' > {modes}", "photo": "c.jpg"},
        {"at": read, "do": f"shell:chmod 700 {out}", "photo": "c.jpg"},
        {"at": "os:fsync", "do": f"shell:rm -r {out}", "photo": "d.jpg"},
        {"at": read, "do": f"shell:chmod 000 {shoot.photos / 'e.jpg'}", "photo": "e.jpg"},
        {"at": read, "do": f"shell:chmod 600 {shoot.photos / 'e.jpg'}", "photo": "f.jpg"},
    ]
    done = shoot.run("-j", "1", faults=faults, code=1, before=BOUND if ROOT else ())
    reasons = {name: row.get("reason") for name, row in shoot.rows().items()}
    assert reasons == {
        "a.jpg": None, "b.jpg": "not-written", "c.jpg": None, "d.jpg": "not-written", "e.jpg": "unreadable",
        "f.jpg": None,
    }, done.stderr  # fmt: skip
    assert done.stderr.count("Permission denied") == 2
    assert modes.read_text().split() == ["600"]  # what could not be removed, until the run ends
    assert shoot.published() == ["f.jpg"]  # the others were removed with their folder
    shoot.run("-j", "1", code=0)
    assert len(shoot.published()) == 6


@pytest.mark.skipif(shutil.which("unshare") is None or not ROOT, reason="only root can hide the temporary folders")
@pytest.mark.skipif(sys.prefix.startswith(("/tmp/", "/var/tmp/")), reason="the tests themselves run in one of them")
def test_a_machine_without_any_temporary_folder_is_no_obstacle(shoot, tmp_path):
    shoot.add("a.jpg")
    hide = "mount --bind {0} /mnt && for d in /tmp /var/tmp; do mount -t tmpfs -o ro none $d; done && cd /proc && exec "
    inside = [str(word).replace(str(tmp_path), "/mnt") for word in shoot.command("-j", "1")]
    command = ["unshare", "-m", "sh", "-c", hide.format(tmp_path) + '"$@"', "-", *inside]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": "/nowhere"})
    if "unshare" in done.stderr:
        pytest.skip("this machine does not let us make namespaces")
    assert done.returncode == 0, done.stderr
    shoot.check()
    assert shoot.published() == ["a.jpg"]


def test_a_worker_without_memory_withholds_its_photo(shoot, samples):
    shoot.add("a.jpg")
    shutil.copy(samples / "crowd.jpg", shoot.photos / "z.jpg")
    limit = {"at": "cloak.anonymizer:_search", "do": "limit:20", "photo": "z.jpg"}  # as it takes for half of a search
    shoot.run("-j", "1", faults=[limit], code=1)
    reasons = {name: row.get("reason", "") for name, row in shoot.rows().items()}
    assert reasons["a.jpg"] == ""
    assert reasons["z.jpg"] in {"too-large", "concealment-failed"}  # where it ran out differs: a library may abort
    assert shoot.published() == ["a.jpg"]


@pytest.mark.parametrize("harm", ["rm -r {0}", "for f in {0}/ledger*; do head -c 40960 /dev/urandom > $f; done"])
def test_a_ledger_that_is_lost_or_broken_under_a_run_ends_it_and_nothing_is_replaced(shoot, harm):
    shoot.add("a.jpg", "b.jpg", "c.jpg")
    folder = beside(shoot.out).parent
    fault = {"at": "cloak.ledger:Ledger.record", "do": "shell:" + harm.format(folder), "photo": "b.jpg"}
    checked, shoot.check = shoot.check, lambda **_: None
    done = shoot.run("-j", "1", faults=[fault], code=2)
    assert "ledger" in done.stderr
    assert shoot.published() == ["a.jpg"]
    if folder.exists():
        assert "ledger" in shoot.run("-j", "1", code=2).stderr
        shutil.rmtree(folder)
    # Without its ledger, cloak cannot tell its own file from a stranger's, and says what to do.
    assert "--force" in shoot.run("-j", "1", code=1).stderr
    shoot.check = checked
    shoot.run("-j", "1", "--force", code=0)
    assert shoot.published() == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.fixture
def other_weights(tmp_path):
    """A copy of the detectors' weights in which a bit of one is another."""
    folder = tmp_path / "weights"
    shutil.copytree(str(weights.folder("cloak.detect")), folder)
    model = folder / "yunet_2023mar.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    return folder


def test_weights_that_are_not_the_listed_ones_end_the_run(shoot, other_weights):
    shoot.add("a.jpg")
    other = {"at": "cloak.weights:folder", "do": f"folder:{other_weights}"}
    done = shoot.run("-j", "1", faults=[other], code=2)
    assert "SHA-256 differs" in done.stderr
    assert shoot.published() == []
    assert shoot.rows() == {}


@pytest.mark.parametrize("harm", ["SHA-256 differs", "are missing"])
@pytest.mark.parametrize("words", ["run - --out -", "verify a.jpg", "inspect a.jpg", "audit . --self-test"])
def test_no_command_works_with_other_weights(tmp_path, other_weights, jpeg, harm, words, monkeypatch, capfdbinary):
    if harm == "are missing":
        (other_weights / "yunet_2023mar.onnx").unlink()
    for name in ("a.jpg", "ada/1.jpg", "ada/2.jpg", "bob/1.jpg", "bob/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(comment=name.encode()))
    before = digests(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(jpeg())))
    monkeypatch.setattr(weights, "folder", lambda _: other_weights)
    monkeypatch.setattr(registry, "load", registry.load.__wrapped__)  # others of this process have loaded the true ones
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    out, err = capfdbinary.readouterr()
    assert (stop.value.code, out) == (2, b"")
    assert harm.encode() in err
    assert digests(tmp_path) == before


def test_neither_a_hot_folder_nor_the_service_works_with_other_weights(tmp_path, other_weights, jpeg):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(jpeg())
    faulty = environment({"at": "cloak.weights:folder", "do": f"folder:{other_weights}"})
    running = [
        subprocess.Popen([*CLOAK, *command.split()], cwd=tmp_path, env=faulty, stderr=subprocess.PIPE, text=True)
        for command in ("watch in --out out --settle 0.1 -j 1", "serve --port 0 -j 1")
    ]
    try:
        for process in running:
            said = process.communicate(timeout=60)[1]
            assert process.returncode == 2, said
            assert "SHA-256 differs" in said
    finally:
        for process in running:
            process.kill()
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
