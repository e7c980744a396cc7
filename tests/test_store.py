import contextlib
import errno
import os
import stat
from pathlib import Path, PurePath

import pytest

from cloak import files
from cloak.errors import NotWritten, OutputError, TooLarge, Unreadable, UsageError
from cloak.files import NEUTRAL_TIME, printable, read
from cloak.records import beside
from cloak.store import Folder, refuse_overlap


def test_reading_is_bounded(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(read(tmp_path / "a", 100)) == 100
    with pytest.raises(TooLarge):
        read(tmp_path / "a", 99)


def test_a_limit_may_be_any_number_and_reading_takes_no_more_room_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE", 30)
    (tmp_path / "a").write_bytes(bytes(range(100)))
    for limit in (2**63 - 1, 10**12, 100):
        assert read(tmp_path / "a", limit) == bytes(range(100))
    with pytest.raises(TooLarge):
        read(tmp_path / "a", 99)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(Unreadable, match="regular"):
        read(tmp_path / "pipe.jpg", 100)


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        read(tmp_path / "nothing.jpg", 100)


def test_published_bytes_stand_at_their_name_with_a_neutral_time(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.publish(PurePath("x/y.jpg"), b"clean")
    path = tmp_path / "out/x/y.jpg"
    assert path.read_bytes() == b"clean"
    assert path.stat().st_mtime == NEUTRAL_TIME
    assert list((tmp_path / "out/x").iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_private_folder_is_for_its_owner_only_wherever_it_lies(tmp_path):
    (tmp_path / "shared/decisions").mkdir(parents=True, mode=0o755)
    folder = Folder(tmp_path / "shared/decisions", private=True)
    folder.publish(PurePath("day/a.json"), b"{}")
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder.root / "day/a.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", ""])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    with pytest.raises(NotWritten):
        Folder(tmp_path / "out").publish(PurePath(name), b"x")


def test_a_link_inside_the_output_cannot_lead_a_photo_outside(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = Folder(tmp_path / "out")
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
    for name in ("link/a.jpg", "link/new/a.jpg"):
        with pytest.raises(NotWritten, match="outside"):
            folder.publish(PurePath(name), b"x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_is_withdrawn_through_a_link_that_leads_outside(tmp_path):
    folder, archive = Folder(tmp_path / "out"), tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(b"jpeg")
    (tmp_path / "out/day").symlink_to(archive)
    with pytest.raises(NotWritten, match="outside"):
        folder.withdraw(PurePath("day/a.jpg"))
    assert (archive / "a.jpg").exists()


def test_a_link_at_the_published_name_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim.jpg"
    victim.write_bytes(b"original")
    folder = Folder(tmp_path / "out")
    (tmp_path / "out/a.jpg").symlink_to(victim)
    folder.publish(PurePath("a.jpg"), b"clean")
    assert victim.read_bytes() == b"original"
    assert (tmp_path / "out/a.jpg").read_bytes() == b"clean"


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = Folder(tmp_path / "out")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotWritten, match="No space left"):
        folder.publish(PurePath("a.jpg"), b"x")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("code", "left"), [(errno.EIO, []), (errno.EINVAL, ["a.jpg"]), (errno.ENOTSUP, ["a.jpg"])])
def test_a_name_that_the_disk_does_not_confirm_is_taken_back_but_where_no_disk_would(tmp_path, folder_sync, code, left):
    folder = Folder(tmp_path / "out")
    folder_sync(code)
    with contextlib.nullcontext() if left else pytest.raises(NotWritten, match="could not be stored"):
        folder.publish(PurePath("a.jpg"), b"x")
    assert [path.name for path in (tmp_path / "out").iterdir()] == left


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.publish(PurePath("x/a.jpg"), b"clean")
    (tmp_path / "out/x/.cloak-0123.tmp").write_bytes(b"half")
    assert folder.sweep() == 1
    assert [p.name for p in (tmp_path / "out/x").iterdir()] == ["a.jpg"]


def test_what_another_run_writes_into_its_own_output_below_is_not_swept(tmp_path):
    site = Folder(tmp_path / "site")
    for name in ("gallery", "gallery.cloak", "day"):
        (site.root / name).mkdir()
        (site.root / name / ".cloak-0123.tmp").write_bytes(b"half")
    beside(site.root / "gallery").touch()
    assert site.sweep() == 1
    left = {path.relative_to(site.root).as_posix() for path in site.root.rglob("*.tmp")}
    assert left == {"gallery/.cloak-0123.tmp", "gallery.cloak/.cloak-0123.tmp"}


def test_an_output_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="a file"):
        Folder(tmp_path / "out")


def test_the_folder_of_the_originals_is_refused_as_output(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"jpeg")
    for inputs in ([root], [root / "a.jpg"]):
        with pytest.raises(UsageError, match="originals"):
            refuse_overlap(inputs, tmp_path / "in" / ".." / "in")


@pytest.mark.parametrize("hostile", [b"a\nb.jpg", b"\x1b[31m.jpg", b"\xff\xfe.jpg", "a\u202egpj.exe".encode()])
def test_hostile_names_are_printed_harmlessly(hostile):
    text = printable(Path(os.fsdecode(hostile)))
    assert text.isprintable()
    text.encode("utf-8")


@pytest.mark.skipif(os.sep == "\\", reason="a backslash is no part of a name there")
def test_no_two_names_are_printed_alike():
    names = [
        b"p\xe2\x80\x8b",
        rb"p\u200b",
        rb"p\\u200b",
        b"p\xff",
        rb"p\xff",
        b"p\xad",
        b"p\xc2\xad",
        rb"p\xad",
        b"p\n",
        rb"p\n",
    ]
    assert len({printable(os.fsdecode(name)) for name in names}) == len(names)
    assert printable("a (1) é.jpg") == "a (1) é.jpg"
