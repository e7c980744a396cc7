import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import PurePath
from threading import Barrier

import pytest

from cloak import bucket, parts
from cloak.bucket import Bucket, connect
from cloak.errors import OutputError, UsageError
from cloak.parts import Parts
from cloak.place import Url
from cloak.records import Entry, beside

NUMBERS = itertools.count()


@pytest.fixture
def place(s3, monkeypatch):
    for name, value in s3.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    connect.cache_clear()
    yield Url(f"s3://{s3.bucket(f'ledger-{next(NUMBERS)}')}", "public.cloak")
    connect.cache_clear()


def entry(number=0):
    return Entry(f"content {number}", "pipeline", "published", {"status": "concealed", "faces": number})


def test_records_are_found_by_the_next_run_and_by_its_workers(place):
    first = Parts(place)
    for number in range(600):
        first.record(f"{number:04}.jpg", entry(number))
    key = first.key(b"etag")
    first.close()
    for ledger in (Parts(place), Parts(place, lock=False)):
        assert ledger.key(b"etag") == key
        assert [ledger.find(f"{number:04}.jpg") for number in (0, 255, 256, 599)] == [
            entry(number) for number in (0, 255, 256, 599)
        ]
        assert ledger.find("0000.jpg2") is None
        assert ledger.find("z") is None


def test_a_ledger_that_anybody_could_read_is_refused(place, s3):
    name = place.root.removeprefix("s3://")
    Parts(place).close()
    before = s3.keys(name)
    assert before == ["public.cloak/meta.json"]
    s3.open_to_all(name)
    for where in (place, Url(place.root, "other.cloak")):
        with pytest.raises(UsageError, match="anybody could read") as error:
            Parts(where)
        assert "--ledger" in error.value.next_step
        assert s3.keys(name) == before  # of a new one nothing is left


def test_a_store_that_does_not_answer_strangers_is_no_proof(place, s3, monkeypatch):
    ledger, asked = place / "meta.json", []
    Parts(place).close()
    real = connect

    def lost(root, *, stranger=False):
        asked.append(stranger)
        return real("http://127.0.0.1:9" if stranger else root)

    monkeypatch.setattr(bucket, "connect", lost)
    monkeypatch.setenv("CLOAK_STORE_TIMEOUT", "0.2")
    with pytest.raises(OutputError, match="cannot be told"):
        bucket.refuse_strangers(ledger, "ledger", new=False)
    assert asked == [True]


def test_what_this_run_recorded_is_found_once_it_is_written(place):
    earlier = Parts(place)
    earlier.record("a.jpg", entry(1))
    earlier.close()
    ledger = Parts(place)
    ledger.record("a.jpg", entry(2))
    ledger.record("b.jpg", entry(3))
    ledger.flush()
    assert [ledger.find(name) for name in ("a.jpg", "b.jpg")] == [entry(2), entry(3)]


def test_the_latest_record_of_a_name_wins(place):
    for number in range(3):
        ledger = Parts(place)
        ledger.record("a.jpg", entry(number))
        ledger.record(f"b{number}.jpg", entry(number))
        assert ledger.find("a.jpg") == entry(number)
        ledger.close()
    assert Parts(place).find("a.jpg") == entry(2)
    assert Parts(place).find("b0.jpg") == entry(0)


def test_a_part_is_written_when_it_is_full_or_old(place, s3, monkeypatch):
    ledger = Parts(place)
    bucket = place.root.removeprefix("s3://")
    ledger.record("a", entry())
    assert s3.keys(bucket, "public.cloak/parts/") == []
    monkeypatch.setattr(parts, "AGE", 0.0)
    ledger.record("b", entry())
    assert len(s3.keys(bucket, "public.cloak/parts/")) == 1


def test_no_plain_version_of_an_original_is_in_the_ledger(place, s3):
    ledger = Parts(place)
    assert ledger.key(b"0123456789abcdef") != b"0123456789abcdef".hex()
    other = Url(place.root, "other.cloak")
    assert Parts(other).key(b"etag") != ledger.key(b"etag")


def test_a_damaged_ledger_is_a_clear_error(place, s3):
    ledger = Parts(place)
    ledger.record("a", entry())
    ledger.close()
    bucket = place.root.removeprefix("s3://")
    (part,) = s3.keys(bucket, "public.cloak/parts/")
    s3.put(bucket, part, b"no Parquet")
    with pytest.raises(OutputError, match="damaged"):
        Parts(place)
    s3.put(bucket, "public.cloak/meta.json", b"{}")
    with pytest.raises(OutputError, match="damaged"):
        Parts(place)
    s3.put(bucket, "public.cloak/meta.json", json.dumps({"version": 99, "secret": "00"}).encode())
    with pytest.raises(OutputError, match="version"):
        Parts(place)


def test_workers_do_not_make_a_ledger(place):
    with pytest.raises(OutputError, match="missing"):
        Parts(place, lock=False)


def test_the_ledger_lies_beside_the_prefix_and_a_whole_bucket_has_no_beside():
    assert beside(Url("s3://public", "x/shoots")) == Url("s3://public", "x/shoots.cloak")
    with pytest.raises(Exception, match="ledger"):
        beside(Url("s3://public", ""))


def test_the_latest_record_wins_even_if_the_clock_was_set_back(place, monkeypatch):
    for number, clock in enumerate((2_000, 1_000, 1_000)):
        monkeypatch.setattr("time.time_ns", lambda clock=clock: clock)
        ledger = Parts(place)
        ledger.record("a.jpg", entry(number))
        ledger.close()
        assert Parts(place).find("a.jpg") == entry(number)


def test_two_runs_at_once_share_a_ledger_and_leave_one_whole_object_that_a_record_names(place, s3):
    """What each does at the same time as the other: makes the ledger, publishes its version of a photo, records it."""
    out, name, together = Url(place.root, "public"), PurePath("a.jpg"), Barrier(2, timeout=30)
    versions = [b"\xff\xd8\xff\xe0" + bytes([number]) * 300_000 for number in range(2)]

    def run(data):
        together.wait()
        ledger, store = Parts(place), Bucket(out)
        together.wait()
        store.publish(name, data)
        ledger.record("a.jpg", Entry("content", "pipeline", sha256(data).hexdigest(), {}))
        together.wait()
        ledger.close()
        return ledger.key(b"etag")

    with ThreadPoolExecutor(2) as threads:
        keys = set(threads.map(run, versions))
    third = Parts(place)
    assert keys == {third.key(b"etag")}
    standing = s3.get(place.root.removeprefix("s3://"), "public/a.jpg")
    assert standing in versions
    digest = Bucket(out).standing(name)
    assert digest == sha256(standing).hexdigest()
    found = third.find("a.jpg")
    assert found.published in {sha256(data).hexdigest() for data in versions}
    assert digest in {third._part(part)["a.jpg"].published for part in third._ranges}
    assert len(third._ranges) == 2
    assert Bucket(out).ours(digest, found.published)  # whichever came last: it may be replaced and withdrawn
