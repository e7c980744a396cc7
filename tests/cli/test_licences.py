"""What everything is licensed under, and that NOTICE says so."""

import json
import re
import subprocess
import sys
import tomllib

from cloak.cli.licences import packages, weights

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTICE = (ROOT / "NOTICE").read_text()


def needs(lines):
    return {re.match(r"[\w-]+", line)[0] for line in lines}


def test_the_command_lists_what_is_installed_and_the_weights():
    done = subprocess.run([sys.executable, "-m", "cloak.cli", "licences", "--json"], capture_output=True, check=True)
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert needs(PROJECT["dependencies"]) | {"cloak-images", "markupsafe", "flatbuffers"} <= set(found)
    assert found["cloak-images"]["licence"] == "Apache-2.0"
    assert "BSD-3-Clause" in found["numpy"]["licence"]
    assert found["pillow-heif"]["contains"] == ["GPLv2", "LGPLv3"] or "GPLv2" in found["pillow-heif"]["contains"]
    assert found["yunet_2023mar.onnx"]["licence"] == "MIT"
    words = subprocess.run([sys.executable, "-m", "cloak.cli", "licences"], capture_output=True, check=True, text=True)
    assert len(words.stdout.splitlines()) == len(found)


def test_every_package_states_a_licence_and_none_binds_those_who_serve_photos():
    found = packages()
    # An empty package that names NVIDIA's, which torch brings along where the machine may have a graphics card.
    assert {one.name for one in found if one.licence == "not stated"} <= {"cuda-toolkit"}
    assert [one.name for one in found if re.search(r"AGPL|Affero|SSPL|non-?commercial", one.licence, re.I)] == []
    # A copyleft package of its own, not a library inside one, would bind cloak: there is none.
    assert [one.name for one in found if re.search(r"(?<!L)GPL|General Public", one.licence)] == []


def test_notice_names_the_weights_and_their_licences():
    for one in weights():
        name = one.name.split("_")[0].split(".")[0]
        assert re.search(rf"^  {name}\s+{re.escape(one.licence)}\s", NOTICE, re.I | re.M), one
        licence = [
            file for folder in ("detect", "recognise") for file in (ROOT / "cloak" / folder / "weights").iterdir()
        ]
        assert one.files[0] in {file.name for file in licence}


def test_notice_names_every_package_that_is_installed_with_cloak_and_no_other():
    listed = dict(re.findall(r"^  ([a-z][\w-]+) {2,}(\S+)", NOTICE.partition("no other software")[2], re.M))
    assert set(listed) == needs(PROJECT["dependencies"])
    installed = {one.name: one for one in packages()}
    for name, licence in listed.items():
        family = re.match(r"[A-Za-z]+", licence)[0].lower()  # "bsd" of "BSD-3-Clause": metadata is not always SPDX
        assert family in installed[name].licence.lower(), (name, installed[name].licence)
        line = next(line for line in NOTICE.splitlines() if line.startswith(f"  {name} "))
        # GCC's runtime is excepted by its own licence.
        copyleft = [within for within in installed[name].contains if "GPL" in within and "exception" not in within]
        assert not copyleft or "GPL" in line, (name, copyleft)


def test_every_licence_text_is_in_the_wheel():
    patterns = PROJECT["license-files"]
    listed = {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)}
    assert {"LICENSE", "NOTICE"} <= listed
    assert {one.files[0] for one in weights()} == {name.rpartition("/")[2] for name in listed if "weights" in name}
