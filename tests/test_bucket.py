"""One object at a time, against a real S3 server, with and without faults between."""

import itertools
from pathlib import Path, PurePath

import pytest

from cloak.bucket import DIGEST, Bucket, connect, count, fetch, objects
from cloak.errors import MissingExtra, NotWritten, OutputError, TooLarge, Unreadable, UsageError
from cloak.intake import Item, LeftOut
from cloak.place import Url
from cloak.store import refuse_overlap
from tests.s3 import Faults

JPEG = b"\xff\xd8\xff\xe0" + bytes(60_000)
NUMBERS = itertools.count()


@pytest.fixture
def here(s3, monkeypatch):
    """The URL of a new bucket, and an environment in which it is found."""
    for name, value in s3.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLOAK_STORE_TIMEOUT", "2")
    connect.cache_clear()
    yield Url(f"s3://{s3.bucket(f'bucket-{next(NUMBERS)}')}", "shoots")
    connect.cache_clear()


def name_of(url):
    return url.root.removeprefix("s3://")


def listed(url, *hidden):
    found = list(objects(url, hidden))
    items = {str(i.name): i for i in found if isinstance(i, Item)}
    return items, {i.source.key: i.reason for i in found if isinstance(i, LeftOut)}


def test_a_prefix_keeps_its_structure_and_neighbours_stay_out(s3, here):
    for key in ("shoots/a.jpg", "shoots/day 2/a.jpg", "shoots/ü%41#?.jpg", "shoots2/b.jpg", "c.jpg"):
        s3.put(name_of(here), key, JPEG)
    items, left = listed(here)
    assert sorted(items) == ["a.jpg", "day 2/a.jpg", "ü%41#?.jpg"]
    assert left == {}
    for item in items.values():
        assert item.version
        assert fetch(item, 100_000) == JPEG
    assert sum(count(here, ())) == 3


def test_one_object_is_named_by_its_last_part(s3, here):
    s3.put(name_of(here), "shoots/day/a.jpg", JPEG)
    items, _ = listed(here / "day/a.jpg")
    assert list(items) == ["a.jpg"]
    assert fetch(items["a.jpg"], 100_000) == JPEG


def test_sidecars_markers_texts_and_our_own_output_are_left_out_and_named(s3, here):
    for key in ("a.xmp", ".hidden.jpg", "b.jpg", "public/b.jpg", "public.cloak/meta.json", "picture"):
        s3.put(name_of(here), f"shoots/{key}", JPEG)
    s3.put(name_of(here), "shoots/words", b"words")
    s3.put(name_of(here), "shoots/", b"")
    items, left = listed(here, here / "public", here / "public.cloak")
    assert sorted(items) == ["b.jpg", "picture"]
    assert left["shoots/words"] == "not an image"
    assert len(left) == 6


HOSTILE = ["shoots/../../up.jpg", "shoots//double.jpg", "shoots/./dot.jpg", "shoots/\x1b[31mred.jpg"]


def test_hostile_keys_are_named_and_hide_nothing_else(s3, here):
    for key in ("shoots/a.jpg", "shoots/z.jpg", *HOSTILE):
        s3.put(name_of(here), key, JPEG)
    items, _ = listed(here)
    assert {"a.jpg", "z.jpg"} < set(items)
    bad = [item for item in items.values() if item.name.is_absolute()]
    assert sorted(item.source.key for item in bad) == sorted(HOSTILE)
    for item in bad:
        with pytest.raises(Unreadable, match="elsewhere"):
            fetch(item, 100_000)


@pytest.mark.slow
def test_a_hostile_key_behind_many_pages_repeats_none_of_them(s3, here):
    s3.put(name_of(here), "shoots/zz/../x.jpg", JPEG)
    for number in range(1010):
        s3.put(name_of(here), f"shoots/{number:04}.jpg", b"\xff\xd8\xff")
    found = [item.source.key for item in objects(here, ())]
    assert len(found) == len(set(found)) == 1011


def test_reading_is_bounded_before_the_bytes_come(s3, here):
    s3.put(name_of(here), "shoots/a.jpg", JPEG)
    item = listed(here)[0]["a.jpg"]
    with pytest.raises(TooLarge):
        fetch(item, len(JPEG) - 1)


def test_an_object_that_changed_or_went_since_it_was_listed_is_withheld(s3, here):
    s3.put(name_of(here), "shoots/a.jpg", JPEG)
    item = listed(here)[0]["a.jpg"]
    s3.put(name_of(here), "shoots/a.jpg", JPEG + b"more")
    with pytest.raises(Unreadable, match="changed"):
        fetch(item, 100_000)
    s3.client.delete_object(Bucket=name_of(here), Key="shoots/a.jpg")
    with pytest.raises(Unreadable, match="no such object"):
        fetch(item, 100_000)


