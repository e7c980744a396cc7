"""Keeps every small file that tests open, as seeds: tests make more kinds of files than anybody would list twice.

    pytest -p fuzz.harvest --harvest fuzzing/harvest tests/photo tests/metadata
    python -m fuzz --seeds fuzzing/harvest

The folder may be filled by several calls.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import cloak.metadata
import cloak.photo

T = TypeVar("T")

LARGEST = 20_000
"""Bytes: larger files teach a fuzzer little for the time that they take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--harvest", type=Path, required=True, help="folder for the files that tests open")


def pytest_configure(config: pytest.Config) -> None:
    # Plugins are loaded before any test module has imported these by name.
    folder: Path = config.getoption("--harvest")
    folder.mkdir(parents=True, exist_ok=True)
    cloak.photo.open_photo = _kept(cloak.photo.open_photo, folder)
    cloak.metadata.read = _kept(cloak.metadata.read, folder)


def _kept(reader: Callable[..., T], folder: Path) -> Callable[..., T]:
    @functools.wraps(reader)
    def wrapper(data: Any, *rest: Any, **options: Any) -> T:
        if isinstance(data, bytes) and 0 < len(data) <= LARGEST:
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        return reader(data, *rest, **options)

    return wrapper
