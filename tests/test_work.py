"""What one worker does with one photo that people have decided about, in this process."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import PurePath

import msgspec
import pytest
from PIL import Image

from cloak import work
from cloak.batch import Run
from cloak.decisions import Change, Decisions, dump, parse
from cloak.detect import Face
from cloak.effects import Fill
from cloak.errors import OutputError
from cloak.files import NEUTRAL_TIME
from cloak.geometry import Box, Region, Size
from cloak.identity import same, sealed
from cloak.intake import Item, numbered, walk
from cloak.job import Job
from cloak.ledger import Ledger
from cloak.naming import Naming
from cloak.photo import Limits
from cloak.pipeline import load
from cloak.provenance import load_signer
from cloak.records import beside
from cloak.result import Status
from cloak.review.case import summary
from cloak.review.desk import Desk
from cloak.review.workers import Task, _carry_out
from cloak.reviews import Reviews
from cloak.store import Folder as Store

SIZE = Size(256, 256)
FAST = load("photographer", recall="fast")
BADGE = Change(area=Region(Box(5, 5, 30, 30), effect="fill"))


class Folder:
    """Originals, what is published of them, the desk beside it, and sidecars that are given."""

    def __init__(self, root):
        self.originals, self.out, self.sidecars = root / "in", root / "public", root / "decisions"
        self.originals.mkdir()
        self.sidecars.mkdir()
        Ledger(beside(self.out)).close()

    def run(self, *inputs, decisions=None, pipeline=FAST, **options):
        """What becomes of each photo, by its name below the output."""
        job = Job(inputs or (self.originals,), self.out, pipeline, key=b"k", **options)
        job = replace(job, decisions=decisions or self.sidecars)
        items = [item for item in walk(job.inputs, self.out) if isinstance(item, Item)]
        with Ledger(beside(self.out), lock=False) as ledger:
            items = numbered(items, ledger.own_names())
        return {str(item.name): work.work(item, job=job).outcome for item in items}

    def statuses(self, *inputs, **options):
        return {name: str(outcome.status) for name, outcome in self.run(*inputs, **options).items()}

    def sidecar(self, name, *changes, verdict="accept", **more):
        """Decisions from elsewhere about just these bytes."""
        if (photo := self.originals / name).exists():
            more |= {"of": sealed(photo.read_bytes())}
        size = self.find("p.jpg").row["size"] if self.find("p.jpg") else {"width": 256, "height": 256}
        made = Decisions(msgspec.convert(size, Size), changes, verdict=verdict, reviewer="x", **more)
        (self.sidecars / f"{name}.cloak.json").write_bytes(dump(made))

    def decide(self, name, verdict, changes=None, carry_out=True, signer=None):
        """What an editor does on the page, and a worker of it then; the state it leads to."""
        desk = Desk(self.out, signer=signer)
        try:
            (case,) = [case for case in desk.cases.values() if case.name == name]
            desk.claim(case.id, "page", "Ada")
            if changes is not None:
                case = desk.change(case.id, "page", "Ada", case.review.version, changes)
            version = case.review.version
            case = (
                desk.accept(case.id, "page", "Ada", version)
                if verdict == "accept"
                else desk.hold(case.id, "page", "Ada", version, "no")
            )
            desk.keep(case)
            if not carry_out:
                return case.state
            outcome = work.release(*desk.task(case, b"k"))
            return desk.settle(case.id, case.review.version, outcome.message).state
        finally:
            desk.close()

    def find(self, name):
        with Ledger(beside(self.out), lock=False) as ledger:
            return ledger.find(name)

    def face(self, name="p.jpg"):
        """A change that reveals the photo's face."""
        row = self.find(name).row
        ((face,),) = msgspec.convert(
            row.get("revealed") if any(row["revealed"]) else row["detections"], list[list[Face]]
        )
        return Change(face.box)

    def published(self):
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []


@pytest.fixture
def folder(tmp_path, jpeg):
    made = Folder(tmp_path)
    (made.originals / "p.jpg").write_bytes(jpeg())
    return made


@pytest.fixture
def revealed(folder):
    """A folder in which a sidecar has revealed the face."""
    folder.run()
    folder.sidecar("p.jpg", folder.face())
    assert folder.statuses() == {"p.jpg": "revealed"}
    return folder


def test_a_sidecar_that_had_its_turn_does_not_undo_a_later_verdict(revealed):
    assert revealed.decide("p.jpg", "accept", ()) == "accepted"
    for force in (False, True):
        assert revealed.statuses(force=force) == {"p.jpg": "concealed"}
    assert revealed.decide("p.jpg", "hold") == "held"
    for force in (False, True):
        assert revealed.statuses(force=force) == {"p.jpg": "held"}
        assert revealed.published() == []


def test_a_sidecar_that_was_a_start_where_review_is_required_does_not_undo_a_later_verdict_where_it_is_not(folder):
    required = replace(FAST, review="required")
    folder.run()
    folder.sidecar("p.jpg", folder.face(), at="2026-01-01T00:00:00+00:00")
    assert folder.statuses(pipeline=required) == {"p.jpg": "held"}
    assert folder.decide("p.jpg", "accept", ()) == "accepted"
    for pipeline in (FAST, required):
        assert folder.statuses(pipeline=pipeline) == {"p.jpg": "concealed"}


def test_a_sidecar_that_was_a_start_where_review_is_required_does_not_undo_a_draft(folder):
    folder.run()
    folder.sidecar("p.jpg", folder.face())
    assert folder.statuses(pipeline=replace(FAST, review="required")) == {"p.jpg": "held"}
    desk = Desk(folder.out)
    ((case),) = desk.cases.values()
    desk.claim(case.id, "page", "x")
    desk.change(case.id, "page", "x", case.review.version, ())
    desk.close()
    assert folder.statuses() == {"p.jpg": "held"}


