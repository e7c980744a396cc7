"""Workers and whole runs that are killed at every step of a photo."""

import time

STEPS = {
    "read": {"at": "cloak.work:read"},
    "detect": {"at": "cloak.anonymizer:_search"},
    "before-row": {"at": "cloak.ledger:Ledger.record"},
    "after-row": {"at": "cloak.ledger:Ledger.record", "when": "after"},
    "write": {"at": "os:fsync"},
    "before-rename": {"at": "os:replace"},
    "after-rename": {"at": "os:replace", "when": "after"},
}
"""In the order in which they come. The row is written before the file: see `cloak.work`."""

CLOCKS = {"time": -1e8, "time_ns": -(10**17)}


def test_a_worker_killed_at_any_step_is_replaced_and_its_photo_done(shoot, tmp_path):
    once = [{**at, "do": "kill", "photo": f"{step}.jpg", "times": 1, "mark": str(tmp_path / step)}
            for step, at in STEPS.items()]  # fmt: skip
    again = {"at": "os:replace", "do": "kill", "photo": "again.jpg"}
    slow = {"at": "os:fsync", "do": "sleep:600", "photo": "slow.jpg"}
    shoot.add("again.jpg", "slow.jpg", *(f"{step}.jpg" for step in STEPS))
    shoot.run("-j", "2", "--deadline", "40", faults=[*once, again, slow], code=1)
    rows = shoot.rows()
    assert {name: row["reason"] for name, row in rows.items() if "reason" in row} == {
        "again.jpg": "concealment-failed", "slow.jpg": "timed-out",
    }  # fmt: skip
    assert shoot.published() == sorted(f"{step}.jpg" for step in STEPS)
    shoot.run("-j", "2", code=0)
    assert len(shoot.published()) == len(STEPS) + 2
    resumed = {name for name, row in shoot.rows().items() if row.get("resumed")}
    assert resumed == {f"{step}.jpg" for step in STEPS}
    assert shoot.written_as() == {"600"}


def test_a_run_killed_at_any_step_leaves_nothing_false_and_the_next_completes(shoot):
    shoot.add("a.jpg", "b.jpg")
    standing = set()
    for step in ("detect", "after-row", "write", "before-rename", "after-rename"):
        fault = {**STEPS[step], "do": "kill run", "photo": "b.jpg"}
        shoot.run("-j", "1", faults=[fault], code=-9)
        assert "a.jpg" in shoot.published()
        if "b.jpg" in shoot.published():
            standing.add(step)
        else:
            entry = shoot.entry("b.jpg")
            assert (entry is not None) == (step != "detect")
    assert standing == {"after-rename"}
    # A clock that was set back by years changes nothing, neither of what was done nor of what is to be done.
    shoot.add("c.jpg")
    back = [{"at": f"time:{clock}", "do": f"clock:{seconds}"} for clock, seconds in CLOCKS.items()]
    shoot.run("-j", "1", faults=back, code=0)
    assert shoot.published() == ["a.jpg", "b.jpg", "c.jpg"]
    assert {name for name, row in shoot.rows().items() if row.get("resumed")} == {"a.jpg", "b.jpg"}


def test_a_run_killed_over_what_an_earlier_one_published_leaves_nothing_that_the_ledger_does_not_know(shoot):
    shoot.add("a.jpg")
    for do_again in ("--force", "--effect=fill"):
        shoot.run("-j", "1", code=0)
        assert shoot.published() == ["a.jpg"]
        for step in ("detect", "before-row", "after-row", "before-rename", "after-rename"):
            shoot.run("-j", "1", do_again, faults=[{**STEPS[step], "do": "kill run"}], code=-9)
    shoot.run("-j", "1", "-p", "newsroom", code=4)
    assert shoot.published() == []


def test_what_stood_is_gone_before_the_ledger_says_that_the_photo_is_held(shoot):
    shoot.add("a.jpg")
    shoot.run("-j", "1", code=0)
    fault = {"at": "cloak.ledger:Ledger.record", "when": "after", "do": "kill run"}
    shoot.run("-j", "1", "-p", "newsroom", faults=[fault], code=-9)
    assert shoot.published() == []
    shoot.run("-j", "1", "-p", "newsroom", code=4)
    assert shoot.published() == []


def test_nothing_stands_of_an_earlier_pipeline_when_a_worker_is_killed_or_hangs(shoot):
    shoot.add("hangs.jpg", "killed.jpg", "refused.jpg")
    shoot.run("-j", "1", code=0)
    ends = {"hangs": "sleep:600", "killed": "kill", "refused": "raise:ValueError"}
    faults = [{**STEPS["detect"], "do": what, "photo": f"{name}.jpg"} for name, what in ends.items()]
    shoot.run("-j", "1", "--effect", "fill", "--deadline", "15", faults=faults, code=1)
    assert shoot.published() == []
    shoot.run("-j", "1", code=0)
    assert len(shoot.published()) == 3


def test_a_worker_that_the_system_does_not_let_end_holds_up_neither_the_run_nor_its_end(shoot):
    """One that waits for a disk which does not answer; tests/hooks/test_network_disk.py has such a disk."""
    shoot.add("a.jpg")
    faults = [{"at": "os:kill", "do": "answer:nothing"}, {**STEPS["detect"], "do": "sleep:600"}]
    began = time.monotonic()
    shoot.run("-j", "1", "--deadline", "3", faults=faults, code=1)
    assert time.monotonic() - began < 60
    assert shoot.rows()["a.jpg"]["reason"] == "timed-out"
    shoot.run("-j", "1", code=0)
