"""Tests that need a tool are skipped where it is missing; on CI nothing may be, or a green run proves little."""

import os
import shutil
from importlib.util import find_spec

import pytest

from cloak.photo import jpeg, jpeg_check

on_ci = pytest.mark.skipif(os.environ.get("CI") != "true", reason="a developer's machine may lack tools")


@on_ci
@pytest.mark.parametrize("tool", ["exiftool", "djpeg", "strace", "unshare", "ip", "chromium"])
def test_independent_readers_and_tracers_are_installed(tool):
    assert shutil.which(tool)


@on_ci
@pytest.mark.parametrize("module", ["c2pa", "cbor2", "cryptography", "torch"])
def test_what_signs_and_perturbs_photos_is_installed(module):
    assert find_spec(module)


@on_ci
def test_the_native_jpeg_engine_is_built():
    assert jpeg.engine() == "native"
    assert jpeg_check.NATIVE