def test_the_order_of_the_inputs_does_not_tell_whose_decisions_are_whose(folder, jpeg):
    other = folder.originals.with_name("other")
    other.mkdir()
    (other / "p.jpg").write_bytes(jpeg(quality=60))
    folder.run(folder.originals, other)
    assert folder.decide("p.jpg", "accept", ()) == "accepted"
    ours = beside(folder.out).with_name("decisions")
    here = folder.statuses(folder.originals, other, decisions=ours)
    assert here == {"p.jpg": "concealed", "p-2.jpg": "concealed"}  # known by the bytes
    folder.out = folder.out.with_name("again")
    Ledger(beside(folder.out)).close()
    elsewhere = folder.statuses(other, folder.originals, decisions=ours)
    assert elsewhere == {"p.jpg": "withheld", "p-2.jpg": "concealed"}  # of one they are about just its bytes
    assert folder.statuses(other, decisions=ours) == {"p.jpg": "withheld"}
    assert folder.statuses(folder.originals, decisions=ours) == {"p-2.jpg": "concealed"}  # it keeps its number
    folder.out = folder.out.with_name("public")
    assert folder.statuses(decisions=ours) == {"p.jpg": "concealed"}


def test_decisions_about_a_photo_are_not_those_of_one_with_another_suffix(folder):
    folder.run()
    folder.sidecar("p.jpg", folder.face())
    Image.open(folder.originals / "p.jpg").save(folder.originals / "p.png")
    assert folder.statuses() == {"p.jpg": "revealed", "p.png": "withheld"}
    (folder.originals / "p.jpg").unlink()
    assert folder.statuses() == {"p.png": "withheld"}  # another export of it, or another portrait


@pytest.mark.parametrize("no_face", ["hold", "publish"])
def test_what_was_accepted_as_concealed_stays_so_where_photos_without_a_face_are_held(folder, no_face):
    strict = replace(FAST, no_face=no_face)
    folder.run(pipeline=strict)
    ((face,),) = msgspec.convert(folder.find("p.jpg").row["detections"], list[list[Face]])
    folder.sidecar("p.jpg", seen=((face.box, Box(200, 150, 30, 40)),))
    for pipeline in (strict, replace(strict, min_face=20)):
        (outcome,) = folder.run(pipeline=pipeline).values()
        assert (str(outcome.status), len(outcome.report.detections[0])) == ("concealed", 2)
        (folder.sidecars / "p.jpg.cloak.json").unlink(missing_ok=True)  # nobody began a review


def test_a_sidecar_that_was_changed_since_counts_unless_it_may_be_older_than_a_hold(revealed):
    assert revealed.decide("p.jpg", "accept", ()) == "accepted"
    revealed.sidecar("p.jpg", BADGE)
    (outcome,) = revealed.run().values()
    assert len(outcome.report.areas[0]) == 1
    assert revealed.run()["p.jpg"].earlier
    assert revealed.decide("p.jpg", "hold") == "held"
    revealed.sidecar("p.jpg", BADGE, BADGE)
    assert revealed.statuses() == {"p.jpg": "held"}
    revealed.sidecar("p.jpg", BADGE, at="2000-01-01T00:00:00+00:00")
    assert revealed.statuses() == {"p.jpg": "held"}
    revealed.sidecar("p.jpg", BADGE, at="2999-01-01T00:00:00+00:00")
    assert revealed.statuses() == {"p.jpg": "concealed"}


def test_a_sidecar_that_is_seen_first_but_older_than_the_verdict_here_does_not_count(folder):
    folder.run()
    assert folder.decide("p.jpg", "accept", ()) == "accepted"
    folder.sidecar("p.jpg", folder.face(), at="2000-01-01T00:00:00+00:00")
    assert folder.statuses() == {"p.jpg": "concealed"}


def test_the_sidecar_that_the_desk_wrote_is_followed_to_a_re_export_into_the_same_folder(folder, jpeg):
    folder.run()
    assert folder.decide("p.jpg", "accept", (BADGE,)) == "accepted"
    ours = beside(folder.out).with_name("decisions")
    assert folder.run(decisions=ours)["p.jpg"].earlier
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    (outcome,) = folder.run(decisions=ours).values()
    assert len(outcome.report.areas[0]) == 1
    assert folder.run(decisions=ours)["p.jpg"].earlier


def test_a_start_from_a_sidecar_does_not_hold_the_photo_when_it_is_done_again(folder):
    folder.sidecar("p.jpg", BADGE, verdict=None)
    folder.run()
    folder.sidecar("p.jpg", BADGE, verdict=None)
    for force in (False, True):
        assert folder.statuses(force=force) == {"p.jpg": "concealed"}


@pytest.mark.parametrize("carry_out", [True, False])
@pytest.mark.parametrize("step", ["cloak.work.anonymize", "cloak.files._umask"])
def test_what_is_decided_while_a_run_is_at_the_photo_is_what_counts(folder, monkeypatch, step, carry_out):
    folder.run()
    decided = []
    module, name = step.rpartition(".")[::2]
    real = getattr(sys.modules[module], name)

    def interrupted(*given, **named):
        if not decided:
            decided.append(1)
            decided.append(folder.decide("p.jpg", "hold", carry_out=carry_out))
        return real(*given, **named)

    monkeypatch.setattr(step, interrupted)
    assert folder.statuses(force=True) == {"p.jpg": "held"}
    assert decided[1] == ("held" if carry_out else "publishing")
    assert folder.published() == []
    assert folder.find("p.jpg").published is None
    monkeypatch.undo()
    assert folder.decide("p.jpg", "accept") == "accepted"
    assert folder.published() == ["p.jpg"]


