"""What is left beside the published photos, and what others can see of a run, holds nothing of an original."""

import io
import os
import subprocess
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.faults.conftest import assert_no_secrets, below, core_limit, environment
from tests.plant import planted_jpeg
from tests.review.conftest import Server, visit_http

PLACE, PERSON = "N 51.50741 W 0.12776", "Jane Secretsource"
KEY, TOKEN = "the-noise-key-of-the-tests", "the-token-of-the-tests-0123"


def pixels_of(image):
    """Rows of the face as they would lie in memory: RGB, BGR and one channel, each long enough to be no chance."""
    rows = np.asarray(image)[45:80:5, 98:130]
    return [bytes(part.tobytes()) for row in rows for part in (row, row[:, ::-1], row[:, 1])]


def planted(portrait):
    """Originals by name, and what of them must be found nowhere: pixels, places, names of people."""
    image = Image.fromarray(portrait)
    jpeg, markers = planted_jpeg(image)
    plain = {suffix: io.BytesIO() for suffix in ("png", "bmp")}
    for suffix, buffer in plain.items():
        image.save(buffer, suffix)
    decoded = Image.open(io.BytesIO(jpeg)).convert("RGB")
    words = [m if isinstance(m, bytes) else m.encode() for m in markers]
    words = [word for word in words if word in jpeg]
    assert len(words) > 20
    secrets = [*words, PLACE.encode(), PERSON.encode(), *pixels_of(image), *pixels_of(decoded)]
    assert any(secret in plain["bmp"].getvalue() for secret in pixels_of(image))  # the search itself works
    return {"jane.jpg": jpeg, **{f"plain.{k}": v.getvalue() for k, v in plain.items()}}, secrets


def test_nothing_beside_the_photos_holds_pixels_places_or_names(shoot, tmp_path, portrait):
    originals, secrets = planted(portrait)
    for name, data in originals.items():
        (shoot.photos / name).write_bytes(data)
    shoot.add("bug.jpg", "killed.jpg", "sleeps.jpg")
    # As libraries do: an error whose words repeat what they were given.
    faults = [
        {"at": "cloak.anonymizer:_paint", "do": f"raise:ValueError:{PLACE} {PERSON}", "photo": "bug.jpg"},
        {"at": "os:replace", "do": "kill", "photo": "killed.jpg"},
        {"at": "cloak.work:read", "do": f"shell:touch {tmp_path}/asleep; sleep 4", "photo": "sleeps.jpg"},
    ]
    (tmp_path / "tmp").mkdir()
    more = {
        "TMPDIR": str(tmp_path / "tmp"),
        "HOME": str(tmp_path / "tmp"),
        "CLOAK_NOISE_KEY": KEY,
        "CLOAK_TOKEN": TOKEN,
    }
    command = shoot.command("--debug", "--keep", "icc", "-j", "1", "--contact-sheet", tmp_path / "sheet.html")
    with open(tmp_path / "said", "wb") as said:
        process = subprocess.Popen(command, env=environment(*faults, **more), stdout=said, stderr=said)
        family = set()
        while process.poll() is None:
            if (tmp_path / "asleep").exists() and not family:
                family = below(process.pid)  # workers, and whatever else the run started
                assert_no_secrets(family, KEY, TOKEN)
                assert core_limit(process.pid) == "1"
            time.sleep(0.1)
    words = (tmp_path / "said").read_text()
    assert process.returncode == 1, words
    assert "_paint" in words  # where it failed is told
    assert "ValueError" in words
    # Everything that the run wrote, but for the originals.
    written = [p for p in tmp_path.rglob("*") if p.is_file() and shoot.photos not in p.parents]
    assert {p.name for p in written} >= {"report.json", "sheet.html", "said", "ledger.sqlite", "jane.jpg"}
    leaks = [(p.name, secret[:40]) for p in written for secret in secrets if secret in p.read_bytes()]
    assert leaks == []
    assert [p for p in written if p.parent == tmp_path / "tmp"] == []
    for path in written:
        if shoot.out not in path.parents and path.name not in {"said", "asleep"}:
            assert path.stat().st_mode & 0o077 == 0, path.name
    assert len(family) >= 2


def test_the_review_page_tells_nothing_of_places_and_names(shoot, portrait, monkeypatch):
    originals, secrets = planted(portrait)
    (shoot.photos / "a.jpg").write_bytes(originals["jane.jpg"])
    done = subprocess.run([*shoot.command("-j", "1"), "-p", "newsroom"], capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    monkeypatch.setenv("CLOAK_TOKEN", TOKEN)
    monkeypatch.setenv("CLOAK_FAULTS", "[]")
    server = Server(shoot.out, reviewer="Ada").start()
    try:
        assert_no_secrets(below(server.process.pid), TOKEN)
        visit_http(server.address)
        with httpx.Client(follow_redirects=True, trust_env=False, timeout=60) as site:
            traffic = [site.get(server.address)]
            photos = site.get(f"{server.url}/api/photos")
            (one,) = photos.json()
            base = f"{server.url}/api/photos/{one['id']}"
            traffic += [photos, site.get(base), *(site.get(f"{base}/preview/{s}") for s in ("original", "result"))]
            traffic += [site.get(f"{server.url}/api/session"), site.get(f"{base}/tile/original/1/0/0")]
            assert site.get(f"{base}/tile/original/0/0/0").status_code == 404
    finally:
        server.stop()
    assert {answer.status_code for answer in traffic} == {200}, [(a.url, a.status_code) for a in traffic]
    bodies = [repr(answer.headers.raw).encode() + answer.content for answer in traffic]
    bodies.append("".join(server.words).encode())
    # It shows the photo to the one who looks: its pixels are there, and nothing else of it.
    assert [(secret[:40]) for secret in secrets for body in bodies if secret in body] == []
    for answer in traffic[1:]:
        assert "no-store" in answer.headers["cache-control"]


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_links_and_names_lead_no_photo_out_of_the_output_or_over_an_original(shoot, tmp_path, jpeg):
    """Beyond what `tests/test_store.py` and `tests/test_batch.py` do: whole runs over links that are there already, or
    come while it runs."""
    shoot.add("a.jpg", "b.jpg", "c.jpg")
    outside, out = tmp_path / "outside", shoot.out
    (outside / "day").mkdir(parents=True)
    (shoot.photos / "day").mkdir()
    (shoot.photos / "day" / "d.jpg").write_bytes(jpeg(comment=b"d"))
    out.mkdir()
    (out / "day").symlink_to(outside / "day")  # a folder of the output leads elsewhere
    (outside / "a.jpg").write_bytes(b"somebody's")
    (out / "a.jpg").symlink_to(outside / "a.jpg")  # and a name to a file elsewhere
    os.link(shoot.photos / "b.jpg", out / "b.jpg")  # a hard link to an original
    over = {"at": "cloak.files:_umask", "do": f"shell:ln -s {shoot.photos}/c.jpg {out}/c.jpg", "photo": "c.jpg"}
    shoot.check = lambda **_: None
    done = shoot.run("-j", "1", "--force", faults=[over], code=1)
    reasons = {name: row.get("message", "") for name, row in shoot.rows().items()}
    assert "leads outside" in reasons["d.jpg"], done.stderr
    assert "replace an original" in reasons["b.jpg"]
    assert (outside / "a.jpg").read_bytes() == b"somebody's"
    assert list((outside / "day").iterdir()) == []
    # Links are replaced by the photo, never followed.
    assert not (out / "a.jpg").is_symlink()
    assert not (out / "c.jpg").is_symlink()
    assert (out / "b.jpg").read_bytes() == (shoot.photos / "b.jpg").read_bytes()
