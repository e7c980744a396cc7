"""Hostile file names through a whole run: what is printed, written and shown cannot be driven by them."""

import json
import os
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser

import pytest

NAMES = [
    b"line\nbreak.jpg",
    b"\x1b[31mred\x1b]0;title\x07.jpg",
    "evil\u202egpj.jpg".encode(),
    "sep\u2028arator.jpg".encode(),
    b"<img src=x onerror=alert(1)>.jpg",
    b"--force.jpg",
    b"\xff\xfe.jpg",
    b"n" * 251 + b".jpg",
    b"%s{0}$(x)`y`.jpg",
    b"folder\n\x1b[2J/x.jpg",
]
BROKEN = b"bad\nname\x1b[31m\xe2\x80\xae.jpg"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_no_name_drives_a_terminal_a_report_or_a_page(tmp_path, jpeg):
    folder = os.fsencode(tmp_path / "photos")
    for name in NAMES:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(jpeg())
    with open(os.path.join(folder, BROKEN), "wb") as file:
        file.write(b"\xff\xd8\xffbroken")
    out, report, page = tmp_path / "out", tmp_path / "report.json", tmp_path / "page.html"
    command = [sys.executable, "-m", "cloak.cli", "run", tmp_path / "photos", "--out", out, "--recall", "fast"]
    command += ["--jobs", "1", "--report", report, "--contact-sheet", page]
    done = subprocess.run(command, capture_output=True, timeout=240)
    assert done.returncode == 1, done.stderr  # one is withheld, and named
    published = {
        os.path.relpath(os.path.join(at, f), os.fsencode(out)) for at, _, fs in os.walk(os.fsencode(out)) for f in fs
    }
    assert published == set(NAMES)
    verified = subprocess.run([sys.executable, "-m", "cloak.cli", "verify", out], capture_output=True, timeout=240)
    assert verified.returncode == 0, verified.stdout
    assert rb"bad\nname\x1b[31m\u202e.jpg" in done.stderr
    for text in (done.stdout, done.stderr, verified.stdout, page.read_bytes()):
        assert harmless(text.decode())
    rows = json.loads(report.read_text())
    assert len(rows["photos"]) == len(NAMES) + 1
    assert all(harmless(row["source"]) and "\n" not in row["source"] for row in rows["photos"])
    tags = set()
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.update({tag, *(name for name, _ in attributes)})
    reader.feed(page.read_text())
    assert "onerror" not in tags


def harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text if c not in "\r\n\t")
