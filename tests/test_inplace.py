"""Photos cleaned where they lie: the file as it was, or whole and clean."""

import errno
import os
from pathlib import Path

import pytest

from cloak.errors import NotWritten, TooLarge, Unreadable
from cloak.files import NEUTRAL_TIME
from cloak.inplace import once, replace


def clean(data):
    return b"clean " + data, "said"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    path.chmod(0o640)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_a_file_is_replaced_with_its_permissions_and_a_neutral_time(photo):
    assert replace(photo, 100, clean) == "said"
    assert photo.read_bytes() == b"clean photo"
    assert photo.stat().st_mode & 0o777 == 0o640
    assert photo.stat().st_mtime == NEUTRAL_TIME
    replace(photo, 100, clean, preserve_times=True)
    assert [path.name for path in photo.parent.iterdir()] == ["a.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
@pytest.mark.parametrize("root", [True, False])
def test_a_file_stays_its_owners_or_its_groups_at_least(photo, monkeypatch, root):
    before, given = photo.stat(), []

    def fchown(descriptor, user, group):
        assert not (photo.parent / "a.jpg").samefile(f"/dev/fd/{descriptor}")  # before it gets its name
        given.append((user, group))
        if user != -1 and not root:
            raise PermissionError

    monkeypatch.setattr("cloak.files.os.fchown", fchown)
    replace(photo, 100, clean)
    assert given == [(before.st_uid, before.st_gid), (-1, before.st_gid)][: 1 if root else 2]
    assert photo.stat().st_mode & 0o777 == 0o640


def test_a_replacement_that_the_disk_does_not_confirm_stands_and_is_told(photo, folder_sync):
    """It is the only copy: taken back, the photo would be lost."""
    folder_sync(errno.EIO)
    with pytest.raises(NotWritten, match="it was replaced, but the disk did not confirm that"):
        replace(photo, 100, clean)
    assert photo.read_bytes() == b"clean photo"


def test_times_are_kept_when_asked_for(photo):
    replace(photo, 100, clean, preserve_times=True)
    assert photo.stat().st_mtime == 1_700_000_000


def test_the_original_behind_a_link_does_not_survive(photo, tmp_path):
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    replace(link, 100, clean)
    assert link.is_symlink()
    assert photo.read_bytes() == b"clean photo"


def test_a_file_that_is_named_twice_or_by_a_link_is_cleaned_once(photo, tmp_path, monkeypatch):
    (tmp_path / "link.jpg").symlink_to(photo)
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "b.jpg"
    assert once([Path("a.jpg"), other, photo, tmp_path / "link.jpg"]) == [tmp_path / "link.jpg", other]


def test_a_second_name_of_the_file_would_keep_the_original(photo, tmp_path):
    os.link(photo, tmp_path / "b.jpg")
    with pytest.raises(NotWritten, match="hard link"):
        replace(photo, 100, clean)
    assert photo.read_bytes() == b"photo"


def test_a_second_name_that_comes_meanwhile_would_keep_it_too(photo, tmp_path):
    def slow(data):
        os.link(photo, tmp_path / "b.jpg")
        return clean(data)

    with pytest.raises(NotWritten, match="hard link"):
        replace(photo, 100, slow)
    assert photo.read_bytes() == b"photo"


def test_a_file_that_changes_meanwhile_is_left_alone(photo):
    def slow(data):
        photo.write_bytes(b"longer photo")
        return clean(data)

    with pytest.raises(NotWritten, match="changed"):
        replace(photo, 100, slow)
    assert photo.read_bytes() == b"longer photo"


def test_whatever_fails_leaves_the_file_as_it_was(photo, tmp_path):
    def fail(data):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace(photo, 100, fail)
    with pytest.raises(TooLarge):
        replace(photo, 3, clean)
    with pytest.raises(Unreadable):
        replace(tmp_path, 100, clean)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"photo"]
