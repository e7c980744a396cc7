"""What lies beside a photo's bytes: extended attributes, times, sidecars. Nothing of it is published."""

import json
import os
import sys

import pytest

from cloak.files import NEUTRAL_TIME
from cloak.intake import Item, LeftOut, walk
from tests.test_batch import names, run

SECRET = b"51.5 N, somebody's desk"


@pytest.fixture
def shoot(tmp_path, landscape):
    root = tmp_path / "shoot"
    root.mkdir()
    (root / "IMG_1.HEIC").write_bytes(landscape)
    for sidecar in ("IMG_1.MOV", "IMG_1.aae", "IMG_1.HEIC.xmp", "IMG_1.thm", "other.xmp", "._IMG_1.HEIC"):
        (root / sidecar).write_bytes(SECRET)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes by the system's own calls")
def test_extended_attributes_access_lists_and_times_stay_behind(shoot, tmp_path):
    photo = shoot / "IMG_1.HEIC"
    try:
        for name in ("user.xdg.origin.url", "user.com.apple.metadata:kMDItemWhereFroms", "user.geo"):
            os.setxattr(photo, name, SECRET)
            os.setxattr(shoot, name, SECRET)
    except OSError:
        pytest.skip("the file system of the temporary folder has no extended attributes")
    os.utime(photo, (1_600_000_000, 1_600_000_000))
    photo.chmod(0o600)
    run("run", shoot, "--out", tmp_path / "public", "--recall", "fast")
    published = tmp_path / "public/IMG_1.HEIC"
    assert os.getxattr(photo, "user.geo") == SECRET  # the original keeps them
    assert os.listxattr(published) == []
    assert os.listxattr(published.parent) == []
    status = published.stat()
    assert (status.st_mtime, status.st_atime >= NEUTRAL_TIME) == (NEUTRAL_TIME, True)
    assert status.st_mode & 0o777 == 0o644 or status.st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_times_are_kept_when_asked_for_and_nothing_else_is(shoot, tmp_path):
    os.utime(shoot / "IMG_1.HEIC", (1_600_000_000, 1_600_000_000))
    run("run", shoot, "--out", tmp_path / "public", "--recall", "fast", "--preserve-times")
    assert (tmp_path / "public/IMG_1.HEIC").stat().st_mtime == 1_600_000_000


@pytest.mark.parametrize("given", ["the folder", "the photo"])
def test_sidecars_are_never_copied_and_are_named_in_the_report(shoot, tmp_path, given):
    what, report = shoot if given == "the folder" else shoot / "IMG_1.HEIC", tmp_path / "report.json"
    done = run("run", what, "--out", tmp_path / "public", "--recall", "fast", "--report", report)
    assert names(tmp_path / "public") == ["IMG_1.HEIC"]
    left = {os.path.basename(row["source"]): row["reason"] for row in json.loads(report.read_text())["left_out"]}
    wanted = {"IMG_1.MOV", "IMG_1.aae", "IMG_1.HEIC.xmp", "IMG_1.thm"}
    assert {name for name, reason in left.items() if reason == "a sidecar, never copied"} - {"other.xmp"} == wanted
    assert ("other.xmp" in left) == (given == "the folder")
    assert "IMG_1.MOV: a sidecar, never copied" in done.stderr


def test_a_sidecar_that_is_given_itself_is_no_sidecar_of_the_photo(shoot):
    found = list(walk([shoot / "IMG_1.HEIC", shoot / "IMG_1.MOV"], None))
    assert [item.source.name for item in found if isinstance(item, Item)] == ["IMG_1.HEIC", "IMG_1.MOV"]
    assert "IMG_1.MOV" not in [item.source.name for item in found if isinstance(item, LeftOut)]


def test_a_published_file_is_verified_whatever_lies_beside_it(landscape, tmp_path):
    (tmp_path / "a.jpg").write_bytes(landscape)
    run("run", tmp_path / "a.jpg", "--out", tmp_path / "public", "--recall", "fast")
    (tmp_path / "public/a.json").write_text("{}")
    run("verify", tmp_path / "public/a.jpg", "--recall", "fast", code=0)
    run("verify", tmp_path / "public", "--recall", "fast", code=1)
