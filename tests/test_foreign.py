"""What becomes of what stands in the output already, in this process instead of a worker."""

from hashlib import sha256

import pytest

from cloak.intake import Item, walk
from cloak.job import Job
from cloak.ledger import Ledger
from cloak.pipeline import load
from cloak.records import beside
from cloak.work import work


@pytest.fixture
def publish(jpeg):
    """A function that does the photos of some inputs as a run would, and gives their outcomes by name."""

    def run(out, *inputs, pipeline="photographer", **options):
        job = Job(inputs, out, load(pipeline, recall="fast"), **options)
        with Ledger(beside(out)):
            found = [item for item in walk(inputs, out) if isinstance(item, Item)]
            return {str(item.name): work(item, job=job).outcome for item in found}

    return run


def test_one_original_is_not_replaced_by_what_is_published_of_another(publish, tmp_path, jpeg):
    """Their names below the output are `b/p.jpg` and `p.jpg`."""
    for place in ("a/b", "b"):
        (tmp_path / "x" / place).mkdir(parents=True)
        (tmp_path / "x" / place / "p.jpg").write_bytes(jpeg(comment=place.encode()))
    done = publish(tmp_path / "x", tmp_path / "x/a", tmp_path / "x/b", force=True)
    assert "replace an original" in done["b/p.jpg"].message
    assert done["p.jpg"].target == "p.jpg"
    assert (tmp_path / "x/b/p.jpg").read_bytes() == jpeg(comment=b"b")


def test_an_original_that_only_a_link_leads_to_is_not_replaced_either(publish, tmp_path, jpeg):
    for place in ("album", "day/album", "shoot"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "album/p.jpg").write_bytes(jpeg())
    (tmp_path / "day/album/p.jpg").write_bytes(jpeg())
    (tmp_path / "shoot/link").symlink_to(tmp_path / "album")
    done = publish(tmp_path, tmp_path / "day", tmp_path / "shoot", force=True)
    assert "replace an original" in done["album/p.jpg"].message
    assert (tmp_path / "album/p.jpg").read_bytes() == jpeg()


@pytest.mark.parametrize("before", ["newsroom", "photographer"])
def test_a_strangers_file_at_a_name_that_the_ledger_knows_is_replaced_by_force_only(publish, tmp_path, jpeg, before):
    (tmp_path / "p.jpg").write_bytes(jpeg())
    out = tmp_path / "public"
    publish(out, tmp_path / "p.jpg", pipeline=before)  # held, or published and then changed by somebody
    (out / "p.jpg").write_bytes(b"somebody's")
    done = publish(out, tmp_path / "p.jpg")
    assert "did not write" in done["p.jpg"].message
    assert (out / "p.jpg").read_bytes() == b"somebody's"
    publish(out, tmp_path / "p.jpg", force=True)
    with Ledger(beside(out)) as ledger:
        assert ledger.find("p.jpg").published == sha256((out / "p.jpg").read_bytes()).hexdigest()