def test_published_objects_carry_their_digest_and_type_and_nothing_else(s3, here):
    out = Bucket(here)
    out.publish(PurePath("day/a.jpg"), JPEG)
    head = s3.client.head_object(Bucket=name_of(here), Key="shoots/day/a.jpg")
    assert head["ContentType"] == "image/jpeg"
    assert list(head["Metadata"]) == [DIGEST]
    assert out.standing(PurePath("day/a.jpg")) == head["Metadata"][DIGEST]
    assert out.standing(PurePath("b.jpg")) is None
    assert out.ours(head["Metadata"][DIGEST], None)


def test_an_object_of_others_is_foreign(s3, here):
    s3.put(name_of(here), "shoots/a.jpg", b"not ours")
    assert not Bucket(here).ours(Bucket(here).standing(PurePath("a.jpg")), None)


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "x/../../a.jpg", "", "a\nb.jpg", "\x1b[31m.jpg"])
def test_names_that_lead_outside_are_refused(s3, here, name):
    with pytest.raises(NotWritten):
        Bucket(here).publish(PurePath(name), JPEG)
    assert s3.keys(name_of(here)) == []


def test_an_original_is_never_the_output(here):
    source = here / "a.jpg"
    assert Bucket(here).original(PurePath("a.jpg"), (source,))
    for given in (here, here / "a.jpg", here / "day"):
        with pytest.raises(UsageError, match="originals"):
            refuse_overlap([given], here)
    refuse_overlap([here], here / "public")
    refuse_overlap([here, Path("x")], Url("s3://other", "shoots"))


def test_a_web_server_can_be_read_and_not_be_written(s3, here):
    s3.put(name_of(here), "a b.jpg", JPEG)
    s3.client.put_object_acl(Bucket=name_of(here), Key="a b.jpg", ACL="public-read")
    web = Url(s3.endpoint, f"{name_of(here)}/a b.jpg")
    (item,) = objects(web, ())
    assert str(item.name) == "a b.jpg"
    assert fetch(item, 100_000) == JPEG
    with pytest.raises(UsageError, match="read"):
        Bucket(web)


def test_a_missing_bucket_ends_the_run(here):
    with pytest.raises(OutputError, match="no such bucket"):
        Bucket(Url("s3://nobody-has-this", "x")).publish(PurePath("a.jpg"), JPEG)
    with pytest.raises(OutputError):
        list(objects(Url("s3://nobody-has-this", "x"), ()))


@pytest.fixture
def faulty(s3, here, monkeypatch):
    """A function that lets a plan of faults stand between us and the server."""
    made = []

    def make(*plan):
        faults = Faults(s3, plan)
        made.append(faults)
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.endpoint)
        connect.cache_clear()
        return faults

    yield make
    for faults in made:
        faults.close()


@pytest.mark.parametrize("fault", ["slow-down", "timeout", "cut", "late"])
def test_a_fault_in_the_middle_of_a_put_is_survived(s3, here, faulty, fault):
    faults = faulty(("PUT", "a.jpg", fault, 1 if fault == "timeout" else 2))
    Bucket(here).publish(PurePath("a.jpg"), JPEG)
    assert faults.seen[fault] >= 1
    assert s3.objects(name_of(here)) == {"shoots/a.jpg": JPEG}
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=name_of(here))


@pytest.mark.parametrize("fault", ["slow-down", "timeout", "cut"])
def test_a_fault_in_the_middle_of_a_get_is_survived(s3, here, faulty, fault):
    s3.put(name_of(here), "shoots/a.jpg", JPEG)
    item = listed(here)[0]["a.jpg"]
    faults = faulty(("GET", "a.jpg", fault, 1))
    assert fetch(item, 100_000) == JPEG
    assert faults.seen[fault] == 1


@pytest.mark.slow
def test_a_store_that_stays_busy_withholds_the_photo_in_words_without_its_name(s3, here, faulty):
    faulty(("PUT", "secret-name", "slow-down", 1000))
    with pytest.raises(NotWritten, match="503") as caught:
        Bucket(here).publish(PurePath("secret-name.jpg"), JPEG)
    words = str(caught.value)
    assert "secret" not in words
    assert "127.0.0.1" not in words
    assert s3.keys(name_of(here)) == []


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e30", "-5", "0", "", "soon"])
def test_a_time_limit_that_nobody_can_mean_is_told(seconds, monkeypatch):
    monkeypatch.setenv("CLOAK_STORE_TIMEOUT", seconds)
    connect.cache_clear()
    with pytest.raises(UsageError, match="CLOAK_STORE_TIMEOUT"):
        connect("s3://bucket")


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    connect.cache_clear()
    with pytest.raises(MissingExtra) as caught:
        connect("s3://bucket")
    assert "cloak-images[stores]" in caught.value.next_step
