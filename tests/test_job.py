"""What is refused of a run before anything is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cloak.errors import UsageError
from cloak.job import Job, refuse
from cloak.pipeline import load
from cloak.place import Url

FAST = load("photographer", recall="fast")
SHOOTS, PUBLIC = Url("s3://bucket", "shoots"), Url("s3://public", "shoots")
FAR = [Job((SHOOTS,), PUBLIC, FAST), Job((SHOOTS,), Path("public"), FAST), Job((Path("in"),), PUBLIC, FAST)]
RAY = [Job((Path("in"),), Path("public"), FAST, engine="ray"), Job((SHOOTS,), PUBLIC, FAST, engine="ray")]
MIXED = Job((Path("in"),), Path("public"), FAST, ledger=Url("s3://private", "ledger"))
FOLDERS_ONLY = [
    ("review", {"pipeline": load("photographer", recall="fast", review="required")}, 'review = "optional"'),
    ("review", {"pipeline": load("newsroom")}, 'review = "optional"'),
    ("names", {"pipeline": load("cms")}, "--names keep"),
    ("names", {"pipeline": load("photographer", names="sequence")}, "--names keep"),
    ("--decisions", {"decisions": Path("decisions")}, "--decisions"),
    ("--contact-sheet", {"thumbnails": True}, "--report"),
]


@pytest.mark.parametrize("job", [*FAR, *RAY, MIXED], ids=lambda job: f"{job.engine}: {job.inputs[0]} to {job.out}")
@pytest.mark.parametrize(("word", "asked", "cure"), FOLDERS_ONLY)
def test_what_rests_on_folders_is_refused_beyond_them(job, word, asked, cure):
    refuse(job)
    with pytest.raises(UsageError, match=word) as error:
        refuse(replace(job, **asked))
    assert cure in error.value.next_step
    assert "folders of this machine only" in str(error.value)


@pytest.mark.parametrize(("_", "asked", "__"), FOLDERS_ONLY)
def test_between_folders_nothing_of_it_is_refused(_, asked, __):
    refuse(replace(Job((Path("in"),), Path("public"), FAST), **asked))


@pytest.mark.parametrize(("asked", "word"), [("people", "templates"), ("signer", "private key")])
def test_what_must_not_leave_this_machine_is_refused_for_ray_only(asked, word):
    some = cast("Any", {asked: object()})
    for job in FAR:
        refuse(replace(job, **some))
    for job in RAY:
        with pytest.raises(UsageError, match=word):
            refuse(replace(job, **some))


def test_a_ledger_is_never_published(tmp_path):
    (tmp_path / "link").symlink_to("public")
    for at in ("public", "public/deep", "link", "public/../public"):
        job = Job((Path("in"),), tmp_path / "public", FAST, ledger=tmp_path / at / "ledger.sqlite")
        with pytest.raises(UsageError, match="published"):
            refuse(job)
    with pytest.raises(UsageError, match="published"):
        refuse(Job((SHOOTS,), PUBLIC, FAST, ledger=PUBLIC / "ledger"))
