"""An independent reader agrees on which carriers a file has."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cloak.metadata import read
from tests import plant

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

GROUPS = {
    "EXIF": ("EXIF IFD0", "EXIF ExifIFD", "EXIF GPS", "EXIF IFD1", "TIFF IFD0", "TIFF ExifIFD"),
    "XMP": ("XMP ",),
    "IPTC": ("IPTC ",),
    "ICC_Profile": ("ICC ",),
}


def _exiftool(paths: list[Path]) -> dict[str, set[str]]:
    """The carriers that exiftool sees in each file, by the file's name."""
    command = ["exiftool", "-j", "-G0", "-a", "-u", "-q", "-q", "-fast0", *map(str, paths)]
    out = subprocess.run(command, capture_output=True, check=False, timeout=300).stdout
    found = {}
    for entry in json.loads(out):
        found[entry["SourceFile"]] = {key.split(":")[0] for key in entry if ":" in key} & set(GROUPS)
    return found


def _ours(data: bytes) -> set[str]:
    names = [part.name for part in read(data).parts]
    return {group for group, words in GROUPS.items() if any(name.startswith(words) for name in names)}


@pytest.mark.parametrize("folder", ["photos", "leaks"])
def test_carriers_of_real_files_agree(data: Path, folder: str) -> None:
    paths = sorted(path for path in (data / folder).iterdir() if path.suffix != ".json")
    theirs = _exiftool(paths)
    missed = {}
    for path in paths:
        # What exiftool sees and we do not is a carrier that would pass unseen; the reverse is not.
        lacking = theirs[str(path)] - _ours(path.read_bytes())
        if lacking:
            missed[path.name] = lacking
    assert missed == {}


def test_carriers_of_planted_files_agree(tmp_path: Path) -> None:
    suffixes = {"apng": "png", "webp-animation": "webp", "tiff-be": "tif", "bigtiff": "tif", "heif": "heic"}
    paths = {}
    for name, make in plant.PLANTED.items():
        path = tmp_path / f"{name}.{suffixes.get(name, name)}"
        path.write_bytes(make()[0])
        paths[name] = path
    theirs = _exiftool(list(paths.values()))
    for name, path in paths.items():
        ours = _ours(path.read_bytes())
        assert theirs[str(path)] <= ours, name
        # The planted files do hold these: exiftool sees them as well, so the files are what they claim to be.
        if name in {"jpeg", "png", "tiff", "heif", "avif", "webp"}:
            assert {"EXIF", "XMP"} <= theirs[str(path)], name
