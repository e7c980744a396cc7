import dataclasses
import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from cloak.cli import main
from cloak.cli.audit import AUDIT, PLOT

from cloak import effects
from cloak.audit import LATER, Settings, Treatment, audit, convolution, gather, split, verdicts, visible
from cloak.audit.adversary import CLASSIFIERS, Lesson, trained
from cloak.audit.figures import Rate
from cloak.audit.report import document, headline, passes, plot, table
from cloak.errors import UsageError

SEARCH = Settings(("sface",), (), ("as published",), probes=1, splits=("photos",))
TRAIN = Settings((), ("linear discriminants",), ("as published",), probes=1, draws=3, splits=("photos",))


@pytest.fixture(scope="module")
def shots(people):
    return gather(people)


def _publish(treatment):
    return lambda shot, draw: treatment(shot.image, shot.faces, bytes([draw]) * 32)


def test_every_photo_has_its_person_and_face(shots):
    assert [shot.person for shot in shots] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert {shot.face.landmarks is not None for shot in shots} == {True}
    assert all(shot.face.box.height > 45 for shot in shots)


def test_too_few_people_are_an_error(people, tmp_path):
    shutil.copytree(people / "biden", tmp_path / "biden")
    with pytest.raises(UsageError, match="two people"):
        gather(tmp_path)


def test_a_search_finds_bare_faces_and_not_filled_ones(shots):
    bare = {f.adversary + f.place: f for f in audit("nothing", shots, _publish(Treatment("nothing", None)), SEARCH)}
    assert bare["naivelandmarks"].rank1.value == 1
    assert bare["naivefound"].matched.value == 1
    assert bare["naivefound"].found.value == 1
    filled = Treatment("fill", effects.make("fill"))
    found = {f.adversary + f.place: f for f in audit("fill", shots, _publish(filled), SEARCH)}
    assert found["naivefound"].rank1.value == 0
    assert found["naivefound"].found.value == 0


def test_a_trained_adversary_knows_bare_faces_and_learns_nothing_under_a_fill(shots):
    bare = list(audit("nothing", shots, _publish(Treatment("nothing", None)), TRAIN))
    assert {f.part for f in bare} == {"head and surroundings", "under the cover"}
    assert min(f.rank1.value for f in bare) >= 0.75
    fill = Treatment("fill", effects.make("fill"))
    (inner,) = [f for f in audit("fill", shots, _publish(fill), TRAIN) if f.part == "under the cover"]
    assert inner.rank1.value <= 0.5


def test_a_trained_adversary_is_asked_about_every_later_state(shots):
    settings = dataclasses.replace(TRAIN, later=("as published", "half size, jpeg 85"))
    fill = Treatment("fill", effects.make("fill"))
    found = list(audit("fill", shots, _publish(fill), settings))
    assert {(f.part, f.later) for f in found} == {
        (part, later) for part in ("head and surroundings", "under the cover") for later in settings.later
    }
    assert {f.probes for f in found} == {4}


def test_what_is_known_from_an_earlier_audit_is_not_looked_for_again(shots):
    settings = dataclasses.replace(TRAIN, recognisers=("sface",), later=("as published", "half size, jpeg 85"))
    fill = _publish(Treatment("fill", effects.make("fill")))
    whole = list(audit("fill", shots, fill, settings))
    known = [finding.about for finding in whole[::2]]
    assert list(audit("fill", shots, fill, settings, known=known)) == whole[1::2]

    def publish(shot, draw):
        pytest.fail("all is known: nothing needs to be published")

    assert list(audit("fill", shots, publish, settings, known=[f.about for f in whole])) == []


def test_an_adversary_does_not_hold_the_photos_it_searches_for(shots):
    for how in ("photos", "events"):
        known, wanted = split(shots, how, 2)
        assert not {id(shot) for shot in known} & {id(shot) for shot in wanted}
        assert {shot.person for shot in known} == {0, 1, 2, 3}
        if how == "events":
            events = {(shot.person, shot.session) for shot in known}
            assert all((shot.person, shot.session) not in events for shot in wanted)


