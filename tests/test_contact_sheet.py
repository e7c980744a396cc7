import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cloak.batch import Job, Run
from cloak.contact_sheet import render
from cloak.pipeline import load
from cloak.report import Totals

FAST = load("photographer", recall="fast")
NAME = '"><img src=x onerror=alert(1)>.jpg'


@pytest.fixture(scope="module")
def sheet(samples, tmp_path_factory):
    root = tmp_path_factory.mktemp("sheet")
    (root / "in").mkdir()
    for name, made in (("group.jpg", NAME), ("located.jpg", "located.jpg"), ("landscape.jpg", "none.jpg")):
        (root / "in" / made).write_bytes((samples / name).read_bytes())
    (root / "in/broken.jpg").write_bytes(b"\xff\xd8\xff")
    job = Job((root / "in",), root / "out", FAST, jobs=1, thumbnails=True)
    texts = []
    for _ in range(2):  # the second run finds everything done, and shows what stands on the disk
        totals, rows = Totals(), []
        with Run(job) as run:
            for outcome in run:
                totals.add(outcome.row())
                rows.append((outcome.row(), outcome.thumbnail))
        texts.append(render(rows, totals, "photographer"))
    return texts, root


def pictures(text):
    return [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", text)]


def test_it_holds_no_bare_face_and_no_original_pixel_of_one(sheet):
    (text, _), root = sheet
    assert len(pictures(text)) == 3
    original = np.asarray(Image.open(root / "in" / NAME).resize((240, 135))).astype(int)
    assert all(max(Image.open(io.BytesIO(picture)).size) <= 240 for picture in pictures(text))
    small = next(picture for picture in pictures(text) if Image.open(io.BytesIO(picture)).size == (240, 135))
    shown = np.asarray(Image.open(io.BytesIO(small))).astype(int)
    for x, y, w, h in ((35, 36, 18, 26), (184, 59, 18, 26), (91, 44, 15, 19), (141, 72, 20, 24)):  # the four faces
        assert np.abs(shown[y : y + h, x : x + w] - original[y : y + h, x : x + w]).mean() > 8


def test_it_names_the_risks_of_its_pipeline():
    risks = load("photographer", cover={"shape": "face"}, accept_risk=True).risks()
    text = render([], Totals(), "mine", risks)
    assert "Below the floor" in text
    assert "leaves ears, jaw and hairline in sight" in text
    assert "Below the floor" not in render([], Totals(), "photographer")


def test_it_is_one_file_without_scripts_and_its_names_are_text(sheet):
    (text, _), _ = sheet
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize(("heads", "words"), [(1, "1 person without a face"), (2, "2 people without a face")])
def test_it_names_people_without_a_face(heads, words):
    row = {"source": "a.jpg", "status": "no-face", "detections": [[]], "faceless": [[{"score": 0.5}] * heads]}
    assert words in render([(row, None)], Totals(), "photographer")
    assert "without a face" not in render([(row | {"faceless": [[]]}, None)], Totals(), "photographer")


def test_a_row_a_photo_with_what_was_found_and_removed(sheet):
    (first, again), _ = sheet
    for text in (first, again):
        statuses = re.findall(r'<tr data-status="([a-z-]+)"', text)
        assert sorted(statuses) == ["concealed", "concealed", "no-face", "withheld"]
        assert "APP1 Exif" in text
        assert "nothing published" in text
        assert text.count("<small>no face</small>") == 1  # of the photo that could not be opened nobody knows
        assert "<th>detect</th>" in text
    assert len(pictures(again)) == 3
