from pathlib import Path

import pytest

from cloak.errors import UsageError
from cloak.place import Url, place


def test_a_path_stays_a_path():
    assert place("shoots/day 1") == Path("shoots/day 1")
    assert place("C:\\photos") == Path("C:\\photos")
    assert place("-") == Path("-")


def test_a_file_url_is_a_path():
    assert place("file:///photos/day%201") == Path("/photos/day 1")


@pytest.mark.parametrize(
    ("text", "root", "key"),
    [
        ("s3://bucket/shoots/", "s3://bucket", "shoots"),
        ("s3a://bucket/shoots", "s3://bucket", "shoots"),
        ("S3://bucket", "s3://bucket", ""),
        ("gs://bucket/a b/50%25.jpg", "gs://bucket", "a b/50%25.jpg"),
        ("abfs://box@account.dfs.core.windows.net/x", "abfs://box@account.dfs.core.windows.net", "x"),
        ("https://host:8443/a%20b.jpg", "https://host:8443", "a b.jpg"),
    ],
)
def test_urls_of_stores_are_told_apart(text, root, key):
    assert place(text) == Url(root, key)


@pytest.mark.parametrize(
    "text",
    [
        "s3://key:hunter2@bucket/x",
        "https://user:hunter2@host/x",
        "https://bucket.host/x?X-Amz-Signature=hunter2",
        "az://container/x?sig=hunter2",
        "abfs://user:hunter2@box@account/x",
        "gs://bucket/x#hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(text):
    with pytest.raises(UsageError) as caught:
        place(text)
    assert "hunter2" not in str(caught.value) + caught.value.next_step


@pytest.mark.parametrize("text", ["ftp://host/x", "s3://", "s3:///x", "s3://b/../x", "s3://b/a//b", "s3://b/a\nb"])
def test_what_is_no_place_of_a_store_is_refused(text):
    with pytest.raises(UsageError):
        place(text)


def test_a_place_holds_itself_and_what_lies_below_and_no_neighbour():
    shoots = Url("s3://b", "shoots")
    assert shoots.holds(shoots)
    assert shoots.holds(Url("s3://b", "shoots/a.jpg"))
    assert not shoots.holds(Url("s3://b", "shoots2/a.jpg"))
    assert not shoots.holds(Url("s3://c", "shoots/a.jpg"))
    assert Url("s3://b", "").holds(shoots)
