"""Photos under perturb, end to end: in sight, looked at by a recogniser, and never counted as concealed."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cloak.anonymizer import anonymize
from cloak.client import Client
from cloak.detect import Face
from cloak.effects import Perturb
from cloak.errors import RiskRefused, UsageError
from cloak.geometry import Box
from cloak.photo import open_photo
from cloak.photo.base import Limits, Output
from cloak.pipeline import load
from cloak.protection import assess
from cloak.report import Outcome, Totals, concealed, revealed
from cloak.result import Status
from cloak.verify import problems
from tests.conftest import FACES, ROOT
from tests.service.conftest import TOKEN, service

pytest.importorskip("torch")

QUICK = {"name": "perturb", "steps": 12}


@pytest.fixture(scope="module")
def result():
    return anonymize((FACES / "biden.jpg").read_bytes(), load("photographer", effect=QUICK, recall="fast"), key=b"k")


def test_a_perturbed_photo_has_a_state_of_its_own(result):
    report = result.report
    assert report.status is Status.PERTURBED
    assert report.verified == ("container", "residue", "decodes", "faces")
    ((face,),) = report.protections
    assert face.face == 0
    assert face.protected
    assert face.after["sface"] < 0.363 < 0.9 < face.before["sface"]
    assert report.unprotected == 0


def test_its_faces_are_not_counted_as_concealed(result):
    totals = Totals()
    totals.add(Outcome("a", "a", result.report.status, result.report).row())
    assert (totals.photos, totals.perturbed, totals.concealed) == (1, 1, 0)
    assert (totals.faces, totals.visible, totals.unprotected, totals.exit_code) == (0, 1, 0, 0)
    assert any("not anonymous" in line for line in totals.lines())


def test_a_service_counts_no_face_in_sight_and_its_client_takes_no_such_photo_for_clean(tmp_path, jpeg):
    (tmp_path / "mine.toml").write_text(
        'recall = "fast"\naccept_risk = true\neffect = { name = "perturb", steps = 1 }\n'
    )
    with service("--workers", "1", "--add-pipeline", f"mine={tmp_path / 'mine.toml'}") as running:
        answer = running.http.post("/v1/anonymize?pipeline=mine", content=jpeg())
        assert answer.status_code == 200, answer.text
        report = json.loads(answer.headers["Cloak-Report"])
        assert (report["status"], report["faces"]) == ("perturbed", 1)
        assert "cloak_faces_total 0.0" in running.http.get("/metrics").text
        with pytest.raises(UsageError, match="leaves faces in sight"):
            Client(running.url, TOKEN).anonymize(jpeg(), pipeline="mine")


def test_a_face_that_is_still_recognised_is_reported(result):
    ((face,),) = result.report.protections
    report = replace(result.report, protections=((replace(face, protected=False),),))
    totals = Totals()
    totals.add(Outcome("a", "a", report.status, report).row())
    assert report.needs_review
    assert (totals.unprotected, totals.exit_code) == (1, 4)
    assert any(line.startswith("not protected") for line in totals.lines())


def test_an_effect_that_does_nothing_protects_nobody():
    image = np.asarray(Image.open(FACES / "obama.jpg").convert("RGB"))
    found = anonymize((FACES / "obama.jpg").read_bytes(), load("photographer", recall="fast")).report.detections[0]
    (face,) = assess(lambda _: image, lambda _: image, found, ["sface"])
    assert face.after["sface"] == pytest.approx(1, abs=1e-3)
    assert not face.protected


def test_a_face_without_landmarks_is_concealed_and_counted_so():
    image = np.zeros((40, 40, 3), np.uint8)
    assert assess(lambda _: image, lambda _: image, [Face(Box(5, 5, 20, 20), 0.9, ("yunet",))], ["sface"]) == ()


def test_verify_knows_that_its_faces_are_in_sight_by_choice(result):
    row = Outcome("a", "a", result.report.status, result.report).row()
    pipeline = load("photographer")
    assert concealed(row) == [[]]
    assert len(revealed(row)[0]) == 1
    look = partial(problems, result.data, pipeline.recipe, pipeline.limits, concealed(row), frozenset(pipeline.keep))
    assert look(revealed(row)) == []
    assert look() == ["1 bare faces"]


def test_the_same_key_gives_the_same_file(result):
    again = anonymize((FACES / "biden.jpg").read_bytes(), load("photographer", effect=QUICK, recall="fast"), key=b"k")
    assert again.data == result.data


@pytest.mark.parametrize("name", ["newsroom", "cms"])
def test_pipelines_for_sources_refuse_it_unless_the_risk_is_accepted(name):
    with pytest.raises(RiskRefused, match="in sight"):
        load(name, effect={"name": "perturb"})
    assert "in sight" in load(name, effect={"name": "perturb"}, accept_risk=True).risks()[0]


def test_the_hash_of_a_pipeline_knows_the_surrogates():
    pipeline = load("photographer", effect=QUICK)
    assert pipeline.hash() == load("photographer", effect=QUICK).hash()
    assert pipeline.hash() != load("photographer", effect={**QUICK, "steps": 13}).hash()
    assert isinstance(pipeline.effect, Perturb)


def test_the_jpeg_that_is_looked_at_is_the_jpeg_that_is_written():
    random = np.random.default_rng(3)
    picture = random.integers(60, 190, (12, 16, 3)).astype(np.uint8)
    image = Image.fromarray(picture).resize((333, 251), Image.Resampling.BICUBIC)
    for subsampling in (0, 2):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80, subsampling=subsampling)
        photo = open_photo(buffer.getvalue(), Limits())
        (mask,) = _mask(photo.size)
        noise = random.integers(0, 40, (mask.height, mask.width, 3)).astype(np.uint8)
        expected = photo.written(mask, Output())

        def paint(pixels, _mask, _frame, noise=noise):
            return np.where(_mask.weight[..., None] > 0, pixels // 2 + noise, pixels).astype(np.uint8)

        rows, columns = mask.window()
        before = _decoded(buffer.getvalue())[rows, columns]
        after = _decoded(photo.conceal([[mask]], paint, Output()).data)[rows, columns]
        seen = expected(paint(before, mask, 0))
        assert np.abs(seen.astype(int) - after).mean() < 1.0
        assert np.abs(seen.astype(int) - paint(before, mask, 0)).mean() > 3.0  # quantisation was not nothing


def _decoded(data):
    """As others see it: previews do without interpolated chroma."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _mask(size):
    from cloak.geometry import Ellipse, Region
    from cloak.masks import draw

    return draw([Region(Ellipse(120, 110, 41, 57))], size, feather=0.1)


def test_nothing_of_it_is_loaded_before_it_is_used():
    code = "from cloak.pipeline import load; load('photographer', effect={'name': 'perturb'})"
    code = f"import sys; {code}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"
