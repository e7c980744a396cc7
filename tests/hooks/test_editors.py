"""Export hooks of photo editors: darktable itself on a virtual screen, Lightroom's plug-in in its version of Lua."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks.running import INTEGRATIONS, SECRET, TOKEN, assert_clean, free_port, make_photo, need, running

pytestmark = pytest.mark.hooks


@pytest.fixture
def program(tmp_path):
    """The command `cloak`, at a path that a shell would break."""
    path = tmp_path / "it's here" / "cloak"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cloak.cli "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_darktable_exports_what_is_clean_and_withholds_the_rest(tmp_path, program, service, landscape):
    need("darktable", "Xvfb")
    settings, out = tmp_path / "settings", tmp_path / "out"
    (settings / "lua").mkdir(parents=True)
    out.mkdir()
    shutil.copy(INTEGRATIONS / "darktable/cloak.lua", settings / "lua")
    shutil.copy(INTEGRATIONS.parent / "tests/hooks/darktable.lua", settings / "luarc")
    (settings / "darktablerc").write_text(
        "plugins/lighttable/export/storage_name=cloak\nplugins/lighttable/export/format_name=jpeg\n"
        f"lua/cloak/folder={out}\nlua/cloak/command={program}\nlua/cloak/options=--pipeline cms --no-face hold\n"
    )
    photo = make_photo()
    (tmp_path / "a 'quoted' $(face).jpg").write_bytes(photo)
    (tmp_path / "no face.jpg").write_bytes(landscape)
    (out / "a 'quoted' $(face).jpg").write_bytes(b"of an earlier export")

    screen = f":{free_port() % 10_000 + 100}"
    environment = {
        **os.environ, "DISPLAY": screen, "HOME": str(tmp_path), "TMPDIR": str(tmp_path),
        "CLOAK_SERVER": service.address, "CLOAK_TOKEN": TOKEN,
        "CLOAK_TEST_PHOTOS": ":".join(str(path) for path in sorted(tmp_path.glob("*.jpg"))),
    }  # fmt: skip
    command = ["darktable", "--configdir", settings, "--cachedir", tmp_path / "cache", "--disable-opencl", "-d", "lua"]
    log = tmp_path / "darktable.log"
    ended = lambda: "withheld, could not be made safe: no face.jpg" in log.read_text()  # noqa: E731
    up = Path(f"/tmp/.X11-unix/X{screen[1:]}").exists
    with (
        running(["Xvfb", screen, "-screen", "0", "1200x800x24"], up, tmp_path / "screen.log"),
        running([*command, "--library", ":memory:"], ended, log, 240, env=environment) as editor,
    ):
        editor.kill()  # it asks no questions and keeps nothing
    assert sorted(path.name for path in out.iterdir()) == ["a 'quoted' $(face).jpg", "a 'quoted' $(face)_01.jpg"]
    assert (out / "a 'quoted' $(face).jpg").read_bytes() == b"of an earlier export"
    assert_clean((out / "a 'quoted' $(face)_01.jpg").read_bytes(), photo)
    left = [path for path in tmp_path.rglob("*.jpg") if path.parent not in (out, tmp_path)]
    assert left == []


def test_lightroom_goes_on_with_clean_photos_and_removes_the_rest(tmp_path, program, landscape):
    need("lua5.1")
    photo, face, bare = make_photo(), tmp_path / "a 'quoted' $(face).jpg", tmp_path / "no face.jpg"
    face.write_bytes(photo)
    bare.write_bytes(landscape)
    lines = lightroom(program, "--pipeline cms --no-face hold", face, bare, tmp_path / "not rendered.jpg")
    assert lines[0] == ["true", str(face), "nil"]
    assert lines[1][0] == lines[2][0] == "false"
    assert "could not make this photo safe" in lines[1][2]
    assert_clean(face.read_bytes(), photo)
    assert not bare.exists()


def test_lightroom_removes_photos_when_cloak_does_not_run(tmp_path):
    need("lua5.1")
    (tmp_path / "a.jpg").write_bytes(make_photo())
    ((done, _, why),) = lightroom(tmp_path / "no program", "", tmp_path / "a.jpg")
    assert (done, "did not run" in why) == ("false", True)
    assert list(tmp_path.iterdir()) == []


ENDS = {"exit 0": "clean", "exit 4": "look", "exit 1": "no", "exit 2": "no", "kill -ILL $$": "no"}
"""How a program ends -> what it says of the photo. SIGILL is signal 4, and no exit code."""


@pytest.mark.parametrize("end", ENDS)
def test_darktable_publishes_what_an_exit_code_calls_clean(tmp_path, end):
    need("lua5.1")
    script = INTEGRATIONS.parent / "tests/hooks/darktable_alone.lua"
    command = ["lua5.1", script, INTEGRATIONS / "darktable/cloak.lua"]
    program, photo, safe = ending(tmp_path, end)
    done = subprocess.run([*command, program, "", safe, photo], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert ("look at it" in done.stdout, "withheld" in done.stdout) == (ENDS[end] == "look", ENDS[end] == "no")
    assert [path.name for path in safe.iterdir()] == ([] if ENDS[end] == "no" else ["a.jpg"])
    assert not photo.exists()


@pytest.mark.parametrize("end", ENDS)
def test_lightroom_goes_on_with_what_an_exit_code_calls_clean(tmp_path, end):
    need("lua5.1")
    program, photo, _ = ending(tmp_path, end)
    ((done, _, _),) = lightroom(program, "", photo)
    assert (done, photo.exists()) == (("false", False) if ENDS[end] == "no" else ("true", True))


def ending(folder, end):
    """A program that ends in some way, a photo, and an empty folder."""
    program, photo, safe = folder / "cloak", folder / "a.jpg", folder / "safe"
    program.write_text(f"#!/bin/sh\nulimit -c 0\n{end}\n")
    program.chmod(0o755)
    photo.write_bytes(b"a photo")
    safe.mkdir()
    return program, photo, safe


def lightroom(program, options, *photos):
    """What Lightroom would be told of each photo: done or not, its path, why not."""
    command = ["lua5.1", INTEGRATIONS.parent / "tests/hooks/lightroom.lua", INTEGRATIONS / "lightroom/cloak.lrplugin"]
    done = subprocess.run([*command, program, options, *photos], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_capture_one_s_shell_command_removes_what_is_not_clean(tmp_path, program, landscape):
    """AppleScript runs on macOS only; the command that it builds runs here."""
    script = (INTEGRATIONS / "capture-one/cloak.applescript").read_text()
    tail = script.split('set command to command & "')[1].split("\n")[0]
    for path, data in (tmp_path / "face.jpg", make_photo()), (tmp_path / "no face.jpg", landscape):
        path.write_bytes(data)
        rest = tail.replace('" & photo & "', f"'{path}'").rstrip('"')
        quoted = str(program).replace("'", "'\\''")
        subprocess.run(
            ["sh", "-c", f"'{quoted}' run --in-place --quiet --pipeline cms --no-face hold -- '{path}'{rest}"]
        )
    assert SECRET not in (tmp_path / "face.jpg").read_bytes()
    assert not (tmp_path / "no face.jpg").exists()