def test_what_is_published_while_a_run_takes_note_of_bursts_stays_known_to_the_ledger(folder, monkeypatch):
    folder.run()
    entry, refused = folder.find("p.jpg"), []
    with Run(Job((folder.originals,), folder.out, FAST, jobs=1)) as run:
        run._bare = {0: []}
        find = run._ledger.find

        def interrupted(name):
            found = find(name)
            with (
                closing(sqlite3.connect(beside(folder.out), timeout=0)) as other,
                pytest.raises(sqlite3.OperationalError, match="locked") as error,
            ):
                other.execute("UPDATE photo SET published = 'other'")
            refused.append(error)
            return found

        monkeypatch.setattr(run._ledger, "find", interrupted)
        assert len(list(run.bare())) == len(refused) == 1
    assert folder.find("p.jpg").published == entry.published


def test_a_verdict_that_was_overtaken_is_not_carried_out(folder):
    folder.run()
    desk = Desk(folder.out)
    ((case),) = desk.cases.values()
    desk.claim(case.id, "page", "Ada")
    accepted = desk.accept(case.id, "page", "Ada", 0)
    desk.hold(case.id, "page", "Ada", 1, "no")
    desk.close()
    assert work.release(*desk.task(accepted, b"k")).status is Status.WITHHELD
    assert folder.published() == []


def test_what_is_accepted_on_the_page_is_signed_as_the_run_signs(folder, tmp_path):
    pytest.importorskip("c2pa")
    from tests.signing import certified

    places = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for place, content in zip(places, certified(), strict=True):
        place.write_bytes(content)
    signer = load_signer(*places)
    folder.run(signer=signer)
    before = (folder.out / "p.jpg").read_bytes()
    assert folder.decide("p.jpg", "accept", signer=signer) == "accepted"
    assert b"c2pa" in before
    assert b"c2pa" in (folder.out / "p.jpg").read_bytes()
    (again,) = folder.run(signer=signer).values()
    assert again.earlier is not None


def test_a_verdict_that_nobody_carried_out_is_carried_out_by_the_next_run(folder):
    folder.run()
    assert folder.decide("p.jpg", "hold", carry_out=False) == "publishing"
    assert folder.statuses() == {"p.jpg": "held"}
    assert folder.published() == []
    with Ledger(beside(folder.out), lock=False) as ledger:
        review = Reviews(ledger).latest("p.jpg")
    assert review.done == review.version


def test_a_hold_is_of_the_bytes_whatever_they_are_called(folder):
    folder.run()
    photo = folder.originals / "p.jpg"
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.originals / "P.JPG").write_bytes(photo.read_bytes())
    for inputs in ((), (photo, photo)):
        assert set(folder.statuses(*inputs).values()) == {"held"}
    photo.rename(folder.originals / "other.jpg")
    (folder.originals / "P.JPG").unlink()
    folder.sidecar("other.jpg", at="2999-01-01T00:00:00+00:00")
    for force in (False, True):
        assert folder.statuses(force=force) == {"other.jpg": "held"}
        assert folder.published() == []
    assert folder.decide("other.jpg", "accept") == "failed"
    assert folder.published() == []
    folder.decide("p.jpg", "accept", (BADGE,))  # its original is gone, the hold with it
    (folder.sidecars / "other.jpg.cloak.json").unlink()
    assert folder.decide("other.jpg", "accept") == "accepted"
    assert folder.published() == ["other.jpg"]


def test_a_hold_withdraws_what_stands_of_the_bytes_under_every_name_until_it_is_lifted(folder, jpeg):
    (folder.originals / "P.JPG").write_bytes((folder.originals / "p.jpg").read_bytes())
    (folder.originals / "q.jpg").write_bytes(jpeg(quality=60))
    folder.run()
    assert folder.published() == ["P.JPG", "p-2.jpg", "q.jpg"]
    assert folder.decide("P.JPG", "hold") == "held"
    assert folder.published() == ["q.jpg"]
    assert folder.statuses() == {"P.JPG": "held", "p-2.jpg": "held", "q.jpg": "concealed"}
    assert folder.decide("P.JPG", "accept") == "accepted"
    folder.run()
    assert folder.published() == ["P.JPG", "p-2.jpg", "q.jpg"]


def test_what_is_held_stays_so_when_other_bytes_of_its_name_are_accepted(folder, jpeg):
    photo, first = folder.originals / "p.jpg", (folder.originals / "p.jpg").read_bytes()
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    photo.write_bytes(jpeg(quality=60))
    assert folder.statuses() == {"p.jpg": "held"}
    assert folder.decide("p.jpg", "accept") == "accepted"
    (folder.originals / "q.jpg").write_bytes(first)
    assert folder.statuses() == {"p.jpg": "concealed", "q.jpg": "held"}
    photo.write_bytes(first)
    assert folder.statuses() == {"p.jpg": "held", "q.jpg": "held"}
    assert folder.decide("p.jpg", "accept") == "accepted"  # lifted, where it was held
    assert folder.statuses() == {"p.jpg": "concealed", "q.jpg": "concealed"}


