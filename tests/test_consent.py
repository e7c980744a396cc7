"""People who consented stay bare; whoever is not plainly one of them is concealed."""

import io
import json

import cv2
import numpy as np
import pytest
from cloak.cli import main
from PIL import Image

import cloak
from cloak import consent
from cloak.errors import UsageError
from cloak.intake import portraits
from cloak.pipeline import Pipeline
from cloak.report import Totals
from cloak.result import Status
from cloak.review.desk import Desk
from cloak.review.queue import Doubt, doubt
from tests.conftest import FACES, SAMPLES

FAST = Pipeline(recall="fast")


def _file(name):
    return (FACES / f"{name}.jpg").read_bytes()


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def _encoded(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def obama():
    return consent.enrol({"B. O.": [_file("obama")]})


@pytest.fixture(scope="module")
def group():
    return (SAMPLES / "group.jpg").read_bytes()


def _there(box, image):
    return image[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]


def test_only_who_consented_stays_bare(obama, group):
    result = cloak.anonymize(group, FAST, people=obama)
    report = result.report
    assert (report.status, len(report.revealed[0]), report.faces) == (Status.CONCEALED, 1, 3)
    assert not report.needs_review
    before, after = _pixels(group), _pixels(result.data)
    assert np.abs(_there(report.revealed[0][0].box, after - before)).mean() < 2
    for face in report.detections[0]:
        assert np.abs(_there(face.box, after - before)).mean() > 10
    # It is the one who consented, not another of the four.
    bare = _there(report.revealed[0][0].box.grown(1.6), before).astype(np.uint8)
    assert len(cloak.anonymize(_encoded(bare), FAST, people=obama).report.revealed[0]) == 1


def test_nobody_stays_bare_unless_asked_for(group):
    report = cloak.anonymize(group, FAST).report
    assert (report.faces, report.revealed, report.ambiguous) == (4, ((),), ((),))


def test_a_photo_of_consenting_people_alone_says_that_nothing_was_concealed(obama):
    result = cloak.anonymize(_file("obama"), FAST, people=obama)
    assert result.report.status is Status.REVEALED
    assert result.report.verified


def test_between_two_candidates_the_face_stays_concealed_and_is_flagged(group):
    twins = consent.enrol({"one": [_file("obama")], "other": [_file("obama")]})
    report = cloak.anonymize(group, FAST, people=twins).report
    assert report.faces == 4
    assert len(report.ambiguous[0]) == 1
    assert report.needs_review


def test_who_seems_to_be_there_twice_stays_concealed(obama):
    image = np.asarray(Image.open(io.BytesIO(_file("obama"))).convert("RGB"))
    report = cloak.anonymize(_encoded(np.hstack([image, image])), FAST, people=obama).report
    assert (report.faces, len(report.ambiguous[0])) == (2, 2)


def test_whoever_is_one_face_with_a_consenting_person_is_not_left_bare(obama, group):
    image = np.array(Image.open(io.BytesIO(group)).convert("RGB"))
    consenting, other = image[26:520, 20:380], image[349:545, 724:881]
    picture = cv2.resize(consenting, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    # Somebody's head, askew, before a cheek: fusion takes the two for one face.
    head = cv2.resize(other, None, fx=1.3, fy=1.3)
    height, width = head.shape[:2]
    mask = cv2.ellipse(np.zeros((height, width), np.float32), (width // 2, height // 2),
                       (int(width * 0.48), int(height * 0.48)), 0, 0, 360, 1, -1)  # fmt: skip
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -40, 1)
    head, mask = (cv2.warpAffine(each, turn, (width, height)) for each in (head, mask))
    place = picture[489 - height // 2 :, 474 - width // 2 :][:height, :width]
    place[mask > 0.5] = head[mask > 0.5]
    report = cloak.anonymize(_encoded(picture), FAST, people=obama).report
    assert (report.faces, report.revealed, len(report.ambiguous[0])) == (1, ((),), 1)


def test_a_blurred_face_stays_concealed_and_is_flagged(obama):
    image = cv2.GaussianBlur(np.array(Image.open(io.BytesIO(_file("obama"))).convert("RGB")), (0, 0), 9)
    report = cloak.anonymize(_encoded(image), FAST, people=obama).report
    assert (report.faces, report.revealed) == (1, ((),))


def test_a_small_face_stays_concealed(obama):
    image = Image.open(io.BytesIO(_file("obama"))).convert("RGB")
    image.thumbnail((100, 100))
    report = cloak.anonymize(_encoded(np.asarray(image)), FAST, people=obama).report
    assert report.faces == 1
    assert report.revealed == ((),)


def test_what_a_person_decided_beats_consent(obama, group):
    first = cloak.anonymize(group, FAST, people=obama).report
    box = first.revealed[0][0].box
    hide = cloak.Change(face=box, area=cloak.Region(cloak.Ellipse(*box.center, box.width, box.height)))
    for changes in ((hide,), ()):  # who accepts a photo as it is saw him concealed
        decided = cloak.Decisions(first.size, changes, verdict="accept")
        result = cloak.anonymize(group, FAST, people=obama, decisions=decided)
        assert result.report.revealed == ((),)
        assert np.abs(_there(box, _pixels(result.data) - _pixels(group))).mean() > 10


def _row(*cosines):
    return np.array([cosines], np.float32)


FINE, POOR = np.array([False]), np.array([True])


@pytest.mark.parametrize(
    ("row", "poor", "kept", "ambiguous"),
    [
        (_row(0.7, 0.1), FINE, [0], []),
        (_row(0.7), FINE, [0], []),
        (_row(0.7, 0.6), FINE, [], [0]),  # another is nearly as near
        (_row(0.7, 0.1), POOR, [], [0]),
        (_row(consent.THRESHOLD - 0.01, 0.1), FINE, [], [0]),
        (_row(consent.SUSPECT - 0.01, 0.1), FINE, [], []),
        (_row(0.7, 0.1).repeat(2, 0), FINE.repeat(2), [], [0, 1]),
        (np.array([[0.85], [0.55]], np.float32), np.array([True, False]), [], [0, 1]),  # out of focus, and a brother
        (np.array([[0.4], [0.55]], np.float32), np.array([True, False]), [], [0, 1]),
        (np.array([[0.85, 0.75], [0.55, 0.3]], np.float32), FINE.repeat(2), [], [0, 1]),
        (np.array([[0.7], [consent.SUSPECT - 0.01]], np.float32), FINE.repeat(2), [0], []),
        (np.array([[0.7], [np.nan]], np.float32), FINE.repeat(2), [], [0]),
        (np.array([[0.7, 0.1], [0.1, 0.7]], np.float32), FINE.repeat(2), [0, 1], []),
        (np.zeros((0, 2), np.float32), FINE[:0], [], []),
        (_row(np.nan, np.nan), FINE, [], []),
    ],
)
def test_whatever_is_in_doubt_is_denied(row, poor, kept, ambiguous):
    assert consent.decide(row, poor) == (kept, ambiguous)


def _small(name, side):
    image = Image.open(io.BytesIO(_file(name))).convert("RGB")
    image.thumbnail((side, side))
    return _encoded(np.asarray(image))


def _paged(name):
    image, out = Image.open(io.BytesIO(_file(name))).convert("RGB"), io.BytesIO()
    image.save(out, "TIFF", save_all=True, append_images=[image])
    return out.getvalue()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "nobody"),
        ({"x": []}, "no portrait of 'x'"),
        ({"x": [(SAMPLES / "landscape.jpg").read_bytes()]}, "portrait 1 of 'x' shows 0 faces"),
        ({"x": [(SAMPLES / "group.jpg").read_bytes()]}, r"shows \d faces"),
        ({"x": [_paged("obama")]}, "portrait 1 of 'x' holds 2 pictures"),
        ({"x": [b"no image"]}, "portrait 1 of 'x' cannot be used"),
        ({"x": [_small("obama", 90)]}, "too small"),
        ({"x": [_file("obama"), _file("biden")]}, "different people"),
    ],
)
def test_a_portrait_that_will_not_do_is_named(files, words):
    with pytest.raises(UsageError, match=words) as caught:
        consent.enrol(files)
    assert caught.value.next_step


