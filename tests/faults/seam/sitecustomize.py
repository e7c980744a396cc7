"""Faults for real processes of cloak. Python imports this by itself where this folder is in PYTHONPATH, in each process
of a run, and so does the server that workers are forked from.

CLOAK_FAULTS is a JSON list of faults:

    at      "module:function" or "module:Class.method": what gets the fault, by the name that its caller uses
    when    "before" (default) or "after" it
    do      what happens; see `_ACTIONS`, with an argument behind a colon; "add" adds detections to what it answers
    photo   only for the photo of that name; in the service, for one that holds these bytes
    times   how often at most, over all processes (default: always); `mark` is a path for counting
"""

import contextlib
import errno
import functools
import importlib.abc
import json
import os
import signal
import stat
import subprocess
import sys
import time

FAULTS = json.loads(os.environ.get("CLOAK_FAULTS", "[]"))
photo = ""


def _detections(*boxes, score=0.9):
    from cloak.detect.base import Detection
    from cloak.geometry import Box

    return [Detection(Box(*box), score, "yunet") for box in boxes]


def _sleep(argument, _):
    time.sleep(float(argument))


def _raise(argument, _):
    if hasattr(errno, argument):
        raise OSError(getattr(errno, argument), os.strerror(getattr(errno, argument)))
    kind, _, words = argument.partition(":")
    raise getattr(__builtins__, kind, ValueError)(words)


def _shell(argument, _):
    subprocess.run(["sh", "-c", argument], check=True)


def _limit(argument, _):
    """So many MB more than it has, and no byte beyond."""
    import resource

    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + int(argument) * 1_000_000,) * 2)


_lost = []


def _lose(argument, _):
    """So many MB that nobody gives back."""
    _lost.append(bytearray(int(argument) * 1_000_000))
    for at in range(0, len(_lost[-1]), 4096):
        _lost[-1][at] = 1


def _answer(argument, _):
    """What a detector answers instead."""
    nan, many = float("nan"), range(100)
    return {
        "nan": lambda: _detections((10, 10, nan, 20)),
        "endless": lambda: _detections((10, 10, 20, 20), score=float("inf")),
        "junk": lambda: ["a face"],
        "nothing": lambda: None,
        "outside": lambda: _detections((-500, -500, 400, 400), (1e6, 1e6, 50, 50), (200, 200, 1e9, 1e9)),
        "ten thousand": lambda: _detections(*((x % 10 * 25, x // 10 * 25, 12, 12) for x in many for _ in many)),
        "flood": lambda: _detections(*((x % 200, x % 190, 9, 9) for x in range(50_000))),
    }[argument]()  # fmt: skip


def _folder(argument, _):
    from pathlib import Path

    return Path(argument)


def _note(argument, args):
    """Adds a line to a file: the permissions of the regular file whose descriptor the function gets."""
    mode = os.fstat(args[0]).st_mode
    if stat.S_ISREG(mode):
        with open(argument, "a") as file:
            file.write(f"{stat.S_IMODE(mode):o}\n")


_ACTIONS = {
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "kill run": lambda *_: os.killpg(0, signal.SIGKILL),
    "sleep": _sleep,
    "raise": _raise,
    "shell": _shell,
    "limit": _limit,
    "lose": _lose,
    "answer": _answer,
    "folder": _folder,
    "note": _note,
}


def _due(fault):
    if fault.get("photo", photo) != photo:
        return False
    for number in range(fault.get("times", 0)):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(f"{fault['mark']}{number}", os.O_CREAT | os.O_EXCL))
            return True
    return "times" not in fault


def _with(fault, function):
    kind, _, argument = fault["do"].partition(":")

    if kind == "clock":
        return lambda: function() + type(function())(argument)

    @functools.wraps(function)
    def faulty(*args, **keywords):
        before = fault.get("when", "before") == "before" and kind != "add"
        answer = None if before and kind in {"answer", "folder"} and _due(fault) else ...
        if answer is None:
            return _ACTIONS[kind](argument, args)
        if before and _due(fault):
            _ACTIONS[kind](argument, args)
        answer = function(*args, **keywords)
        if kind == "add" and _due(fault):
            return [*answer, *_answer(argument, args)]
        if not before and kind != "add" and _due(fault):
            _ACTIONS[kind](argument, args)
        return answer

    return faulty


def _noting(function):
    """A function whose first argument tells which photo is worked on."""

    @functools.wraps(function)
    def noting(first, *args, **keywords):
        global photo
        data = getattr(first, "data", b"")
        wanted = [fault.get("photo", "") for fault in FAULTS]
        photo = first.name.name if hasattr(first, "name") else next((w for w in wanted if w and w.encode() in data), "")
        try:
            return function(first, *args, **keywords)
        finally:
            photo = ""

    return noting


def _patch(module, path, make):
    *owners, last = path.split(".")
    owner = functools.reduce(getattr, owners, module)
    setattr(owner, last, make(getattr(owner, last)))


_NOTING = {"cloak.work": "_guarded", "cloak.service.work": "_anonymize"}


def _arm(module):
    for fault in FAULTS:
        name, _, path = fault["at"].partition(":")
        if name == module.__name__:
            _patch(module, path, functools.partial(_with, fault))
    if module.__name__ in _NOTING:
        _patch(module, _NOTING[module.__name__], _noting)
        if module.__name__ == "cloak.service.work":
            module._KINDS["anonymize"] = module._anonymize


class _Finder(importlib.abc.MetaPathFinder):
    """Arms the modules that are imported later."""

    wanted = {fault["at"].partition(":")[0] for fault in FAULTS} | set(_NOTING)

    def find_spec(self, name, path, target=None):
        if name not in self.wanted:
            return None
        others = (f.find_spec(name, path, target) for f in sys.meta_path if f is not self and hasattr(f, "find_spec"))
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                _arm(module)

            spec.loader.exec_module = exec_module
        return spec


if FAULTS:
    sys.meta_path.insert(0, _Finder())
    for loaded in [sys.modules[name] for name in _Finder.wanted if name in sys.modules]:
        _arm(loaded)