def test_what_is_held_stays_so_when_it_comes_back_with_decisions_on_what_took_its_place(folder, jpeg):
    photo, first = folder.originals / "p.jpg", (folder.originals / "p.jpg").read_bytes()
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    photo.write_bytes(jpeg(quality=60))
    folder.run()
    assert folder.decide("p.jpg", "accept") == "accepted"
    photo.write_bytes(first)
    for _ in range(2):
        assert folder.statuses(decisions=beside(folder.out).with_name("decisions")) == {"p.jpg": "held"}


@pytest.mark.parametrize("with_decisions", [False, True])
def test_what_is_held_and_saved_anew_is_held_when_another_card_is_named_before_it(folder, jpeg, with_decisions):
    other = folder.originals.with_name("other")
    other.mkdir()
    (other / "p.jpg").write_bytes(jpeg(quality=70))
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    ours = {"decisions": beside(folder.out).with_name("decisions")} if with_decisions else {}
    held = {"p.jpg": "held", "p-2.jpg": "withheld" if with_decisions else "concealed"}
    assert folder.statuses(other, folder.originals, **ours) == held
    again = folder.originals.rename(folder.originals.with_name("export"))
    if with_decisions:
        assert set(folder.statuses(other, again, **ours).values()) <= {"withheld", "held"}


def test_a_run_numbers_namesakes_as_before(folder):
    folder.run()
    other = folder.originals.with_name("other")
    other.mkdir()
    (other / "p.jpg").touch()
    with Run(Job((other, folder.originals), folder.out, FAST, jobs=1)) as run:
        assert {item.path.parent.name: str(item.name) for item in run.items} == {"in": "p.jpg", "other": "p-2.jpg"}


def test_what_is_held_and_saved_anew_is_held_by_way_of_the_folder_around_it(folder, jpeg):
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    job = Job((folder.originals.parent,), folder.out, FAST)
    item = Item(folder.originals / "p.jpg", PurePath("in/p.jpg"))
    assert str(work.work(item, job=job).outcome.status) == "held"


def test_what_is_held_is_released_under_another_name_where_its_own_has_gone_to_other_bytes(folder, jpeg):
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.originals / "p.jpg").rename(folder.originals / "old.jpg")
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    assert folder.statuses() == {"p.jpg": "held", "old.jpg": "held"}
    assert folder.decide("p.jpg", "accept") == "accepted"
    assert folder.statuses() == {"p.jpg": "concealed", "old.jpg": "held"}
    assert folder.decide("old.jpg", "accept") == "accepted"
    assert folder.statuses() == {"p.jpg": "concealed", "old.jpg": "concealed"}


def test_a_review_that_is_not_finished_is_lost_to_no_sidecar(folder):
    folder.run()
    folder.sidecar("p.jpg", at="2026-01-01T00:00:00+00:00")
    assert folder.statuses() == {"p.jpg": "concealed"}
    desk = Desk(folder.out)
    (case,) = desk.cases.values()
    desk.claim(case.id, "page", "Bob")
    desk.change(case.id, "page", "Bob", case.review.version, (BADGE,))
    desk.close()
    folder.sidecar("p.jpg", at="2999-01-01T00:00:00+00:00")
    assert folder.statuses() == {"p.jpg": "held"}
    with Ledger(beside(folder.out), lock=False) as ledger:
        assert Reviews(ledger).latest("p.jpg").decisions.changes == (BADGE,)


