"""The pool against workers that crash, hang and fail; the functions below run in worker processes."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from cloak.errors import ConcealmentFailed, SetupError, TimedOut, TooLarge
from cloak.pool import Pool
from tests.conftest import ROOT


def nothing():
    pass


def work(item):
    kind, value = item
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "once":
        if not os.path.exists(value):
            open(value, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return "second time"
    if kind == "hang":
        time.sleep(60)
    if kind == "setup":
        raise SetupError("no weights")
    return value * 2


def test_every_item_is_answered_once():
    with Pool(work, 2, 30, nothing) as pool:
        answers = {item[1]: answer for item, answer in pool.map(("ok", i) for i in range(20))}
    assert answers == {i: 2 * i for i in range(20)}


def test_items_are_taken_only_as_workers_are_free():
    taken = []

    def endless():
        for i in range(1000):
            taken.append(i)
            yield "ok", i

    with Pool(work, 2, 30, nothing) as pool:
        answers = pool.map(endless())
        for _ in range(3):
            next(answers)
        assert len(taken) <= 6


def test_a_worker_that_dies_is_replaced_and_its_item_withheld():
    items = [("ok", 1), ("crash", None), ("ok", 2), ("ok", 3)]
    with Pool(work, 2, 30, nothing) as pool:
        answers = [(item[0], answer) for item, answer in pool.map(items)]
    assert sorted(a for k, a in answers if k == "ok") == [2, 4, 6]
    (died,) = [a for k, a in answers if k == "crash"]
    assert isinstance(died, ConcealmentFailed)


def test_an_item_whose_worker_died_once_is_tried_again(tmp_path):
    with Pool(work, 1, 30, nothing) as pool:
        assert [a for _, a in pool.map([("once", str(tmp_path / "mark"))])] == ["second time"]


def test_a_worker_that_hangs_is_killed_and_the_others_go_on():
    started = time.monotonic()
    with Pool(work, 2, 2, nothing) as pool:
        answers = [(item[0], answer) for item, answer in pool.map([("hang", 0), ("ok", 1), ("ok", 2)])]
    assert time.monotonic() - started < 30
    assert isinstance(dict(answers)["hang"], TimedOut)
    assert sorted(a for k, a in answers if k == "ok") == [2, 4]


def test_an_error_of_the_set_up_ends_the_run():
    with Pool(work, 1, 30, nothing) as pool, pytest.raises(SetupError, match="no weights"):
        list(pool.map([("setup", 0)]))


@pytest.mark.parametrize("times", [1, 2])
def test_a_fork_server_that_is_killed_is_started_anew_and_looks_like_no_interrupt(monkeypatch, times):
    """click takes an EOFError for Ctrl-D at a question, and ends with "interrupted"."""
    submit, failures = ProcessPoolExecutor.submit, [EOFError()] * times

    def dying(*arguments):
        if failures:
            raise failures.pop()
        return submit(*arguments)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", dying)
    with Pool(work, 1, 30, nothing) as pool:
        if times == 1:
            assert list(pool.map([("ok", 1)])) == [(("ok", 1), 2)]
        else:
            with pytest.raises(SetupError, match="EOFError"):
                list(pool.map([("ok", 1)]))


def test_drain_finishes_what_is_in_work_and_takes_nothing_more():
    items = iter([("ok", i) for i in range(50)])
    with Pool(work, 2, 30, nothing) as pool:
        answers = pool.map(items)
        first = next(answers)
        answers.close()
        rest = list(pool.drain())
    assert 1 <= len(rest) + 1 <= 4
    assert first[1] is not None
    assert len(list(items)) >= 45


def test_a_temporary_folder_with_a_long_name_is_no_obstacle(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with Pool(work, 1, 30, nothing) as pool:
        assert [a for _, a in pool.map([("ok", 21)])] == [42]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    code = f"""
import os, sys, time
from pathlib import Path
from cloak.pool import Pool

def nothing(): pass
def sleep(item):
    Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    with Pool(sleep, 1, 600, nothing) as pool:
        list(pool.map([1]))
"""
    (tmp_path / "main.py").write_text(code)
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py"])
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text())
    os.kill(worker, 0)
    parent.kill()
    parent.wait()
    while True:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="workers are not forked there")
def test_ctrl_c_at_the_start_is_heard_once_and_by_no_process_below(tmp_path):
    """A terminal signals the whole group, also the process from which workers are forked, which still imports."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(1)\npathlib.Path('done').touch()\n"
    )
    code = """
import pathlib, signal, time
from cloak.pool import prepare
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background has it ignored
try:
    prepare("slow")
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
until = time.monotonic() + 30
while not pathlib.Path("done").exists() and time.monotonic() < until:
    time.sleep(0.05)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=60) == ("interrupted\n", "")
    assert (tmp_path / "done").exists()


def swell(item):
    kind, value = item
    if kind == "swell":
        with open(value, "a") as marks:
            marks.write("x")
        held = bytearray(600_000_000)  # zeros: nothing is held yet
        for at in range(0, len(held), 4096):
            held[at] = 1
        time.sleep(60)
    return value * 2


def test_a_worker_that_takes_too_much_memory_is_killed_once_and_the_others_go_on(tmp_path):
    mark = tmp_path / "mark"
    started = time.monotonic()
    with Pool(swell, 2, 50, nothing, most=300_000_000) as pool:
        answers = [
            (item[0], answer) for item, answer in pool.map([("ok", 1), ("swell", str(mark)), ("ok", 2), ("ok", 3)])
        ]
    assert time.monotonic() - started < 40
    assert sorted(a for k, a in answers if k == "ok") == [2, 4, 6]
    withheld = dict(answers)["swell"]
    assert isinstance(withheld, TooLarge)
    assert str(withheld) == "it took more than 300 MB of memory"
    assert mark.read_text() == "x"  # no second attempt: it would take as much


_lost = []


def lose(item):
    _lost.append(bytearray(60_000_000))
    _lost[-1][::4096] = b"\1" * len(_lost[-1][::4096])
    time.sleep(0.3)  # the parent looks five times a second
    return os.getpid()


def test_a_worker_that_loses_memory_is_replaced_before_an_item_is_withheld_for_it():
    with Pool(lose, 1, 50, nothing, most=600_000_000) as pool:
        answers = [answer for _, answer in pool.map(range(14))]
    assert all(isinstance(answer, int) for answer in answers)
    assert 2 <= len(set(answers)) <= 5


def test_workers_share_what_memory_there_is(monkeypatch):
    import psutil

    from cloak import memory

    monkeypatch.setattr(memory, "Path", lambda *names: type("None", (), {"read_text": lambda self: "max"})())
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 64_000_000_000}))
    assert memory.share(8) == 6_400_000_000
    assert memory.share(64) == 2_000_000_000
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 1_000_000_000}))
    assert memory.share(4) == 800_000_000
    # A container has less than its machine.
    monkeypatch.setattr(memory, "Path", lambda *names: type("File", (), {"read_text": lambda self: "500000000\n"})())
    assert memory.share(1) == 400_000_000


def test_a_process_that_is_gone_holds_nothing():
    from cloak import memory

    assert memory.held(os.getpid()) > 10_000_000
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert memory.held(process.pid) == 0
