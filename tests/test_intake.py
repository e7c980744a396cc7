import os
from itertools import permutations
from pathlib import Path, PurePath

import pytest

from cloak.errors import Unreadable
from cloak.files import read
from cloak.intake import Item, LeftOut, numbered, unique, walk

JPEG = b"\xff\xd8\xff\xe0"


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
    return root


def found(inputs, out=None):
    items = list(walk(inputs, out))
    return [str(i.name) for i in items if isinstance(i, Item)], [i for i in items if isinstance(i, LeftOut)]


def test_a_folder_keeps_its_structure(tmp_path):
    root = tree(tmp_path / "in", "a.jpg", "b/c.jpg", "b/d/e.png")
    assert found([root])[0] == ["a.jpg", "b/c.jpg", "b/d/e.png"]


def test_names_that_differ_in_case_only_do_not_collide(tmp_path):
    root = tree(tmp_path / "in", "a.jpg", "a.JPG")
    assert sorted(found([root])[0]) == ["a-2.jpg", "a.JPG"]


def test_two_inputs_of_one_name_do_not_collide(tmp_path):
    tree(tmp_path, "x/a.jpg", "y/a.jpg", "z/a.jpg")
    assert found([tmp_path / "x/a.jpg", tmp_path / "y/a.jpg", tmp_path / "z"])[0] == ["a.jpg", "a-2.jpg", "a-3.jpg"]


@pytest.mark.parametrize("other", ["Zo\u00eb.jpg", "Zoe\u0308.jpg", "zo\u00eb.JPG"])
def test_photos_whose_names_a_person_cannot_tell_apart_are_namesakes(tmp_path, other):
    """A sidecar is found by such a name: it must not be taken for both."""
    roots = [tree(tmp_path / "1", "Zo\u00eb.jpg"), tree(tmp_path / "2", other)]
    assert [(item.namesake, item.akin) for item in walk(roots, None)] == [(True, False)] * 2


def test_what_is_named_twice_is_met_once(tmp_path, monkeypatch):
    root = tree(tmp_path / "in", "a.jpg", "b.jpg")
    monkeypatch.chdir(tmp_path)
    assert found([root, Path("in/a.jpg"), root / ".." / "in"])[0] == ["a.jpg", "b.jpg"]


def test_a_number_given_to_one_name_does_not_take_anothers(tmp_path):
    tree(tmp_path, "x/a.jpg", "x/a-2.jpg", "y/a.jpg")
    names = found([tmp_path / "x", tmp_path / "y"])[0]
    assert len({name.casefold() for name in names}) == 3


def test_the_output_folder_inside_an_input_is_left_out(tmp_path):
    root = tree(tmp_path / "in", "a.jpg", "public/a.jpg")
    names, left = found([root], root / "public")
    assert names == ["a.jpg"]
    assert [item.reason for item in left] == ["it is the output folder"]


def test_a_loop_of_links_ends_and_is_named(tmp_path):
    root = tree(tmp_path / "in", "a.jpg", "b/c.jpg")
    (root / "b/loop").symlink_to(root)
    names, left = found([root])
    assert names == ["a.jpg", "b/c.jpg"]
    assert len(left) == 1
    assert "link back" in left[0].reason


def test_a_named_file_that_is_not_there_is_a_photo_that_fails(tmp_path):
    tree(tmp_path, "a.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    named = [tmp_path / name for name in ("a.jpg", "none.jpg", "nowhere.jpg")]
    assert found(named) == (["a.jpg", "none.jpg", "nowhere.jpg"], [])


@pytest.mark.parametrize("fault", ["a link to itself", "a link into a shut folder"])
def test_a_link_that_the_system_does_not_follow_hides_no_other_file(tmp_path, monkeypatch, fault):
    root = tree(tmp_path / "in", "a.jpg", "z.jpg")
    (root / "link.jpg").symlink_to("link.jpg")
    if fault == "a link into a shut folder":  # which is open to root, as whom tests may run
        scan = os.scandir
        monkeypatch.setattr(
            os, "scandir", lambda folder: [Shut(e) if e.name == "link.jpg" else e for e in scan(folder)]
        )
    assert found([root]) == (["a.jpg", "link.jpg", "z.jpg"], [])
    with pytest.raises(Unreadable):
        read(root / "link.jpg", 100)


class Shut:
    """An entry of a folder that may not be looked at."""

    def __init__(self, entry):
        self.name, self.path = entry.name, entry.path

    def is_dir(self):
        raise PermissionError(13, "Permission denied")


def test_a_folder_that_cannot_be_read_is_no_less_than_a_photo(tmp_path, monkeypatch):
    """Left out, it would be missing from what is published, and the run would end as if all were there."""
    (tmp_path / "in/shut").mkdir(parents=True)
    (tmp_path / "in/a.jpg").touch()
    scan, closed = os.scandir, []

    def scandir(folder):
        if os.path.basename(folder) in closed:
            raise PermissionError
        return scan(folder)

    monkeypatch.setattr("cloak.intake.os.scandir", scandir)
    for shut, expected in (("shut", ["a.jpg", "shut"]), ("in", ["in"])):
        closed.append(shut)
        found = [item for item in walk([tmp_path / "in"], None) if isinstance(item, Item)]
        assert [str(item.name) for item in found] == expected
        with pytest.raises(Unreadable):
            read(found[-1].path, 100)


def test_sidecars_hidden_files_and_texts_are_left_out_and_named(tmp_path):
    root = tree(tmp_path / "in", "a.jpg", "a.xmp", "a.mov", ".DS_Store", "Thumbs.db")
    (root / "README.md").write_text("words")
    names, left = found([root])
    assert names == ["a.jpg"]
    assert sorted(i.source.name for i in left) == [".DS_Store", "README.md", "Thumbs.db", "a.mov", "a.xmp"]


def test_a_picture_under_a_foreign_name_is_taken(tmp_path):
    root = tree(tmp_path / "in", "picture.dat")
    assert found([root])[0] == ["picture.dat"]


def test_a_raw_file_is_not_passed_over(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.nef").write_bytes(b"whatever")
    assert found([root])[0] == ["a.nef"]


@pytest.mark.parametrize("order", list(permutations("ABC")), ids="".join)
def test_a_photo_whose_own_name_is_a_namesakes_number_gets_another(tmp_path, order):
    for name in ("A/p.jpg", "B/p.jpg", "C/p-2.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    earlier = {tmp_path / "A/p.jpg": PurePath("p.jpg"), tmp_path / "B/p.jpg": PurePath("p-2.jpg")}
    items = numbered(list(walk([tmp_path / card for card in order], None)), earlier)
    names = {item.path.parent.name: str(item.name) for item in items}
    assert names == {"A": "p.jpg", "B": "p-2.jpg", "C": "p-2-2.jpg"}


def test_a_number_makes_no_name_longer_than_a_file_may_have():
    taken = {}
    for long in ("x" * 251 + ".jpg", "\u00e9" * 125 + ".jpeg"):
        names = [unique(PurePath(long), taken) for _ in range(12)]
        assert len(set(names)) == 12
        assert {name.suffix for name in names} == {PurePath(long).suffix}
        assert max(len(os.fsencode(name)) for name in names) <= 255