def test_a_start_from_a_sidecar_is_no_review_that_a_verdict_on_a_copy_began(folder):
    strict = replace(FAST, no_face="hold")
    folder.run()
    folder.sidecar("p.jpg", BADGE)
    assert folder.statuses(pipeline=strict) == {"p.jpg": "concealed"}
    (folder.originals / "q.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run(pipeline=strict)
    assert folder.decide("q.jpg", "accept") == "accepted"
    assert folder.statuses(pipeline=strict) == {"p.jpg": "concealed", "q.jpg": "concealed"}


def test_what_a_run_took_from_a_sidecar_is_what_this_folders_decisions_say(folder):
    ours = beside(folder.out).with_name("decisions") / "p.jpg.cloak.json"
    folder.run()
    assert folder.decide("p.jpg", "accept", (folder.face(),)) == "accepted"
    assert parse(ours.read_bytes()).verdict == "accept"
    folder.sidecar("p.jpg", BADGE, verdict="hold", at="2999-01-01T00:00:00+00:00")
    assert folder.statuses() == {"p.jpg": "held"}
    made = parse(ours.read_bytes())
    assert (made.verdict, made.changes) == ("hold", (BADGE,))
    assert same(made.of, (folder.originals / "p.jpg").read_bytes())


def test_a_verdict_on_a_photo_that_another_has_replaced_vouches_for_neither(folder, jpeg):
    folder.run()
    seen, other = (folder.originals / "p.jpg").read_bytes(), jpeg(quality=60)
    (folder.originals / "p.jpg").write_bytes(other)
    assert folder.decide("p.jpg", "accept", (folder.face(),)) == "failed"
    made = parse((beside(folder.out).with_name("decisions") / "p.jpg.cloak.json").read_bytes())
    assert [same(made.of, data) for data in (seen, other)] == [None, None]


@pytest.mark.parametrize("harm", ["a folder at its name", "a file for the folder"])
def test_a_hold_whose_sidecar_cannot_be_written_leaves_no_copy_standing(folder, harm):
    ours = beside(folder.out).with_name("decisions")
    copies = folder.originals.with_name("copies")
    copies.mkdir()
    (copies / "copy.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    assert folder.statuses(copies, decisions=copies) == {"copy.jpg": "concealed"}
    folder.sidecar("p.jpg", verdict="hold", at="2024-01-01T00:00:00+00:00")
    if harm == "a folder at its name":
        (ours / "p.jpg.cloak.json/x").mkdir(parents=True)
    else:
        ours.write_bytes(b"")
    outcome = folder.run()["p.jpg"]
    assert (outcome.reason, outcome.withdrawn) == ("not-written", ("copy.jpg",))
    assert folder.published() == []
    assert folder.statuses() == {"p.jpg": "withheld"}  # it is told until it is mended
    shutil.rmtree(ours) if ours.is_dir() else ours.unlink()
    assert folder.statuses() == {"p.jpg": "held"}
    assert parse((ours / "p.jpg.cloak.json").read_bytes()).verdict == "hold"


@pytest.mark.parametrize("how", ["two cards", "two names"])
def test_copies_of_a_photo_are_no_namesakes_of_it(folder, how):
    other = folder.originals.with_name("other")
    other.mkdir()
    (other / "p.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run(folder.originals, *([other] if how == "two cards" else []))
    if how == "two names":
        with Ledger(beside(folder.out)) as ledger:
            (item,) = map(Naming("random", ledger, Store(folder.out)), walk([folder.originals], folder.out))
        work.work(item, job=Job((folder.originals,), folder.out, replace(FAST, names="random"), key=b"k"))
    assert folder.decide("p.jpg", "accept", (BADGE,)) == "accepted"
    made = parse((beside(folder.out).with_name("decisions") / "p.jpg.cloak.json").read_bytes())
    assert (made.namesake, made.akin) == (False, False)


def test_what_is_held_and_saved_anew_is_held_under_every_policy_of_names(folder, jpeg):
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    for names in ("keep", "random", "sequence"):
        given = Naming(names, ledger := Ledger(beside(folder.out)), Store(folder.out))
        with ledger:
            item = given(next(iter(walk([folder.originals], folder.out))))
        job = Job((folder.originals,), folder.out, replace(FAST, names=names), key=b"k")
        assert str(work.work(item, job=job).outcome.status) == "held"
    assert folder.published() == []


def test_what_is_withdrawn_with_a_photo_is_named(folder):
    folder.run()
    (folder.originals / "p.jpg").rename(folder.originals / "q.jpg")
    (outcome,) = folder.run(pipeline=replace(FAST, review="required")).values()
    assert (str(outcome.status), outcome.withdrawn, outcome.row()["withdrawn"]) == ("held", ("p.jpg",), ["p.jpg"])
    assert folder.published() == []
    assert "withdrawn" not in folder.run(pipeline=replace(FAST, review="required"))["q.jpg"].row()


def test_what_is_withdrawn_with_a_photo_that_is_withheld_is_named(folder):
    folder.run()
    (folder.originals / "p.jpg").rename(folder.originals / "q.jpg")
    (outcome,) = folder.run(pipeline=replace(FAST, limits=Limits(pixels=1000))).values()
    assert (outcome.reason, outcome.withdrawn, folder.published()) == ("too-large", ("p.jpg",), [])
    assert outcome.withdrawals() == [f"withdrawn  p.jpg: {outcome.source} has its bytes, and is withheld"]


def test_the_page_is_told_what_is_withdrawn_with_a_photo_that_is_held(folder):
    (folder.originals / "q.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run()
    with closing(Desk(folder.out)) as desk:
        case = next(case for case in desk.cases.values() if case.name == "p.jpg")
        desk.claim(case.id, "page", "Ada")
        case = desk.hold(case.id, "page", "Ada", case.review.version, "no")
        told = _carry_out(Task(case.id, case.review.version, *desk.task(case, b"k")))
        settled = desk.settle(case.id, case.review.version, *told)
        assert (settled.state, summary(settled, None)["withdrawn"]) == ("held", ("q.jpg",))
    assert folder.published() == []


def test_a_draft_lifts_no_hold_of_a_copy(folder):
    (folder.originals / "q.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run()
    assert folder.decide("q.jpg", "accept") == "accepted"
    assert folder.decide("p.jpg", "hold") == "held"
    assert folder.statuses() == {"p.jpg": "held", "q.jpg": "held"}
    desk = Desk(folder.out)
    (case,) = [case for case in desk.cases.values() if case.name == "p.jpg"]
    desk.claim(case.id, "page", "Ada")
    desk.change(case.id, "page", "Ada", case.review.version, (BADGE,))
    desk.close()
    assert folder.statuses() == {"p.jpg": "held", "q.jpg": "held"}


@pytest.mark.parametrize("verdict", ["accept", "hold"])
def test_a_reviewed_photo_that_comes_again_with_other_proportions_waits_for_a_review_anew(folder, verdict):
    folder.run()
    assert folder.decide("p.jpg", verdict, (BADGE,)) in {"accepted", "held"}
    photo = folder.originals / "p.jpg"
    cropped = Image.open(photo)
    cropped.crop((0, 0, cropped.width, cropped.height - 16)).save(photo, quality=90)
    assert folder.statuses() == {"p.jpg": "held"}
    assert folder.decide("p.jpg", "accept", ()) == "accepted"
    assert folder.published() == ["p.jpg"]


def test_a_hold_goes_on_after_a_file_that_somebody_changed(folder):
    for name in "qr":
        (folder.originals / f"{name}.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run()
    (folder.out / "q.jpg").write_bytes(b"somebody's")
    assert folder.decide("p.jpg", "hold") == "failed"
    assert folder.published() == ["q.jpg"]


def test_a_sidecars_hold_withdraws_what_the_run_met_before_under_another_name(folder):
    (folder.originals / "a.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run()
    folder.sidecar("p.jpg", verdict="hold")
    assert folder.statuses() == {"a.jpg": "concealed", "p.jpg": "held"}
    assert folder.published() == []
    assert folder.statuses() == {"a.jpg": "held", "p.jpg": "held"}


def test_a_held_photo_is_not_said_to_be_held_while_it_stands(folder):
    folder.run()
    published = (folder.out / "p.jpg").read_bytes()
    assert folder.decide("p.jpg", "hold") == "held"
    (folder.out / "p.jpg").write_bytes(published)  # from a backup
    for force in (False, True):
        (outcome,) = folder.run(force=force).values()
        assert outcome.reason == "not-written"
    assert folder.decide("p.jpg", "hold") == "failed"
    (folder.out / "p.jpg").unlink()
    assert folder.statuses() == {"p.jpg": "held"}


@pytest.mark.parametrize(
    ("stricter", "becomes"),
    [
        (replace(FAST, effect=Fill(), review="required"), "held"),
        (replace(FAST, effect=Fill(), limits=replace(FAST.limits, pixels=100)), "withheld"),
    ],
)
def test_what_was_made_of_the_bytes_in_another_way_under_another_name_goes_if_nothing_replaces_it(
    folder, stricter, becomes
):
    folder.run()
    (folder.originals / "p.jpg").rename(folder.originals / "other.jpg")
    assert folder.statuses(pipeline=stricter) == {"other.jpg": becomes}
    assert folder.published() == []


def test_a_photo_that_a_later_run_withheld_is_accepted_as_that_run_would_have_done_it(folder):
    folder.run()
    folder.statuses(pipeline=replace(FAST, effect=Fill(), limits=replace(FAST.limits, pixels=100)))
    assert folder.decide("p.jpg", "accept") == "failed"
    assert folder.published() == []
    folder.statuses(pipeline=replace(FAST, effect=Fill(), review="required"))
    assert folder.decide("p.jpg", "accept") == "accepted"
    assert folder.find("p.jpg").row["effect"]["name"] == "fill"


def test_what_stands_is_withdrawn_however_long_it_is(folder):
    folder.run()
    small = replace(FAST, effect=Fill(), limits=replace(FAST.limits, bytes=100))
    assert folder.statuses(pipeline=small) == {"p.jpg": "withheld"}
    assert folder.published() == []


def test_what_was_accepted_follows_the_bytes_to_another_name(folder):
    folder.run()
    assert folder.decide("p.jpg", "accept", (BADGE,)) == "accepted"
    (folder.originals / "p.jpg").rename(folder.originals / "other.jpg")
    (outcome,) = folder.run().values()
    assert len(outcome.report.areas[0]) == 1


def test_what_was_drawn_on_a_photo_is_drawn_on_its_copies_that_were_done_before(folder):
    (folder.originals / "q.jpg").write_bytes((folder.originals / "p.jpg").read_bytes())
    folder.run()
    assert folder.decide("p.jpg", "accept", (BADGE,)) == "accepted"
    before = (folder.out / "q.jpg").read_bytes()
    assert len(folder.run()["q.jpg"].report.areas[0]) == 1
    assert (folder.out / "q.jpg").read_bytes() != before
    again = folder.run()
    assert [outcome.earlier is not None for outcome in again.values()] == [True, True]
    assert "decided" not in again["q.jpg"].row()


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_what_stands_and_is_not_what_was_decided_goes_even_if_the_verdict_cannot_be_carried_out(folder, jpeg, harm):
    folder.run()
    assert folder.decide("p.jpg", "accept", (folder.face(),)) == "accepted"
    photo = folder.originals / "p.jpg"
    if harm == "gone":
        photo.unlink()
    else:
        photo.write_bytes(jpeg(quality=60))
    assert folder.decide("p.jpg", "accept", ()) == "failed"
    assert folder.published() == []


def test_a_photo_that_could_not_be_written_is_not_published_for_anybody(folder):
    folder.out.mkdir()
    (folder.originals / "s").mkdir()
    (folder.originals / "p.jpg").rename(folder.originals / "s/p.jpg")
    elsewhere = folder.originals.with_name("elsewhere")
    elsewhere.mkdir()
    (folder.out / "s").symlink_to(elsewhere)
    assert folder.statuses() == {"s/p.jpg": "withheld"}
    assert (folder.find("s/p.jpg").published, list(elsewhere.iterdir())) == (None, [])
    (folder.out / "s").unlink()
    assert folder.statuses() == {"s/p.jpg": "concealed"}


def test_decisions_that_no_ledger_takes_are_refused_before_anything_is_published(folder):
    folder.run()
    sidecar = folder.sidecars / "p.jpg.cloak.json"
    folder.sidecar("p.jpg", folder.face())
    sidecar.write_text(sidecar.read_text().replace('"reviewer": "x"', r'"reviewer": "\ud800"'))
    (outcome,) = folder.run().values()
    assert outcome.reason == "decisions-unfit"
    assert folder.published() == []


def test_a_held_photo_keeps_its_name_beside_namesakes_whose_number_that_is(folder, jpeg):
    """However it is saved anew; the photo that is new gets another number."""
    cards = [folder.originals.with_name(card) for card in ("card1", "card2")]
    for card, quality in zip(cards, (60, 70), strict=True):
        card.mkdir()
        (card / "p.jpg").write_bytes(jpeg(quality=quality))
    photo = (folder.originals / "p.jpg").rename(folder.originals / "p-2.jpg")
    folder.run()
    assert folder.decide("p-2.jpg", "hold") == "held"
    photo.write_bytes(jpeg(quality=50))
    assert folder.statuses(*cards, folder.originals) == {
        "p.jpg": "concealed",
        "p-2.jpg": "held",
        "p-2-2.jpg": "concealed",
    }


def test_what_is_held_is_known_by_where_it_lies_after_another_had_its_name(folder, jpeg):
    other = folder.originals.with_name("other")
    other.mkdir()
    (other / "p.jpg").write_bytes(jpeg(quality=60))
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    assert folder.statuses(other) == {"p.jpg": "held"}  # until somebody has looked
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=50))
    assert set(folder.statuses(folder.originals, other).values()) == {"held"}
    assert folder.published() == []


def test_a_verdict_taken_from_elsewhere_is_written_by_the_next_run_where_one_was_killed(folder, monkeypatch):
    ours = beside(folder.out).with_name("decisions") / "p.jpg.cloak.json"
    folder.run()
    assert folder.decide("p.jpg", "accept", (folder.face(),)) == "accepted"
    folder.sidecar("p.jpg", verdict="hold", at="2999-01-01T00:00:00+00:00")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cloak.work.keep", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.run()
    assert parse(ours.read_bytes()).verdict == "accept"
    assert folder.statuses() == {"p.jpg": "held"}
    assert parse(ours.read_bytes()).verdict == "hold"


def test_a_verdict_beside_the_hold_of_another_photo_of_its_name_is_for_nobody_by_name(folder, jpeg):
    """Also where its sidecar was taken out, and the photo reviewed anew."""
    ours = beside(folder.out).with_name("decisions") / "p.jpg.cloak.json"
    photo = folder.originals / "p.jpg"
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    photo.write_bytes(jpeg(quality=60))
    folder.run()
    for _ in range(2):
        assert folder.decide("p.jpg", "accept") == "accepted"
        assert parse(ours.read_bytes()).namesake
        ours.unlink()
    folder.sidecar("p.jpg", BADGE, at="2999-01-01T00:00:00+00:00")
    assert folder.statuses() == {"p.jpg": "concealed"}
    assert parse(ours.read_bytes()).namesake


def test_what_was_decided_about_a_file_counts_for_its_very_bytes_whoever_else_had_its_name(folder, jpeg):
    photo, elsewhere = folder.originals / "p.jpg", folder.originals.with_name("web")
    elsewhere.mkdir()
    folder.run()
    assert folder.decide("p.jpg", "accept") == "accepted"
    photo.write_bytes(jpeg(quality=60))
    folder.run()
    assert folder.decide("p.jpg", "accept", (BADGE,)) == "accepted"
    ours = beside(folder.out).with_name("decisions")
    for quality, status in ((60, "concealed"), (61, "withheld")):
        folder.out = folder.out.with_name(f"web{quality}")
        Ledger(beside(folder.out)).close()
        (elsewhere / "p.jpg").write_bytes(jpeg(quality=quality))
        outcome = folder.run(elsewhere, decisions=ours)["p.jpg"]
        assert str(outcome.status) == status
        assert outcome.report is None or outcome.report.areas == ((BADGE.area,),)


def test_a_hold_is_found_however_its_name_is_written(folder):
    photo = folder.originals / "p.jpg"
    (folder.sidecars / "P.JPG.cloak.json").write_bytes(dump(Decisions(SIZE, verdict="hold", of=sealed(b"another"))))
    assert photo.exists()
    assert folder.statuses() == {"p.jpg": "held"}


@pytest.mark.parametrize("now", ["renamed", "numbered", "decided", "alike", "a copy of its own"])
def test_what_was_published_in_another_way_does_not_outlive_the_name(folder, now):
    """A face that was bare by consent would stay so after its end."""
    photo = folder.originals / "p.jpg"
    folder.run(pipeline=replace(FAST, cover=replace(FAST.cover, scale=1.6)))
    other = photo.with_name("q.jpg")
    if now in {"renamed", "decided"}:
        photo.rename(other)
    elif now == "a copy of its own":
        other.write_bytes(photo.read_bytes())
        folder.originals = folder.originals.with_name("copies")
        folder.originals.mkdir()
        other.rename(folder.originals / "q.jpg")
    item, job = Item(other, PurePath("q.jpg")), Job((folder.originals,), folder.out, FAST, key=b"k")
    if now == "numbered":
        item = Item(photo, PurePath("q.jpg"), own=PurePath("p.jpg"))
    elif now == "alike":
        photo.rename(other)
        job = replace(job, pipeline=replace(FAST, cover=replace(FAST.cover, scale=1.6)))
    elif now == "a copy of its own":
        item = Item(folder.originals / "q.jpg", PurePath("q.jpg"))
    outcome = work.work(item, job=job).outcome
    assert str(outcome.status) == "concealed"
    stays = now in {"alike", "a copy of its own"}
    assert folder.published() == (["p.jpg", "q.jpg"] if stays else ["q.jpg"])
    told = [f"withdrawn  p.jpg: {outcome.source} has its bytes, and is published as q.jpg"]
    assert outcome.withdrawals() == ([] if stays else told)


def test_times_follow_what_is_asked_for_also_where_nothing_else_is_to_be_done(folder):
    photo, made = folder.originals / "p.jpg", folder.out / "p.jpg"
    os.utime(photo, (1_500_000_000, 1_500_000_000))
    for keep, moment in ((True, 1_500_000_000), (False, NEUTRAL_TIME), (True, 1_500_000_000)):
        folder.run(preserve_times=keep)
        assert made.stat().st_mtime == moment


def test_an_original_that_is_moved_away_while_its_time_is_wanted_is_withheld(folder, monkeypatch):
    photo = folder.originals / "p.jpg"

    def fetch(item, limit):
        data = photo.read_bytes()
        photo.rename(photo.with_suffix(".away"))
        return data

    monkeypatch.setattr("cloak.work._fetch", fetch)
    (outcome,) = folder.run(preserve_times=True).values()
    assert (outcome.reason, "modified cannot be told" in outcome.message) == ("not-written", True)
    assert folder.published() == []


def test_a_photo_that_takes_the_place_of_another_of_its_name_says_so(folder, jpeg):
    """Whether or not the other still lies where it was; of what was edited or moved nothing is said."""
    photo, other = folder.originals / "p.jpg", folder.originals.with_name("other")
    other.mkdir()
    folder.run()
    item, job = Item(other / "p.jpg", PurePath("p.jpg")), Job((other,), folder.out, FAST, key=b"k")

    def told():
        return work.work(item, job=job).outcome.withdrawals()

    item.path.write_bytes(photo.read_bytes())
    assert told() == []
    photo.write_bytes(jpeg(quality=70))
    folder.run()
    photo.unlink()
    assert told() == [f"replaced   {photo}: {item.path} has its name now, and is published as p.jpg"]
    item.path.write_bytes(jpeg(quality=60))
    assert told() == []


def test_an_older_copy_that_somebody_changed_is_named_and_the_others_go(folder):
    """Whose it is by now nobody can tell: the photo is withheld until it is moved away."""
    photo = folder.originals / "p.jpg"
    folder.run(pipeline=replace(FAST, cover=replace(FAST.cover, scale=1.6)))
    photo.rename(photo.with_name("q.jpg"))
    made = folder.out / "p.jpg"
    made.write_bytes(made.read_bytes() + b"edited")
    for _ in range(2):
        outcome = folder.run()["q.jpg"]
        assert (outcome.reason, "p.jpg" in outcome.message, outcome.withdrawals()) == ("not-written", True, [])
        assert folder.published() == ["p.jpg"]
    made.unlink()
    assert folder.statuses() == {"q.jpg": "concealed"}


def test_what_goes_is_told_also_where_the_photo_is_withheld(folder, jpeg):
    photo, other = folder.originals / "p.jpg", folder.originals.with_name("other")
    other.mkdir()
    folder.run()
    item, job = Item(other / "p.jpg", PurePath("p.jpg")), Job((other,), folder.out, FAST, key=b"k")
    item.path.write_bytes(jpeg()[:-9_000])
    outcome = work.work(item, job=job).outcome
    assert (str(outcome.status), folder.published()) == ("withheld", [])
    assert outcome.withdrawals() == [f"replaced   {photo}: {item.path} has its name now, and is withheld"]
    folder.run()
    photo.rename(photo.with_name("q.jpg"))
    (folder.out / "day").touch()  # so that its file cannot be written
    wider = replace(FAST, cover=replace(FAST.cover, scale=1.6))
    item, job = Item(photo.with_name("q.jpg"), PurePath("day/q.jpg")), Job((), folder.out, wider, key=b"k")
    outcome = work.work(item, job=job).outcome
    assert outcome.reason == "not-written"
    assert [line.split(":")[0] for line in outcome.withdrawals()] == ["withdrawn  p.jpg"]


def test_what_went_with_a_photo_is_told_once(folder, jpeg):
    photo = folder.originals / "p.jpg"
    folder.run(pipeline=replace(FAST, cover=replace(FAST.cover, scale=1.6)))
    photo.rename(photo.with_name("q.jpg"))
    assert folder.run()["q.jpg"].row()["withdrawn"] == ["p.jpg"]
    again = folder.run()["q.jpg"].row()
    assert (again["resumed"], again.get("withdrawn"), again.get("replaces")) == (True, None, None)


def test_times_that_the_system_does_not_let_us_set_withhold_nothing_that_stands(folder, monkeypatch):
    folder.run()
    os.utime(folder.out / "p.jpg", (5, 5))

    def refused(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.utime", refused)
    assert folder.statuses() == {"p.jpg": "concealed"}
    assert folder.statuses(preserve_times=True) == {"p.jpg": "withheld"}


def test_a_sidecar_that_a_run_writes_for_a_review_that_was_killed_is_for_its_very_file_only(folder):
    """Which other photos had its name, only the page knew; what the page has written stays as it is."""
    ours = beside(folder.out).with_name("decisions") / "p.jpg.cloak.json"
    folder.run()
    assert folder.decide("p.jpg", "accept", carry_out=False) == "publishing"
    written = ours.read_bytes()
    assert folder.statuses() == {"p.jpg": "concealed"}
    assert ours.read_bytes() == written
    assert folder.decide("p.jpg", "accept", carry_out=False) == "publishing"
    ours.unlink()
    assert folder.statuses() == {"p.jpg": "concealed"}
    assert parse(ours.read_bytes()).namesake
    assert not parse(written).namesake


def test_a_ledger_of_an_earlier_version_forgets_no_path_and_is_reviewed_after_a_run(folder, jpeg):
    folder.run()
    assert folder.decide("p.jpg", "hold") == "held"
    with closing(sqlite3.connect(beside(folder.out))) as old, old:
        old.execute("DROP TABLE path")
    with pytest.raises(OutputError) as refused:
        Desk(folder.out)
    assert "run cloak on the photos again" in refused.value.next_step
    (folder.originals / "p.jpg").write_bytes(jpeg(quality=60))
    Ledger(beside(folder.out)).close()  # as a run does at first
    item, job = Item(folder.originals / "p.jpg", PurePath("in/p.jpg")), Job((), folder.out, FAST)
    assert str(work.work(item, job=job).outcome.status) == "held"
    Desk(folder.out).close()
