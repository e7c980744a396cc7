"""Every reader under mutations: what was found once stays mended, and each run of CI looks for more."""

import importlib.util
import json
import random
import resource
import secrets
import struct
import subprocess
import sys
import zlib

import pytest

from fuzz.__main__ import Fuzzing
from fuzz.mutate import FORMS, mutate
from fuzz.one import CORPUS, Watch, blind, seeds_of
from fuzz.targets import TARGETS
from tests import plant
from tests.conftest import ROOT

SECONDS = 2.0
"""Of the processor for each reader: a minute in all. `python -m fuzz --minutes 60` takes its time."""

FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_fuzzing_found_is_mended(path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    TARGETS[path.parent.name].run(path.read_bytes())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(name, tmp_path):
    target, number = TARGETS[name], secrets.randbelow(1 << 32)
    watch = Watch(target.run, tmp_path)
    blind(watch, target, seeds_of(name, target, []), SECONDS, number)
    words = [path.read_text() for path in sorted(tmp_path.glob("*.txt"))]
    assert not watch.findings, f"mutations of {number}, see {tmp_path}:\n" + "\n".join(words)
    assert watch.executions > len(target.seeds())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this system")
def test_coverage_guides_the_fuzzer(tmp_path):
    command = [sys.executable, "-m", "fuzz", "xmp", "--minutes", "0.05", "--work", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "results.json").read_text())["xmp"]
    assert result["findings"] == []
    assert result["executions"] > 10
    assert result["edges"][0] > 50


@pytest.mark.slow
def test_fuzzing_goes_on_where_it_stopped(tmp_path):
    def fuzz(seconds: float) -> dict[str, int]:
        Fuzzing(["row"], seconds, tmp_path, [], blind=True).run()
        return json.loads((tmp_path / "results.json").read_text())["row"]

    first, again, more = fuzz(2), fuzz(2), fuzz(4)
    assert again == first
    assert first["cpu"] < more["cpu"] <= 5
    assert first["executions"] < more["executions"]


def test_a_reader_that_breaks_is_a_finding(tmp_path):
    def broken(data: bytes) -> str:
        return "fine" if len(data) < 5 else data[1000:][0].to_bytes().hex()

    watch = Watch(broken, tmp_path)
    for data in (b"1234", b"12345678", b"12345"):
        watch(data)
    (name,) = watch.findings
    assert name.startswith("IndexError-test_fuzz-")
    assert (tmp_path / f"finding-{name}").read_bytes() == b"12345"  # the shortest of those that failed there
    assert "IndexError" in (tmp_path / f"finding-{name}.txt").read_text()
    assert watch.endings == {"fine": 1, "FINDING": 2}


@pytest.mark.parametrize(("form", "name"), [("jpeg", "jpeg"), ("png", "png"), ("gif", "gif"), ("boxes", "heif")])
def test_a_file_taken_apart_is_put_together_as_it_was(form, name):
    data = plant.PLANTED[name]()[0]
    assert FORMS[form].join(FORMS[form].split(data))[: len(data) // 2] == data[: len(data) // 2]


def test_mutated_chunks_have_true_checksums():
    data, rng = plant.PLANTED["png"]()[0], random.Random(1)
    true, all_ = 0, 0
    for _ in range(50):
        out = mutate(data, "png", [data], rng)
        at = 8
        while at + 12 <= len(out):
            length, body = struct.unpack_from(">I", out, at)[0], out[at + 4 :]
            if at + 12 + length > len(out):
                break
            all_ += 1
            true += zlib.crc32(body[: 4 + length]) == int.from_bytes(body[4 + length : 8 + length], "big")
            at += 12 + length
    assert true > 0.8 * all_ > 500
