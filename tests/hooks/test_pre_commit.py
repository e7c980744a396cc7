"""The hook for pre-commit, in a real repository with the real pre-commit: photos that tell too much stay out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks.running import ROOT, make_photo, need

pytestmark = pytest.mark.hooks

CONFIG = """
repos:
  - repo: {hooks}
    rev: v1
    hooks:
      - id: cloak
        # The test's own installation of cloak, instead of a new one that pre-commit makes.
        language: system
        {more}
"""


@pytest.fixture
def git(tmp_path):
    """A function that runs git in a new repository, with cloak on the path."""
    pre_commit = Path(sys.executable).with_name("pre-commit")
    need("git", str(pre_commit))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "cloak").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cloak.cli "$@"\n')
    (programs / "cloak").chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip

    def run(*words, folder="work", code=0):
        done = subprocess.run(words, cwd=tmp_path / folder, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    hooks = tmp_path / "hooks"
    for folder in (hooks, tmp_path / "work"):
        folder.mkdir()
        run("git", "init", "-q", folder=folder)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    run("git", "add", "-A", folder=hooks)
    run("git", "commit", "-qm", "Hooks", folder=hooks)
    run("git", "tag", "v1", folder=hooks)
    (tmp_path / "work/.pre-commit-config.yaml").write_text(CONFIG.format(hooks=hooks, more=""))
    run(str(pre_commit), "install", "--allow-missing-config")
    return run


def test_a_commit_with_a_face_or_a_place_is_refused_and_one_without_passes(git, tmp_path, samples):
    work = tmp_path / "work"
    (work / "party photo.JPG").write_bytes(make_photo())
    (work / "words.txt").write_text("Words pass.")
    git("git", "add", "-A")
    said = git("git", "commit", "-m", "All", code=1)
    assert "no faces or places in photos" in said
    assert "party photo.JPG: " in said
    assert "faces, GPS" in said
    assert "words.txt" not in said

    (work / "party photo.JPG").write_bytes((samples / "landscape.jpg").read_bytes())
    git("git", "add", "-A")
    git("git", "commit", "-m", "All")
    assert "party photo.JPG" in git("git", "ls-files")


def test_faces_alone_can_be_allowed(git, tmp_path, samples):
    work = tmp_path / "work"
    config = CONFIG.format(hooks=tmp_path / "hooks", more="args: []")
    (work / ".pre-commit-config.yaml").write_text(config)
    shutil.copy(samples / "close.jpg", work / "team.jpg")
    git("git", "add", "-A")
    git("git", "commit", "-m", "The team")
    shutil.copy(samples / "located.jpg", work / "place.jpg")
    git("git", "add", "-A")
    said = git("git", "commit", "-m", "The place", code=1)
    assert "place.jpg: GPS, city" in said