def test_people_show_no_numbers_of_a_face(obama):
    assert repr(obama) == "People(1)"


@pytest.fixture
def consented(tmp_path):
    place = tmp_path / "consented"
    (place / "Zaphod Beeblebrox").mkdir(parents=True)
    (place / "Zaphod Beeblebrox" / "portrait.jpg").write_bytes(_file("obama"))
    return place


def test_portraits_are_read_by_person(consented):
    (consented / ".DS_Store").write_bytes(b"litter")
    assert portraits(consented, 10**7) == {"Zaphod Beeblebrox": [_file("obama")]}
    with pytest.raises(UsageError, match="cannot be read"):
        portraits(consented, 10)
    (consented / "stray.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="beside the people"):
        portraits(consented, 10**7)
    with pytest.raises(UsageError, match="not there"):
        portraits(consented / "nowhere", 10**7)


def _run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["run", *map(str, arguments), "--recall", "fast", "--jobs", "1", "--quiet"])
    return ended.value.code


def test_a_run_keeps_people_and_writes_nothing_of_them(consented, tmp_path, obama):
    photos, out, report = tmp_path / "photos", tmp_path / "public", tmp_path / "report.json"
    photos.mkdir()
    (photos / "group.jpg").write_bytes((SAMPLES / "group.jpg").read_bytes())
    assert _run(photos, "--out", out, "--report", report, "--keep-people", consented) == 0
    (row,) = json.loads(report.read_text())["photos"]
    assert (row["faces"], len(row["revealed"][0])) == (3, 1)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(out), "--recall", "fast"])
    assert ended.value.code == 0

    # The enrolment in the run's own process is the same as here: the portrait's bytes and the recogniser are.
    traces = [obama.rows.tobytes()[:16], obama.seal, obama.seal.hex().encode(), b"Beeblebrox"]
    for path in tmp_path.rglob("*"):
        if path.is_file() and consented not in path.parents:
            data = path.read_bytes()
            assert [trace for trace in traces if trace in data] == [], path.name


