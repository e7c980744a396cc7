import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloak.errors import OutputError, UsageError
from cloak.ledger import Ledger, companion
from cloak.records import Entry, beside

ENTRY = Entry("content", "pipeline", "published", {"status": "concealed"})


def test_a_record_is_found_again_by_a_later_run(tmp_path):
    with Ledger(tmp_path / "l/ledger.sqlite") as ledger:
        ledger.record("a.jpg", ENTRY)
        key = ledger.key(b"photo")
    with Ledger(tmp_path / "l/ledger.sqlite") as ledger:
        assert ledger.find("a.jpg") == ENTRY
        assert ledger.find("b.jpg") is None
        assert ledger.key(b"photo") == key


def test_two_ledgers_know_one_photo_by_different_keys(tmp_path):
    with Ledger(tmp_path / "a/l.sqlite") as a, Ledger(tmp_path / "b/l.sqlite") as b:
        assert a.key(b"photo") != b.key(b"photo")


def test_no_plain_hash_of_an_original_is_in_the_ledger(tmp_path):
    import hashlib

    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.key(b"photo") != hashlib.sha256(b"photo").hexdigest()


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    with Ledger(tmp_path / "l.sqlite"), pytest.raises(OutputError, match="another run"):
        Ledger(tmp_path / "l.sqlite")
    Ledger(tmp_path / "l.sqlite").close()


def test_ledgers_in_one_folder_share_nothing(tmp_path):
    with Ledger(tmp_path / "a.sqlite"), Ledger(tmp_path / "b.sqlite"):
        pass
    (tmp_path / "link.sqlite").symlink_to("a.sqlite")
    assert companion(tmp_path / "link.sqlite", "decisions") == tmp_path / "a.sqlite.decisions"
    with Ledger(tmp_path / "a.sqlite"), pytest.raises(OutputError, match="another run"):
        Ledger(tmp_path / "link.sqlite")
    place = beside(tmp_path / "public")
    assert companion(place, "decisions") == place.with_name("decisions")


def test_workers_write_beside_the_run_that_holds_the_lock(tmp_path):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        worker = Ledger(tmp_path / "l.sqlite", lock=False)
        worker.record("a.jpg", ENTRY)
        worker.close()
        assert ledger.find("a.jpg") == ENTRY


def test_a_damaged_ledger_is_a_clear_error_and_not_touched(tmp_path):
    (tmp_path / "l.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="ledger"):
        Ledger(tmp_path / "l.sqlite")
    assert (tmp_path / "l.sqlite").read_bytes() == b"no database at all" * 100


def test_a_ledger_of_another_version_is_refused(tmp_path):
    with Ledger(tmp_path / "l.sqlite"):
        pass
    with sqlite3.connect(tmp_path / "l.sqlite") as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    db.close()
    for _ in range(2):  # what is refused lets go of the lock
        with pytest.raises(OutputError, match="version"):
            Ledger(tmp_path / "l.sqlite")


def test_only_the_owner_can_read_it(tmp_path):
    with Ledger(tmp_path / "l/ledger.sqlite"):
        assert stat.S_IMODE((tmp_path / "l").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "l/ledger.sqlite").stat().st_mode) == 0o600


def test_an_output_has_one_ledger_whatever_links_lead_to_it(tmp_path):
    (tmp_path / "2026-11").mkdir()
    (tmp_path / "current").symlink_to("2026-11")
    assert beside(tmp_path / "current") == beside(tmp_path / "2026-11") == beside(tmp_path / "current/../current")
    with pytest.raises(UsageError, match="whole disk"):
        beside(Path("/"))


def test_a_link_whose_name_leaves_no_room_for_a_ledger_has_none_beside_it(tmp_path):
    (tmp_path / "2026-11").mkdir()
    link = tmp_path / ("y" * 252)
    link.symlink_to("2026-11")
    assert beside(link) == tmp_path / "2026-11.cloak/ledger.sqlite"


def test_a_ledger_beside_a_link_of_which_nobody_can_tell_is_not_passed_over(tmp_path):
    (tmp_path / "2026-11").mkdir()
    (tmp_path / "current").symlink_to("2026-11")
    (tmp_path / "current.cloak").symlink_to("current.cloak")  # a loop: as shut to us as a folder of another user
    with pytest.raises(UsageError, match="a ledger lies beside the link, or may"):
        beside(tmp_path / "current")


