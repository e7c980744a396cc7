import itertools
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from cloak.cli.plan import command

from cloak.errors import NothingMatched

NUMBERS = itertools.count()


@pytest.fixture
def here(s3, monkeypatch):
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3.bucket(f"plan-{next(NUMBERS)}")


def call(*arguments, code=(0,)):
    """What a command says; a process of its own, since workers have the environment of the first one's start."""
    command = [sys.executable, "-m", "cloak.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in code, done.stderr
    return done.stdout


def test_a_plan_counts_what_is_left_and_writes_nothing(s3, here, jpeg):
    for number in range(6):
        s3.put(here, f"shoots/{number}.jpg", jpeg(quality=70 + number))
    s3.put(here, "shoots/words.txt", b"words")
    where = [f"s3://{here}/shoots", "--out", f"s3://{here}/public/shoots", "--recall", "fast"]
    first = json.loads(call("plan", *where, "--price", "36", "--sample", "2", "--json"))
    assert (first["photos"], first["done"], first["left"], first["sampled"]) == (6, 0, 6, 2)
    assert first["bytes"] == sum(len(jpeg(quality=70 + n)) for n in range(6)) == first["left_bytes"]
    assert first["seconds"] > 0
    assert first["core_hours"] == pytest.approx(first["seconds"] * 6 / 3600)
    assert first["cost"] == pytest.approx(36 * first["core_hours"])
    assert len(s3.keys(here)) == 7

    call("run", *where, "-j", "1", code=(0, 4))
    s3.put(here, "shoots/0.jpg", jpeg(quality=50))  # changed since
    s3.put(here, "shoots/new.jpg", jpeg(quality=51))
    before = s3.objects(here)
    words = call("plan", *where, "--price", "0.05")
    assert s3.objects(here) == before
    figures = dict(line.split()[0::1][:2] for line in words.splitlines() if not line.startswith("already"))
    assert figures["photos"] == "7"
    assert figures["left"] == "2"
    assert "already done" in words
    assert "core-hours" in words
    assert f"s3://{here}/public/shoots.cloak" in words


def test_a_plan_starts_its_workers_as_a_run_does(tmp_path, monkeypatch):
    """Whoever is at the keyboard would see each of their tracebacks otherwise."""
    asked = []
    monkeypatch.setattr("cloak.pool.prepare", lambda *modules: asked.append(modules))
    done = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(done.exception, NothingMatched)
    assert asked == [("cloak.batch",)]


def test_a_plan_of_nothing_says_so(here):
    call("plan", f"s3://{here}/shoots", "--out", f"s3://{here}/public", code=(3,))


def test_a_plan_finds_what_is_done_under_names_that_were_given(tmp_path, jpeg):
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(quality=80 + number))
    where = ["--out", tmp_path / "public", "--recall", "fast", "--names", "sequence"]
    call("run", tmp_path / "0.jpg", *where, code=(0, 4))
    plan = json.loads(call("plan", tmp_path, *where, "--json"))
    assert (plan["photos"], plan["done"]) == (2, 1)


def test_a_plan_refuses_what_the_run_would(here):
    call("plan", f"s3://{here}/shoots", "--out", f"s3://{here}/public", "-p", "newsroom", code=(2,))


def test_a_plan_refuses_a_damaged_ledger_as_the_run_would(tmp_path, jpeg, s3, here):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(jpeg())
    (tmp_path / "public.cloak").mkdir()
    (tmp_path / "public.cloak/ledger.sqlite").touch()  # a run was killed while it made it
    assert json.loads(call("plan", tmp_path / "in", "-o", tmp_path / "public", "--json"))["done"] == 0
    (tmp_path / "public.cloak/ledger.sqlite").write_bytes(b"words, and no database")
    s3.put(here, "public.cloak/meta.json", b"{}")
    for out in (tmp_path / "public", f"s3://{here}/public"):
        for name in ("plan", "run"):
            call(name, tmp_path / "in", "-o", out, code=(2,))


def test_a_plan_of_a_folder_names_its_cost(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "broken.jpg").write_bytes(jpeg()[:2000])
    words = call("plan", tmp_path, "--out", tmp_path / "public", "--price", "1", "--recall", "fast")
    assert "withheld" in words
    assert "at 1 a core-hour" in words
    assert not (tmp_path / "public").exists()
    assert not (tmp_path / "public.cloak").exists()


def test_a_plan_knows_that_other_people_or_another_signer_are_other_work(tmp_path, jpeg):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(jpeg())
    people = tmp_path / "people"
    (people / "she").mkdir(parents=True)
    for number in range(2):
        (people / f"she/{number}.jpg").write_bytes(jpeg(quality=90 - number))
    where = [tmp_path / "in", "--out", tmp_path / "public", "--recall", "fast"]

    def done(*options):
        return json.loads(call("plan", *where, *options, "--json"))["done"]

    call("run", *where, "-j", "1", "--keep-people", people, code=(0, 4))
    assert (done("--keep-people", people), done()) == (1, 0)
    pytest.importorskip("c2pa")
    from tests.signing import certified

    for file, data in zip(("certificate.pem", "key.pem"), certified(), strict=True):
        (tmp_path / file).write_bytes(data)
    sign = ["--c2pa-sign", tmp_path / "certificate.pem", "--c2pa-key", tmp_path / "key.pem"]
    assert done("--keep-people", people, *sign) == 0