def test_photos_with_the_same_surroundings_are_of_one_event(shots, people, tmp_path):
    for name in ("biden", "obama"):
        (tmp_path / name).mkdir()
        for index in range(2):
            shutil.copy(people / name / "0.png", tmp_path / name / f"{index}.png")
        other = cv2.imread(str(people / name / "0.png"))
        noise = np.random.default_rng(7).integers(0, 255, (6, 6, 3)).astype(np.uint8)
        wall = cv2.resize(noise, other.shape[1::-1])
        shot = next(s for s in shots if s.name == Path(name) / "0.png")
        box = shot.face.box.grown(1.1)
        inside = slice(int(box.y), int(box.bottom)), slice(int(box.x), int(box.right))
        wall[inside] = other[inside]
        cv2.imwrite(str(tmp_path / name / "2.png"), wall)
    numbers = [shot.session for shot in gather(tmp_path)]
    assert numbers[0] == numbers[1] != numbers[2]
    assert numbers[3] == numbers[4] != numbers[5]


def _lesson(rows, owners):
    return Lesson(rows, owners, rows, owners)


def _people():
    """Twenty noisy pictures of each of five people, (100, 192) float32, and whose they are."""
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(5), 20).astype(np.intp)
    centres = np.array([cv2.resize(rng.normal(0, 1, (2, 2, 3)), (8, 8)).ravel() for _ in range(5)])
    rows = (centres[owners] + rng.normal(0, 0.5, (100, 192))).astype(np.float32)
    return rows, owners


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_every_classifier_learns_what_can_be_learned_and_no_more(name, monkeypatch):
    if name == "convolutional network":
        pytest.importorskip("torch")
    monkeypatch.setattr(convolution, "STEPS", 60)
    rows, owners = _people()
    found = trained(CLASSIFIERS[name], _lesson(rows[::2], owners[::2]), rows[1::2], 5)
    assert (found.argmax(1) == owners[1::2]).mean() > 0.7
    same = np.ones((100, 192), np.float32)
    assert np.unique(trained(CLASSIFIERS[name], _lesson(same, owners), same, 5)).size == 1


def test_noise_on_lightness_does_not_hide_colours():
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(20), 12).astype(np.intp)
    colours = rng.uniform(0.5, 1.0, (20, 4, 3))
    rows = (colours[owners] * rng.uniform(0.1, 1.0, (240, 4, 1)) - 0.5).reshape(240, 12).astype(np.float32)
    found = trained(CLASSIFIERS["colour discriminants"], _lesson(rows[::2], owners[::2]), rows[1::2], 20)
    assert (found.argmax(1) == owners[1::2]).mean() > 0.9  # plain pixels: 0.73


def test_the_convolutional_network_is_fine_tuned_from_bare_faces(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(convolution, "STEPS", 60)
    rows, owners = _people()
    fit = CLASSIFIERS["convolutional network"]
    # Two concealed pictures teach little; with the bare ones known, as much as there is.
    one = slice(0, 100, 20)
    concealed, whose = np.tile(rows[one], (2, 1)), np.tile(owners[one], 2)
    known = fit(Lesson(concealed, whose, rows[::2], owners[::2]))
    assert list(known.classes_) == list(range(5))
    assert (known.predict_proba(rows[1::2]).argmax(1) == owners[1::2]).mean() > 0.7
    again = fit(Lesson(concealed, whose, rows[::2], owners[::2]))
    assert np.array_equal(known.predict_proba(rows[1::2]), again.predict_proba(rows[1::2]))


@pytest.mark.parametrize("name", list(LATER))
def test_what_happens_to_photos_later_keeps_their_size(name):
    image = np.random.default_rng(0).integers(0, 255, (41, 33, 3)).astype(np.uint8)
    assert LATER[name](image).shape == image.shape
    assert LATER[name](image).dtype == np.uint8


def test_what_is_seen_of_an_effect_is_its_faces(shots):
    none = visible("nothing", shots, _publish(Treatment("nothing", None)))
    fill = visible("fill", shots, _publish(Treatment("fill", effects.make("fill"))))
    assert (none.ssim_photo, none.psnr_face) == (pytest.approx(1), 99)
    assert fill.ssim_face < fill.ssim_photo < 1
    assert 0 < fill.seconds < 0.5


def test_a_verdict_names_the_strongest_adversary_and_counts_surrogates_out_of_the_headline(shots):
    findings = list(audit("nothing", shots, _publish(Treatment("nothing", None)), SEARCH))
    assert headline(findings) == {}  # sface is a surrogate
    assert not passes(findings)
    words = "\n".join(verdicts(findings))
    assert "does not pass" in words
    assert "no held-out recogniser" in words
    assert len(table(findings)) == 1 + len(findings)


def test_what_was_not_published_is_no_probe_and_no_pass(shots):
    def first_only(shot, draw):
        return shot.image if shot.person == 0 else None

    found = list(audit("nothing", shots, first_only, SEARCH))
    assert {(f.probes, f.people, f.rank1.value, f.absent) for f in found if f.adversary == "naive"} == {(1, 4, 1.0, 12)}
    assert "does not pass" in "\n".join(verdicts(found))
    safe = [dataclasses.replace(f, rank1=Rate(0, 0, 0)) for f in found]
    assert "cannot pass: 12 of the photos were not there" in "\n".join(verdicts(safe))
    assert not passes(safe)
    assert passes([dataclasses.replace(f, absent=0) for f in safe])
    assert not passes([])


def _command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["audit", *map(str, arguments), "--recognisers", "sface", "--later", "as published", "--draws", "2"])
    return ended.value.code


