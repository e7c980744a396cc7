"""What a worker does with one photo, called in this process."""

import io
from dataclasses import replace
from pathlib import PurePath

import pytest
from PIL import Image

from cloak.batch import Run
from cloak.decisions import Change, Decisions, dump, parse
from cloak.errors import DecisionsUnfit, UsageError
from cloak.geometry import Box, Region, Size
from cloak.identity import _of_moment, same, sealed
from cloak.intake import Item
from cloak.job import Job
from cloak.ledger import Ledger
from cloak.naming import Naming
from cloak.photo import open_photo
from cloak.pipeline import load
from cloak.records import beside
from cloak.result import Status
from cloak.review.desk import Desk
from cloak.sidecars import fit, keep
from cloak.store import Folder
from cloak.work import work

FAST, RANDOM, SEQUENCE = (load("photographer", recall="fast", names=names) for names in ("keep", "random", "sequence"))
DRAWN = Change(area=Region(Box(5, 5, 30, 30), effect="fill"))


@pytest.fixture
def photo(tmp_path, jpeg):
    """A function that lays a photo at a name below the input."""

    def lay(name):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
        return Item(path, PurePath(name))

    return lay


@pytest.mark.parametrize(
    ("name", "sidecars", "fits"),
    [
        ("party.jpg", ["party.jpg"], True),
        ("party.jpg", ["party.JPG"], True),
        ("party.jpg", ["party.heic"], True),  # another export of it
        ("party.jpg", ["party.heic", "party.jpg"], True),
        ("party.jpg", ["party.heic", "party.png"], None),
        ("party.jpg", ["party.bob.jpg"], False),  # another photo
        ("party.jpg", ["party.bob"], False),
        ("party.bob.jpg", ["party.jpg"], False),
        ("party.bob.jpg", ["party.bob.png"], True),
        ("party.jpg", ["Party.JPG"], True),  # as the camera wrote it
        ("a/party.jpg", ["A/Party.JPG"], True),
        ("party.jpg", ["Party.jpg", "PARTY.JPG"], None),
        ("party.jpg", ["Party.jpg", "party.jpg"], True),
        ("a/party.jpg", ["party.jpg", "b/party.jpg"], False),
        ("Zo\u00eb.jpg", ["Zoe\u0308.png"], True),  # the same name, as a Mac writes it
        ("Zoe\u0308/1.jpg", ["Zo\u00eb/1.jpg"], True),
        ("Zo\u00eb.jpg", ["Zo\u00eb.jpg", "Zoe\u0308.jpg"], True),
    ],
)
def test_decisions_are_of_the_photo_of_that_name_only(tmp_path, photo, name, sidecars, fits):
    item = photo(name)
    for sidecar in sidecars:
        place = tmp_path / "decisions" / f"{sidecar}.cloak.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(dump(Decisions(Size(256, 256), (DRAWN,), verdict="accept")))
    job = Job((item.path,), tmp_path / "public", FAST, decisions=tmp_path / "decisions", dry_run=True)
    outcome = work(item, job=job).outcome
    if fits is None:
        assert (outcome.report, "decisions-unfit" in str(outcome.row())) == (None, True)
    else:
        assert outcome.report.areas == (((DRAWN.area,) if fits else ()),)


def test_decisions_about_photos_of_one_name_in_two_folders_are_told_apart_under_random_names(tmp_path, photo):
    def run(out, **options):
        folder, job = Folder(out), Job((tmp_path / "in",), out, RANDOM, **options)
        with Ledger(beside(out)) as ledger:
            naming = Naming("random", ledger, folder)
            return [work(naming(photo(f"{day}/IMG_1.jpg")), job=job).outcome for day in ("Fri", "Sat")]

    first = run(tmp_path / "public")
    desk = Desk(tmp_path / "public")
    for case in list(desk.cases.values()):
        friday = "Fri" in str(case.origin.source)
        desk.claim(case.id, "ada", "Ada")
        desk.change(case.id, "ada", "Ada", 0, (DRAWN,) if friday else ())
        desk.keep(desk.accept(case.id, "ada", "Ada", 1))
    desk.close()
    again = run(tmp_path / "again", decisions=tmp_path / "public.cloak/decisions")
    assert {outcome.target for outcome in first}.isdisjoint(outcome.target for outcome in again)
    assert [outcome.report.areas for outcome in again] == [((DRAWN.area,),), ((),)]


def taken(moment: str, side: int = 256, format: str = "JPEG", tag: int = 0x9003) -> bytes:
    out, exif = io.BytesIO(), Image.Exif()
    if moment:
        exif.get_ifd(0x8769)[tag] = moment
    Image.new("RGB", (side, side), (120, 130, 140)).save(out, format, exif=exif)
    return out.getvalue()


