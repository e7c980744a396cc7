"""The wheel as a stranger gets it: what is in it, and the main job in a new environment without desktop libraries."""

import json
import os
import subprocess
import sys
import venv
import zipfile

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cloak"}
    assert {"cloak/py.typed", "cloak/cli/run.py", "cloak/review/page/main.js", "cloak/pipelines/newsroom.toml"} <= set(
        names
    )
    assert "cloak/detect/weights/yunet_2023mar.onnx" in names
    assert "cloak/detect/weights/PROVENANCE.toml" in names
    assert "cloak/recognise/weights/sface_2021dec_int8bq.onnx" in names
    assert "cloak/metadata/profiles/srgb.icc" in names
    plain = [name for name in names if "dist-info" not in name and not name.endswith((".so", ".pyd"))]
    kinds = {os.path.splitext(name)[1] for name in plain}
    assert kinds <= {
        ".py",
        ".pyi",
        ".typed",
        ".toml",
        ".onnx",
        ".tflite",
        ".icc",
        ".png",
        ".html",
        ".css",
        ".js",
        ".svg",
        "",
    }, kinds
    assert [name for name in names if name.startswith(("tests", "samples", "benchmarks"))] == []


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