@pytest.mark.slow
def test_the_self_test_writes_figures_and_a_plot(people, tmp_path, capsys):
    report, picture = tmp_path / "audit.json", tmp_path / "audit.png"
    code = _command(
        people, "--self-test", "--effects", "fill", "--classifiers", "linear discriminants", "--json", report,
        "--plot", picture,
    )  # fmt: skip
    assert code in (0, 1)
    said = json.loads(report.read_text())
    assert code == (0 if said["passes"]["fill"] else 1)
    assert {f["adversary"] for f in said["findings"]} == {"naive", "adaptive", "trained"}
    assert said["findings"][0]["people"] == 4
    assert said["recognisers"]["dlib"]["role"] == "held-out"
    assert cv2.imread(str(picture)).shape[1] > 500
    assert said["verdicts"]["fill"][0] in capsys.readouterr().out


@pytest.mark.slow
def test_published_photos_are_judged_as_they_are(people, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(people, bare)
    assert _command(people, bare, "--classifiers", "none", "--quiet") == 1
    assert "does not pass" in capsys.readouterr().out
    for path in bare.rglob("*.png"):
        image = cv2.imread(str(path))
        image[:] = 90
        cv2.imwrite(str(path), image)
    assert _command(people, bare, "--classifiers", "none", "--quiet") == 0


def test_an_audit_wants_published_photos_or_a_self_test(people, capsys):
    assert _command(people) == 2
    assert _command(people, people, "--self-test") == 2
    assert "one of the two" in capsys.readouterr().err


def test_what_an_audit_writes_replaces_nothing_else_and_its_places_are_tried_before_the_work(
    people, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("cloak.audit.gather", lambda *_, **__: pytest.fail("it began"))
    photo = tmp_path / "precious.png"
    photo.write_bytes(next(people.rglob("*.png")).read_bytes())
    before = photo.read_bytes()
    for option, place, words in (
        ("--json", photo, "already"),
        ("--plot", photo, "already"),
        ("--json", tmp_path / "none/audit.json", "the audit cannot be written"),
        ("--plot", tmp_path / "none/audit.png", "the plot cannot be written"),
        ("--plot", tmp_path / "audit.docx", "PNG or SVG"),
    ):
        assert _command(people, "--self-test", option, place) == 2
        assert words in capsys.readouterr().err
    assert photo.read_bytes() == before
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.filterwarnings("ignore:No artists")
def test_figures_and_plots_of_an_earlier_audit_are_known(people):
    assert AUDIT.match(json.dumps(document([], [], {"people": 4}), indent=1).encode())
    assert not AUDIT.match(b'{\n "settings": {\n  "theme": "dark"\n }\n}')
    for form in ("png", "svg"):
        plot([], [], file := io.BytesIO(), form)
        assert PLOT.match(file.getvalue())
    assert not PLOT.match(next(people.rglob("*.png")).read_bytes())


def test_a_folder_without_the_photos_is_no_pass(people, tmp_path, capsys):
    assert _command(people, tmp_path, "--classifiers", "none") == 2
    assert "none of the photos" in capsys.readouterr().err
