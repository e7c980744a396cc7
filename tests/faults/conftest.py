"""Real runs with faults in them (`seam/sitecustomize.py`), and what must be true after each."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from cloak.cli.verify import command as verify

from cloak.ledger import Ledger
from cloak.records import beside

CLOAK = [sys.executable, "-m", "cloak.cli"]
SEAM = Path(__file__).parent / "seam"


def environment(*faults, **more):
    """Of a process in which these faults happen."""
    path = os.pathsep.join(filter(None, [str(SEAM), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "CLOAK_FAULTS": json.dumps(faults), **more}


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files(folder)}


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def below(pid):
    """The processes that one has started, and those that they have."""
    found = set()
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | below(child)
    return found


def core_limit(pid):
    """The hard limit of a process on core dumps, in bytes."""
    return re.search(r"Max core file size\s+\S+\s+(\S+)", Path(f"/proc/{pid}/limits").read_text())[1]


def assert_no_secrets(pids, *secrets):
    """These processes have no secret in their environment, and dump no core."""
    assert pids
    for pid in pids:
        given = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"CLOAK_FAULTS" in given  # it is their environment that was read
        assert [secret for secret in secrets if secret.encode() in given] == []
        assert core_limit(pid) == "1"


class Shoot:
    """Originals, an output, and what is true of them whatever happens."""

    def __init__(self, root, jpeg):
        self.root, self.photos, self.out = root, root / "shoot", root / "public"
        self.report, self.modes = root / "report.json", root / "modes of temporary files"
        self.photos.mkdir()
        self._jpeg = jpeg

    def add(self, *names):
        """Photos, no two alike."""
        for name in names:
            (self.photos / name).write_bytes(self._jpeg(comment=name.encode()))
        return names

    def command(self, *options):
        run = ["run", self.photos, "--out", self.out, "--recall", "fast", "--report", self.report, *options]
        return [*CLOAK, *map(str, run)]

    def run(self, *options, faults=(), code, before=()):
        """A run to its end. Originals stay as they are, what is published is clean, nothing else lies about; while it
        was written, only its owner could read it."""
        originals = digests(self.photos)
        noting = {"at": "os:fsync", "do": f"note:{self.modes}"}  # last of the faults: before any other at this place
        self.report.unlink(missing_ok=True)
        done = subprocess.run(
            [*before, *self.command(*options)], env=environment(*faults, noting), capture_output=True, text=True,
            timeout=240, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr + done.stdout
        assert digests(self.photos) == originals
        assert self.written_as() <= {"600"}
        if self.report.exists():
            self.assert_told(code)
        self.check(swept=code != -9)
        return done

    def check(self, *, swept=True):
        """What is published is what the ledger says and passes `cloak verify`; no temporary file is left."""
        if not self.out.exists():
            return
        standing = files(self.out)
        left = [p for p in standing if p.name.startswith(".cloak-")]
        for path in left:
            assert path.stat().st_mode & 0o777 in {0o600, 0o644}  # the latter once it is whole, a rename before its end
        if swept:
            assert left == []
        if photos := [p for p in standing if p not in left]:
            options = ["--recall", "fast", "--ledger", str(beside(self.out))]
            done = CliRunner().invoke(verify, [*map(str, photos), *options], standalone_mode=False)
            assert not done.return_value, done.output
            assert done.exception is None
            for name, digest in digests(self.out).items():
                assert name.startswith(".cloak-") or self.entry(name).published == digest

    def written_as(self):
        """The permissions of all files so far when they were written and not yet at the disk."""
        return set(self.modes.read_text().split()) if self.modes.exists() else set()

    def assert_told(self, code):
        """The report tells the exit code that the process had, and how many photos it withheld."""
        totals = json.loads(self.report.read_text())["totals"]
        assert totals["exit_code"] == code
        assert totals["withheld"] == sum(row["status"] == "withheld" for row in self.rows().values())

    def rows(self):
        """The report's rows by name."""
        document = json.loads(self.report.read_text())
        return {Path(row["source"]).name: row for row in document["photos"]}

    def published(self):
        return sorted(p.name for p in files(self.out)) if self.out.exists() else []

    def entry(self, name):
        with Ledger(beside(self.out), lock=False) as ledger:
            return ledger.find(name)


@pytest.fixture
def shoot(tmp_path, jpeg):
    return Shoot(tmp_path, jpeg)
