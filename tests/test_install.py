"""The wheel as a stranger gets it: what is in it, and the main job in a new environment without desktop libraries."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "node_modules", "__pycache__", "*.egg-info", "*.so", "*.pyd", "*.c", ".*_cache",
    ".hypothesis", "public",
)  # fmt: skip


def build(folder):
    """A wheel from a copy of the sources in a new folder, at a time of its own."""
    shutil.copytree(ROOT, folder / "cloak", ignore=NOT_OURS)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "CLOAK_REQUIRE_NATIVE": "1"}
    subprocess.run([*command, folder / "cloak"], check=True, capture_output=True, env=environment)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_what_the_package_is_made_of_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    about = {name for name in names if ".dist-info/" in name}
    folder = next(iter(about)).partition("/")[0]
    native = {name for name in names if name.endswith((".so", ".pyd"))}
    sources = {
        target + "/" + path.relative_to(ROOT / top).as_posix()
        for top, target in (("cloak", "cloak"), ("cli", "cloak/cli"), ("pipelines", "cloak/pipelines"))
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        and path.suffix not in {".pyx", ".pxd", ".c", ".so", ".pyd"}
    }  # fmt: skip
    assert names - about - native == sources
    assert {name.partition(".")[0] for name in native} == {
        f"cloak/photo/{name}" for name in ("_check", "_dct", "_loud", "_progressive", "_splice", "_stream")
    }
    texts = {name.removeprefix(f"{folder}/licenses/") for name in about if "/licenses/" in name}
    assert {"LICENSE", "NOTICE", "cloak/recognise/weights/LICENSE-sface"} <= texts
    assert {name.removeprefix(f"{folder}/") for name in about if "/licenses/" not in name} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt",
    }  # fmt: skip
    # By name, whatever else comes and goes.
    kinds = {os.path.splitext(name)[1] for name in sources if not name.endswith(".py") and "LICENSE" not in name}
    assert kinds == {
        ".css", ".html", ".icc", ".js", ".onnx", ".png", ".pyi", ".svg", ".tflite", ".toml", ".typed",
    }  # fmt: skip
    assert {
        "cloak/cli/run.py",
        "cloak/detect/weights/centerface.onnx",
        "cloak/detect/weights/nanodet_g.onnx",
        "cloak/detect/weights/yunet_2023mar.onnx",
        "cloak/metadata/profiles/srgb.icc",
        "cloak/pipelines/newsroom.toml",
        "cloak/py.typed",
        "cloak/recognise/weights/sface_2021dec_int8bq.onnx",
        "cloak/review/page/main.js",
    } <= names


def test_a_wheel_that_is_built_again_elsewhere_is_the_same_to_the_byte(wheel, tmp_path):
    again = build(tmp_path)
    ours, theirs = zipfile.ZipFile(wheel), zipfile.ZipFile(again)
    assert [name for name in ours.namelist() if ours.read(name) != theirs.read(name)] == []
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel and what it depends on, and no extra."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    return folder


def test_the_main_job_runs_without_libgl_x11_and_glib(installed, samples, tmp_path):
    broken = tmp_path / "lib"
    broken.mkdir()
    for name in ("libGL.so.1", "libX11.so.6", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libEGL.so.1"):
        (broken / name).write_bytes(b"no library")  # found first, and cannot be loaded
    environment = {**os.environ, "LD_LIBRARY_PATH": str(broken)}
    command = [installed / "bin/cloak", "run", samples, "--out", tmp_path / "public", "--report", tmp_path / "r.json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode in (0, 4), done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["totals"]["withheld"] == 0
    check = [installed / "bin/cloak", "verify", tmp_path / "public"]
    assert subprocess.run(check, env=environment, cwd=tmp_path).returncode == 0


def test_without_the_extra_mediapipe_is_an_error_that_names_it(installed, samples, tmp_path):
    code = "from cloak.detect import registry; registry.load('blazeface-short')"
    done = subprocess.run([installed / "bin/python", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "cloak-images[mediapipe]" in done.stderr + done.stdout or "MissingExtra" in done.stderr