NOON, LATER = "2026:05:31 12:00:07", "2026:05:31 12:00:08"


@pytest.mark.parametrize(
    ("export", "fits"),
    [
        (taken(NOON), True),
        (taken(NOON, 128, "PNG"), True),
        (taken("", 128), True),  # stripped: nobody can tell
        (taken("2026:05:31"), True),
        (taken(LATER, tag=0x9004), True),  # when it was exported
        (taken(LATER), False),
        (taken(LATER, 128, "WEBP"), False),
    ],
)
def test_a_photo_of_the_same_name_that_was_taken_at_another_moment_is_another_photo(tmp_path, export, fits):
    place, photo = tmp_path / "a.jpg.cloak.json", tmp_path / "a.jpg"
    place.write_bytes(dump(Decisions(Size(256, 256), (DRAWN,), verdict="accept", of=sealed(taken(NOON)))))
    photo.write_bytes(export)
    job = Job((photo,), tmp_path / "public", FAST, decisions=tmp_path, dry_run=True)
    outcome = work(Item(photo, PurePath("a.jpg")), job=job).outcome
    assert (outcome.report is not None) == fits
    assert fits or "another moment" in outcome.message


def test_a_file_is_the_photo_by_its_bytes_or_its_moment():
    one, other = sealed(taken(NOON)), sealed(taken(NOON))
    assert not {*one.split(":")} & {*other.split(":")}
    assert [same(one, export) for export in (taken(NOON), taken(NOON, 99), taken(LATER))] == [True, True, False]
    assert [same(one, export) for export in (taken(""), taken("2026:05:31"))] == [None, None]
    stripped = sealed(taken(""))
    assert [same(stripped, taken("", side)) for side in (256, 99)] == [True, None]
    assert same("", taken(NOON)) is None


@pytest.mark.parametrize("moment", ["2026:05:31 12:00:00", "2026:05:31 00:00:00", "2026:05:31 12:34:00"])
def test_a_moment_that_may_be_filled_up_with_zeros_vouches_for_no_other_file(moment):
    seal = sealed(taken(moment))
    assert same(seal, taken(moment)) is True
    assert same(seal, taken(moment, 99)) is None
    assert same(sealed(taken(NOON)), taken(moment)) is False


def test_decisions_that_replace_those_about_another_photo_of_the_name_are_nobodys_by_name_alone(tmp_path):
    folder, own, one, other = Folder(tmp_path), PurePath("a.jpg"), taken("", 256), taken("", 99)
    place = tmp_path / "a.jpg.cloak.json"

    def kept(data, known=True):
        of = sealed(data) if known else ""
        keep(folder, own, Decisions(Size(256, 256), (), verdict="accept", of=of), data if known else None)
        return parse(place.read_bytes()).namesake

    assert [kept(one), kept(one)] == [False, False]  # decided anew
    assert kept(other)
    assert kept(other)  # and stays so
    place.unlink()
    assert [kept(one), kept(one, known=False)] == [False, True]
    place.write_bytes(b"{")
    assert kept(one)


ALONE = (Box(100, 100, 40, 40),)
TWO = (*ALONE, Box(200, 100, 40, 40))


@pytest.mark.parametrize(
    ("change", "seen", "export", "fits"),
    [
        (Change(ALONE[0]), (ALONE,), taken("", 99), False),  # another portrait, for all that the name tells
        (Change(ALONE[0]), (ALONE,), taken(NOON, 99), True),
        (Change(ALONE[0]), (ALONE,), taken("", 256), True),  # these bytes
        (Change(ALONE[0]), (TWO,), taken("", 99), True),  # told by where they are
        (Change(ALONE[0]), (), taken("", 99), False),
        (Change(ALONE[0], frame=1), (TWO, ALONE), taken("", 99), False),
        (Change(ALONE[0], frame=None), (TWO, ALONE), taken("", 99), False),
        (Change(ALONE[0], DRAWN.area), (ALONE,), taken("", 99), False),  # its own cover gives way
        (DRAWN, (ALONE,), taken("", 99), True),  # nothing is bared
    ],
)
def test_a_name_alone_bares_no_face(change, seen, export, fits):
    original = taken(NOON) if export == taken(NOON, 99) else taken("", 256)
    decisions = Decisions(Size(256, 256), (change,), seen, of=sealed(original))
    if fits:
        fit(decisions, export)
    else:
        with pytest.raises(DecisionsUnfit, match="name alone"):
            fit(decisions, export)


def test_a_single_file_of_decisions_is_the_photos_because_its_user_says_so(tmp_path, photo):
    item, place = photo("a.jpg"), tmp_path / "elsewhere.json"
    place.write_bytes(dump(Decisions(Size(256, 256), (Change(ALONE[0], DRAWN.area),))))
    for given, words in ((place, ""), (tmp_path, "name alone")):
        place = place.rename(tmp_path / "a.jpg.cloak.json") if given == tmp_path else place
        outcome = work(item, job=Job((item.path,), tmp_path / "public", FAST, decisions=given, dry_run=True)).outcome
        assert words in outcome.message
        assert (outcome.report is None) == bool(words)


