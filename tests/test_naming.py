import json
import os
import re
from dataclasses import replace
from pathlib import PurePath

import pytest

from cloak.files import printable
from cloak.intake import Item
from cloak.ledger import Ledger
from cloak.naming import Naming, earlier_names
from cloak.pipeline import load
from cloak.records import Entry, Origin
from cloak.store import Folder
from tests.test_batch import names, run

JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "public")


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def item(tmp_path, name, data=JPEG):
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Item(path, PurePath(name))


def test_names_are_kept_with_their_folders_unless_told_otherwise(tmp_path, ledger, folder):
    given = Naming("keep", ledger, folder)
    assert str(given(item(tmp_path, "anna/IMG_1.HIF")).name) == "anna/IMG_1.HIF"


def test_a_sequence_counts_in_one_folder_with_the_formats_own_suffix(tmp_path, ledger, folder):
    given = Naming("sequence", ledger, folder)
    png = b"\x89PNG\r\n\x1a\n"
    photos = [item(tmp_path, "anna/DSC01.JPG_original"), item(tmp_path, "b.jpeg", png), item(tmp_path, "c", b"?")]
    assert [str(given(photo).name) for photo in photos] == ["0001.jpg", "0002.png", "0003"]


def test_random_names_are_of_one_shape_and_tell_nothing_of_the_original(tmp_path, ledger, folder):
    given = Naming("random", ledger, folder)
    made = [given(item(tmp_path, f"anna {i}.jpg")).name.name for i in range(20)]
    assert len(set(made)) == 20
    assert all(re.fullmatch("[0-9a-f]{16}[.]jpg", name) for name in made)
    with Ledger(tmp_path / "other/ledger.sqlite") as other:
        assert Naming("random", other, folder)(item(tmp_path, "anna 0.jpg")).name.name not in made


@pytest.mark.parametrize("policy", ["sequence", "random"])
def test_a_later_run_gives_the_same_names_whatever_has_come_between(tmp_path, ledger, folder, policy):
    photos = [item(tmp_path, name) for name in ("b.jpg", "d.jpg")]
    first = [Naming(policy, ledger, folder)(photo).name for photo in photos]
    again = Naming(policy, ledger, folder)
    new = again(item(tmp_path, "a.jpg")).name
    assert [again(photo).name for photo in photos] == first
    assert new not in first


def test_a_number_that_something_has_in_the_output_is_passed_over(tmp_path, ledger, folder):
    (folder.root / "0001.jpg").write_bytes(b"somebody's")
    ledger.record("0002.jpg", Entry("content", "pipeline", None, {}))  # a photo of that name, held back
    assert str(Naming("sequence", ledger, folder)(item(tmp_path, "a.jpg")).name) == "0003.jpg"


def test_two_originals_whose_names_print_alike_get_two_names(tmp_path, ledger, folder):
    given = Naming("random", ledger, folder)
    assert given(item(tmp_path, "a\n.jpg")).name != given(item(tmp_path, "a\\n.jpg")).name


def test_what_was_no_photo_yet_gets_a_name_with_a_suffix_once_it_is_one(tmp_path, ledger, folder):
    given = Naming("sequence", ledger, folder)
    assert [str(given(item(tmp_path, name, b"")).name) for name in ("a.jpg", "b.jpg")] == ["0001", "0002"]
    ledger.record("0002", Entry("content", "pipeline", "digest", {}))  # it came in the middle of the run
    given = Naming("sequence", ledger, folder)
    assert [str(given(item(tmp_path, name)).name) for name in ("a.jpg", "b.jpg", "c.jpg")] == [
        "0002.jpg", "0002", "0003.jpg",
    ]  # fmt: skip


def test_names_given_together_are_all_there_or_none(tmp_path, ledger, folder):
    def interrupted():
        with ledger.together():
            Naming("sequence", ledger, folder)(item(tmp_path, "a.jpg"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ledger.names_given("sequence") == 0


def test_what_was_published_under_another_name_before_is_said(tmp_path, ledger, folder):
    ledger.give_name("sequence", b"b.jpg", "0001.jpg")
    for name in ("0001.jpg", "anna\u00ad.jpg", "gone.jpg"):  # a soft hyphen, which is printed as an escape
        origin = Origin(tmp_path / name, PurePath(name), "pipeline", "", "")
        ledger.record(printable(name), Entry("content", "pipeline", "digest", {}), origin)
    for name in ("0001.jpg", "anna\u00ad.jpg"):
        (folder.root / name).touch()

    def said(policy):
        return [(found.source.name, "own" in found.reason) for found in earlier_names(policy, ledger, folder)]

    assert said("random") == [("0001.jpg", False), ("anna\u00ad.jpg", True)]
    assert said("sequence") == [("anna\u00ad.jpg", True)]
    assert said("keep") == []


def test_names_that_print_otherwise_than_they_are_are_said_too(ledger, folder, tmp_path):
    for name in ("Jane\u00adDoe.jpg", "Jane\\Doe.jpg", os.fsdecode(b"J\xfcrgen.jpg")):
        origin = Origin(tmp_path / name, PurePath(name), "hash", "photographer", "")
        ledger.record(printable(name), Entry("content", "pipeline", "digest", {}), origin)
        (folder.root / name).touch()
    assert len(earlier_names("random", ledger, folder)) == 3


def test_names_decide_nothing_of_the_bytes():
    pipeline = load("photographer")
    assert replace(pipeline, names="random").hash() == pipeline.hash()


def test_a_run_publishes_under_random_names_and_resumes_and_the_report_tells_them(tmp_path, jpeg, landscape):
    shoot = tmp_path / "Anna at home"
    shoot.mkdir()
    (shoot / "anna.JPEG").write_bytes(landscape)
    report, options = tmp_path / "r.json", ("--names", "random", "--recall", "fast")
    run("run", shoot, "--out", tmp_path / "public", "--report", report, *options)
    (target,) = names(tmp_path / "public")
    assert re.fullmatch("[0-9a-f]{16}[.]jpg", target)
    (row,) = json.loads(report.read_text())["photos"]
    assert (os.path.basename(row["source"]), row["target"]) == ("anna.JPEG", target)
    (shoot / "aaa.jpg").write_bytes(jpeg())
    again = run("run", shoot, "--out", tmp_path / "public", *options)
    assert "of these             1" in again.stdout
    assert len(names(tmp_path / "public")) == 2
    assert target in names(tmp_path / "public")
    run("verify", tmp_path / "public", "--recall", "fast")  # the ledger knows the files by their new names
