"""Where a run's photos are worked on, without any."""

from pathlib import Path, PurePath
from types import SimpleNamespace

from cloak.engine import open_engine
from cloak.intake import Item
from cloak.job import Job
from cloak.pipeline import load
from cloak.place import Url
from cloak.records import Entry
from cloak.report import Outcome
from cloak.result import Status
from cloak.work import Done


def test_what_an_engine_of_this_process_notes_its_run_finds(monkeypatch):
    """Otherwise the note of a burst writes the record of an earlier run as the latest."""
    noted, closed = {}, []
    ledger = SimpleNamespace(record=noted.__setitem__, flush=lambda: None, close=lambda: closed.append(1))
    pool = SimpleNamespace(__exit__=lambda *_: None)
    monkeypatch.setattr("cloak.engine.Pool", lambda *_: pool)
    job = Job((Path("in"),), Url("s3://bucket", "public"), load("photographer"))
    engine = open_engine(job, ledger)
    entry = Entry("content", "pipeline", "published", {})
    done = Done(Outcome("a.jpg", "a.jpg", Status.CONCEALED), ("a.jpg", entry))
    assert engine._note((Item(Path("a.jpg"), PurePath("a.jpg")), done))[1] is done.outcome
    engine.close()
    assert (noted, closed) == ({"a.jpg": entry}, [])