def test_a_sidecar_of_a_photo_that_had_a_namesake_of_another_suffix_is_for_its_own_suffix_only(tmp_path, photo, jpeg):
    out, decisions = tmp_path / "public", tmp_path / "public.cloak/decisions"
    items = [replace(photo(name), akin=True) for name in ("IMG_7.jpg", "IMG_7.jpeg")]
    items[1].path.write_bytes(jpeg(quality=60))
    with Ledger(beside(out)):
        for item in items:
            work(item, job=Job((tmp_path / "in",), out, FAST))
    desk = Desk(out)
    (case,) = [case for case in desk.cases.values() if case.name == "IMG_7.jpg"]
    desk.claim(case.id, "ada", "Ada")
    desk.change(case.id, "ada", "Ada", 0, (DRAWN,))
    desk.keep(desk.accept(case.id, "ada", "Ada", 1))
    desk.close()
    for item, fits in zip(items, (True, False), strict=True):
        job = Job((item.path,), tmp_path / "again", FAST, decisions=decisions, dry_run=True)
        outcome = work(replace(item, akin=False), job=job).outcome
        assert (outcome.report is not None and outcome.report.areas == ((DRAWN.area,),)) == fits
        assert fits or "several photos had its name" in outcome.message


def test_a_suffix_is_the_same_in_capitals_where_a_raw_file_lies_beside(tmp_path, photo):
    item = replace(photo("DSC_1.jpg"), akin=True)
    (tmp_path / "DSC_1.JPG.cloak.json").write_bytes(dump(Decisions(Size(256, 256), (DRAWN,), verdict="accept")))
    job = Job((item.path,), tmp_path / "public", FAST, decisions=tmp_path, dry_run=True)
    assert work(item, job=job).outcome.report.areas == ((DRAWN.area,),)


def test_what_was_accepted_elsewhere_is_not_released_here_where_no_face_is_found(tmp_path, landscape):
    path, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.cloak.json"
    path.write_bytes(landscape)
    sidecar.write_bytes(dump(Decisions(open_photo(landscape).size, verdict="accept")))
    job = Job((path,), tmp_path / "public", replace(FAST, no_face="hold"), decisions=sidecar, dry_run=True)
    assert work(Item(path, PurePath("a.jpg")), job=job).outcome.status is Status.HELD


def test_a_file_of_decisions_is_not_applied_to_several_photos(tmp_path, photo):
    sidecar = tmp_path / "a.jpg.cloak.json"
    sidecar.write_bytes(dump(Decisions(Size(256, 256), (DRAWN,), verdict="accept")))
    photos = tuple(photo(name).path for name in ("a.jpg", "b.jpg"))
    assert Run(Job(photos[:1], tmp_path / "public", FAST, decisions=sidecar)).total == 1
    with pytest.raises(UsageError, match="one photo"):
        Run(Job(photos, tmp_path / "public", FAST, decisions=sidecar))


def test_decisions_that_fit_no_photo_are_named(tmp_path, photo):
    for name in ("a/1.heic", "a/2.jpg"):
        place = tmp_path / "decisions" / f"{name}.cloak.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(dump(Decisions(Size(256, 256))))
    photo("a/1.jpg")
    run = Run(Job((tmp_path / "in",), tmp_path / "public", FAST, decisions=tmp_path / "decisions"))
    assert [left.source.name for left in run.leftovers] == ["2.jpg.cloak.json"]


def test_the_name_that_a_run_gave_to_one_photo_is_never_another_ones(tmp_path, photo):
    out = tmp_path / "public"
    with Ledger(beside(out)) as ledger:
        given = Naming("sequence", ledger, Folder(out))(photo("Fri/IMG_1.jpg"))
        work(given, job=Job((tmp_path / "in",), out, SEQUENCE))
        standing = (out / "0001.jpg").read_bytes()
        other = work(photo("0001.jpg"), job=Job((tmp_path / "in",), out, FAST)).outcome
    assert "not-written" in str(other.row())
    assert (out / "0001.jpg").read_bytes() == standing


def test_an_older_seal_of_a_moment_that_is_filled_up_tells_nothing():
    whole, again = taken("2026:05:31 12:34:00"), taken("2026:05:31 12:34:00") + b"edited"
    salt, digest, _ = sealed(whole).split(":")
    older = f"{salt}:{digest}:{_of_moment(salt, '2026-05-31T12:34:00')}"
    assert (same(older, whole), same(older, again)) == (True, None)