def test_consent_that_was_withdrawn_has_the_photo_done_again(consented, tmp_path):
    out, report = tmp_path / "public", tmp_path / "report.json"
    again = (SAMPLES / "group.jpg", "--out", out, "--report", report)
    assert _run(*again, "--keep-people", consented) == 0
    assert _run(*again, "--keep-people", consented) == 0
    assert json.loads(report.read_text())["photos"][0]["resumed"]
    assert _run(*again) == 0
    (row,) = json.loads(report.read_text())["photos"]
    assert "resumed" not in row
    assert (row["faces"], row["revealed"]) == (4, [[]])


def test_a_review_reveals_nobody_because_a_run_did(consented, tmp_path):
    """What is accepted is a person's decision, and stays; consent can be withdrawn."""
    out = tmp_path / "public"
    assert _run(SAMPLES / "group.jpg", "--out", out, "--keep-people", consented, "--pipeline", "newsroom") == 4
    desk = Desk(out)
    (case,) = desk.cases.values()
    assert (len(case.entry.row["revealed"][0]), len(case.found()[0]), case.changes) == (1, 4, ())
    desk.close()


def test_photos_with_ambiguous_faces_are_looked_at_early():
    face = {"score": 1.0, "models": ["yunet"]}
    assert doubt({"detections": [[face]], "ambiguous": [[face]]}, 1)[0] is Doubt.CONSENT
    assert doubt({"detections": [[face]], "ambiguous": [[]]}, 1)[0] is Doubt.REST


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("doubtful", "weak hits"),
        ("ambiguous", "people to keep"),
        ("faceless", "people without a face"),
    ],
)
def test_the_table_says_what_a_person_is_to_look_at(row, words):
    totals = Totals()
    totals.add({"status": "concealed", row: [[{"box": [0, 0, 9, 9], "score": 0.2}]]})
    (line,) = (line for line in totals.lines() if line.startswith("to review"))
    assert words in line
    assert totals.exit_code == 4