def test_a_ledger_beside_a_link_that_is_not_its_folders_is_not_passed_over(tmp_path):
    (tmp_path / "2026-11").mkdir()
    (tmp_path / "current").symlink_to("2026-11")
    Ledger(tmp_path / "current.cloak" / "ledger.sqlite").close()
    (tmp_path / "live").symlink_to(tmp_path / "current")
    for link in ("current", "live"):
        with pytest.raises(UsageError, match="a ledger lies beside the link"):
            beside(tmp_path / link)
    (tmp_path / "round").symlink_to("round")
    beside(tmp_path / "round")
    (tmp_path / "current.cloak").rename(tmp_path / "2026-11.cloak")
    (tmp_path / "current.cloak").symlink_to("2026-11.cloak")
    assert beside(tmp_path / "current") == beside(tmp_path / "2026-11")


def test_the_ledger_lies_beside_the_output_and_not_in_it(tmp_path):
    place = beside(tmp_path / "public")
    assert tmp_path / "public" not in place.parents
    assert place.parent.parent == tmp_path


@pytest.mark.parametrize("row", ["", "[]", "{", "null", "[" * 100_000, b"\xff"])
def test_a_row_that_cloak_never_wrote_is_a_damaged_ledger(tmp_path, row):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.record("a.jpg", ENTRY)
        ledger._db.execute("UPDATE photo SET row = CAST(? AS TEXT)", (row,))
        with pytest.raises(OutputError, match="ledger"):
            ledger.find("a.jpg")


@pytest.mark.parametrize("size", [0, 4096, 20_000])
def test_pages_of_rubbish_are_an_error_of_the_output(tmp_path, size):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        for i in range(200):
            ledger.record(f"{i}.jpg", ENTRY)
        ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray((tmp_path / "l.sqlite").read_bytes())
    data[size : size + 4096] = b"\xa5" * 4096
    (tmp_path / "l.sqlite").write_bytes(data)
    with pytest.raises(OutputError):
        read_all(tmp_path / "l.sqlite")


def read_all(path):
    with Ledger(path, lock=False) as ledger:
        for i in range(200):
            ledger.find(f"{i}.jpg")
        ledger.name_given("sequence", b"a.jpg")
        ledger.names_given("sequence")
        ledger.under_other_names("sequence")


@pytest.mark.parametrize("text", ["", "{}", "[]", "\x00"])
def test_decisions_that_cloak_never_wrote_are_a_damaged_ledger(tmp_path, text):
    from cloak.decisions import Decisions
    from cloak.geometry import Size
    from cloak.reviews import Reviews

    with Ledger(tmp_path / "l.sqlite") as ledger:
        Reviews(ledger).decide("a.jpg", 0, "content", Decisions(Size(9, 9)))
        ledger._db.execute("UPDATE review SET decisions = ?", (text,))
        with pytest.raises(OutputError, match="damaged"):
            Reviews(ledger).all()


def test_what_is_said_of_a_ledger_that_cannot_be_used_holds_no_path(tmp_path):
    (tmp_path / "out.cloak").write_bytes(b"")  # no folder
    with pytest.raises(OutputError) as told:
        Ledger(beside(tmp_path / "out"))
    assert str(told.value) in {f"the ledger 'ledger.sqlite' cannot be used: {os.strerror(code)}" for code in (17, 20)}


def test_that_there_is_no_memory_is_no_word_on_the_ledger(tmp_path):
    """A worker tells it of its photo; at the beginning the ledger is not called damaged, for that loses its holds."""

    def none(*_, **__):
        raise MemoryError

    with Ledger(tmp_path / "a.sqlite") as ledger, closing(ledger._db):
        ledger._db = SimpleNamespace(execute=none, in_transaction=False, close=lambda: None)
        for step in (lambda: ledger.find("a"), lambda: ledger.record("a", Entry("c", "p", None, {}))):
            with pytest.raises(MemoryError):
                step()


def test_a_ledger_that_wants_more_memory_than_there_is_need_not_be_moved_away(tmp_path, monkeypatch):
    def none(*_, **__):
        raise MemoryError

    monkeypatch.setattr("sqlite3.connect", none)
    with pytest.raises(OutputError, match="no memory") as refused:
        Ledger(tmp_path / "a.sqlite")
    assert "Move" not in refused.value.next_step
